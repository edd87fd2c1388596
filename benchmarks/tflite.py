"""What heatmaps cost on a device, beside the bare model: ``python -m benchmarks.tflite``.

Both are TensorFlow Lite files with a static batch of 1, run in turns by the interpreter on this machine's CPU. The
files are compared with Keras when they are written; a wrong one ends the run with a non-zero status.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import visualcnn_tf as vc
from benchmarks.timing import Spread, conditions, take_turns
from visualcnn_tf.export.report import ExportReport, interpreter

BARE = "bare"
LAYERS = ("last", "stages")
THREADS = (1, 2)
MODELS: dict[str, Callable[[], Any]] = {
    "MobileNetV2": lambda: keras.applications.MobileNetV2(weights=None),
    "EfficientNetB0": lambda: keras.applications.EfficientNetB0(weights=None),
}
QUICK: dict[str, Callable[[], Any]] = {
    "MobileNetV2 at 96²": lambda: keras.applications.MobileNetV2(weights=None, input_shape=(96, 96, 3))
}


def export(model: Any, folder: Path) -> dict[str, ExportReport]:
    """The bare model and one with heatmaps for each preset."""
    reports = {BARE: vc.export_tflite(model, folder / "bare.tflite")}
    for layers in LAYERS:
        reports[layers] = vc.export_tflite(vc.attach(model, layers), folder / f"{layers}.tflite")
    return reports


def invoker(report: ExportReport, threads: int) -> Callable[[], Any]:
    """One inference of ``serving_default`` on a fixed image."""
    runner = interpreter(report.path.read_bytes(), threads).get_signature_runner("serving_default")
    [(name, details)] = runner.get_input_details().items()
    image = np.random.default_rng(0).uniform(0, 1, details["shape"]).astype(details["dtype"])
    return lambda: runner(**{name: image})


def measure(reports: dict[str, ExportReport], threads: int, rounds: int) -> list[tuple[str, Spread, Spread]]:
    """Time of the bare model and the ratio to it, for each file."""
    contenders = {name: invoker(report, threads) for name, report in reports.items()}
    samples = take_turns(contenders, rounds, warmup=5)
    return [(name, samples.time(name), samples.ratio(name, BARE)) for name in contenders]


def table(models: dict[str, Callable[[], Any]], rounds: int) -> str:
    """The whole report."""
    lines = ["# What heatmaps cost in TensorFlow Lite", ""]
    lines += [f"- {name}: {value}" for name, value in conditions().items()]
    lines += [
        "",
        "| model | threads | file | size | time | × bare | size × bare |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for name, make in models.items():
        keras.utils.set_random_seed(0)
        with tempfile.TemporaryDirectory() as folder:
            reports = export(make(), Path(folder))
            for threads in THREADS:
                for file, time, ratio in measure(reports, threads, rounds):
                    size, bare = reports[file].size, reports[BARE].size
                    lines.append(
                        f"| {name} | {threads} | {file} | {size / 1e6:.2f} MB | {time.median * 1e3:.1f} ms | {ratio} "
                        f"| {size / bare:.3f} |"
                    )
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table and keeps it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tflite", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small model, few rounds")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="default: %(default)s")
    arguments = parser.parse_args(argv)
    text = table(QUICK, 5) if arguments.quick else table(MODELS, 101)
    print(text)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "tflite.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
