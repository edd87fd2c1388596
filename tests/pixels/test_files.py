"""Pixels in exported files: written, read back, and the files still run."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from support.small_cnn import small_cnn

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError, InvalidTypeError
from visualcnn_tf.pixels.files import tflite_pixels, with_pixels, write_asset

PIXELS = vc.Pixels("torch", "crop")


@pytest.fixture(scope="module")
def content():
    model = small_cnn()
    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def outputs_of(interpreter):
    runner = interpreter.get_signature_runner()
    [(name, about)] = runner.get_input_details().items()
    shape = [1, *about["shape"][1:]]
    return list(runner(**{name: np.random.default_rng(0).random(shape).astype(np.float32)}).values())


def test_a_file_with_pixels_runs_as_before(content):
    from ai_edge_litert.interpreter import Interpreter

    written = with_pixels(content, PIXELS)
    assert tflite_pixels(content) is None
    assert tflite_pixels(written) == PIXELS
    for kind in (Interpreter, tf.lite.Interpreter):
        for before, after in zip(
            outputs_of(kind(model_content=content)), outputs_of(kind(model_content=written)), strict=True
        ):
            np.testing.assert_array_equal(before, after)


def test_other_metadata_stays(content):
    from tensorflow.lite.tools import flatbuffer_utils

    before, after = (
        flatbuffer_utils.convert_bytearray_to_object(bytearray(file)).metadata
        for file in (content, with_pixels(content, PIXELS))
    )
    assert [entry.name for entry in after] == [*(entry.name for entry in before), b"visualcnn_tf.pixels"]


def test_the_folder_of_a_saved_model(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    assert vc.read_pixels(tmp_path) is None
    write_asset(tmp_path, PIXELS)
    assert vc.read_pixels(str(tmp_path)) == PIXELS


def test_what_is_no_exported_model(content, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"PNG and so on")
    for path in (tmp_path, tmp_path / "photo.png", tmp_path / "missing.tflite"):
        with pytest.raises(InvalidArgumentError, match="`path` must be a TensorFlow Lite file, or the folder of a"):
            vc.read_pixels(path)
    damaged = with_pixels(content, PIXELS).replace(b'"fit"', b'"fat"')
    (tmp_path / "damaged.tflite").write_bytes(damaged)
    with pytest.raises(InvalidArgumentError, match=r"`path` must be .* It is damaged"):
        vc.read_pixels(tmp_path / "damaged.tflite")
    with pytest.raises(InvalidTypeError, match="`path` must be a path"):
        vc.read_pixels(None)
