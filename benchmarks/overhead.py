"""What heatmaps cost beside the bare model and beside the floor of memory: ``python -m benchmarks.overhead``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import visualcnn_tf as vc
from benchmarks import checks, floor
from benchmarks.calls import BARE, by_function, by_predict
from benchmarks.grids import FULL, QUICK, Case, Grid
from benchmarks.models import Subject
from benchmarks.reads import READS, Reads
from benchmarks.report import Report, Table, command, ms
from benchmarks.timing import Samples, Spread, progress, take_turns

CALLERS = {"tf.function": by_function, "predict": by_predict}
#: How heatmaps are asked for, the quickest last.
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "after": {"after_activation": True},
    "XLA": {"jit_compile": "fusion"},
    "after, XLA": {"after_activation": True, "jit_compile": "fusion"},
    "after, XLA+": {"after_activation": True, "jit_compile": "activation"},
}


@dataclass(frozen=True)
class Row:
    """What one way of asking for heatmaps costs.

    Attributes:
        floor: seconds.
        twice: the floor with a second read of the maps.
        overhead: what the heatmaps take over the bare model, as multiples of the floor.
        reads: the ratio of a model whose maps are read twice and whose heatmaps are filled, measured beside targets.
    """

    case: Case
    way: str
    dtype: str
    heatmaps: int
    bare: Spread
    ratio: Spread
    floor: float
    twice: float
    overhead: Spread
    reads: Spread | None = None

    @property
    def least(self) -> float:
        """The ratio that the floor allows."""
        return 1 + self.floor / self.bare.median

    @property
    def remark(self) -> str:
        """For the table of targets."""
        found = f"{self.way}; the floor alone: {self.least:.2f}"
        if self.case.method != "deviation":
            return found
        # It takes deviations from a mean, which it has to know before.
        found += f", with the two reads that `deviation` needs: {1 + self.twice / self.bare.median:.2f}"
        return found if self.reads is None else f"{found}; {READS}: {self.reads}"

    def cells(self) -> list[str]:
        """Of the table."""
        case = self.case
        images = f"{case.subject.batch} × {case.edge}²"
        size = "own" if case.size is None else "input"
        what = [case.subject.name, images, f"{case.taps} ({self.heatmaps})", f"`{case.method}`", size, self.dtype]
        return [*what, self.way, ms(self.bare), str(self.ratio), f"{self.least:.3f}", f"{self.overhead.median:.1f}"]


HEADER = [
    *("model", "images", "taps (heatmaps)", "method", "size", "type"),
    *("way", "bare", "× bare", "floor, × bare", "overhead over the floor"),
]


# What is timed ---------------------------------------------------------------------------------------------------


def over_floor(samples: Samples, name: str, least: float) -> Spread:
    """What a contender takes over the bare model, as multiples of the floor, within each round."""
    return Spread.of(np.subtract(samples.seconds[name], samples.seconds[BARE]) / least)


def measure_case(
    case: Case, model: Any, images: np.ndarray, machine: floor.Machine, report: Report
) -> tuple[list[Row], Samples]:
    """A row for each way and type; they and the bare model take turns."""
    kinds = {f"{way}, {dtype}": (way, dtype) for way in case.ways for dtype in case.dtypes}
    explained = {
        name: vc.attach(model, case.taps, method=case.method, size=case.size, dtype=dtype, **WAYS[way])
        for name, (way, dtype) in kinds.items()
    }
    call = CALLERS[case.caller]
    quickest = WAYS[max(case.ways, key=list(WAYS).index)]
    read = {f"{READS}, {dtype}": Reads(model, case.taps, dtype, 2, **quickest) for dtype in case.dtypes if case.reach}
    contenders = {name: call(one, images) for name, one in {BARE: model, **explained, **read}.items()}
    what = f"{case.subject.name}, batch {len(images)}, {case.taps}, {case.method}"
    bare = np.asarray(contenders[BARE]())
    # Of the largest: without batch normalization random weights make a thousand nearly equal probabilities.
    if len(bare) > 1:
        checks.require_variety(f"{what}, bare, predictions", bare / np.max(np.abs(bare)))
    for name, one in explained.items():
        check_outputs(f"{what}, {name}", contenders[name](), bare, one, images, report)
    for name in read:
        checks.difference(f"{what}, {name}, predictions", contenders[name]()["predictions"], bare, 1e-6)
    samples = take_turns(contenders, case.rounds)
    rows = []
    for name, (way, dtype) in kinds.items():
        shapes = floor.tapped_shapes(explained[name], images)
        size = images.shape[1:3] if case.size else None
        least, twice = (floor.seconds(machine, shapes, size, dtype, reads) for reads in (1, 2))
        ratio, overhead = samples.ratio(name, over=BARE), over_floor(samples, name, least)
        alone = samples.ratio(f"{READS}, {dtype}", over=BARE) if read else None
        rows.append(Row(case, way, dtype, len(shapes), samples.time(BARE), ratio, least, twice, overhead, alone))
    return rows, samples


def check_outputs(
    what: str, outputs: Mapping[str, Any], bare: np.ndarray, explained: vc.ExplainedModel, images: Any, report: Report
) -> None:
    """Predictions against the bare model's, and the first image's heatmaps against NumPy's."""
    error = checks.difference(f"{what}, predictions", outputs["predictions"], bare, 1e-6)
    report.note("predictions", error)
    method, dtype = explained.options.method, explained.options.dtype
    if method not in checks.FUSIONS:
        return  # the table of methods that explain a class checks these
    expected = checks.expected_heatmaps(explained, images[0], method, explained.options.size is not None)
    scale = 255 if dtype == "uint8" else 1
    for key, want in expected.items():
        got = np.asarray(outputs[key][0]) / scale
        error = checks.difference(f"{what}, {key}", got, want, 1e-4 + checks.ROUNDING[dtype])
        report.note(f"{dtype} heatmaps", error)


