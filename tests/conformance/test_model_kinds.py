"""Every kind of model: predictions, heatmaps against the oracle on the layer's true activations, nothing changed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import oracle
from support.footprint import flat, footprint
from support.model_kinds import KINDS

import visualcnn_tf as vc


@pytest.fixture(params=list(KINDS))
def case(request: Any) -> Any:
    return KINDS[request.param]()


def test_model_kind(case: Any) -> None:
    before = None
    if case.model.built:
        case.model(case.inputs)  # Keras's own marks of a first call
        before = footprint(case.model)
    explained = vc.attach(case.model, **case.options)
    outputs = explained.predict(case.inputs, verbose=0)
    eager = explained(case.inputs)
    if before:
        assert footprint(case.model) == before
    truth = case.truth() if callable(case.truth) else case.truth

    own = len(outputs) - len(truth)
    assert list(outputs) == list(eager) == explained.output_names
    assert [tap.key for tap in explained.taps] == list(truth) == explained.output_names[own:]
    expected = flat(case.model.predict(case.inputs, verbose=0))
    order = np.argsort(explained.output_names[:own]) if isinstance(case.model(case.inputs), dict) else range(own)
    for got, want in zip([list(outputs.values())[i] for i in order], expected, strict=True):
        np.testing.assert_allclose(np.asarray(got, "float32"), want, atol=1e-6, rtol=1e-6)
    for got, want in zip([list(eager.values())[i] for i in order], flat(case.model(case.inputs)), strict=True):
        np.testing.assert_allclose(np.asarray(tf.cast(got, tf.float32)), want, atol=1e-6, rtol=1e-6)
    # Half-precision kernels of a compiled graph and of eager TensorFlow round differently before we see anything.
    tolerance = 2e-2 if "mixed" in str(case.model.dtype_policy) else 1e-5
    for key, activations in truth.items():
        want = true_heatmap(activations, case)
        np.testing.assert_allclose(eager[key].numpy(), want, atol=1e-5, err_msg=key)
        np.testing.assert_allclose(outputs[key], want, atol=tolerance, err_msg=key)


def true_heatmap(activations: np.ndarray, case: Any) -> np.ndarray:
    if activations.ndim == len(case.size) + 3:  # time steps: each an image of its own
        return np.stack([true_heatmap(frame, case) for frame in np.moveaxis(activations, 1, 0)], 1)
    return oracle.heatmap(activations, "deviation", case.size, "bilinear", "minmax")


def test_specs_tell_the_outputs(case: Any) -> None:
    explained = vc.attach(case.model, **case.options)
    outputs = explained(case.inputs)
    specs = explained.outputs
    assert [spec.name for spec in specs] == list(outputs)
    for spec, tensor in zip(specs, outputs.values(), strict=True):
        assert len(spec.shape) == len(tensor.shape)
        assert all(a in (None, b) for a, b in zip(spec.shape, tensor.shape, strict=True))
        assert spec.dtype == tensor.dtype.name
    flat_inputs = explained.plan.inputs.flatten(case.inputs)
    for spec, array in zip(explained.inputs, flat_inputs, strict=True):
        assert all(a in (None, b) for a, b in zip(spec.shape[1:], array.shape[1:], strict=True))


def test_xla_agrees(case: Any) -> None:
    explained = vc.attach(case.model, **case.options)
    eager = explained(case.inputs)
    compiled = tf.function(explained, jit_compile=True)(case.inputs)
    tolerance = 2e-2 if "mixed" in str(case.model.dtype_policy) else 1e-5
    for key in eager:
        want, got = (np.asarray(tf.cast(t[key], tf.float32)) for t in (eager, compiled))
        np.testing.assert_allclose(got, want, atol=tolerance, err_msg=key)


def test_saved_and_loaded(case: Any, tmp_path: Any) -> None:
    explained = vc.attach(case.model, **case.options)
    before = explained.predict(case.inputs, verbose=0)
    explained.save(tmp_path / "explained.keras")
    loaded = keras.models.load_model(tmp_path / "explained.keras")
    assert isinstance(loaded, vc.ExplainedModel)
    assert loaded.taps == explained.taps
    assert loaded.output_names == explained.output_names
    assert [(t.shape, t.dtype, t.name) for t in loaded.outputs] == [
        (t.shape, t.dtype, t.name) for t in explained.outputs
    ]
    after = loaded.predict(case.inputs, verbose=0)
    for key in before:
        np.testing.assert_array_equal(after[key], before[key], err_msg=key)
