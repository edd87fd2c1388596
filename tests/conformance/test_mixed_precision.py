"""Every choice of every option in half precision: heatmaps are exact to float32 for the feature maps as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from support.option_cases import (
    BUILDERS,
    OPTIONS,
    STEP,
    expected,
    explains_class,
    images,
    method_of,
    tiny_model,
)
from support.oracle import assert_close

# What takes long to trace; tests of their own run these every day.
LONG = {"eigengradcam", "reciprocam", "scorecam", "ablationcam", "top2", "(2, 0)"}
CASES = [
    pytest.param(builder, options, id=f"{builder}-{table}-{name}", marks=[pytest.mark.slow] * (name in LONG))
    for (table, name), options in OPTIONS.items()
    for builder in BUILDERS
    if builder == "attach" or not (table == "combination" or explains_class(options))
    if not method_of(options).needs_attention  # in tests/pipeline/test_rollouts.py
    if not method_of(options).needs_head
]


@pytest.fixture(params=["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
def policy(request: Any) -> Iterator[str]:
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


def check(outputs: dict[str, Any], truth: dict[str, np.ndarray], dtype: str, tolerance: float) -> None:
    """Compares the outputs of a model with the oracle's."""
    assert set(outputs) == set(truth)
    assert_close(outputs["predictions"], truth["predictions"])
    if "explained_class" in truth:
        np.testing.assert_array_equal(outputs["explained_class"], truth["explained_class"])
    for key in set(truth) - {"predictions", "explained_class"}:
        heatmap = np.asarray(outputs[key])
        assert heatmap.dtype == dtype
        if dtype == "uint8":
            assert abs(heatmap - 255 * truth[key].clip(0, 1)).max() <= 0.51
        else:
            assert_close(heatmap, truth[key], tolerance + STEP[dtype])


@pytest.mark.sweep(cases=8)
@pytest.mark.parametrize(("builder", "options"), CASES)
def test_mixed_precision(policy: str, builder: str, options: dict[str, Any]) -> None:
    model, batch = tiny_model(), images(3)
    assert model.get_layer("conv_1").compute_dtype == policy.removeprefix("mixed_")
    combined = builder == "attach" and "combine" in options
    outputs = BUILDERS[builder](model, options)(batch)
    # Gradients included; what runs the model again has scores as exact as the model's own.
    step = {"mixed_float16": 2**-11, "mixed_bfloat16": 2**-8}[policy]
    tolerance = 8 * step if method_of(options).needs_replay else 1e-5
    check(outputs, expected(model, batch, options, combined), options.get("heatmap_dtype", "float32"), tolerance)
