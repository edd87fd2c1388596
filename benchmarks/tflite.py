"""Measure what heatmaps cost in TensorFlow Lite, beside the bare model: ``python -m benchmarks.tflite``.

The LiteRT interpreter runs files with a static batch of 1 in turns, on this machine's CPU. The files are compared with
Keras when they are written.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import visualcnn_tf as vc
from benchmarks import checks, floor, memory
from benchmarks.calls import BARE
from benchmarks.classes import SMALL
from benchmarks.models import adapt_normalizations, random_images
from benchmarks.report import Report, Table, command, mb, ms
from benchmarks.timing import Samples, progress, take_turns
from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export.report import ExportReport
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.export.tflite_operations import XNNPACK

#: The fewest operations that heatmaps of `stages` need in TensorFlow Lite: no normalization.
UNSCALED = "unscaled"
#: The options of ``attach`` for each file.
FILES: dict[str, dict[str, Any]] = {
    "stages": {"layers": "stages"},
    UNSCALED: {"layers": "stages", "normalize": None},
    "gradcam": {"layers": "last", "method": "gradcam"},
}
HEADER = ["model", "weights", "file", "size", "1 thread", "× bare", "2 threads", "× bare", "memory", "ops in XNNPACK"]


@dataclass(frozen=True)
class Network:
    """How a network is built, and the largest value of the images that it takes."""

    make: Callable[[], Any]
    white: float = 1.0


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        models: The networks by name.
        quantizations: What ``export_tflite`` gets as ``quantize``.
        interpreters: How many interpreters of each file take turns, one after the other.
        rounds: The number of rounds of each interpreter.
        copied: How many bytes are copied to measure the machine's speed.
    """

    models: dict[str, Network]
    quantizations: Sequence[str | None]
    interpreters: int
    rounds: int
    copied: int


FULL = Size(
    {
        "MobileNetV2": Network(lambda: keras.applications.MobileNetV2(weights=None)),
        # It divides its input by 255: images from 0 to 1 would leave only rounding for int8.
        "EfficientNetB0": Network(lambda: keras.applications.EfficientNetB0(weights=None), 255.0),
    },
    (None, "float16", "int8"),
    6,
    15,
    2**28,
)
QUICK = Size({SMALL.name: Network(SMALL.build)}, (None, "int8"), 2, 3, 2**24)


def export(model: Any, folder: Path, quantize: str | None, images: np.ndarray) -> dict[str, ExportReport]:
    """Export the bare model and those with heatmaps; int8 files are not verified if the bare one fails."""
    # Also what files are verified on: with random weights, noise that no normalization was adapted to may not survive.
    options: dict[str, Any] = {"quantize": quantize, "representative_data": [images]}
    bare = folder / f"{BARE}-{quantize}.tflite"
    try:
        reports = {BARE: vc.export_tflite(model, bare, **options)}
    except ExportVerificationError as error:
        if quantize != "int8":
            raise
        # Networks with random weights may not survive int8. Files are still compared with that of the bare model.
        progress(f"the int8 file differs from the bare model: {error}")
        options["verify"] = False
        reports = {BARE: vc.export_tflite(model, bare, **options)}
    for name, choice in FILES.items():
        if name == UNSCALED and quantize is not None:
            continue
        reports[name] = vc.export_tflite(vc.attach(model, **choice), folder / f"{name}-{quantize}.tflite", **options)
    return reports


def runner(report: ExportReport, threads: int, image: np.ndarray) -> Callable[[], Any]:
    """Return a call that runs ``serving_default`` on an image."""
    signature = interpreter(report.path.read_bytes(), threads).get_signature_runner("serving_default")
    [name] = signature.get_input_details()
    return lambda: signature(**{name: image})


def turns(
    what: str, files: dict[str, ExportReport], threads: int, image: np.ndarray, size: Size, report: Report
) -> Samples:
    """Time the files in turns, several times with new interpreters.

    The memory layout of its weights makes an interpreter faster or slower by a few percent as long as it lives.
    """
    found = []
    for _ in range(size.interpreters):
        contenders = {name: runner(file, threads, image) for name, file in files.items()}
        bare = contenders[BARE]()["predictions"]
        for name in contenders.keys() - {BARE}:
            got = contenders[name]()["predictions"]
            tolerance = 0.05 if "int8" in what else 1e-4  # taps may change which operations are quantized together
            report.note(f"predictions, {what}", checks.difference(f"{what}, {name}", got, bare, tolerance))
        found.append(take_turns(contenders, size.rounds, warmup=5))
    return Samples.joined(found)


