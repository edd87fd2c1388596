"""Read SavedModels of TensorFlow 1 and 2 as servers do, by their graph and a signature: no Python objects are made.

Of the file's own operations only the one is run that restores the variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from visualcnn_tf._utils.checks import did_you_mean, quoted
from visualcnn_tf.errors import IncompatibleModelError, InvalidArgumentError
from visualcnn_tf.graphs.foreign_operations import check_restoring
from visualcnn_tf.graphs.nodes import Ref, ref_of, run_before
from visualcnn_tf.graphs.source import Source, Values

FILE = "saved_model.pb"
_SERVING = "serve"  # the tag of what is to be served


def read_saved_model(folder: Path, signature: str) -> Source:
    """Read a folder, whose inputs and outputs a signature tells.

    Raises:
        InvalidArgumentError: for a signature that it does not have.
        IncompatibleModelError: for a folder of anything else.
    """
    meta_graph = _meta_graph(folder)
    chosen = _signature(meta_graph, signature, folder)
    graph_def = meta_graph.graph_def
    inputs, outputs = _tensors(chosen.inputs, folder), _tensors(chosen.outputs, folder)
    nodes = {node.name: node for node in graph_def.node}
    needed = _only(graph_def, run_before(nodes, [name for name, _ in [*outputs.values(), *inputs.values()]]))

    def values_of(names: Sequence[str]) -> Values:
        return _restored(meta_graph, folder, names)

    return Source(str(folder), needed, inputs, outputs, values_of)


def signature_outputs(folder: Path) -> dict[str, list[str]]:
    """Return the names of the outputs of each signature of a SavedModel.

    Raises:
        IncompatibleModelError: for a folder of anything else.
    """
    found = _meta_graph(folder).signature_def
    return {name: sorted(found[name].outputs) for name in sorted(found) if not name.startswith("__")}


def _meta_graph(folder: Path) -> Any:
    """Return the graph that is to be served, with its signatures."""
    if not (folder / FILE).is_file():
        inside = sorted(child.name for child in folder.iterdir() if (child / FILE).is_file())
        advice = f" Pass one of the folders in it, such as `{folder / inside[-1]}`." if inside else ""
        raise _refused(folder, f"There is no file `{FILE}` in it.{advice}")
    try:
        meta_graphs = list(SavedModel.FromString((folder / FILE).read_bytes()).meta_graphs)
    except Exception as error:  # the package protobuf tells several
        raise _refused(folder, f"It can't be read: {type(error).__name__}: {error}") from error
    found = _to_serve(meta_graphs)
    if found is None:
        tags = [list(one.meta_info_def.tags) for one in meta_graphs]
        raise _refused(folder, f"It needs a graph with the tag {_SERVING!r}, and has these: {tags}.")
    return found


def _to_serve(meta_graphs: Sequence[Any]) -> Any:
    """Return the graph that is to be served: with the tag for that, without any, as TensorFlow 1's Hub, or the only."""
    by_tags = {tuple(sorted(one.meta_info_def.tags)): one for one in meta_graphs}
    serving = [one for tags, one in by_tags.items() if _SERVING in tags]
    choices = [by_tags.get((_SERVING,)), by_tags.get(()), *serving, *(meta_graphs if len(meta_graphs) == 1 else ())]
    return next((one for one in choices if one is not None), None)


def _signature(meta_graph: Any, name: str, folder: Path) -> Any:
    found = meta_graph.signature_def
    if name in found:
        return found[name]
    names = [known for known in found if not known.startswith("__")]
    if not names:
        raise _refused(folder, "It has no signature. Save it with `tf.saved_model.save(model, path, signatures=...)`.")
    raise InvalidArgumentError(
        f"`signature` must be one of {quoted(sorted(names))}, those of `{folder}`. Received: {name!r}."
        f"{did_you_mean(name, names)}"
    )


def _tensors(described: Mapping[str, Any], folder: Path) -> dict[str, Ref]:
    """Return the tensors of the inputs or outputs of a signature, sorted by key, as TensorFlow returns them."""
    composite = [key for key, info in described.items() if info.WhichOneof("encoding") != "name"]
    if composite:
        raise _refused(folder, f"{quoted(composite)} of its signature is a sparse or ragged tensor.")
    return {key: ref_of(described[key].name) for key in sorted(described)}


def _only(graph_def: Any, names: set[str]) -> Any:
    """Return the nodes of these names, with all functions."""
    chosen = tf.compat.v1.GraphDef()
    chosen.versions.CopyFrom(graph_def.versions)
    chosen.library.CopyFrom(graph_def.library)
    chosen.node.extend(node for node in graph_def.node if node.name in names)
    return chosen


def _restored(meta_graph: Any, folder: Path, names: Sequence[str]) -> Values:
    """Return the values of variables: those that the operation of the file gives them that restores them."""
    if not names:
        return {}
    saver = meta_graph.saver_def
    check_restoring(meta_graph.graph_def, saver.restore_op_name, str(folder))
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(meta_graph.graph_def, name="")
        tensors = {name: _value(graph.get_operation_by_name(name)) for name in names}
    config = tf.compat.v1.ConfigProto(device_count={"GPU": 0}, allow_soft_placement=True)
    try:
        with tf.compat.v1.Session(graph=graph, config=config) as session:
            session.run(saver.restore_op_name, {saver.filename_tensor_name: str(folder / "variables" / "variables")})
            values: Values = session.run(tensors)
    except (tf.errors.OpError, KeyError, ValueError) as error:
        raise _refused(folder, f"Its variables can't be restored: {error}") from error
    return values


def _value(operation: tf.Operation) -> tf.Tensor:
    """Return the value of a variable in the graph."""
    [output] = operation.outputs
    if operation.type != "VarHandleOp":
        return output
    return tf.raw_ops.ReadVariableOp(resource=output, dtype=operation.get_attr("dtype"))


def _refused(folder: Path, why: str) -> IncompatibleModelError:
    return IncompatibleModelError(
        f"`path` must be the folder of a SavedModel or a frozen graph (`.pb`). Received: `{folder}`. {why}"
    )
