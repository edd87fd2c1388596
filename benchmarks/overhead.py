"""Measure what heatmaps cost beside the bare model and the memory floor: ``python -m benchmarks.overhead``."""

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
from benchmarks.grids import AFTER, AFTER_BLOCKS, AFTER_XLA, FULL, PLAIN, QUICK, XLA, Case, Grid
from benchmarks.models import Subject
from benchmarks.reads import READS, Reads
from benchmarks.report import Report, Table, command, ms
from benchmarks.timing import Contender, Samples, Spread, progress, take_turns

CALLERS = {"tf.function": by_function, "predict": by_predict}
#: The options of each way to ask for heatmaps, the fastest way last.
WAYS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    AFTER: {"after_activation": True},
    XLA: {"jit_compile": True},
    AFTER_XLA: {"after_activation": True, "jit_compile": True},
    AFTER_BLOCKS: {"after_activation": True, "jit_compile": True, "compile_fused_blocks": True},
}


@dataclass(frozen=True)
class Row:
    """What one way of asking for heatmaps costs.

    Attributes:
        heatmaps: How many there are.
        bare: Seconds of the bare model.
        ratio: The explained model's time over the bare one's.
        floor: Seconds of the memory floor.
        twice: Seconds of the memory floor with a second read of the feature maps.
        overhead: The explained model's time less the bare one's, as a multiple of the floor.
        reads: The ratio of a model that reads its maps twice and fills its heatmaps, measured for targets only.
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
        """The ratio of the bare time and the floor to the bare time."""
        return 1 + self.floor / self.bare.median

    @property
    def remark(self) -> str:
        """The remark in the table of targets."""
        found = f"{self.way}; floor: {self.least:.2f}"
        if self.case.method != "deviation":
            return found
        # The mean must be known before deviations from it can be computed.
        found += f", with the two reads of `deviation`: {1 + self.twice / self.bare.median:.2f}"
        return found if self.reads is None else f"{found}; {READS}: {self.reads}"

    def cells(self) -> list[str]:
        """Return the cells of the row."""
        case = self.case
        images = f"{case.subject.batch} × {case.edge}²"
        size = "feature map" if case.size is None else "input"
        what = [case.subject.name, images, f"{case.layers} ({self.heatmaps})", f"`{case.method}`", size, self.dtype]
        return [*what, self.way, ms(self.bare), str(self.ratio), f"{self.least:.3f}", f"{self.overhead.median:.1f}"]


HEADER = [
    *("model", "images", "layers (heatmaps)", "method", "size", "dtype"),
    *("how", "bare", "× bare", "floor, × bare", "overhead, × floor"),
]


# Measuring ---------------------------------------------------------------------------------------------------------


def over_floor(samples: Samples, name: str, least: float) -> Spread:
    """Return a contender's time less the bare model's, within each round, as a multiple of the floor."""
    return Spread.of(np.subtract(samples.seconds[name], samples.seconds[BARE]) / least)


def measure_case(
    case: Case, model: Any, images: np.ndarray, machine: floor.Machine, report: Report
) -> tuple[list[Row], Samples]:
    """Return a row for each way and dtype, which take turns with the bare model, and the samples."""
    kinds = {f"{way}, {dtype}": (way, dtype) for way in case.ways for dtype in case.dtypes}
    explained = {
        name: vc.attach(model, case.layers, method=case.method, size=case.size, heatmap_dtype=dtype, **WAYS[way])
        for name, (way, dtype) in kinds.items()
    }
    fastest_way = WAYS[max(case.ways, key=list(WAYS).index)]
    dtypes = case.dtypes if case.target else ()
    reading = {f"{READS}, {dtype}": Reads(model, case.layers, dtype, 2, **fastest_way) for dtype in dtypes}
    models = {BARE: model, **explained, **reading}
    calls = {name: CALLERS[case.caller](one, images) for name, one in models.items()}
    check_case(case, calls, explained, images, report)
    samples = take_turns(calls, case.rounds)
    size = images.shape[1:3] if case.size else None
    rows = []
    for name, (way, dtype) in kinds.items():
        shapes = floor.tapped_shapes(explained[name], images)
        least, twice = (floor.seconds(machine, shapes, size, dtype, reads) for reads in (1, 2))
        ratio, overhead = samples.ratio(name, over=BARE), over_floor(samples, name, least)
        alone = samples.ratio(f"{READS}, {dtype}", over=BARE) if reading else None
        rows.append(Row(case, way, dtype, len(shapes), samples.time(BARE), ratio, least, twice, overhead, alone))
    return rows, samples


def check_case(
    case: Case, calls: Mapping[str, Contender], explained: Mapping[str, vc.ExplainedModel], images: Any, report: Report
) -> None:
    """Check the outputs of everything that is timed."""
    what = f"{case.subject.name}, batch {len(images)}, {case.layers}, {case.method}"
    bare = np.asarray(calls[BARE]())
    # Relative to the largest: without batch normalization random weights give a thousand nearly equal probabilities.
    if len(bare) > 1:
        checks.require_variety(f"{what}, bare, predictions", bare / np.max(np.abs(bare)))
    for name, call in calls.items():
        if name in explained:
            check_outputs(f"{what}, {name}", call(), bare, explained[name], images, report)
        elif name != BARE:
            checks.difference(f"{what}, {name}, predictions", call()["predictions"], bare, 1e-6)


def check_outputs(
    what: str, outputs: Mapping[str, Any], bare: np.ndarray, explained: vc.ExplainedModel, images: Any, report: Report
) -> None:
    """Compare predictions with the bare model's, and the first image's heatmaps with NumPy's."""
    error = checks.difference(f"{what}, predictions", outputs["predictions"], bare, 1e-6)
    report.note("predictions", error)
    method, dtype = explained.taps[0].method.name, explained.options.heatmap_dtype
    if method not in checks.FUSIONS:
        return  # methods that explain a class are checked in `benchmarks.classes`
    expected = checks.expected_heatmaps(explained, images[0], method, explained.options.size is not None)
    scale = 255 if dtype == "uint8" else 1
    for key, want in expected.items():
        got = np.asarray(outputs[key][0]) / scale
        error = checks.difference(f"{what}, {key}", got, want, 1e-4 + checks.ROUNDING[dtype])
        report.note(f"{dtype} heatmaps", error)