def measure_subject(
    subject: Subject, cases: Sequence[Case], machine: floor.Machine, report: Report
) -> dict[str, list[Row]]:
    """The rows of each table for one model."""
    model, images = subject.make()
    found: dict[str, list[Row]] = {}
    for case in cases:
        rows, samples = measure_case(case, model, images, machine, report)
        found.setdefault(case.table, []).extend(rows)
        key = f"{case.table}, {subject.name}, {subject.batch}, {case.taps}, {case.method}, {case.size}, {case.caller}"
        report.raw[key] = samples
        progress(key)
        gc.collect()
    return found


# What is reported ------------------------------------------------------------------------------------------------

INTRODUCTION = (
    "How many times as long as the bare model, which takes turns with it: medians (and quartiles) of the ratios "
    "within each round. The weights are random, the call is a `tf.function` on a tensor unless the table says "
    "`predict`. The **floor** is the time to read each tapped map once and to write each heatmap once, at the speed "
    "at which this machine copies: {machine}. The last column is what the heatmaps add to the bare model's time, as a "
    'multiple of the floor. The ways: *after*: `after_activation=True`; *XLA*: `jit_compile="fusion"`; *XLA+*: '
    '`jit_compile="activation"`, which also compiles a part of the model itself: what it adds to the bare model may be '
    "less than the floor, or less than nothing."
)


def reach(rows: Sequence[Row]) -> dict[str, tuple[Spread, str]]:
    """What has a target: the best of the ways, which the remark names."""
    found = {}
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.case.reach:
            groups.setdefault(f"{row.case.reach}, {row.dtype}", []).append(row)
    for name, group in groups.items():
        best = min(group, key=lambda row: row.ratio.median)
        found[name] = (best.ratio, best.remark)
    return found


def summary(rows: Sequence[Row]) -> Table:
    """What the README shows: the fastest way for each model."""
    columns = [("last", "float32"), ("stages", "float32"), ("conv", "float32"), ("conv", "uint8")]
    subjects = dict.fromkeys(row.case.subject.name for row in rows)
    lines = []
    for name in subjects:
        cells = [name]
        for taps, dtype in columns:
            ways = [r for r in rows if (r.case.subject.name, r.case.taps, r.dtype) == (name, taps, dtype)]
            best = min(ways, key=lambda row: row.ratio.median, default=None)
            cells.append(f"{best.ratio.median:.2f} ({best.way})" if best else "")
        lines.append(cells)
    header = ["model", *(f'`"{taps}"`, {dtype}' for taps, dtype in columns)]
    return Table("overhead-summary", header, lines)


def measure_grid(grid: Grid) -> Report:
    """All tables of a grid."""
    report = Report("What heatmaps cost beside the bare model")
    machine = floor.Machine.measured(grid.copied)
    report.notes["copying"] = str(machine)
    rows: dict[str, list[Row]] = {}
    for subject, cases in grid.by_subject():
        for name, found in measure_subject(subject, cases, machine, report).items():
            rows.setdefault(name, []).extend(found)
    report.reach = reach([row for found in rows.values() for row in found])
    report.sections = [INTRODUCTION.format(machine=machine)]
    for name, title in grid.tables.items():
        report.sections += [f"## {title}", Table(f"overhead-{name}", HEADER, [row.cells() for row in rows[name]])]
    report.sections += ["## The fastest way of each", summary(rows["main"])]
    report.raw["machine"] = machine
    return report


def measure(quick: bool) -> Report:
    """What heatmaps cost beside the bare model and the floor."""
    return measure_grid(QUICK if quick else FULL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the report and writes it."""
    return command("overhead", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
