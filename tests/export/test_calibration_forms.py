"""Calibration data is read in every form that ``predict`` or TensorFlow Lite takes, with the same content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError
from visualcnn_tf.export.representative_data import read_examples
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs
from visualcnn_tf.targets.inputs import CLASS_INDEX

RNG = np.random.default_rng(0)
P, T = RNG.random((12, 8, 8, 3)).astype("float32"), RNG.random((12, 5)).astype("float32")
S = RNG.random(12).astype("float32")
Y = np.arange(12)

PHOTO = ModelInput("photo", (None, 8, 8, 3), "float32")
ONE = ModelInputs(0, (PHOTO,))
TWO = ModelInputs([0, 0], (PHOTO, ModelInput("table", (None, 5), "float32")))
WITH_SCALAR = ModelInputs([0, 0], (PHOTO, ModelInput("age", (None,), "float32")))


class Batches(keras.utils.PyDataset):
    """A data set as ``fit`` and ``predict`` take it, with labels."""

    def __init__(self, x: Callable[[slice], Any]) -> None:
        super().__init__()
        self.x = x

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        rows = slice(4 * index, 4 * index + 4)
        return self.x(rows), Y[rows]


def singles() -> Iterator[slice]:
    return (slice(k, k + 1) for k in range(12))


FORMS_OF_ONE: dict[str, Callable[[], Any]] = {
    "array": lambda: P,
    "tensor": lambda: tf.constant(P),
    "list of batches": lambda: [P[:5], P[5:]],
    "list of examples": lambda: list(P),
    "list of one array, as predict takes it": lambda: [P],
    "nested lists": lambda: P.tolist(),
    "dict": lambda: {"photo": P},
    "generator of lists, as tf.lite takes it": lambda: ([P[k]] for k in singles()),
    "generator of dicts": lambda: ({"photo": P[k]} for k in singles()),
    "generator of pairs": lambda: ((P[k], Y[k]) for k in singles()),
    "lists of images and labels, as loaders yield them": lambda: [[P[:6], Y[:6]], [P[6:], Y[6:]]],
    "function": lambda: lambda: ([P[k]] for k in singles()),
    "tf.lite.RepresentativeDataset": lambda: tf.lite.RepresentativeDataset(lambda: ([P[k]] for k in singles())),
    "signature and inputs": lambda: (("serving_default", {"photo": P[k]}) for k in singles()),
    "tf.data": lambda: tf.data.Dataset.from_tensor_slices(P).batch(5),
    "tf.data of pairs": lambda: tf.data.Dataset.from_tensor_slices((P, Y)).batch(5),
    "tf.data of examples": lambda: tf.data.Dataset.from_tensor_slices((P, Y)),
    "PyDataset": lambda: Batches(lambda rows: P[rows]),
}

FORMS_OF_TWO: dict[str, Callable[[], Any]] = {
    "dict of arrays, as predict takes it": lambda: {"table": T, "photo": P},
    "list of arrays, as predict takes it": lambda: [P, T],
    "tuple of arrays": lambda: (P, T),
    "list of tensors": lambda: [tf.constant(P), tf.constant(T)],
    "list of one dict": lambda: [{"photo": P, "table": T}],
    "list of one list": lambda: [[P, T]],
    "generator of lists, as tf.lite takes it": lambda: ([P[k], T[k]] for k in singles()),
    "generator of tuples": lambda: ((P[k], T[k]) for k in singles()),
    "generator of dicts": lambda: ({"table": T[k], "photo": P[k]} for k in singles()),
    "generator of examples": lambda: ({"table": T[k], "photo": P[k]} for k in range(12)),
    "generator of pairs": lambda: (([P[k], T[k]], Y[k]) for k in singles()),
    "function": lambda: lambda: ([P[k], T[k]] for k in singles()),
    "signature and inputs": lambda: (("serving_default", {"photo": P[k], "table": T[k]}) for k in singles()),
    "tf.data of dicts": lambda: tf.data.Dataset.from_tensor_slices({"photo": P, "table": T}).batch(5),
    "tf.data of tuples": lambda: tf.data.Dataset.from_tensor_slices((P, T)).batch(5),
    "tf.data of pairs": lambda: tf.data.Dataset.from_tensor_slices(((P, T), Y)).batch(5),
    "tf.data of dicts and labels": lambda: tf.data.Dataset.from_tensor_slices(({"photo": P, "table": T}, Y)).batch(5),
    "PyDataset": lambda: Batches(lambda rows: [P[rows], T[rows]]),
    "PyDataset of dicts": lambda: Batches(lambda rows: {"photo": P[rows], "table": T[rows]}),
}


@pytest.mark.parametrize("form", FORMS_OF_ONE)
def test_every_form_of_one_input(form: str) -> None:
    examples = read_examples(FORMS_OF_ONE[form](), ONE)
    assert list(examples) == ["photo"]
    np.testing.assert_allclose(examples["photo"], P, atol=1e-7)


@pytest.mark.parametrize("form", FORMS_OF_TWO)
def test_every_form_of_two_inputs(form: str) -> None:
    examples = read_examples(FORMS_OF_TWO[form](), TWO)
    assert list(examples) == ["photo", "table"]
    np.testing.assert_array_equal(examples["photo"], P)
    np.testing.assert_array_equal(examples["table"], T)


@pytest.mark.parametrize("data", [{"photo": P, "age": S}, [P, S], [[P[k], S[k]] for k in range(12)]])
def test_a_scalar_beside_the_image(data: Any) -> None:
    examples = read_examples(data, WITH_SCALAR)
    np.testing.assert_array_equal(examples["photo"], P)
    np.testing.assert_array_equal(examples["age"], S)


def test_texts_beside_the_image() -> None:
    texts = np.array(["a bird"] * 12)
    inputs = ModelInputs([0, 0], (PHOTO, ModelInput("text", (None,), "string")))
    for given in (texts, texts.astype(object), tf.constant(texts)):
        examples = read_examples({"photo": P, "text": given}, inputs)
        assert tf.constant(examples["text"]).numpy().tolist() == [b"a bird"] * 12


def test_the_class_index_is_filled_in() -> None:
    inputs = TWO.with_more([CLASS_INDEX.spec])
    examples = read_examples([P, T], inputs, [CLASS_INDEX])
    np.testing.assert_array_equal(examples["class_index"], [-1] * 12)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (
            P,
            InvalidArgumentError,
            r"dicts with the inputs 'photo', 'table', or of lists .* Received: 'an array",
        ),
        ([[P]], InvalidArgumentError, r"or of lists in this order. Received: 'a list of 1'"),
        ({"photo": P}, InvalidArgumentError, r"Received: \"a dict with 'photo'\""),
        (
            [T, P],
            InputShapeError,
            r"must hold examples of shape \(8, 8, 3\) for the input 'photo'.* \(12, 5\)",
        ),
        ([P, T[:, :3]], InputShapeError, r"for the input 'table', or batches of them. Received: \(12, 3\)"),
        (5, InvalidArgumentError, r"an iterable of batches or examples. Received: 5"),
        (lambda: 5, InvalidArgumentError, r"an iterable of batches or examples. Received: 5"),
    ],
)
def test_what_is_wrong_is_said(data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_examples(data, TWO)


@pytest.mark.slow
def test_int8_files_of_all_forms_are_the_same(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    photo, table = keras.Input((8, 8, 3), name="photo"), keras.Input((5,), name="table")
    pooled = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="conv")(photo))
    explained = vc.attach(keras.Model([photo, table], L.Dense(2)(L.Concatenate()([pooled, table]))), "conv")
    files = []
    for form in ("dict of arrays, as predict takes it", "list of arrays, as predict takes it", "function"):
        path = tmp_path / f"{len(files)}.tflite"
        vc.export_tflite(explained, path, quantize="int8", representative_data=FORMS_OF_TWO[form]())
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]
