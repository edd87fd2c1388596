"""Compare the last results with the targets: ``python -m benchmarks.targets``.

Nothing is measured here: the JSON files of the other benchmarks are read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import checks
from benchmarks.report import Report, Table, command, parser
from benchmarks.timing import Spread

BENCHMARKS = ("overhead", "fusions", "classes", "transformers", "peers", "batch", "tflite", "startup", "photos")


@dataclass(frozen=True)
class Target:
    """A limit for one measured value.

    Attributes:
        work: What is measured.
        key: The key under which a benchmark reports it.
        limit: The largest allowed value, or the smallest one if ``least``.
        least: Whether the limit is a lower one.
        unit: The unit of the limit.
    """

    work: str
    key: str
    limit: float
    least: bool = False
    unit: str = "×"

    def met(self, measured: float) -> bool:
        """Return whether a measured median is within the limit."""
        return measured >= self.limit if self.least else measured <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.least else '≤'} {self.limit:g} {self.unit}"


def _activation_targets() -> Iterator[Target]:
    """Yield the targets of `benchmarks.overhead` and `benchmarks.fusions`."""
    yield Target("`deviation`, `stages`, MobileNetV2 batch 16", "stages, MobileNetV2, float32", 1.12)
    for name, limits in {"MobileNetV2": (1.5, 1.25), "ResNet50": (1.2, 1.1)}.items():
        for dtype, limit in zip(("float32", "uint8"), limits, strict=True):
            yield Target(f"`deviation`, `conv`, {dtype}, {name} batch 16", f"conv, {name}, {dtype}", limit)
    for method in ("deviation", "mean", "mean_abs", "max", "l2", "std", "eigen"):
        yield Target(f"overhead, × floor, `{method}`, `stages`, MobileNetV2", f"over the floor, {method}", 2)


def _class_targets() -> Iterator[Target]:
    """Yield the targets of `benchmarks.classes`."""
    for name in ("MobileNetV2", "ResNet50"):
        for batch in (1, 8, 32):
            for method, limit in {"gradcam": 1.03, "reciprocam": 1.25}.items():
                work = f"`{method}`, last map, {name} batch {batch}, over bare"
                yield Target(work, f"{method}, {name}, {batch}", limit)
    yield Target("`scorecam`, all channels, over `reciprocam`", "scorecam over reciprocam", 100, least=True)


def _family_targets() -> Iterator[Target]:
    """Yield the targets of `benchmarks.transformers`."""
    for name in ("ViT-Ti/16", "ViT-S/16"):
        for batch in (1, 8):
            for method, limit in {"gradcam": 1.03, "gradientrollout": 1.5}.items():
                work = f"`{method}` of tokens, {name} batch {batch}, over bare"
                yield Target(work, f"{method}, {name}, {batch}", limit)
    for batch in (1, 8):
        for way in ("bare", "gradcam"):
            key = f"graph, {way}, MobileNetV2, {batch}"
            yield Target(f"MobileNetV2 loaded as a graph, {way}, batch {batch}, over Keras", key, 1.03)


def _peer_targets() -> Iterator[Target]:
    """Yield the targets of `benchmarks.peers`."""
    for batch, limit in {1: 12, 8: 6, 32: 4}.items():
        work = f"tf-keras-vis Grad-CAM over ours, MobileNetV2 batch {batch}"
        yield Target(work, f"tf-keras-vis, gradcam, MobileNetV2, {batch}", limit, least=True)
    for channels, key in {
        "all": "tf-keras-vis, scorecam, MobileNetV2 at 96², 1",
        "32": "tf-keras-vis, scorecam of some channels, MobileNetV2, 1",
    }.items():
        yield Target(f"tf-keras-vis Score-CAM over ours, {channels} channels", key, 1.5, least=True)
    key = "the earlier package over ours, per image"
    yield Target(f"{key} at batch 256", key, 200, least=True)


def _other_targets() -> Iterator[Target]:
    """Yield the targets of `benchmarks.batch`, `benchmarks.tflite`, `benchmarks.startup` and `benchmarks.photos`."""
    for name in ("MobileNetV2", "EfficientNetB0"):
        for count, threads in {1: "1 thread", 2: "2 threads"}.items():
            for file, limit in {"stages": 1.12, "gradcam": 1.05}.items():
                key = f"tflite {file}, {name}, float32, {count}"
                yield Target(f"TFLite `{file}`, {name}, {threads}, over bare", key, limit)
    for key, limit in {"job over bare, one worker": 0.9, "two workers over one": 1.8}.items():
        yield Target(f"images a second of batch jobs, {key}", key, limit, least=True)
    yield Target("import of `visualcnn_tf` after TensorFlow and Keras", "import, ms", 50, unit="ms")
    work = "`attach` and first `predict`, less the bare one, ResNet50 `stages`"
    yield Target(work, "first predict, s more", 2, unit="s")
    yield Target("`visualcnn show`, 200 photos, MobileNetV2, `stages`", "photos, s", 15, unit="s")
    yield Target("the same, memory after the imports", "photos, MB", 1000, unit="MB")


TARGETS = (
    *_activation_targets(),
    *_class_targets(),
    *_family_targets(),
    *_peer_targets(),
    *_other_targets(),
)


def measured(folder: Path, quick: bool) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return what the benchmarks reported, by key, and the name of each benchmark's run."""
    found: dict[str, dict[str, Any]] = {}
    runs = {}
    for name in BENCHMARKS:
        path = folder / f"{name}{'-quick' if quick else ''}.json"
        if path.exists():
            content = json.loads(path.read_text(encoding="utf-8"))
            found |= content["for_targets"]
            runs[name] = content["conditions"]["run"]
    return found, runs


def lines(results: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Return a row for each target."""
    found = []
    for target in TARGETS:
        got = results.get(target.key)
        if got is None:
            found.append([target.work, str(target), "not measured", "", ""])
            continue
        spread = Spread(got["low"], got["median"], got["high"])
        met = "met" if target.met(spread.median) else "**not met**"
        found.append([target.work, str(target), str(spread), met, got["remark"]])
    return found


def report_on(folder: Path, quick: bool) -> Report:
    """Compare the results in a folder with the targets."""
    results, runs = measured(folder, quick)
    if not results:
        raise checks.MismatchError(f"no results in {folder}")
    report = Report("Targets")
    rows = lines(results)
    met = sum(row[3] == "met" for row in rows)
    same = len(set(runs.values())) == 1
    report.raw["runs"] = runs
    report.sections = [
        f"{met} of {len(rows)} are met. "
        + ("All results are of one run." if same else f"The results are of several runs: {runs}."),
        Table("targets", ["work", "target", "measured", "", "remark"], rows),
    ]
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it."""
    options = parser("targets", __doc__ or "").parse_args(arguments)
    return command("targets", lambda quick: report_on(options.out, quick), arguments)


if __name__ == "__main__":
    sys.exit(main())
