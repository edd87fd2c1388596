"""Methods that explain a class, for every kind of model, against a truth made without the package."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import oracle_gradient
from support.footprint import flat, footprint
from support.model_kinds import KINDS
from support.oracle import assert_close
from support.other_way import activations_and_gradients, best_class

import visualcnn_tf as vc

METHODS = [vc.methods.GradCAM(relu=False), vc.methods.LayerCAM(relu=False)]


@keras.saving.register_keras_serializable(package="test_class_methods")
def mean_of_all(output: Any) -> Any:
    """A score of an output that is a map."""
    return tf.reduce_mean(output, list(range(1, output.shape.rank)))


OPTIONS: dict[str, dict[str, Any]] = {
    "several_outputs": {"output": "label"},
    "dict_outputs": {"output": "label"},
    "layers_larger_than_the_input": {"target": mean_of_all},
}


class Explained:
    """One kind of model with what is explained, made once for all tests of it."""

    def __init__(self, name: str) -> None:
        keras.utils.set_random_seed(5)
        case = KINDS[name]()
        self.name, self.model, self.inputs = name, case.model, case.inputs
        if self.model.built:
            self.model(self.inputs)
        self.before = footprint(self.model) if self.model.built else None
        self.options = OPTIONS.get(name, {})
        options = {**case.options, **self.options, "size": None, "normalize": None}
        self.explained = vc.attach(self.model, method=METHODS, **options)
        self.outputs = self.explained(self.inputs)

    def half(self) -> bool:
        return "mixed" in self.name


@pytest.fixture(scope="module", params=list(KINDS))
def case(request: Any) -> Explained:
    return Explained(request.param)


def check_same(case: Explained, outputs: Any, tolerance: float = 1e-5) -> None:
    assert set(outputs) == set(case.outputs)
    for key, value in case.outputs.items():
        want, got = (np.asarray(tf.cast(each, tf.float64)) for each in (value, outputs[key]))
        allowed = (2e-2 if case.half() else tolerance) * max(abs(want).max(), 1e-3)
        np.testing.assert_allclose(got, want, rtol=0, atol=allowed, err_msg=key)


def test_maps_equal_the_oracle(case: Explained) -> None:
    taps = {tap.key: tap for tap in case.explained.taps}
    assert [tap.method for tap in taps.values()] == METHODS * (len(taps) // 2)
    assert all(f"_{tap.method.name}" in key for key, tap in taps.items())
    layers = {key: (tap.path.split("/")[-1], tap.call_index, tap.time_steps) for key, tap in taps.items()}
    if case.name == "time_distributed":  # which runs its layer's `call`; all steps are its own output
        layers = dict.fromkeys(layers, ("every_frame", 0, None))
    score = case.options.get("target", best_class)
    model = uncompiled(case.model, case.inputs)
    truth = activations_and_gradients(model, case.inputs, layers, score, case.options.get("output"))
    for key, tap in taps.items():
        a, g = truth[key]
        if tap.data_format == "channels_first":
            a, g = np.moveaxis(a, 1, -1), np.moveaxis(g, 1, -1)
        folded = (-1, *a.shape[2:]) if tap.has_steps else a.shape
        want = oracle_gradient.fuse(a.reshape(folded), g.reshape(folded), tap.method.name, relu=False)
        assert want.any() or tap.method.name == "layercam"  # which sees no evidence against a class
        # TensorFlow's own gradients of half precision are of half precision; the package's are not.
        got = case.outputs[key].numpy().reshape(want.shape)
        assert_close(got, want, {"mixed_float16": 1e-2, "mixed_bfloat16": 4e-2}.get(case.name, 1e-5))


def uncompiled(model: Any, x: Any) -> Any:
    """The same without a ``tf.function``, whose inner tensors nothing outside can be derived by."""
    if type(model).__name__ != "Compiled":
        return model
    twin = type(model).__mro__[1]()
    twin(x)
    twin.set_weights(model.get_weights())
    return twin


def test_predictions_are_the_models_own(case: Explained) -> None:
    own = len(case.explained.prediction_names)
    outputs = tf.function(case.explained, autograph=False)(case.inputs)
    expected = flat(tf.function(case.model)(case.inputs))
    got = [np.asarray(tf.cast(outputs[name], tf.float32)) for name in case.explained.output_names[:own]]
    if isinstance(case.model(case.inputs), dict):
        got = [got[i] for i in np.argsort(case.explained.output_names[:own])]
    for one, want in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, want)
    if "target" not in case.options:
        scores = case.outputs[case.options.get("output", "predictions")]
        np.testing.assert_array_equal(case.outputs["explained_class"], tf.argmax(scores, -1))


def test_in_every_way(case: Explained) -> None:
    check_same(case, case.explained.predict(case.inputs, verbose=0))
    check_same(case, tf.function(case.explained, jit_compile=True)(case.inputs), 2e-5)
    specs = [tf.TensorSpec((None, *t.shape[1:]), t.dtype) for t in map(np.asarray, tf.nest.flatten(case.inputs))]
    graph = tf.function(case.explained, input_signature=[tf.nest.pack_sequence_as(case.inputs, specs)])
    check_same(case, graph(tf.nest.map_structure(tf.constant, case.inputs)))
    for batch in (1, 0):
        part = tf.nest.map_structure(lambda t, n=batch: tf.constant(t[:n]), case.inputs)
        outputs = graph(part) if batch else case.explained(part)
        for key, value in case.outputs.items():
            assert outputs[key].shape == (batch, *value.shape[1:])
            allowed = (2e-2 if case.half() else 1e-5) * float(abs(np.asarray(value, np.float64)).max())
            one, want = (np.asarray(tf.cast(t, tf.float64)) for t in (outputs[key], value[:batch]))
            np.testing.assert_allclose(one, want, rtol=0, atol=allowed)


def test_the_model_is_as_before_and_the_file_loads(case: Explained, tmp_path: Any) -> None:
    if case.before is not None:
        assert footprint(case.model) == case.before
    before = case.explained.predict(case.inputs, verbose=0)
    case.explained.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.plan == case.explained.plan
    after = loaded.predict(case.inputs, verbose=0)
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value, err_msg=key)
