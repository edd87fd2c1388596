"""Measure every method of activations beside the memory floor: ``python -m benchmarks.fusions``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

import visualcnn_tf as vc
from benchmarks import checks, floor
from benchmarks.calls import BARE, by_function
from benchmarks.grids import EARLIER_CNN, PLAIN, XLA, subject
from benchmarks.models import Subject
from benchmarks.overhead import check_outputs, over_floor
from benchmarks.reads import READS, Reads
from benchmarks.report import Report, Table, command, ms
from benchmarks.timing import progress, take_turns
from visualcnn_tf.methods import ActivationMethod
from visualcnn_tf.methods.registry import METHODS

#: Methods that read the maps twice: deviations need the mean first; `max` computes a mean as well, to find NaN.
TWO_READS = ("deviation", "std", "max")
AGNOSTIC = [name for name, method in METHODS.items() if issubclass(method, ActivationMethod)]
WAYS = {PLAIN: False, XLA: True}


def measure_method(
    name: str, method: str, model: object, images: np.ndarray, machine: floor.Machine, rounds: int, report: Report
) -> list[str]:
    """Return one row: bare, plain and compiled take turns."""
    explained = {
        way: vc.attach(model, "stages", method=method, jit_compile=jit_compile) for way, jit_compile in WAYS.items()
    }
    reads = {READS: Reads(model, "stages", "float32", 2 if method in TWO_READS else 1)}
    contenders = {who: by_function(one, images) for who, one in {BARE: model, **explained, **reads}.items()}
    bare = np.asarray(contenders[BARE]())
    for way, one in explained.items():
        check_outputs(f"{name}, {method}, {way}", contenders[way](), bare, one, images, report)
    samples = take_turns(contenders, rounds)
    report.raw[method] = samples
    shapes = floor.tapped_shapes(explained[PLAIN], images)
    edge = images.shape[1:3]
    least = floor.seconds(machine, shapes, edge)
    overheads = {way: over_floor(samples, way, least) for way in WAYS}
    best = min(overheads, key=lambda way: overheads[way].median)
    alone = over_floor(samples, READS, least)
    other = ""
    if method in TWO_READS:
        twice = floor.seconds(machine, shapes, edge, reads=2)
        other = f"two reads: {ms(twice)}, {over_floor(samples, best, twice)}"
    elif method == "eigen":
        multiply = floor.eigen_multiplications(shapes) / machine.multiplications
        other = f"multiplications: {ms(multiply)}, {over_floor(samples, best, least + multiply)}"
    remark = "; ".join(filter(None, [best, f"{READS}: {alone}", other]))
    report.for_targets[f"over the floor, {method}"] = (overheads[best], remark)
    progress(method)
    cells = [str(samples.ratio(way, over=BARE)) for way in WAYS] + [str(overheads[way]) for way in WAYS]
    return [f"`{method}`", ms(samples.time(BARE)), *cells, str(alone), ms(least), other]


def check_eigen(model: object, images: np.ndarray, report: Report) -> None:
    """Compare the first image's ``eigen`` maps with NumPy's singular vectors, up to the sign."""
    raw = vc.attach(model, "stages", method="eigen", size=None, normalize=None)
    outputs = raw(images[:1])
    arrays = checks.activations(raw, images[0])
    for tap in raw.taps:
        matrix = arrays[tap.key].reshape(-1, arrays[tap.key].shape[-1])
        want = matrix @ np.linalg.svd(matrix, full_matrices=False)[2][0]
        got = np.ravel(outputs[tap.key][0])
        want = want * np.sign(want @ got) / np.max(np.abs(want))
        error = checks.difference(f"eigen, {tap.key}", got / np.max(np.abs(got)), want, 1e-2)
        report.note("eigen", error)


def report_on(one: Subject, rounds: int, copied: int) -> Report:
    """Measure all methods on one model's stages."""
    report = Report("Every method of activations beside the memory floor")
    machine = floor.Machine.measured(copied)
    report.notes["copying"] = str(machine)
    report.raw["machine"] = machine
    model, images = one.make()
    check_eigen(model, images, report)
    lines = [measure_method(one.name, method, model, images, machine, rounds, report) for method in AGNOSTIC]
    header = [
        "method",
        "bare",
        *(f"× bare, {way}" for way in WAYS),
        *(f"overhead, × floor, {way}" for way in (*WAYS, READS)),
    ]
    report.sections = [
        f"{one.name}, {one.batch} images, `stages`, float32 heatmaps of the input's size, as a `tf.function`. "
        f"*{XLA}*: `jit_compile=True`. The floor: each feature map read once, each heatmap written once. "
        "`deviation` and `std` need the mean before they can compute deviations from it, and `max` reads the maps once "
        "more to find NaN: the last column has the floor with two reads. The time of `eigen` is that of its "
        "multiplications: the last column has the floor plus these, at the speed of a matmul. "
        f"*{READS}*: XLA sums each map over its positions (and takes the maximum, where two reads are needed) and "
        "fills the heatmaps with one number; nothing else is computed. Medians (and quartiles).",
        Table("fusions", [*header, "floor", "a higher floor, and the overhead as a multiple of it"], lines),
    ]
    return report


def measure(quick: bool) -> Report:
    """Measure every method of activations beside the memory floor."""
    if quick:
        return report_on(subject(EARLIER_CNN, 4), 3, 2**24)
    return report_on(subject("MobileNetV2", 16), 45, 2**28)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it."""
    return command("fusions", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
