"""Measure the forward pass on a GPU, compiled by XLA, with and without heatmaps: ``python -m benchmarks.gpu``.

The report says so if TensorFlow finds no GPU. For a GPU machine without TensorFlow,
``python -m benchmarks.gpu --export FOLDER`` writes the compiled programs with their weights and inputs, and
``python run_hlo.py FOLDER`` times them there, with JAX alone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from benchmarks import checks
from benchmarks.calls import BARE
from benchmarks.grids import EARLIER_CNN, subject
from benchmarks.models import Subject
from benchmarks.report import Report, Table, command, ms
from benchmarks.timing import take_turns

RUNNER = Path(__file__).with_name("run_hlo.py")
_CHOICES: dict[str, dict[str, Any]] = {
    "stages": {"layers": "stages"},
    "conv": {"layers": "conv"},
    "gradcam": {"layers": "last", "method": "gradcam"},
}


def programs(model: Any) -> dict[str, Any]:
    """Return the forward pass, bare and with heatmaps, each as a compiled ``tf.function`` with a list of outputs."""
    models = {BARE: model, **{name: vc.attach(model, **choice) for name, choice in _CHOICES.items()}}

    def compiled(one: Any) -> Any:
        return tf.function(lambda batch: keras.tree.flatten(one(batch, training=False)), jit_compile=True)

    return {name: compiled(one) for name, one in models.items()}


def export(one: Subject, folder: Path) -> None:
    """Write each program as an HLO module with its arguments and outputs, and the script that runs them.

    The captured weights are arguments of the program, after the image.
    """
    model, images = one.make()
    folder.mkdir(parents=True, exist_ok=True)
    batch = tf.constant(images)
    for name, function in programs(model).items():
        module = function.experimental_get_compiler_ir(batch)(stage="hlo_serialized")
        captured = [np.asarray(_value(tensor)) for tensor in function.get_concrete_function(batch).captured_inputs]
        arguments = {f"argument{i}": value for i, value in enumerate([images, *captured])}
        outputs = {f"output{i}": value.numpy() for i, value in enumerate(function(batch))}
        (folder / f"{name}.hlo").write_bytes(module)
        np.savez(folder / f"{name}.npz", **arguments, **outputs)
    shutil.copy(RUNNER, folder / RUNNER.name)


def _value(tensor: Any) -> Any:
    """Return the value of a captured tensor, which may be the handle of a variable."""
    if tensor.dtype != tf.resource:
        return tensor
    shape_and_type = tensor._handle_data.shape_and_type[0]
    return tf.raw_ops.ReadVariableOp(resource=tensor, dtype=tf.dtypes.as_dtype(shape_and_type.dtype))


def measure_on_gpu(one: Subject, rounds: int, report: Report) -> list[list[str]]:
    """Return a row for each program, on the device that TensorFlow chooses."""
    model, images = one.make()
    batch = tf.constant(images)
    functions = programs(model)
    bare = functions[BARE](batch)[0]
    for name, function in functions.items():
        # TensorFloat-32 has three significant digits.
        report.note("predictions", checks.difference(f"{name}, predictions", function(batch)[0], bare, 1e-3))

    def contender(function: Any) -> Any:
        def call() -> Any:
            outputs = function(batch)
            tf.test.experimental.sync_devices()
            return outputs

        return call

    samples = take_turns({name: contender(function) for name, function in functions.items()}, rounds, warmup=3)
    report.raw[one.name] = samples
    return [
        [one.name, str(one.batch), name, ms(samples.time(name)), str(samples.ratio(name, over=BARE))]
        for name in functions
    ]


def measure(quick: bool) -> Report:
    """Measure the forward pass on a GPU, compiled by XLA, with and without heatmaps."""
    report = Report("On a GPU, compiled by XLA")
    if not tf.config.list_physical_devices("GPU"):
        report.sections = ["TensorFlow found no GPU.", Table("gpu", ["", ""], [["no GPU", "skipped"]])]
        return report
    subjects = [subject(EARLIER_CNN, 4)] if quick else [subject(name, 32) for name in ("MobileNetV2", "ResNet50")]
    lines = [line for one in subjects for line in measure_on_gpu(one, 5 if quick else 51, report)]
    report.sections = [Table("gpu", ["model", "images", "", "time", "× bare"], lines)]
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it, or export the programs."""
    before = argparse.ArgumentParser(add_help=False)
    before.add_argument("--export", type=Path, help="write the compiled programs to this folder")
    before.add_argument("--model", default="MobileNetV2", help="the network to export")
    before.add_argument("--batch", type=int, default=16, help="its batch size")
    options, others = before.parse_known_args(arguments)
    if options.export is None:
        return command("gpu", measure, others)
    export(subject(options.model, options.batch), options.export)
    print(f"{options.export}: on the GPU machine, python run_hlo.py {options.export.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
