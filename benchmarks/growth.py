"""Measure how time and memory grow, and whether linearly: ``python -m benchmarks.growth``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

import visualcnn_tf as vc
from benchmarks import checks, memory
from benchmarks.calls import BARE, by_function
from benchmarks.models import random_images
from benchmarks.report import Report, Table, command, mb, ms
from benchmarks.timing import Spread, progress, take_turns

EXPLAINED = "with heatmaps"
COLORS = {BARE: "#777777", EXPLAINED: "#d1495b"}
#: A point is reported when its time differs from the line's by more than this factor.
TOLERANCE = 1.25


@dataclass(frozen=True)
class Point:
    """A network and its input: a sweep varies one value, the others stay."""

    batch: int = 4
    edge: int = 96
    taps: int = 4
    channels: int = 16

    def model(self) -> keras.Model:
        """Build one convolution for each tap, at half the resolution of the input."""
        keras.utils.set_random_seed(0)
        outputs = image = keras.Input((self.edge, self.edge, 3))
        outputs = keras.layers.Conv2D(self.channels, 3, strides=2, padding="same", activation="relu")(outputs)
        for _ in range(self.taps - 1):
            outputs = keras.layers.Conv2D(self.channels, 3, padding="same", activation="relu")(outputs)
        return keras.Model(image, keras.layers.GlobalAveragePooling2D()(outputs))

    def images(self) -> np.ndarray:
        """Return the images, the same each time."""
        return random_images(self.batch, self.edge, self.edge, 3)


@dataclass(frozen=True)
class Sweep:
    """The values of one axis.

    Attributes:
        title: The title of the axis.
        name: The field of a point that is varied.
        values: The values of that field.
        unit: Computes from a value what the time should be proportional to.
        remark: Why times may differ from a straight line.
    """

    title: str
    name: str
    values: Sequence[int]
    unit: Callable[[int], float]
    remark: str


def _same(value: int) -> float:
    return value


SWEEPS = (
    Sweep(
        "images in a batch",
        "batch",
        (1, 2, 4, 8, 16, 32, 64, 128, 256),
        _same,
        "Each call has a fixed cost, which matters for small batches; maps of small batches fit the caches.",
    ),
    Sweep(
        "resolution (million pixels)",
        "edge",
        (64, 128, 256, 512, 1024),
        lambda edge: edge**2 / 1e6,
        "Small images: the fixed cost of a call; large ones: maps that do not fit the caches.",
    ),
    Sweep(
        "taps",
        "taps",
        (1, 2, 5, 10, 20, 35, 50),
        _same,
        "Each tap costs the same; the first one includes the fixed cost of a call.",
    ),
    Sweep(
        "channels",
        "channels",
        (4, 8, 16, 32, 64, 128),
        _same,
        "Maps grow with the channels, heatmaps do not; the cost of the bare model's convolutions grows with the "
        "square.",
    ),
)
QUICK = tuple(Sweep(s.title, s.name, s.values[: 2 if s.name == "edge" else 3], s.unit, s.remark) for s in SWEEPS)

_PREPARE = """
import numpy as np
from benchmarks.calls import by_function
from benchmarks.growth import Point
import visualcnn_tf as vc
point = Point(batch={batch}, edge={edge}, taps={taps}, channels={channels})
model = point.model()
call = by_function({model}, point.images())
by_function(model, point.images()[:1])()
"""


@dataclass(frozen=True)
class Measured:
    """One point of a sweep: the seconds of the bare and the explained model, and the memory that each adds."""

    value: int
    unit: float
    bare: Spread
    explained: Spread
    added: Spread
    memory: dict[str, int]


def measure_point(sweep: Sweep, value: int, rounds: int, in_child: bool, report: Report) -> Measured:
    """Measure one point: the bare and the explained model take turns."""
    point = Point(**{sweep.name: value})
    model, images = point.model(), point.images()
    explained = vc.attach(model, "conv")
    contenders = {BARE: by_function(model, images), EXPLAINED: by_function(explained, images)}
    bare, outputs = contenders[BARE](), contenders[EXPLAINED]()
    what = f"{sweep.name} {value}"
    report.note("predictions", checks.difference(f"{what}, predictions", outputs["predictions"], bare, 1e-5))
    if sweep.name == "channels":
        for key, want in checks.expected_heatmaps(explained, images[0]).items():
            report.note("heatmaps", checks.difference(f"{what}, {key}", outputs[key][0], want, 1e-3))
    del outputs
    samples = take_turns(contenders, rounds)
    report.raw[what] = samples
    added = Spread.of(np.subtract(samples.seconds[EXPLAINED], samples.seconds[BARE]))
    peaks = {}
    if in_child:
        for name, code in {BARE: "model", EXPLAINED: "vc.attach(model, 'conv')"}.items():
            prepare = _PREPARE.format(**vars(point), model=code)
            peaks[name] = memory.peak(prepare, "call()")
        report.raw[f"{what}, memory"] = peaks
    progress(what)
    return Measured(value, sweep.unit(value), samples.time(BARE), samples.time(EXPLAINED), added, peaks)


def line(units: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Return slope and intercept of the straight line that minimizes the squared relative errors."""
    weights = 1.0 / np.maximum(np.asarray(seconds), 1e-9)
    slope, intercept = np.polyfit(units, seconds, 1, w=weights)
    return float(slope), float(intercept)


