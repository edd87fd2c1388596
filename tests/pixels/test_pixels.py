"""Pixels: the values of keras.applications, and how photos are fitted."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError, InvalidTypeError
from visualcnn_tf.pixels.description import from_json, to_json
from visualcnn_tf.pixels.names import MODULES, VALUES, module_of_architecture
from visualcnn_tf.pixels.registry import get
from visualcnn_tf.pixels.scaling import Scaling

RNG = np.random.default_rng(0)
PHOTOS = RNG.uniform(0, 255, (2, 5, 4, 3)).astype(np.float32)
APPLICATIONS = {
    name: module.preprocess_input
    for name, module in vars(keras.applications).items()
    if hasattr(module, "preprocess_input")
}


# Values ------------------------------------------------------------------------------------------------------------


def test_all_modules_of_keras_have_a_name():
    assert set(APPLICATIONS) == set(MODULES)


@pytest.mark.parametrize("module", sorted(APPLICATIONS))
def test_the_values_are_those_of_keras(module):
    expected = APPLICATIONS[module](PHOTOS.copy())
    for pixels in (vc.Pixels(module), vc.Pixels(APPLICATIONS[module])):
        np.testing.assert_allclose(pixels.scale(PHOTOS), expected, rtol=0, atol=2e-5)
        assert pixels.values in VALUES


@pytest.mark.parametrize("values", VALUES)
def test_the_inverse(values):
    pixels = vc.Pixels(values)
    np.testing.assert_allclose(pixels.unscale(pixels.scale(PHOTOS)), PHOTOS, rtol=0, atol=1e-3)


def test_black_and_white():
    limits = {values: vc.Pixels(values).limits for values in VALUES}
    assert limits == {"0..255": (0, 255), "0..1": (0, 1), "-1..1": (-1, 1), "caffe": None, "torch": None}


def test_a_function():
    pixels = vc.Pixels(lambda images: tf.sqrt(images))
    np.testing.assert_allclose(pixels.scale(PHOTOS), np.sqrt(PHOTOS), rtol=1e-6)
    assert pixels.unscale(PHOTOS) is None
    assert pixels.limits is None


def test_integers_are_rounded():
    scaled = vc.Pixels().scale(np.array([[[[0.4, 0.6, 254.7]]]]), "uint8")
    assert (scaled.dtype, scaled.numpy().ravel().tolist()) == (tf.uint8, [0, 1, 255])


def test_short_forms():
    pixels = vc.Pixels("0..1", fit="pad")
    assert get(pixels) is pixels
    assert get("torch") == vc.Pixels("torch")
    assert get(keras.saving.serialize_keras_object(pixels)) == pixels


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"values": "0-1"}, "`pixels` must be one of '0..255', '0..1'"),
        ({"values": "mobilenetv2"}, "Did you mean 'mobilenet_v2'"),
        ({"values": 255}, "or a function of TensorFlow operations. Received: 255"),
        ({"fit": "croped"}, "`fit` must be one of 'squeeze', 'crop', 'pad'. Received: 'croped'. Did you mean 'crop'"),
        ({"size": (0, 3)}, "`size` must be None or a height and a width"),
        ({"size": 224}, "`size` must be None or a height and a width"),
    ],
)
def test_wrong_arguments(arguments, said):
    with pytest.raises(InvalidArgumentError, match=said.replace("(", r"\(")):
        vc.Pixels(**arguments)


def test_the_class_in_place_of_an_object():
    with pytest.raises(InvalidTypeError, match=r"Call it: `Pixels"):
        get(vc.Pixels)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("mobilenetv2_1.00_224", "mobilenet_v2"),
        ("mobilenet_0.25_128", "mobilenet"),
        ("resnet50v2", "resnet_v2"),
        ("resnet50", "resnet"),
        ("NASNet", "nasnet"),
        ("vgg16", "vgg16"),
        ("MobileNetV3Small", None),  # has its own preprocessing
        ("functional_3", None),
    ],
)
def test_architectures(name, module):
    assert module_of_architecture(name) == module


# Saved -------------------------------------------------------------------------------------------------------------

SAVED = [
    vc.Pixels("caffe", "crop"),
    vc.Pixels("0..1", "pad", (9, 7)),
    vc.Pixels(Scaling(1.0, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))),
]


@pytest.mark.parametrize("pixels", SAVED, ids=repr)
def test_pixels_are_saved_by_keras_and_as_json(pixels):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(pixels)))
    assert keras.saving.deserialize_keras_object(config) == pixels
    assert from_json(to_json(pixels)) == pixels


def test_the_json_spells_the_values_out():
    about = json.loads(to_json(vc.Pixels("caffe")))
    by_hand = (PHOTOS[..., ::-1] / about["unit"] - about["mean"]) / about["std"]
    assert about["order"] == "BGR"
    np.testing.assert_allclose(vc.Pixels("caffe").scale(PHOTOS), by_hand, rtol=0, atol=1e-4)


def test_a_function_is_not_read_back():
    assert from_json(to_json(vc.Pixels(tf.sqrt))) is None


# Fits --------------------------------------------------------------------------------------------------------------


def weights(length, photo_length, scale, shift):
    """Those of a triangle as wide as a pixel of the coarser grid; none beside the photo."""
    centers = (np.arange(length)[:, None] + 0.5 - shift) / scale
    near = np.maximum(0, 1 - np.abs(np.arange(photo_length) + 0.5 - centers) * min(scale, 1))
    near *= (centers >= 0) & (centers <= photo_length)
    return near / np.maximum(near.sum(1, keepdims=True), 1e-30)


def fitted(photo, size, fit):
    scales = np.array(size) / photo.shape[:2]
    scales = {"squeeze": scales, "crop": [scales.max()] * 2, "pad": [scales.min()] * 2}[fit]
    rows, columns = (weights(n, m, s, (n - s * m) / 2) for n, m, s in zip(size, photo.shape[:2], scales, strict=True))
    return np.einsum("ij,jkc,lk->ilc", rows, photo.astype(np.float64), columns)


SIZES = [((30, 20), (8, 8)), ((20, 31), (8, 6)), ((5, 4), (16, 16)), ((9, 9), (9, 9)), ((40, 10), (12, 20))]


@pytest.mark.parametrize("fit", ["squeeze", "crop", "pad"])
@pytest.mark.parametrize(("photo_size", "size"), SIZES)
def test_fits(fit, photo_size, size):
    photo = RNG.integers(0, 256, (*photo_size, 3)).astype(np.uint8)
    pixels = vc.Pixels(fit=fit)
    found = pixels.fitted(photo, size)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, fitted(photo, size, fit), rtol=0, atol=1e-2)
    np.testing.assert_allclose(pixels.fitted(photo[None], size)[0], found, rtol=0, atol=1e-4)


def test_parts_of_photos():
    photo = RNG.uniform(0, 255, (8, 4, 1)).astype(np.float32)
    np.testing.assert_allclose(vc.Pixels(fit="crop").fitted(photo, (4, 4)), photo[2:6], atol=1e-4)
    padded = vc.Pixels(fit="pad").fitted(photo, (8, 8))
    np.testing.assert_allclose(padded, np.pad(photo, ((0, 0), (2, 2), (0, 0))), atol=1e-4)


def test_fits_in_a_graph_of_open_sizes():
    photo = RNG.uniform(0, 255, (11, 7, 3)).astype(np.float32)
    for fit in ("squeeze", "crop", "pad"):
        pixels = vc.Pixels(fit=fit)
        run = tf.function(lambda image, pixels=pixels: pixels.fitted(image, (6, 9)), autograph=False)
        concrete = run.get_concrete_function(tf.TensorSpec((None, None, 3)))
        assert concrete.structured_outputs.shape == (6, 9, 3)
        np.testing.assert_allclose(concrete(tf.constant(photo)), pixels.fitted(photo, (6, 9)), atol=1e-4)


@pytest.mark.parametrize(("photo_size", "size"), SIZES)
def test_undone_fits(photo_size, size):
    """A ramp over the photo comes back, where the model saw it."""
    ramps = np.stack(np.meshgrid(*[np.arange(n) + 0.5 for n in photo_size], indexing="ij"), -1)
    for fit in ("squeeze", "crop", "pad"):
        pixels = vc.Pixels(fit=fit)
        coordinates = pixels.fitted(ramps, size).numpy()
        for axis in (0, 1):
            back = pixels.undo_fit(coordinates[..., axis], photo_size)
            assert (back.shape, back.dtype) == (photo_size, np.float32)
            step = max(1, photo_size[axis] / size[axis])
            inner = (ramps[..., axis] > 2 * step) & (ramps[..., axis] < photo_size[axis] - 2 * step)
            is_seen = ~np.isnan(back)
            assert is_seen.all() or fit == "crop"
            if fit != "pad":  # where black borders shine in
                np.testing.assert_allclose(back[inner & is_seen], ramps[inner & is_seen, axis], atol=0.6 * step)


def test_what_the_model_did_not_see_is_nan():
    back = vc.Pixels(fit="crop").undo_fit(np.ones((4, 4)), (8, 4))
    assert np.isnan(back[:2]).all()
    assert np.isnan(back[6:]).all()
    assert (back[2:6] == 1).all()


def test_the_borders_of_a_padded_photo_are_left_out():
    heatmap = np.zeros((8, 8))
    heatmap[:, 2:6] = 1
    assert (vc.Pixels(fit="pad").undo_fit(heatmap, (16, 8)) >= 0.49).all()
    assert vc.Pixels(fit="pad").undo_fit(heatmap, (16, 8)).shape == (16, 8)


def test_a_smaller_map_of_an_input():
    """A map of 2x3 over an input of 8x12, into which a photo of 16x16 was padded."""
    heatmap = np.array([[0.0, 1.0, 2.0]] * 2)
    back = vc.Pixels(fit="pad").undo_fit(heatmap, (16, 16), size=(8, 12))
    expected = np.interp((np.arange(16) + 0.5) / 2 + 2, [2, 6, 10], [0, 1, 2])  # in the input: columns 2 to 10
    np.testing.assert_allclose(back, np.tile(expected, (16, 1)), atol=1e-5)
