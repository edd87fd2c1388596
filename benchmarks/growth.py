"""How time and memory grow, and whether in straight lines: ``python -m benchmarks.growth``."""

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
#: Points whose time per unit is this far from the line's are said to bend.
BEND = 1.25


@dataclass(frozen=True)
class Point:
    """A network and its input: one value of each sweep is varied, the others stay."""

    batch: int = 4
    edge: int = 96
    taps: int = 4
    channels: int = 16

    def model(self) -> keras.Model:
        """So many convolutions at half the resolution of the input, each with as many channels."""
        keras.utils.set_random_seed(0)
        outputs = image = keras.Input((self.edge, self.edge, 3))
        outputs = keras.layers.Conv2D(self.channels, 3, strides=2, padding="same", activation="relu")(outputs)
        for _ in range(self.taps - 1):
            outputs = keras.layers.Conv2D(self.channels, 3, padding="same", activation="relu")(outputs)
        return keras.Model(image, keras.layers.GlobalAveragePooling2D()(outputs))

    def images(self) -> np.ndarray:
        """The same each time."""
        return random_images(self.batch, self.edge, self.edge, 3)


@dataclass(frozen=True)
class Sweep:
    """One axis.

    Attributes:
        title: of the axis.
        name: of the point's field.
        values: what it gets.
        unit: what the time should be proportional to, from a value.
        remark: why a curve may bend.
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
        "A call has a price of its own, which weighs on small batches; maps of small batches stay in the caches.",
    ),
    Sweep(
        "resolution (million pixels)",
        "edge",
        (64, 128, 256, 512, 1024),
        lambda edge: edge**2 / 1e6,
        "As with batches: the price of a call below, the end of the caches above.",
    ),
    Sweep("taps", "taps", (1, 2, 5, 10, 20, 35, 50), _same, "Each tap costs the same; the first pays for the call."),
    Sweep(
        "channels",
        "channels",
        (4, 8, 16, 32, 64, 128),
        _same,
        "Maps grow with the channels, but the heatmap that is written does not; the bare model's convolutions grow "
        "with the square.",
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
    """One point of a sweep: seconds, what heatmaps add, and more bytes at the peak; both without and with."""

    value: int
    unit: float
    bare: Spread
    explained: Spread
    added: Spread
    memory: dict[str, int]


def measure_point(sweep: Sweep, value: int, rounds: int, in_child: bool, report: Report) -> Measured:
    """Bare and with heatmaps take turns."""
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
    """Slope and start of the straight line with the least relative squares."""
    weights = 1.0 / np.maximum(np.asarray(seconds), 1e-9)
    slope, start = np.polyfit(units, seconds, 1, w=weights)
    return float(slope), float(start)


def bends(units: Sequence[float], seconds: Sequence[float]) -> list[int]:
    """Which points are off the line by more than a quarter."""
    slope, start = line(units, seconds)
    expected = np.maximum(np.multiply(units, slope) + start, 1e-9)
    ratios = np.maximum(seconds, 1e-9) / expected
    return [int(i) for i in np.flatnonzero((ratios > BEND) | (ratios < 1 / BEND))]


def fit(sweep: Sweep, points: Sequence[Measured]) -> str:
    """One sentence about the line, and one about where it bends."""
    units, seconds = [p.unit for p in points], [p.explained.median for p in points]
    slope, start = line(units, seconds)
    text = f"With heatmaps: {start * 1e3:.2f} ms + {slope * 1e3:.3f} ms for each on the axis ({sweep.title})."
    off = [str(points[i].value) for i in bends(units, seconds)]
    if off:
        return f"{text} More than a quarter off that line at {', '.join(off)}. {sweep.remark}"
    return f"{text} No point is more than a quarter off that line."


def draw(sweeps: Sequence[Sweep], found: Sequence[Sequence[Measured]]) -> Any:
    """Time above, memory below; a column for each sweep."""
    from matplotlib.figure import Figure

    rows = 2 if found[0][0].memory else 1
    figure = Figure(figsize=(3.6 * len(sweeps), 3.0 * rows), layout="constrained")
    axes = figure.subplots(rows, len(sweeps), squeeze=False)
    for column, (sweep, points) in enumerate(zip(sweeps, found, strict=True)):
        units = [p.unit for p in points]
        top = axes[0, column]
        for label, name, color in ((BARE, "bare", "#777777"), (EXPLAINED, "explained", "#d1495b")):
            spreads = [getattr(p, name) for p in points]
            top.plot(units, [s.median * 1e3 for s in spreads], "o-", ms=4, label=label, color=color)
            top.fill_between(
                units, *([getattr(s, q) * 1e3 for s in spreads] for q in ("low", "high")), alpha=0.2, color=color
            )
        slope, start = line(units, [p.explained.median for p in points])
        top.plot(units, [(slope * u + start) * 1e3 for u in units], "--", lw=1, color="black", label="straight line")
        if rows == 2:
            for label, color in ((BARE, "#777777"), (EXPLAINED, "#d1495b")):
                axes[1, column].plot(units, [p.memory[label] / 1e6 for p in points], "o-", ms=4, color=color)
        axes[-1, column].set_xlabel(sweep.title)
        for axis in axes[:, column]:
            axis.set_ylim(bottom=0)
            axis.set_xlim(left=0)
            axis.locator_params(axis="x", nbins=5)
            axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("ms a call")
    if rows == 2:
        axes[1, 0].set_ylabel("MB more at the peak")
    axes[0, 0].legend(fontsize=8)
    return figure


def measure(quick: bool) -> Report:
    """How time and memory grow."""
    sweeps, rounds = (QUICK, 3) if quick else (SWEEPS, 11)
    report = Report("How time and memory grow")
    found = [[measure_point(s, value, rounds, not quick, report) for value in s.values] for s in sweeps]
    point = Point()
    report.sections = [
        f"Convolutions of 3×3 at half the input's resolution, every one tapped, `deviation`, heatmaps of the input's "
        f"size. Unless varied: {point.batch} images of {point.edge}², {point.taps} taps, {point.channels} channels. "
        "A `tf.function`; medians of calls in turns. Memory: by how much the peak of resident memory rises in the "
        "first call, in a process of its own."
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
    report.sections += ["## In short", Table("growth", ["axis", "line"], fits)]
    report.pictures["growth"] = draw(sweeps, found)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the report and writes it."""
    return command("growth", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
