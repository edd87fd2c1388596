"""Layers inside TimeDistributed: one heatmap for each time step, of the right call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc

STEPS, SPACE = 3, (8, 9)


@pytest.fixture(scope="module")
def shared() -> Any:
    """A model whose frames go through one convolution twice, the model, its convolution and a batch of clips."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*SPACE, 2))
    conv = L.Conv2D(2, 3, padding="same", activation="tanh", bias_initializer="random_normal", name="conv")
    frame = keras.Model(image, L.GlobalAveragePooling2D()(conv(conv(image))), name="frame")
    clip = keras.Input((STEPS, *SPACE, 2))
    vectors = L.TimeDistributed(frame, name="frames")(clip)
    model = keras.Model(clip, L.Dense(2)(L.GlobalMaxPooling1D()(vectors)))
    return model, conv, np.random.default_rng(0).random((2, STEPS, *SPACE, 2)).astype("float32")


def maps_by_hand(conv: Any, clips: np.ndarray) -> list[np.ndarray]:
    once = conv(clips.reshape(-1, *SPACE, 2))
    return [np.asarray(maps).mean(-1).reshape(-1, STEPS, *SPACE) for maps in (once, conv(once))]


def check(explained: Any, conv: Any, clips: np.ndarray) -> None:
    outputs = explained.predict(clips, verbose=0)
    assert explained.heatmap_names == ["heatmap_frames_frame_conv", "heatmap_frames_frame_conv_2"]
    for key, want in zip(explained.heatmap_names, maps_by_hand(conv, clips), strict=True):
        np.testing.assert_allclose(outputs[key], want, atol=1e-5, rtol=0)


@pytest.mark.parametrize("layers", ["conv", "frames/frame/conv", "*conv"])
def test_each_call_of_a_shared_layer_has_its_own_maps(shared: Any, layers: str) -> None:
    model, conv, clips = shared
    check(vc.attach(model, layers, method="mean", normalize=None, size=None), conv, clips)


def test_also_after_saving_and_loading(shared: Any, tmp_path: Path) -> None:
    model, conv, clips = shared
    vc.attach(model, "conv", method="mean", normalize=None, size=None).save(tmp_path / "clips.keras")
    check(keras.models.load_model(tmp_path / "clips.keras"), conv, clips)


def test_the_last_call_is_the_last_map(shared: Any) -> None:
    [tap] = vc.attach(shared[0], "last", method="mean", normalize=None, size=None).taps
    assert tap.call_index == 1
    assert tap.calls == (1, 3, 5)


def test_gradients_belong_to_the_same_call(shared: Any) -> None:
    model, _, clips = shared
    outputs = vc.attach(model, "conv", method=lambda maps, gradients: gradients[..., 0], normalize=None, size=None)
    found = outputs.predict(clips, verbose=0)["heatmap_frames_frame_conv_2"]
    # Global average pooling gives each position of the second call the same share.
    np.testing.assert_allclose(found, np.broadcast_to(found[:, :, :1, :1], found.shape), atol=1e-7)
    assert abs(found).max() > 0