_PREPARE = """
from pathlib import Path
import numpy as np
from visualcnn_tf.export.tflite_interpreter import interpreter
content = Path({path!r}).read_bytes()
"""
_WORK = """
signature = interpreter(content, 1).get_signature_runner("serving_default")
[(name, details)] = signature.get_input_details().items()
signature(**{name: np.zeros(details["shape"], details["dtype"])})
"""


def in_xnnpack(report: ExportReport) -> str:
    """Return the share of operations that XNNPACK has kernels for, and the types of the others."""
    total = sum(report.ops.values())
    inside = sum(count for name, count in report.ops.items() if name in XNNPACK)
    others = f", all except {', '.join(report.outside_xnnpack)}" if report.outside_xnnpack else ""
    return f"{inside / total:.0%}{others}"


def floors(model: Any, images: np.ndarray, machine: floor.Machine) -> dict[str, float]:
    """Return the memory floor of the heatmaps of each float32 file in seconds."""
    found = {}
    for name, choice in FILES.items():
        shapes = floor.tapped_shapes(vc.attach(model, **choice), images[:1])
        found[name] = floor.seconds(machine, shapes, images.shape[1:3], reads=2)
    return found


def measure_files(
    what: str,
    files: dict[str, ExportReport],
    image: np.ndarray,
    size: Size,
    least: dict[str, float],
    report: Report,
) -> Any:
    """Yield the rows of one model and quantization."""
    ratios, times = {}, {}
    for threads in (1, 2):
        samples = turns(what, files, threads, image, size, report)
        report.raw[f"{what}, {threads}"] = samples
        for name in files:
            times[name, threads], ratios[name, threads] = samples.time(name), samples.ratio(name, over=BARE)
    for name in files.keys() - {BARE}:
        for threads in (1, 2):
            # The maps are read twice: for the mean and the deviations from it, or for the score and the heatmap.
            remark = f"floor with two reads: {1 + least[name] / times[BARE, threads].median:.2f}"
            if name == "stages" and UNSCALED in files:
                remark += f"; {UNSCALED}: {ratios[UNSCALED, threads]}"
            report.for_targets[f"tflite {name}, {what}, {threads}"] = (ratios[name, threads], remark)
    for name, file in files.items():
        peak = memory.peak(_PREPARE.format(path=str(file.path)), _WORK)
        report.raw[f"{what}, {name}, memory"] = peak
        both = [cell for n in (1, 2) for cell in (ms(times[name, n]), str(ratios[name, n]))]
        yield [*what.split(", "), name, mb(file.size), *both, mb(peak), in_xnnpack(file)]
    progress(what)


def measure(quick: bool) -> Report:
    """Measure what heatmaps cost in TensorFlow Lite."""
    size = QUICK if quick else FULL
    report = Report("What heatmaps cost in TensorFlow Lite")
    machine, rows = floor.Machine.measured(size.copied), []
    report.notes["copying"] = str(machine)
    for name, network in size.models.items():
        keras.utils.set_random_seed(0)
        model = network.make()
        images = network.white * random_images(100, *model.input_shape[1:])  # int8 is calibrated on all of them
        adapt_normalizations(model, images[:8])
        least = floors(model, images, machine)
        for quantize in size.quantizations:
            with tempfile.TemporaryDirectory() as folder:
                files = export(model, Path(folder), quantize, images)
                rows += measure_files(f"{name}, {quantize or 'float32'}", files, images[:1], size, least, report)
    report.sections = [
        "One image; medians (and quartiles) of the ratios within rounds, in which files take turns, with several "
        "interpreters of each file. *stages*: `deviation` of each resolution; *unscaled*: the same with "
        "`normalize=None`, so only the operations of the formula and one enlargement of each map; *gradcam*: at the "
        "last feature map. Memory: by how much the peak of resident memory rises from the loaded file to the end of "
        "the first inference, in a process of its own; that is the tensor arena and the weights that are packed for "
        "the CPU. The last column has the share of operations that XNNPACK has kernels for, and names the others. The "
        "weights are random: predictions of EfficientNetB0 with them do not survive int8, with heatmaps or without.",
        Table("tflite", HEADER, rows),
    ]
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it."""
    return command("tflite", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