def off_the_line(units: Sequence[float], seconds: Sequence[float]) -> list[int]:
    """Return the indices of the points that differ from the line by more than a quarter."""
    slope, intercept = line(units, seconds)
    expected = np.maximum(np.multiply(units, slope) + intercept, 1e-9)
    ratios = np.maximum(seconds, 1e-9) / expected
    return [int(i) for i in np.flatnonzero((ratios > TOLERANCE) | (ratios < 1 / TOLERANCE))]


def fit(sweep: Sweep, points: Sequence[Measured]) -> str:
    """Return a sentence about the line, and one about the points that are off it."""
    units, seconds = [p.unit for p in points], [p.explained.median for p in points]
    slope, intercept = line(units, seconds)
    text = f"With heatmaps: {intercept * 1e3:.2f} ms + {slope * 1e3:.3f} ms × {sweep.title}."
    off = [str(points[i].value) for i in off_the_line(units, seconds)]
    if off:
        return f"{text} Off that line by more than a quarter: {', '.join(off)}. {sweep.remark}"
    return f"{text} No point is off that line by more than a quarter."


def draw(sweeps: Sequence[Sweep], found: Sequence[Sequence[Measured]]) -> Any:
    """Plot time, and memory below it where it was measured; a column for each sweep."""
    from matplotlib.figure import Figure

    rows = 2 if found[0][0].memory else 1
    figure = Figure(figsize=(3.6 * len(sweeps), 3.0 * rows), layout="constrained")
    axes = figure.subplots(rows, len(sweeps), squeeze=False)
    for column, sweep, points in zip(axes.T, sweeps, found, strict=True):
        _plot_times(column[0], points)
        if rows == 2:
            units = [p.unit for p in points]
            for label, color in COLORS.items():
                column[1].plot(units, [p.memory[label] / 1e6 for p in points], "o-", ms=4, color=color)
        column[-1].set_xlabel(sweep.title)
        for axis in column:
            axis.set_ylim(bottom=0)
            axis.set_xlim(left=0)
            axis.locator_params(axis="x", nbins=5)
            axis.grid(alpha=0.3)
    for axis, label in zip(axes[:, 0], ("ms per call", "MB added at the peak"), strict=False):
        axis.set_ylabel(label)
    axes[0, 0].legend(fontsize=8)
    return figure


def _plot_times(axis: Any, points: Sequence[Measured]) -> None:
    """Plot medians and quartiles of both models, and the straight line."""
    units = [p.unit for p in points]
    for label, spreads in ((BARE, [p.bare for p in points]), (EXPLAINED, [p.explained for p in points])):
        axis.plot(units, [s.median * 1e3 for s in spreads], "o-", ms=4, label=label, color=COLORS[label])
        low, high = ([getattr(s, quartile) * 1e3 for s in spreads] for quartile in ("low", "high"))
        axis.fill_between(units, low, high, alpha=0.2, color=COLORS[label])
    slope, intercept = line(units, [p.explained.median for p in points])
    axis.plot(units, [(slope * u + intercept) * 1e3 for u in units], "--", lw=1, color="black", label="straight line")


def measure(quick: bool) -> Report:
    """Measure how time and memory grow."""
    sweeps, rounds = (QUICK, 3) if quick else (SWEEPS, 11)
    report = Report("How time and memory grow")
    found = [[measure_point(s, value, rounds, not quick, report) for value in s.values] for s in sweeps]
    point = Point()
    report.sections = [
        f"Convolutions of 3×3 at half the input's resolution, every one tapped, `deviation`, heatmaps of the input's "
        f"size. Unless varied: {point.batch} images of {point.edge}², {point.taps} taps, {point.channels} channels. "
        "A `tf.function`; medians of calls that take turns. Memory: by how much the peak of resident memory rises "
        "during the first call, in a process of its own."
    ]
    for sweep, points in zip(sweeps, found, strict=True):
        lines = [
            [str(p.value), ms(p.bare), ms(p.explained), ms(p.added)]
            + [mb(p.memory[name]) if p.memory else "" for name in (BARE, EXPLAINED)]
            for p in points
        ]
        header = [sweep.name, BARE, EXPLAINED, "added", f"memory, {BARE}", f"memory, {EXPLAINED}"]
        report.sections += [f"## {sweep.title}", Table(f"growth-{sweep.name}", header, lines), fit(sweep, points)]
    fits = [[sweep.title, fit(sweep, points)] for sweep, points in zip(sweeps, found, strict=True)]
    report.sections += ["## Summary", Table("growth", ["axis", "line"], fits)]
    report.pictures["growth"] = draw(sweeps, found)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it."""
    return command("growth", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
