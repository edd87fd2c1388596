"""What a model takes: from its inputs, from the shapes that it was built on, from ``input_shape``."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from visualcnn_tf.errors import InputShapeError, InvalidArgumentError, InvalidTypeError
from visualcnn_tf.introspect.find_inputs import model_inputs, shaped_inputs
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs


class TwoImages(keras.Model):
    """Takes a list, a dict or, nested, a list in a dict; builds nothing."""

    def call(self, inputs: Any) -> Any:
        return sum(keras.tree.flatten(inputs))


def open_model() -> keras.Model:
    left, right = keras.Input((None, None, 3), name="left"), keras.Input((8, None, 1), name="right")
    return keras.Model({"left": left, "right": right}, [layers.Conv2D(2, 3)(left), layers.Conv2D(2, 3)(right)])


def shapes(inputs: ModelInputs | None) -> dict[str, Any]:
    assert inputs is not None
    return {spec.name: spec.shape for spec in inputs.specs}


def test_a_model_that_was_never_built_says_nothing() -> None:
    assert model_inputs(TwoImages()) is None


@pytest.mark.parametrize(
    ("input_shape", "names", "structure"),
    [
        ((4, 5, 3), {"inputs": (None, 4, 5, 3)}, 0),
        ([4, None], {"inputs": (None, 4, None)}, 0),
        ([(4, 5, 3), (6, 7, 1)], {"input_0": (None, 4, 5, 3), "input_1": (None, 6, 7, 1)}, [0, 0]),
        ({"a": (4, 3), "b": (6, 1)}, {"a": (None, 4, 3), "b": (None, 6, 1)}, {"a": 0, "b": 0}),
    ],
)
def test_shapes_of_a_model_that_was_never_built(input_shape: Any, names: dict[str, Any], structure: Any) -> None:
    found = shaped_inputs(TwoImages(), input_shape)
    assert shapes(found) == names
    assert found.structure == structure
    assert {(spec.dtype, spec.fixed) for spec in found.specs} == {("float32", True)}
    assert ModelInputs.from_config(found.get_config()) == found


@pytest.mark.parametrize(
    "input_shape", [{"left": (6, 7, 3), "right": (8, 9, 1)}, {"right": (8, 9, 1), "left": (6, 7, 3)}, "in order"]
)
def test_open_sizes_are_fixed(input_shape: Any) -> None:
    input_shape = [(6, 7, 3), (8, 9, 1)] if input_shape == "in order" else input_shape
    assert shapes(shaped_inputs(open_model(), input_shape)) == {"left": (None, 6, 7, 3), "right": (None, 8, 9, 1)}


@pytest.mark.parametrize(
    ("input_shape", "message"),
    [
        (28, "`input_shape` must be a shape without the batch, such as \\(224, 224, 3\\), .*Received: 28"),
        ((), "`input_shape` must be a shape without the batch"),
        ((0, 5, 3), "`input_shape` must be a shape without the batch"),
        ([4.5, 3], "`input_shape` must be a shape without the batch"),
        ([(6, 7, 3)], "`input_shape` must be a shape for each of the inputs 'left', 'right'"),
        ([(6, 7, 3), (9, 9, 1)], "`input_shape` must be compatible with the model's \\(B, 8, \\?, 1\\)"),
        ([(6, 7, 3), (8, 1)], "`input_shape` must be compatible with the model's \\(B, 8, \\?, 1\\)"),
    ],
)
def test_shapes_that_are_refused(input_shape: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        shaped_inputs(open_model(), input_shape)


def test_shapes_that_a_subclassed_model_was_built_on_bind_no_size() -> None:
    model = TwoImages()
    model.build({"a": (2, 4, 5, 3), "b": (2, 4, 5, 3)})
    found = model_inputs(model)
    assert shapes(found) == {"a": (None, 4, 5, 3), "b": (None, 4, 5, 3)}
    assert found is not None
    found.check({"a": np.ones((7, 6, 6, 3)), "b": np.ones((7, 6, 6, 3))})
    with pytest.raises(InputShapeError, match="The number of channels differs"):
        found.check({"a": np.ones((7, 6, 6, 1)), "b": np.ones((7, 6, 6, 3))})


PAIR = ModelInputs([0, 0], (ModelInput("a", (None, 4, 3), "float32"), ModelInput("b", (None, None), "float32")))


def test_flat_and_packed() -> None:
    assert PAIR.flatten({"b": 2, "a": 1, "more": 3}) == [1, 2]
    assert PAIR.flatten([1, 2]) == [1, 2]
    assert PAIR.pack([1, 2]) == [1, 2]
    assert PAIR.with_more([ModelInput("class_index", (None,), "int32")]).pack([1, 2, 3]) == {
        "a": 1,
        "b": 2,
        "class_index": 3,
    }
    nested = ModelInputs({"x": [0, 0]}, PAIR.specs)
    assert nested.pack([1, 2]) == {"x": [1, 2]}
    assert nested.flatten({"x": [1, 2]}) == [1, 2]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"a": np.ones((1, 4, 3))}, "`inputs` lacks 'b'. Received: a dict with 'a'."),
        ([np.ones((1, 4, 3))], "`inputs` must be 2 tensors, for 'a', 'b'. Received: 1."),
        (
            [np.ones((4, 3)), np.ones((1, 9))],
            "`inputs` must have shape (B, 4, 3) for the input 'a'. Received: (4, 3). "
            "For a single example, add the batch axis: x[np.newaxis].",
        ),
        (
            [np.ones((2, 5, 3)), np.ones((2, 9))],
            "`inputs` must have shape (B, 4, 3) for the input 'a'. Received: (2, 5, 3). "
            "The size differs: resize the images first.",
        ),
        (
            [np.ones((2, 4, 3)), np.ones((2, 9, 9))],
            "`inputs` must have shape (B, ?) for the input 'b'. Received: (2, 9, 9). The number of axes differs.",
        ),
    ],
)
def test_inputs_that_are_refused(inputs: Any, message: str) -> None:
    with pytest.raises(InputShapeError) as raised:
        PAIR.check(inputs)
    assert str(raised.value) == message


def test_a_last_axis_of_one_is_added_and_dropped() -> None:
    gray = ModelInputs(0, (ModelInput("image", (None, 4, 5, 1), "float32"),))
    image = np.arange(40.0).reshape(2, 4, 5)
    for given in (image, image[..., np.newaxis], [image], {"image": image}):
        gray.check(given)
        np.testing.assert_array_equal(gray.standardize(given), image[..., np.newaxis])
    scalar = ModelInputs(0, (ModelInput("age", (None,), "float32"),))
    for given in (np.arange(2.0), np.arange(2.0)[:, np.newaxis]):
        scalar.check(given)
        np.testing.assert_array_equal(scalar.standardize(given), np.arange(2.0))
    with pytest.raises(InputShapeError, match="The number of axes differs"):
        scalar.check(np.ones((2, 2, 1)))


def test_structures_become_the_models_own() -> None:
    a, b = np.ones((1, 4, 3)), np.ones((1, 7))
    for given in ([a, b], (a, b), {"b": b, "a": a}):
        packed = PAIR.standardize(given)
        assert isinstance(packed, list)
        assert packed[0] is a
        assert packed[1] is b


def test_texts_become_tensors() -> None:
    text = ModelInputs(0, (ModelInput("text", (None,), "string"),))
    for given in (np.array(["a", "b"]), np.array(["a", "b"], object), np.array([b"a", b"b"])):
        text.check(given)
        assert text.standardize(given).numpy().tolist() == [b"a", b"b"]
    with pytest.raises(InvalidTypeError, match="must be texts for the input 'text'"):
        text.check(np.ones(2))
