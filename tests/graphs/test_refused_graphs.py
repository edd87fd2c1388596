"""Files and graphs that can't be models, names that are not there: each is refused with what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support import graph_models as graphs

import visualcnn_tf as vc

v1 = tf.compat.v1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    graphs.write_frozen(folder / "frozen.pb")
    graphs.write_module(folder / "module" / "3")
    graphs.write_estimator(folder / "estimator")
    return folder


def graph(path: Path, make: Callable[[Any], None], **arguments: Any) -> Any:
    """Load a graph that a function makes of an image."""
    return vc.load_graph(graphs.write_graph(path / "graph.pb", graphs.odd_graph(make)), **arguments)


# Files ------------------------------------------------------------------------------------------------------------


def test_a_missing_file(folder: Path) -> None:
    with pytest.raises(vc.InvalidArgumentError, match=r"There is no file or folder .*absent\.pb"):
        vc.load_graph(folder / "absent.pb")


def test_a_folder_of_versions(folder: Path) -> None:
    with pytest.raises(vc.IncompatibleModelError, match=r"no file `saved_model\.pb`.*such as .*module/3"):
        vc.load_graph(folder / "module")


@pytest.mark.parametrize("content", [b"", b"no graph at all", b"\x0a\xff\xff", b"PK\x03\x04"])
def test_a_corrupt_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "graph.pb").write_bytes(content)
    with pytest.raises(vc.IncompatibleModelError, match="must be a frozen graph"):
        vc.load_graph(tmp_path / "graph.pb")
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(vc.IncompatibleModelError, match=r"SavedModel"):
        vc.load_graph(tmp_path)


def test_a_truncated_saved_model(folder: Path, tmp_path: Path) -> None:
    content = (folder / "module" / "3" / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(vc.IncompatibleModelError, match="It can't be read"):
        vc.load_graph(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(content)  # without its variables
    with pytest.raises(vc.IncompatibleModelError, match="Its variables can't be restored"):
        vc.load_graph(tmp_path)


def test_the_file_inside_a_saved_model(folder: Path) -> None:
    with pytest.raises(vc.IncompatibleModelError, match="Pass the folder that it is in"):
        vc.load_graph(folder / "module" / "3" / "saved_model.pb")


def test_variables_outside_of_the_file(tmp_path: Path) -> None:
    def make(image: Any) -> None:
        kernel = v1.Variable(np.ones((1, 1, 1, 2), "float32"), name="kernel", use_resource=False)
        tf.nn.conv2d(image, kernel, 1, "SAME", name="conv")

    with pytest.raises(vc.IncompatibleModelError, match="with the variables 'kernel', whose values are in another"):
        graph(tmp_path, make, outputs="conv")


# Names ------------------------------------------------------------------------------------------------------------


def test_a_signature_that_is_not_there(folder: Path) -> None:
    with pytest.raises(vc.InvalidArgumentError, match=r"one of 'predict', 'serving_default'.*Did you mean 'predict'"):
        vc.load_graph(folder / "estimator", "predcit")
    with pytest.raises(vc.InvalidArgumentError, match="left out for a frozen graph"):
        vc.load_graph(folder / "frozen.pb", "predict")


@pytest.mark.parametrize("argument", ["inputs", "outputs"])
def test_a_tensor_that_is_not_there(folder: Path, argument: str) -> None:
    with pytest.raises(vc.LayerNotFoundError, match=r"Received: 'last/Rleu'. Did you mean 'last/Relu'"):
        vc.load_graph(folder / "frozen.pb", **{argument: "last/Rleu"})
    with pytest.raises(vc.LayerNotFoundError, match="Received: 'last/Relu:1'"):
        vc.load_graph(folder / "frozen.pb", **{argument: "last/Relu:1"})


@pytest.mark.parametrize("given", [5, [], [1], {"scores": 1.0}, ["head/Softmax", "head/Softmax:0"]])
def test_outputs_that_are_no_names(folder: Path, given: Any) -> None:
    with pytest.raises((vc.InvalidArgumentError, vc.InvalidTypeError), match="`outputs` must be"):
        vc.load_graph(folder / "frozen.pb", outputs=given)


def test_several_ends(tmp_path: Path) -> None:
    with pytest.raises(vc.InvalidArgumentError, match=r"`outputs` must be given.*nothing reads 'one', 'other'"):
        graph(tmp_path, graphs.ODD["several_ends"])


def test_inputs_without_effect_and_missing_ones(tmp_path: Path) -> None:
    def make(image: Any) -> None:
        tf.nn.relu(image * v1.placeholder(tf.float32, (None, 4, 4, 1), "mask"), name="out")
        tf.nn.relu(image, name="other")

    with pytest.raises(vc.InvalidArgumentError, match=r"must hold all inputs.*Received: none for 'mask'"):
        graph(tmp_path, make, inputs="image", outputs="out")
    with pytest.raises(vc.InvalidArgumentError, match=r"that the outputs of .* are computed from. Received: 'mask'"):
        graph(tmp_path, make, inputs=["image", "mask"], outputs="other")
    with pytest.raises(vc.InvalidArgumentError, match=r"a value of type float32 and shape"):
        graph(tmp_path, make, inputs={"image": "image", "mask": [1, 2]}, outputs="out")


# Graphs -----------------------------------------------------------------------------------------------------------


def test_texts(folder: Path) -> None:
    with pytest.raises(vc.IncompatibleModelError, match=r"'examples' of .* takes texts or encoded images; name the"):
        vc.load_graph(folder / "estimator", inputs="examples", outputs="scores")
    with pytest.raises(vc.IncompatibleModelError, match=r"'classes'.*Name the others: `outputs=\['scores'\]`"):
        vc.load_graph(folder / "estimator", inputs={"image": "image:0"})


def test_scalars_and_unknown_ranks(tmp_path: Path) -> None:
    def unknown(image: Any) -> None:
        tf.nn.relu(v1.placeholder(tf.float32, None, "any"), name="out")

    with pytest.raises(vc.IncompatibleModelError, match=r"'scale' of .* is a scalar; fix it to a value"):
        graph(tmp_path, graphs.ODD["scalar"])
    with pytest.raises(vc.IncompatibleModelError, match="has a shape that is not known"):
        graph(tmp_path, unknown, outputs="out")


def test_no_input(tmp_path: Path) -> None:
    with pytest.raises(vc.IncompatibleModelError, match="the same for whatever it is given"):
        graph(tmp_path, lambda image: tf.nn.relu(tf.constant([1.0]), name="out"), outputs="out")


def test_no_maps(tmp_path: Path) -> None:
    with pytest.raises(vc.NoFeatureMapError, match="that computes floating-point numbers"):
        graph(tmp_path, graphs.ODD["integers"])
    with pytest.raises(vc.NoFeatureMapError, match="which has none"):
        vc.attach(graph(tmp_path, graphs.ODD["vectors"]), "last")


def test_loops_of_tensorflow_1(tmp_path: Path) -> None:
    with pytest.raises(vc.IncompatibleModelError, match=r"\(Switch\) is part of a loop or branch as TensorFlow 1"):
        graph(tmp_path, graphs.ODD["loop"])


def test_the_inside_of_a_loop(tmp_path: Path) -> None:
    model, x = graph(tmp_path, graphs.ODD["mapped"]), np.ones((2, 4, 4, 1), "float32")
    np.testing.assert_array_equal(model(x)[:, 1, 1], np.full((2, 2), 9.0))
    [inside] = [layer.name for layer in model.operations if layer.name.endswith("convolution")]
    for layers in (inside, "convolution"):
        with pytest.raises(vc.NoFeatureMapError, match="convolution': it runs inside a loop"):
            vc.attach(model, layers)
    np.testing.assert_array_equal(vc.attach(model, "out", normalize=None, method="max")(x)["heatmap_out"][:, 1, 1], 9)


def test_what_does_more_than_to_compute(tmp_path: Path) -> None:
    def table(image: Any) -> None:
        entries = tf.lookup.KeyValueTensorInitializer(tf.constant([0]), tf.constant([1.0]))
        found = tf.lookup.StaticHashTable(entries, 0.0).lookup(tf.constant([0]))
        tf.nn.relu(image * found, name="out")

    with pytest.raises(vc.IncompatibleModelError, match=r"\(ReadFile\) reads or writes files"):
        graph(tmp_path, graphs.ODD["files"])
    with pytest.raises(vc.IncompatibleModelError, match="reads a lookup table"):
        graph(tmp_path, table, outputs="out")


def test_variables_that_change(tmp_path: Path) -> None:
    class Counting(tf.Module):
        def __init__(self) -> None:
            self.count = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec((None, 4, 4, 1))], autograph=False)
        def run(self, x: tf.Tensor) -> tf.Tensor:
            return tf.nn.relu(x + self.count.assign_add(1.0, read_value=True))

    module = Counting()
    tf.saved_model.save(module, str(tmp_path / "counting"), signatures=module.run)
    with pytest.raises(vc.IncompatibleModelError, match=r"\(AssignAddVariableOp\) changes what the next prediction"):
        vc.load_graph(tmp_path / "counting")


def test_operations_that_nobody_has(tmp_path: Path) -> None:
    graph_def = graphs.frozen()
    next(node for node in graph_def.node if node.name == "last/Relu").op = "MyRelu"
    with pytest.raises(vc.IncompatibleModelError, match=r"that this TensorFlow can run.*MyRelu"):
        vc.load_graph(graphs.write_graph(tmp_path / "graph.pb", graph_def))


def test_a_function_that_is_not_there(tmp_path: Path) -> None:
    graph_def = graphs.frozen()
    node = graph_def.node.add(name="call", op="PartitionedCall", input=["head/Softmax"])
    node.attr["f"].func.name = "absent"
    with pytest.raises(vc.IncompatibleModelError, match="where 'call' calls 'absent'"):
        vc.load_graph(graphs.write_graph(tmp_path / "graph.pb", graph_def))


def test_a_saved_model_that_does_more_when_it_is_loaded(folder: Path, tmp_path: Path) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    source = folder / "estimator"
    saved = SavedModel.FromString((source / "saved_model.pb").read_bytes())
    graph_def = saved.meta_graphs[0].graph_def
    with tf.Graph().as_default() as extra:
        tf.io.write_file(tf.constant(str(tmp_path / "written")), tf.constant("text"), name="extra/write")
    graph_def.node.extend(extra.as_graph_def().node)
    restore = saved.meta_graphs[0].saver_def.restore_op_name
    next(node for node in graph_def.node if node.name == restore).input.append("^extra/write")
    (tmp_path / "bad" / "variables").mkdir(parents=True)
    for file in (source / "variables").iterdir():
        (tmp_path / "bad" / "variables" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "bad" / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(vc.IncompatibleModelError, match=r"only restores its variables.*\(WriteFile\)"):
        vc.load_graph(tmp_path / "bad", "predict")
    assert not (tmp_path / "written").exists()
