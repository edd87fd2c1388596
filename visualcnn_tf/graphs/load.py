"""load_graph: a SavedModel or a frozen graph as a Keras model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from visualcnn_tf._utils.backend import check_backend
from visualcnn_tf._utils.checks import as_path, bad_value
from visualcnn_tf.errors import InvalidArgumentError, NoFeatureMapError
from visualcnn_tf.graphs.cut import cut
from visualcnn_tf.graphs.endpoints import Endpoints, key_of
from visualcnn_tf.graphs.frozen import read_frozen
from visualcnn_tf.graphs.model import GraphModel
from visualcnn_tf.graphs.nodes import VARIABLES
from visualcnn_tf.graphs.saved_model import read_saved_model
from visualcnn_tf.graphs.source import Source

DEFAULT_SIGNATURE = "serving_default"


def load_graph(
    path: str | os.PathLike[str],
    signature: str = DEFAULT_SIGNATURE,
    inputs: Endpoints = None,
    outputs: Endpoints = None,
) -> GraphModel:
    """Return a Keras model of a TensorFlow graph: a SavedModel of any program, or a frozen graph.

    No Keras code is needed, and none of the file's own code is run but what restores its variables. The model's layers
    are the operations of the graph that compute floating-point numbers, by their names there, such as
    ``"MobilenetV2/Conv/Relu6"``; a convolution or dense layer holds its bias. ``attach`` and everything else works on
    it as on any Keras model: presets, class scores, gradients, ``save``, exports.

    Example:
        >>> model = vc.load_graph("export/1")                                          # doctest: +SKIP
        >>> explained = vc.attach(model, "last", method="gradcam")                      # doctest: +SKIP
        >>> vc.load_graph("frozen.pb", inputs="image:0", outputs=["logits:0"])          # doctest: +SKIP

    Args:
        path: the folder of a SavedModel (TensorFlow 1 or 2, TF Hub, Keras 2 or 3, ``tf.Module``), or a ``.pb`` file
            of a frozen graph.
        signature: which signature of a SavedModel tells the inputs and outputs.
        inputs: the inputs: the name of one, a list of names, or a dict from the keys that they get to names. A name is
            that of an input of the signature or of any tensor of the graph, such as ``"decoded:0"``, where the model
            then starts. In a dict, a number in place of a name fixes an input: ``{"image": "image:0", "training":
            False}``. By default all inputs of the signature, or all placeholders of a frozen graph, as far as the
            outputs need them.
        outputs: the outputs, likewise; by default those of the signature or, of a frozen graph, the only tensor that
            nothing reads.

    Returns:
        A Keras model with one output, or a dict of several, sorted by key. Inputs of a fixed batch size keep it. The
        variables of a SavedModel are its weights; it is not trainable.

    Raises:
        InvalidArgumentError: for a path that is not there, a signature that the SavedModel does not have, or inputs or
            outputs that must be named.
        LayerNotFoundError: for the name of a tensor that is not in the graph; the message offers near misses.
        IncompatibleModelError: for a file of anything else; for inputs that are texts, scalars or of unknown rank; and
            for a graph that does more than to compute its outputs, or has loops as TensorFlow 1 wrote them.
        NoFeatureMapError: for a graph without floating-point numbers between inputs and outputs.
    """
    check_backend()
    path = as_path("path", path)
    source = _read(path, signature)
    graph = cut(source, inputs, outputs)
    names = [node.name for node in graph.graph_def.node if node.op in VARIABLES]
    model = GraphModel(graph.graph_def, graph.inputs, graph.outputs, source.values_of(names), name=_name(path))
    if not model.operations:
        raise NoFeatureMapError(
            f"`path` must hold a graph that computes floating-point numbers from its inputs. Received: `{path}`, which "
            "does not. Name other `outputs`."
        )
    return model


def _read(path: Path, signature: str) -> Source:
    if path.is_dir():
        return read_saved_model(path, signature)
    if not path.exists():
        raise InvalidArgumentError(
            f"There is no file or folder `{path}`. `path` must be the folder of a SavedModel or a frozen graph (`.pb`)."
        )
    if signature != DEFAULT_SIGNATURE:
        raise bad_value("signature", "left out for a frozen graph, which has none", signature)
    return read_frozen(path)


def _name(path: Path) -> str:
    """Return a name for the model: that of its file or, of a numbered version, that of the folder around it."""
    parts: list[Any] = [part for part in (path.stem, path.resolve().parent.name) if part and not part.isdecimal()]
    return key_of(parts[0]).replace(".", "_") if parts else "graph"
