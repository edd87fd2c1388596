"""Measure the time from the start of Python to the first heatmap: ``python -m benchmarks.startup``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from benchmarks import checks
from benchmarks.grids import EARLIER_CNN, PLAIN
from benchmarks.models import Subject
from benchmarks.report import ROOT, Report, Table, command, ms
from benchmarks.timing import Samples, Spread, progress
from visualcnn_tf.data.digits import build_cnn

_IMPORTS = """
import time
start = time.perf_counter()
import tensorflow, keras
middle = time.perf_counter()
import visualcnn_tf
print("took", middle - start, time.perf_counter() - middle)
"""
_FIRST = """
import time
import keras, numpy as np
import visualcnn_tf as vc
keras.utils.set_random_seed(0)
model = {make}
images = np.zeros((1, *model.input_shape[1:]), "float32")
start = time.perf_counter()
{work}
print("took", time.perf_counter() - start)
"""
_WORK = {
    "bare": "model.predict(images, verbose=0)",
    "stages": "vc.attach(model, 'stages').predict(images, verbose=0)",
}


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        processes: The number of fresh processes.
        subject: The network.
        make: The Python expression by which a child process builds it.
        batches: The batch sizes for which traces are counted.
    """

    processes: int
    subject: Subject
    make: str
    batches: Sequence[int]


FULL = Size(
    7,
    Subject("ResNet50", lambda: keras.applications.ResNet50(weights=None), 4),
    "keras.applications.ResNet50(weights=None)",
    (1, 2, 3, 5, 8, 16),
)
QUICK = Size(
    1,
    Subject(EARLIER_CNN, build_cnn, 4),
    "__import__('visualcnn_tf.data.digits', fromlist=['x']).build_cnn()",
    (1, 2, 3),
)


def child(code: str) -> list[float]:
    """Run code in a fresh process and return the seconds that it prints."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled only once
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    return [float(seconds) for seconds in done.stdout.rsplit("took", 1)[1].split()]


def measure_imports(processes: int) -> Samples:
    """Return the seconds of ``import tensorflow, keras``, and of ``import visualcnn_tf`` after it."""
    child(_IMPORTS)  # compiles the package
    theirs, ours = zip(*(child(_IMPORTS) for _ in range(processes)), strict=True)
    return Samples({"tensorflow and keras": list(theirs), "visualcnn_tf": list(ours)})


def measure_first(processes: int, make: str) -> Samples:
    """Return the seconds of a first ``predict`` of one image, bare and with ``attach``, in alternating processes."""
    seconds: dict[str, list[float]] = {name: [] for name in _WORK}
    for _ in range(processes):
        for name, work in _WORK.items():
            seconds[name] += child(_FIRST.format(make=make, work=work))
    return Samples(seconds)


def count_traces(explained: vc.ExplainedModel, batches: Sequence[int], edge: Sequence[int]) -> int:
    """Return how often ``predict`` traces the model for these batch sizes."""
    traces = []
    call = explained.call

    def counting(*args: Any, **kwargs: Any) -> Any:
        if not tf.executing_eagerly():
            traces.append(1)
        return call(*args, **kwargs)

    explained.call = counting
    try:
        for batch in batches:
            outputs = explained.predict(np.zeros((batch, *edge), np.float32), batch_size=batch, verbose=0)
            if len(outputs["predictions"]) != batch:
                raise checks.MismatchError(f"{len(outputs['predictions'])} predictions for {batch} images.")
    finally:
        explained.call = call
    return len(traces)


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of a call, and its result."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def measure_steps(subject: Subject, report: Report) -> dict[str, float]:
    """Return the seconds of each step with ``stages``, measured once in this process."""
    model, images = subject.make()
    steps: dict[str, float] = {}
    steps["`attach`"], explained = timed(lambda: vc.attach(model, "stages"))
    function = tf.function(lambda batch: explained(batch, training=False))
    steps["first call as a `tf.function`"], first = timed(lambda: function(tf.constant(images)))
    steps["second call"], _ = timed(lambda: function(tf.constant(images)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "served"
        steps["`export_saved_model`, verified"], _ = timed(lambda: vc.export_saved_model(explained, path))
        steps["loading the SavedModel"], loaded = timed(lambda: tf.saved_model.load(str(path)))
        outputs = loaded.signatures["serving_default"](tf.constant(images))
        for key, want in first.items():
            report.note("SavedModel", checks.difference(f"SavedModel, {key}", outputs[key], want, 1e-3))
        lite = Path(folder) / "model.tflite"
        steps["`export_tflite`, verified"], _ = timed(lambda: vc.export_tflite(explained, lite))
    return steps


def measure(quick: bool) -> Report:
    """Measure the time from the start of Python to the first heatmap."""
    size = QUICK if quick else FULL
    report = Report("From the start of Python to the first heatmap")
    imports = measure_imports(size.processes)
    progress("imports")
    first = measure_first(size.processes, size.make)
    progress("first predict")
    more = Spread.of(np.subtract(first.seconds["stages"], first.seconds["bare"]))
    model, images = size.subject.make()
    traces = {
        name: count_traces(vc.attach(model, "stages", **options), size.batches, images.shape[1:])
        for name, options in {PLAIN: {}, "`jit_compile=True`": {"jit_compile": True}}.items()
    }
    progress("traces")
    steps = measure_steps(size.subject, report)
    report.for_targets["import, ms"] = (imports.time("visualcnn_tf").times(1e3), "")
    report.for_targets["first predict, s more"] = (more, "`attach` and the first `predict`, less the bare model's")
    report.raw |= {"imports": imports, "first": first, "traces": traces, "steps": steps}
    lines = [[f"import of {name}", ms(imports.time(name))] for name in imports.seconds]
    lines += [
        ["first `predict` of one image, bare", ms(first.time("bare"))],
        ["`attach` and first `predict`, `stages`", ms(first.time("stages"))],
        ["the difference, within rounds", f"{more} s"],
        *([name, ms(seconds)] for name, seconds in steps.items()),
        *([f"traces for batches of {', '.join(map(str, size.batches))}, {n}", str(c)] for n, c in traces.items()),
    ]
    report.sections = [
        f"{size.subject.name} with `stages`. Imports and first calls: medians over {size.processes} fresh processes, "
        "which take turns; the steps are measured once. Keras traces `predict` a second time when the batch size "
        "changes for the first time, so 2 is the minimum; a count that grew with the batch sizes would be a fault.",
        Table("startup", ["", "time"], lines),
    ]
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it."""
    return command("startup", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
