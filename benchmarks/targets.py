"""The targets, and what the last run measured for each: ``python -m benchmarks.targets``.

It measures nothing itself: it reads what the other tables have left in the folder of results.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import checks
from benchmarks.report import Report, Table, command, parser
from benchmarks.timing import Spread

TABLES = ("overhead", "fusions", "classes", "peers", "tflite", "startup")


@dataclass(frozen=True)
class Target:
    """One line.

    Attributes:
        work: what is done.
        key: under which a table reports it.
        limit: the largest ratio, or the smallest one where ``least``.
    """

    work: str
    key: str
    limit: float
    least: bool = False
    unit: str = "×"

    def met(self, measured: float) -> bool:
        """Whether the median holds it."""
        return measured >= self.limit if self.least else measured <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.least else '≤'} {self.limit:g} {self.unit}"


def _targets() -> list[Target]:
    found = [Target("`deviation`, `stages`, MobileNetV2 batch 16", "stages, MobileNetV2, float32", 1.12)]
    for name, limits in {"MobileNetV2": (1.5, 1.25), "ResNet50": (1.2, 1.1)}.items():
        for dtype, limit in zip(("float32", "uint8"), limits, strict=True):
            found.append(Target(f"`deviation`, `conv`, {dtype}, {name} batch 16", f"conv, {name}, {dtype}", limit))
    for method in ("deviation", "mean", "mean_abs", "max", "l2", "std", "eigen"):
        work = f"overhead over the floor, `{method}`, `stages`, MobileNetV2"
        found.append(Target(work, f"over the floor, {method}", 2))
    for name in ("MobileNetV2", "ResNet50"):
        for batch in (1, 8, 32):
            work = f"`gradcam`, last map, {name} batch {batch}, over bare"
            found.append(Target(work, f"gradcam, {name}, {batch}", 1.03))
            work = f"`reciprocam`, last map, {name} batch {batch}, over bare"
            found.append(Target(work, f"reciprocam, {name}, {batch}", 1.25))
    for batch, limit in {1: 12, 8: 6, 32: 4}.items():
        key = f"tf-keras-vis, gradcam, MobileNetV2, {batch}"
        found.append(Target(f"tf-keras-vis Grad-CAM over ours, MobileNetV2 batch {batch}", key, limit, least=True))
    found += [
        Target(
            "tf-keras-vis Score-CAM over ours, all channels",
            "tf-keras-vis, scorecam, MobileNetV2 at 96², 1",
            1.5,
            least=True,
        ),
        Target("the same, 32 channels", "tf-keras-vis, scorecam of some channels, MobileNetV2, 1", 1.5, least=True),
        Target("`scorecam`, all channels, over `reciprocam`", "scorecam over reciprocam", 100, least=True),
        Target("the seed over ours, per image at batch 256", "the seed over ours, per image", 200, least=True),
    ]
    for name in ("MobileNetV2", "EfficientNetB0"):
        for threads in (1, 2):
            for file, limit in {"stages": 1.12, "gradcam": 1.05}.items():
                key = f"tflite {file}, {name}, float32, {threads} thread(s)"
                found.append(Target(f"TFLite `{file}`, {name}, {threads} thread(s), over bare", key, limit))
    found += [
        Target("import of `visualcnn_tf` over TensorFlow and Keras", "import, ms", 50, unit="ms"),
        Target("`attach` + first predict over the bare one, ResNet50 `stages`", "first predict, s more", 2, unit="s"),
    ]
    return found


TARGETS = _targets()


def measured(folder: Path, quick: bool) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """What the tables have reported, by key, and the run of each table."""
    reach: dict[str, dict[str, Any]] = {}
    runs = {}
    for name in TABLES:
        path = folder / f"{name}{'-quick' if quick else ''}.json"
        if path.exists():
            content = json.loads(path.read_text(encoding="utf-8"))
            reach |= content["reach"]
            runs[name] = content["conditions"]["run"]
    return reach, runs


def lines(reach: dict[str, dict[str, Any]]) -> list[list[str]]:
    """One for each target."""
    found = []
    for target in TARGETS:
        got = reach.get(target.key)
        if got is None:
            found.append([target.work, str(target), "not measured", "", ""])
            continue
        spread = Spread(got["low"], got["median"], got["high"])
        met = "met" if target.met(spread.median) else "**not met**"
        found.append([target.work, str(target), str(spread), met, got["remark"]])
    return found


def report_on(folder: Path, quick: bool) -> Report:
    """The targets from the reports in a folder."""
    reach, runs = measured(folder, quick)
    if not reach:
        raise checks.MismatchError(f"no results in {folder}")
    report = Report("Targets")
    rows = lines(reach)
    met = sum(row[3] == "met" for row in rows)
    same = len(set(runs.values())) == 1
    report.raw["runs"] = runs
    report.sections = [
        f"{met} of {len(rows)} are met. "
        + ("All tables are of one run." if same else f"Tables of several runs: {runs}."),
        Table("targets", ["work", "target", "measured", "", "remark"], rows),
    ]
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the report and writes it."""
    options = parser("targets", __doc__ or "").parse_args(arguments)
    return command("targets", lambda quick: report_on(options.out, quick), arguments)


if __name__ == "__main__":
    sys.exit(main())