def measure_subject(
    subject: Subject, cases: Sequence[Case], machine: floor.Machine, report: Report
) -> dict[str, list[Row]]:
    """Return the rows of each table for one model."""
    model, images = subject.make()
    found: dict[str, list[Row]] = {}
    for case in cases:
        rows, samples = measure_case(case, model, images, machine, report)
        found.setdefault(case.table, []).extend(rows)
        key = f"{case.table}, {subject.name}, {subject.batch}, {case.layers}, {case.method}, {case.size}, {case.caller}"
        report.raw[key] = samples
        progress(key)
        gc.collect()
    return found


# Reporting ---------------------------------------------------------------------------------------------------------

INTRODUCTION = (
    "The time of the explained model over that of the bare model, which take turns: medians (and quartiles) of the "
    "ratios within each round. The weights are random; the call is a `tf.function` on a tensor, except in the table of "
    "`predict`. The **floor** is the time to read each tapped feature map once and to write each heatmap once, at the "
    "speed at which this machine copies memory: {machine}. The last column is the time that heatmaps add to the bare "
    f"model's, as a multiple of the floor. *{AFTER}*: `after_activation=True`; *{XLA}*: `jit_compile=True`; "
    "*XLA for heatmaps and fused blocks*: `compile_fused_blocks=True` as well, which also compiles a part of the model "
    "itself, so that it may add less than the floor, or even less than nothing."
)


def fastest(rows: Sequence[Row]) -> dict[str, tuple[Spread, str]]:
    """Return the fastest way by the key of each target, with a remark that names it."""
    found = {}
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.case.target:
            groups.setdefault(f"{row.case.target}, {row.dtype}", []).append(row)
    for name, group in groups.items():
        best = min(group, key=lambda row: row.ratio.median)
        found[name] = (best.ratio, best.remark)
    return found


def summary(rows: Sequence[Row]) -> Table:
    """Return the table of the README: the fastest way for each model."""
    columns = [("last", "float32"), ("stages", "float32"), ("conv", "float32"), ("conv", "uint8")]
    subjects = dict.fromkeys(row.case.subject.name for row in rows)
    lines = []
    for name in subjects:
        cells = [name]
        for layers, dtype in columns:
            ways = [r for r in rows if (r.case.subject.name, r.case.layers, r.dtype) == (name, layers, dtype)]
            best = min(ways, key=lambda row: row.ratio.median, default=None)
            cells.append(f"{best.ratio.median:.2f} ({best.way})" if best else "")
        lines.append(cells)
    header = ["model", *(f'`"{layers}"`, {dtype}' for layers, dtype in columns)]
    return Table("overhead-summary", header, lines)


def measure_grid(grid: Grid) -> Report:
    """Measure all cases of a grid."""
    report = Report("What heatmaps cost beside the bare model")
    machine = floor.Machine.measured(grid.copied)
    report.notes["copying"] = str(machine)
    rows: dict[str, list[Row]] = {}
    for subject, cases in grid.by_subject():
        for name, found in measure_subject(subject, cases, machine, report).items():
            rows.setdefault(name, []).extend(found)
    report.for_targets = fastest([row for found in rows.values() for row in found])
    report.sections = [INTRODUCTION.format(machine=machine)]
    for name, title in grid.tables.items():
        report.sections += [f"## {title}", Table(f"overhead-{name}", HEADER, [row.cells() for row in rows[name]])]
    report.sections += ["## The fastest way for each model", summary(rows["main"])]
    report.raw["machine"] = machine
    return report


def measure(quick: bool) -> Report:
    """Measure what heatmaps cost beside the bare model and the memory floor."""
    return measure_grid(QUICK if quick else FULL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it."""
    return command("overhead", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
