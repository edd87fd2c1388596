"""Presets on models of clips: ConvLSTMs of one to three dimensions, and maps behind their time axis."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import layers as L  # noqa: N812
from support.model_kinds import images

import visualcnn_tf as vc


def paths(model: Any, layers: Any, **options: Any) -> list[str]:
    return [tap.path for tap in vc.attach(model, layers, size=None, **options).taps]


def conv_lstm(dimensions: int, *between: Any) -> keras.Model:
    layer = getattr(L, f"ConvLSTM{dimensions}D")
    clip = keras.Input((3, *[12, 14, 10][:dimensions], 2))
    x = layer(4, 3, return_sequences=True, name="first")(clip)
    for one in between:
        x = one(x)
    x = layer(4, 3, name="second")(x)
    pool = getattr(L, f"GlobalAveragePooling{dimensions}D")
    return keras.Model(clip, L.Dense(2, activation="softmax")(pool()(x)))


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_conv_lstms_are_convolutions_and_the_last_is_last(dimensions: int) -> None:
    model = conv_lstm(dimensions, L.BatchNormalization(name="norm"))
    assert paths(model, "conv") == ["first", "second"]
    assert paths(model, "last") == ["second"]
    assert paths(model, "stages") == ["second"]
    assert paths(model, "first", after_activation=True) == ["first"]


def test_stages_count_pooling_of_all_time_steps() -> None:
    model = conv_lstm(2, L.BatchNormalization(), L.MaxPooling3D((1, 2, 2), name="pool"))
    assert paths(model, "stages") == ["first", "second"]
    assert paths(model, "last", method="gradcam") == ["second"]


def test_the_next_frame_is_a_prediction() -> None:
    clip = keras.Input((None, 16, 16, 1))
    x = L.ConvLSTM2D(4, 3, padding="same", return_sequences=True, name="first")(clip)
    x = L.ConvLSTM2D(4, 3, padding="same", return_sequences=True, name="second")(L.BatchNormalization()(x))
    frames = L.Conv3D(1, 3, padding="same", activation="sigmoid", name="frames")(x)
    assert paths(keras.Model(clip, frames), "last") == ["second"]
    assert paths(keras.Model(clip, x), "last") == ["second"]


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize(("dimensions", "frame"), [(1, (12,)), (2, (12, 14)), (3, (12, 14, 10))])
def test_heatmaps_of_a_clip_have_the_size_of_its_frames(dimensions: int, frame: tuple[int, ...]) -> None:
    model = conv_lstm(dimensions)
    x = images(2, 3, *frame, 2)
    for size, expected in (("input", frame), (None, tuple(n - 4 for n in frame))):
        outputs = vc.attach(model, "last", method="gradcam", size=size).predict(x, verbose=0)
        assert outputs["heatmap_second"].shape == (2, *expected)
