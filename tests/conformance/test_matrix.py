"""The matrix: every choice of every option and every kind of model, in every way that a model is run.

Eager outputs are compared with an oracle in float64; all others with the eager ones, or with those of a graph, and
with the oracle where the runtime may batch or pad. What takes long is run with ``-m slow``.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.footprint import flat, footprint
from support.mask_subjects import OF_MASKS
from support.option_cases import STEP
from support.served_model import ServedModel
from support.subjects import OF_CLASSES, OF_KINDS, OF_LAYERS, OF_OPTIONS, Subject

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError, UnsupportedOperationError
from visualcnn_tf.export.float32_copy import computes_in_half_precision, float32_copy
from visualcnn_tf.export.tflite_interpreter import interpreter

SUBJECTS: dict[str, Callable[[], Subject]] = {**OF_OPTIONS, **OF_LAYERS, **OF_KINDS, **OF_CLASSES, **OF_MASKS}


@functools.lru_cache(maxsize=1)  # the tests of a subject follow one another
def subject(name: str) -> Subject:
    return SUBJECTS[name]()


# --- comparing ---


def check_same(outputs: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float) -> None:
    """Compare two runs of a model: each output within ``tolerance`` of its largest value, and a step of its type."""
    assert list(outputs) == list(expected)
    for key, value in expected.items():
        want, got = np.asarray(value), np.asarray(outputs[key])
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        largest = float(abs(want.astype(np.float64)).max(initial=0.0))
        allowed = tolerance * max(largest, 1e-3) + STEP[want.dtype.name]
        if tolerance == 0:
            np.testing.assert_array_equal(got, want, err_msg=key)
        else:
            np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), 0, allowed, err_msg=key)


def check_predictions(outputs: Mapping[str, Any], bare: Any, tolerance: float) -> None:
    """Compare the first outputs of a model with those of the bare model."""
    own = list(outputs.values())[: len(flat(bare))]
    if isinstance(bare, dict):  # which `flat` sorts
        own = [own[i] for i in np.argsort(list(outputs)[: len(own)])]
    for got, want in zip(own, flat(bare), strict=True):
        got = np.asarray(tf.cast(got, tf.float32))
        np.testing.assert_allclose(got, want, atol=tolerance, rtol=tolerance)


def rounding(case: Subject, exact: float = 2e-6) -> float:
    return 2e-2 if case.half else exact


def graph_of(function: Any, inputs: Any) -> Any:
    """The same as a graph for batches of any size."""
    specs = keras.tree.map_structure(lambda a: tf.TensorSpec((None, *np.shape(a)[1:]), np.asarray(a).dtype), inputs)
    return tf.function(lambda given: function(given), input_signature=[specs], autograph=False)


def tensors(inputs: Any) -> Any:
    return keras.tree.map_structure(tf.constant, inputs)


# --- runtimes ---


def check_eager(case: Subject, folder: Path) -> None:
    # Gradients by TensorFlow itself are of half precision where a model is; the package's are not.
    case.check(case.eager, case.half if is_of_classes(case) else 0.0)
    check_predictions(case.eager, case.bare(case.bare_inputs), 1e-6)
    own = len(case.eager) - len(case.truth)
    assert list(case.eager)[own:] == list(case.truth)
    one = case.model(case.part(1))
    case.check(one, case.half)
    check_same(one, {key: value[:1] for key, value in case.eager.items()}, rounding(case, 1e-5))
    if isinstance(case.model, vc.ExplainedModel):
        check_specs(case.model, case.eager, case.inputs)
        none = case.model(case.part(0))
        assert {key: tuple(value.shape) for key, value in none.items()} == {
            key: (0, *value.shape[1:]) for key, value in case.eager.items()
        }


def check_specs(model: vc.ExplainedModel, outputs: Mapping[str, Any], inputs: Any) -> None:
    """What a model says about its outputs and inputs must be what they are."""
    assert [spec.name for spec in model.outputs] == list(outputs) == model.output_names
    assert [tap.key for tap in model.taps] == model.heatmap_names[: len(model.taps)]
    for spec, value in zip(model.outputs, outputs.values(), strict=True):
        assert len(spec.shape) == len(value.shape)
        assert all(a in (None, b) for a, b in zip(spec.shape, value.shape, strict=True))
        assert spec.dtype == value.dtype
    for spec, array in zip(model.inputs, model.plan.all_inputs.flatten(inputs), strict=True):
        assert all(a in (None, b) for a, b in zip(spec.shape[1:], array.shape[1:], strict=True))


def check_function(case: Subject, folder: Path) -> None:
    """As a graph for any batch, and by ``predict``; the bare model is as it was."""
    graph = graph_of(case.model, case.inputs)
    outputs = graph(tensors(case.inputs))
    case.check(outputs, case.half)
    check_same(in_order(outputs, case.eager), case.eager, rounding(case))
    bare = graph_of(case.bare, case.bare_inputs)(tensors(case.bare_inputs))
    check_predictions(in_order(outputs, case.eager), bare, 0.0)
    one = in_order(graph(tensors(case.part(1))), case.eager)
    case.check(one, case.half)
    check_same(one, {key: value[:1] for key, value in case.eager.items()}, rounding(case, 1e-5))
    predicted = case.model.predict(case.inputs, verbose=0)
    assert list(predicted) == list(case.eager) or not isinstance(case.model, vc.ExplainedModel)
    case.check(predicted, 2e-2 if case.half else 0.0)
    check_same(in_order(predicted, case.eager), case.eager, rounding(case))
    if case.before is not None:
        assert footprint(case.bare) == case.before
        case.before = None  # `predict` of the bare model leaves marks of its own
    check_predictions(in_order(predicted, case.eager), case.bare.predict(case.bare_inputs, verbose=0), 1e-6)


def in_order(outputs: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """A graph sorts the outputs of a Keras model."""
    assert set(outputs) == set(like)
    return {key: outputs[key] for key in like}


def check_xla(case: Subject, folder: Path) -> None:
    compiled = tf.function(lambda given: case.model(given), jit_compile=True, autograph=False)
    outputs = compiled(tensors(case.inputs))
    check_same(in_order(outputs, case.eager), case.eager, rounding(case, 2e-5 if is_of_classes(case) else 1e-5))


def is_of_classes(case: Subject) -> bool:
    """Whether gradients are compared, in which a ReLU may flip by rounding."""
    return "explained_class" in case.truth or any(tap.method.explains_target for tap in getattr(case.model, "taps", ()))


def check_keras_file(case: Subject, folder: Path) -> None:
    """Loaded in this process: the same to the last bit."""
    before = footprint(case.bare)
    case.model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras")
    assert type(loaded) is type(case.model)
    check_same(loaded(case.inputs), case.eager, 0.0)
    if isinstance(loaded, vc.ExplainedModel):
        assert loaded.plan == case.model.plan
        assert [(t.shape, t.dtype, t.name) for t in loaded.outputs] == [
            (t.shape, t.dtype, t.name) for t in case.model.outputs
        ]
    if case.is_of_options:
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(case.model)))
        again = keras.saving.deserialize_keras_object(config)
        again.set_weights(case.model.get_weights())
        check_same(again(case.inputs), case.eager, 0.0)
    assert footprint(case.bare) == before


def check_c_loader(case: Subject, folder: Path) -> None:
    """A SavedModel in TensorFlow's C loader, that of TensorFlow Serving, without Python's TensorFlow."""
    options: dict[str, Any] = {"signatures": ["serving_default"], "warmup": False}
    path = vc.export_saved_model(case.model, folder / "m", verify=is_of_classes(case), **options)
    with ServedModel(path) as served:
        outputs = served.predict("serving_default", case.feeds())
    check_same(in_order(outputs, case.eager), case.eager, rounding(case, 1e-5))


_UNKNOWN_SIZE = (InvalidArgumentError, "a model of known input sizes")
_POOLING_3D = (UnsupportedOperationError, "'MaxPool3D' .* not built into TensorFlow Lite")
#: What no TensorFlow Lite file can hold, and what is said of it.
NOT_IN_LITERT: dict[str, tuple[type[Exception], str]] = {
    "kind-unknown_height_and_width": _UNKNOWN_SIZE,
    "class-unknown_height_and_width": _UNKNOWN_SIZE,
    "kind-three_dimensional": _POOLING_3D,
    "class-three_dimensional": _POOLING_3D,
    # The gradient of the loop of an LSTM.
    "class-time_distributed_model": (UnsupportedOperationError, "is not built into TensorFlow Lite"),
}


def check_litert(case: Subject, folder: Path) -> None:
    """A TensorFlow Lite file in LiteRT, by builtin operations alone."""
    feeds = case.feeds()
    batch = len(next(iter(feeds.values())))
    report = vc.export_tflite(case.model, folder / "m.tflite", batch_size=batch, verify=is_of_classes(case))
    assert report.builtin_only
    outputs = interpreter(report.path.read_bytes()).get_signature_runner("serving_default")(**feeds)
    is_half = computes_in_half_precision(case.model)
    want = dict(float32_copy(case.model)(case.inputs)) if is_half else case.eager
    check_same(in_order(outputs, want), want, 1e-4 if is_of_classes(case) else 2e-5)


def check_refused_by_litert(case: Subject, folder: Path, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        vc.export_tflite(case.model, folder / "m.tflite", batch_size=2)
    assert not list(folder.iterdir())


RUNTIMES: dict[str, Callable[[Subject, Path], None]] = {
    "eager": check_eager,
    "function": check_function,
    "xla": check_xla,
    "keras_file": check_keras_file,
    "c_loader": check_c_loader,
    "litert": check_litert,
}

# --- cells ---

_DAILY_CLASSES = ("class-subclassed_called_before", "class-inputs_of_two_kinds")
#: Run every day also where it takes long; the others with `-m slow`. In LiteRT each option: export/test_tflite.py.
DAILY: dict[str, tuple[str, ...]] = {
    "c_loader": (
        *("method-eigen", "method-gradcam", "heatmap_dtype-uint8", "target-input", "kind-nested_sequential"),
        *("mask-point", *_DAILY_CLASSES, "class-unknown_height_and_width", "class-mixed_float16"),
    ),
    "litert": ("target-input", "kind-nested_sequential", "mask-region", *_DAILY_CLASSES),
    "xla": (*_DAILY_CLASSES, "class-mixed_float16"),
}
#: What takes long to trace; tests of their own run these every day.
LONG = ("eigengradcam", "reciprocam", "scorecam", "ablationcam", "top2", "(2, 0)")


#: Every day each subject runs eagerly and in one of these; the rest with `-m slow`.
IN_TURN = ("function", "keras_file", "xla")


def is_slow(name: str, runtime: str) -> bool:
    if name.startswith(("method-", "target-")) and name.endswith(LONG):
        return True
    if runtime in DAILY and name in DAILY[runtime]:
        return False
    # XLA takes long for gradients; layers in XLA, each of their methods: tests/heatmap/test_layer.py.
    turns = IN_TURN[:2] if name.startswith(("class-", "layer-")) else IN_TURN
    return runtime != "eager" and runtime != turns[zlib.crc32(name.encode()) % len(turns)]


def cells(subjects: Mapping[str, Any]) -> Any:
    """A parameter for each subject and each runtime that can hold it."""
    return pytest.mark.parametrize(
        ("name", "runtime"),
        [
            pytest.param(name, runtime, marks=[pytest.mark.slow] * is_slow(name, runtime), id=f"{name}-{runtime}")
            for name in subjects
            for runtime in RUNTIMES
            if not (name.startswith("layer-") and runtime in ("c_loader", "litert"))  # no explained models
        ],
    )


def check_cell(name: str, runtime: str, folder: Path) -> None:
    if runtime == "litert" and name in NOT_IN_LITERT:
        check_refused_by_litert(subject(name), folder, *NOT_IN_LITERT[name])
    else:
        RUNTIMES[runtime](subject(name), folder)


class TestOptions:
    """Of ``attach``."""

    @pytest.mark.sweep(cases=14)
    @cells(OF_OPTIONS)
    def test_cell(self, name: str, runtime: str, tmp_path: Path) -> None:
        check_cell(name, runtime, tmp_path)


class TestLayers:
    """The same made with ``FeatureMapFusion`` by hand."""

    @pytest.mark.sweep(cases=14)
    @cells(OF_LAYERS)
    def test_cell(self, name: str, runtime: str, tmp_path: Path) -> None:
        check_cell(name, runtime, tmp_path)


class TestKinds:
    """Kinds of models, by default."""

    @pytest.mark.sweep(cases=24)
    @cells(OF_KINDS)
    def test_cell(self, name: str, runtime: str, tmp_path: Path) -> None:
        check_cell(name, runtime, tmp_path)


class TestClasses:
    """Kinds of models, and maps of classes."""

    @pytest.mark.sweep(cases=14)
    @cells(OF_CLASSES)
    def test_cell(self, name: str, runtime: str, tmp_path: Path) -> None:
        check_cell(name, runtime, tmp_path)


class TestMasks:
    """Masks as targets."""

    @pytest.mark.sweep(cases=7)
    @cells(OF_MASKS)
    def test_cell(self, name: str, runtime: str, tmp_path: Path) -> None:
        check_cell(name, runtime, tmp_path)


# --- a fresh process ---

FRESH = (
    *("method-eigen", "method-mean", "method-ablationcam", "interpolation-area", "heatmap_dtype-uint8"),
    *("target-input", "kind-nested_sequential"),
)
OTHERS = (*OF_OPTIONS, *OF_KINDS, *OF_CLASSES)


@pytest.mark.slow
@pytest.mark.parametrize(
    "names", [[*FRESH], pytest.param([n for n in OTHERS if n not in FRESH], marks=pytest.mark.slow)], ids=len
)
def test_in_a_fresh_process(names: list[str], tmp_path: Path) -> None:
    """Loaded where nothing but the package was imported, many at once: the same to the last bit."""
    expected = {}
    for name in names:
        case = subject(name)
        case.model.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.in.npz", **case.feeds())
        expected[name] = case.model.predict(case.inputs, verbose=0)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONWARNINGS": "ignore"}
    run = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    for name, outputs in expected.items():
        with np.load(tmp_path / f"{name}.out.npz") as arrays:
            # Of bfloat16, which NumPy has not itself, a file keeps the bytes alone.
            fresh = {
                key: array.view(outputs[key].dtype) if array.dtype.kind == "V" else array
                for key, array in arrays.items()
            }
        check_same(fresh, outputs, 0.0)


LOAD = """
from pathlib import Path
import keras, numpy as np
import support.subjects, visualcnn_tf

for file in Path().glob("*.keras"):
    model = keras.models.load_model(file)
    assert type(model) is visualcnn_tf.ExplainedModel
    with np.load(file.with_suffix(".in.npz")) as feeds:
        inputs = model.plan.all_inputs.pack([feeds[name] for name in model.plan.all_inputs.names])
    outputs = model.predict(inputs, verbose=0)
    assert list(outputs) == model.output_names
    np.savez(file.with_suffix(".out.npz"), **outputs)
"""
