"""Presets on models of clips: ConvLSTMs of one to three dimensions, and maps behind their time axis."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import layers as L  # noqa: N812
from support.model_kinds import images

import visualcnn_tf as vc
from visualcnn_tf.introspect.find_inputs import model_inputs
from visualcnn_tf.introspect.time_axis import aggregates_time
from visualcnn_tf.introspect.trace import trace_model


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


def test_which_maps_stand_for_all_time_steps() -> None:
    model = conv_lstm(2, L.BatchNormalization(name="norm"))
    trace = trace_model(model, model_inputs(model))
    calls = {call.path: call for call in trace.calls}
    found = [name for name in ("first", "norm", "second") if aggregates_time(calls[name], trace.inputs[0], trace)]
    assert found == ["second"]
    model = conv_lstm(1)
    trace = trace_model(model, model_inputs(model))
    calls = {call.path: call for call in trace.calls}
    assert aggregates_time(calls["second"], trace.inputs[0], trace)


def test_rows_of_an_image_stand_for_no_time_steps() -> None:
    image = keras.Input((8, 8, 3))
    rows = L.Conv1D(4, 3, name="rows")(L.Reshape((8, 24))(image))
    model = keras.Model(image, L.Dense(2)(L.Flatten()(rows)))
    trace = trace_model(model, model_inputs(model))
    [call] = [call for call in trace.calls if call.path == "rows"]
    assert not aggregates_time(call, trace.inputs[0], trace)


def test_heatmaps_of_a_clip() -> None:
    model = conv_lstm(2)
    outputs = vc.attach(model, "last", method="gradcam", size=None).predict(images(2, 3, 12, 14, 2), verbose=0)
    assert outputs["heatmap_second"].shape == (2, 8, 10)
