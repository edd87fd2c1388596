"""Measure whether the map of a digit points at that digit, of two on a canvas: ``python -m benchmarks.pointing``.

Small multi-label networks are trained here, without a network connection. For each canvas of a held-out set, the first
digit is explained; the largest value of the map should lie in that digit's box. A map of zeros points nowhere.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import visualcnn_tf as vc
from benchmarks import pictures
from benchmarks.composites import BOX, HEADS, SIZE, Composites, accuracy, held_out, train
from benchmarks.report import table
from benchmarks.timing import conditions

BASELINE = "deviation"
METHODS = (
    BASELINE,
    "gradcam",
    "gradcam++",
    "hirescam",
    "layercam",
    "xgradcam",
    "eigengradcam",
    "reciprocam",
    "scorecam",
    "ablationcam",
)
#: The share that ``gradcam`` must reach with global pooling, where it is exact.
REQUIRED = 0.95
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Size:
    """How many canvases are explained, and how long the networks are trained on how many canvases."""

    composites: int
    epochs: int
    count: int


FULL = Size(composites=200, epochs=10, count=2048)
QUICK = Size(composites=12, epochs=1, count=64)


@dataclass(frozen=True)
class Pointing:
    """The shares of maps that point at the explained digit, at the other one, and elsewhere."""

    explained: float
    other: float

    @property
    def elsewhere(self) -> float:
        """The share outside both boxes, maps of zeros included."""
        return max(0.0, 1.0 - self.explained - self.other)  # rounding may give less than 0


@dataclass(frozen=True)
class Head:
    """One trained network: its accuracy, its seconds of training, and where the maps of each method point."""

    name: str
    accuracy: float
    seconds: float
    methods: dict[str, Pointing]


def hits(maps: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return whether the largest value of each map ``(N, H, W)`` lies in the box with this upper left corner."""
    rows, columns = np.divmod(maps.reshape(len(maps), -1).argmax(axis=1), maps.shape[2])
    offsets = np.stack([rows, columns], axis=1) - corners
    return ((offsets >= 0) & (offsets < BOX)).all(axis=1) & (maps.max(axis=(1, 2)) > 0)


def pointing(maps: np.ndarray, pairs: Composites) -> Pointing:
    """Return where the maps of the first digit of each canvas point."""
    explained, other = (float(hits(maps, pairs.corners[:, digit]).mean()) for digit in (0, 1))
    return Pointing(explained, other)


def explain(model: Any, pairs: Composites, digit: int, methods: Sequence[str] = METHODS) -> dict[str, np.ndarray]:
    """Return the maps of each method for the first (0) or second (1) digit of each canvas."""
    explained = vc.attach(model, layers="last", method=list(methods), target="input")
    class_index = pairs.digits[:, digit].astype(np.int32)
    outputs = explained.predict({"image": pairs.images, "class_index": class_index}, verbose=0)
    np.testing.assert_array_equal(outputs["explained_class"], class_index)
    return {tap.method.name: outputs[tap.key] for tap in explained.taps}


def measure(size: Size, seed: int) -> tuple[list[Head], dict[str, keras.Model]]:
    """Return the results for each head, and the trained networks."""
    pairs = held_out(size.composites)
    heads, models = [], {}
    for name in HEADS:
        start = time.perf_counter()
        models[name] = train(name, epochs=size.epochs, count=size.count, seed=seed)
        seconds = time.perf_counter() - start
        methods = {method: pointing(maps, pairs) for method, maps in explain(models[name], pairs, 0).items()}
        heads.append(Head(name, accuracy(models[name], pairs), seconds, methods))
        print(f"{name}: measured", file=sys.stderr)
    return heads, models


def report(heads: Sequence[Head], size: Size, before: dict[str, str]) -> str:
    """Return the Markdown report."""
    chance = (BOX / SIZE) ** 2
    networks = "; ".join(
        f"{head.name}: both digits correct in {head.accuracy:.1%}, trained in {head.seconds:.0f} s" for head in heads
    )
    header = ["method"] + [f"{head.name}: {where}" for head in heads for where in ("explained", "other", "elsewhere")]
    lines = [
        [f"`{method}`", *(f"{share:.1%}" for head in heads for share in _shares(head.methods[method]))]
        for method in METHODS
    ]
    sections = [
        "# Where the maps of a class point",
        "\n".join(f"- {name}: {value}" for name, value in before.items()),
        f"Two different handwritten digits in boxes of {BOX}×{BOX} at random positions on a canvas of {SIZE}×{SIZE}, "
        "and the last feature map, 14×14, of a small CNN that was trained to classify both. For each of "
        f'{size.composites} canvases of digits that it has not seen, the first digit is explained (`target="input"`, '
        "`class_index`). The table has the share of maps whose largest value lies in the box of the explained digit, "
        f"in that of the other one, and elsewhere. A random pixel lies in a box with a probability of {chance:.0%}. "
        f"`{BASELINE}` explains no class.",
        f"The networks: {networks}.",
        table(header, lines),
    ]
    return "\n\n".join(sections) + "\n"


def _shares(found: Pointing) -> tuple[float, float, float]:
    return found.explained, found.other, found.elsewhere


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report, write it and the pictures; return 1 if Grad-CAM points at too few digits."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pointing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little training, few canvases: only check that it works")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the training; default: %(default)s")
    parser.add_argument("--out", type=Path, default=_ROOT / "benchmarks" / "results", help="folder of the report")
    parser.add_argument("--docs", type=Path, default=_ROOT / "docs", help="folder of the pictures")
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else FULL
    before = conditions()
    heads, models = measure(size, options.seed)
    markdown = report(heads, size, before)
    print(markdown)
    options.out.mkdir(parents=True, exist_ok=True)
    # A quick run must not replace the kept files.
    stem = "pointing-quick" if options.quick else "pointing"
    (options.out / f"{stem}.md").write_text(markdown, encoding="utf-8")
    raw = {"conditions": before, "heads": [asdict(head) for head in heads]}
    (options.out / f"{stem}.json").write_text(json.dumps(raw, indent=1), encoding="utf-8")
    draw(models[next(iter(HEADS))], (options.out if options.quick else options.docs), stem)
    reached = heads[0].methods["gradcam"].explained
    if reached < REQUIRED and not options.quick:
        print(f"gradcam points at the digit in {reached:.1%}, required {REQUIRED:.0%}.", file=sys.stderr)
        return 1
    return 0


def draw(model: Any, folder: Path, stem: str) -> None:
    """Write the pictures of the documents: six examples of Grad-CAM, and four methods on one of them."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = held_out(pictures.EXAMPLES)
    maps = [explain(model, pairs, digit, pictures.METHODS) for digit in (0, 1)]
    pictures.examples(pairs, [found["gradcam"] for found in maps]).savefig(folder / f"{stem}.png", dpi=pictures.DPI)
    pictures.methods(pairs, maps).savefig(folder / f"{stem.replace('pointing', 'classes')}.png", dpi=pictures.DPI)


if __name__ == "__main__":
    sys.exit(main())
