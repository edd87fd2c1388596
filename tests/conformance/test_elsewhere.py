"""Every choice of every option and every kind of model out of this process: reloaded, served, on a device.

A fresh process loads the ``.keras`` files of many cases at once; SavedModels run in TensorFlow's C loader, that of
TensorFlow Serving, without Python's TensorFlow; TensorFlow Lite files in LiteRT.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.model_kinds import KINDS
from support.option_cases import OPTIONS, check_same, images, tiny_model
from support.served_model import ServedModel

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError, UnsupportedOperationError
from visualcnn_tf.export.float32_copy import computes_in_half_precision, float32_copy
from visualcnn_tf.export.tflite_interpreter import interpreter

Case = tuple[Any, dict[str, np.ndarray]]

CASES: dict[str, Callable[[], Case]] = {
    **{f"{kind}-{name}": lambda options=options: of_options(options) for (kind, name), options in OPTIONS.items()},
    **{f"kind-{name}": lambda name=name: of_kind(name) for name in KINDS},
}
EVERYDAY = ("method-eigen", "method-gradcam", "heatmap_dtype-uint8", "target-input", "kind-nested_sequential")
NAMES = [pytest.param(name, marks=[] if name in EVERYDAY else pytest.mark.slow) for name in CASES]
#: What no TensorFlow Lite file can hold, and what is said of it.
NOT_ON_A_DEVICE: dict[str, tuple[type[Exception], str]] = {
    "kind-unknown_height_and_width": (InvalidArgumentError, "a model of known input sizes"),
    "kind-three_dimensional": (UnsupportedOperationError, "'MaxPool3D' .* not built into TensorFlow Lite"),
}


def of_options(options: dict[str, Any]) -> Case:
    return fed(vc.attach(tiny_model(), **options), images(3))


def of_kind(name: str) -> Case:
    keras.utils.set_random_seed(1)
    case = KINDS[name]()
    explained = vc.attach(case.model, **case.options)
    explained(case.inputs)  # where the model was not built
    return fed(explained, case.inputs)


def fed(explained: Any, inputs: Any) -> Case:
    """With the inputs by the names of a served model."""
    plan = explained.plan
    feeds = dict(zip(plan.inputs.names, plan.inputs.flatten(inputs), strict=True))
    if plan.class_index is not None:
        feeds[plan.class_index] = np.array([2, -1, 0], np.int32)
    return explained, feeds


def outputs_of(explained: Any, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the model gives in this process."""
    inputs = explained.plan.all_inputs.pack([tf.constant(value) for value in feeds.values()])
    return {key: value.numpy() for key, value in tf.function(explained, autograph=False)(inputs).items()}


@pytest.mark.parametrize("name", NAMES)
def test_in_the_c_loader(name: str, tmp_path: Path) -> None:
    explained, feeds = CASES[name]()
    folder = vc.export_saved_model(
        explained, tmp_path / "m", signatures=["serving_default"], warmup=False, verify=False
    )
    with ServedModel(folder) as served:
        check_same(served.predict("serving_default", feeds), outputs_of(explained, feeds), tolerance_of(explained))


@pytest.mark.parametrize("name", NAMES)
def test_on_a_device(name: str, tmp_path: Path) -> None:
    explained, feeds = CASES[name]()
    batch = len(next(iter(feeds.values())))
    if name in NOT_ON_A_DEVICE:
        error, message = NOT_ON_A_DEVICE[name]
        with pytest.raises(error, match=message):
            vc.export_tflite(explained, tmp_path / "m.tflite", batch_size=batch)
        return
    report = vc.export_tflite(explained, tmp_path / "m.tflite", batch_size=batch, verify=False)
    assert report.builtin_only
    got = interpreter(report.path.read_bytes()).get_signature_runner("serving_default")(**feeds)
    twin = float32_copy(explained) if computes_in_half_precision(explained) else explained
    check_same(got, outputs_of(twin, feeds), 2e-5)


def tolerance_of(explained: Any) -> float:
    """Other kernels round half precision differently before anything of the package sees it."""
    return 2e-2 if computes_in_half_precision(explained) else 1e-5


@pytest.mark.parametrize(
    "names", [EVERYDAY, pytest.param([n for n in CASES if n not in EVERYDAY], marks=pytest.mark.slow)], ids=len
)
def test_in_a_fresh_process(names: list[str], tmp_path: Path) -> None:
    expected = {}
    for name in names:
        explained, feeds = CASES[name]()
        explained.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.in.npz", **feeds)
        expected[name] = outputs_of(explained, feeds)
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
import keras, numpy as np, tensorflow as tf
import model_kinds, visualcnn_tf

for file in Path().glob("*.keras"):
    model = keras.models.load_model(file)
    assert type(model) is visualcnn_tf.ExplainedModel
    with np.load(file.with_suffix(".in.npz")) as feeds:
        inputs = model.plan.all_inputs.pack([tf.constant(feeds[name]) for name in model.plan.all_inputs.names])
    np.savez(file.with_suffix(".out.npz"), **tf.function(model, autograph=False)(inputs))
"""
