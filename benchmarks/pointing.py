"""Measure whether the map of a digit points at that digit, of two on a canvas: ``python -m benchmarks.pointing``.

Small networks are trained here, without a network connection: CNNs that classify both digits, vision transformers that
do so, a U-Net that finds their pixels, and a detector that finds their boxes. For each canvas of a held-out set, the
first digit is explained; the largest value of the map should lie in that digit's box. A map of zeros points nowhere.
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
from benchmarks import pictures, trained
from benchmarks.composites import BOX, HEADS, SIZE, Composites, accuracy, held_out, train
from benchmarks.report import Table
from benchmarks.timing import conditions
from benchmarks.ways import WAYS

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
#: The share that the default of each family must reach.
REQUIRED_OF_FAMILIES = 0.90
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Size:
    """How much is trained and explained.

    Attributes:
        composites: How many canvases are explained.
        epochs: How long the CNNs are trained.
        count: The number of canvases in each epoch.
        seeds: How many models of each other family are trained.
        family_epochs: How long these are trained; as their recipes say if None.
    """

    composites: int
    epochs: int
    count: int
    seeds: int
    family_epochs: int | None = None


FULL = Size(composites=200, epochs=10, count=2048, seeds=3)
QUICK = Size(composites=12, epochs=1, count=64, seeds=1, family_epochs=1)


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


@dataclass(frozen=True)
class Family:
    """Some trained models of a family.

    Attributes:
        name: What it is called.
        good: How good each model is, and the share of what that is.
        ways: By the name of each way to explain: where the maps of each model point.
    """

    name: str
    good: tuple[list[float], str]
    ways: dict[str, list[Pointing]]

    @property
    def default(self) -> float:
        """The share of maps by the default of the family that point at the explained digit."""
        [name] = [way.label for way in WAYS[self.name] if way.default]
        return share(self.ways[name])


def share(found: Sequence[Pointing], digit: str = "explained") -> float:
    """Return the mean share over all models."""
    return float(np.mean([getattr(one, digit) for one in found]))


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


def measure_families(size: Size, seed: int, folder: Path) -> list[Family]:
    """Return the results for each other family, of several models each, which are kept in a folder."""
    found = []
    for name, recipe in trained.RECIPES.items():
        pairs = held_out(size.composites, recipe.grid)
        good: list[float] = []
        ways: dict[str, list[Pointing]] = {way.label: [] for way in WAYS[name]}
        for one in range(seed, seed + size.seeds):
            model = trained.kept(name, count=size.count, seed=one, epochs=size.family_epochs, folder=folder)
            good.append(recipe.judge(model, pairs))
            for way in WAYS[name]:
                ways[way.label].append(pointing(way(model, pairs, 0), pairs))
            print(f"{name}, seed {one}: {good[-1]:.1%} {recipe.good}", file=sys.stderr)
        found.append(Family(name, (good, recipe.good), ways))
    return found


def report(heads: Sequence[Head], families: Sequence[Family], size: Size, before: dict[str, str]) -> str:
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
        Table("pointing", header, lines),
        *_family_sections(families, size),
    ]
    return "\n\n".join(map(str, sections)) + "\n"


def _family_sections(families: Sequence[Family], size: Size) -> list[str | Table]:
    """Return the part of the report about other families than CNNs."""
    lines = []
    for family in families:
        for way in WAYS[family.name]:
            found = family.ways[way.label]
            each = ", ".join(f"{one.explained:.1%}" for one in found)
            label = f"{way.label}{' (default)' if way.default else ''}"
            lines.append([family.name, label, f"{share(found):.1%}", f"{share(found, 'other'):.1%}", each])
    trainings = "; ".join(
        f"{one.name}: {np.mean(one.good[0]):.1%} {one.good[1]} ({', '.join(f'{part:.1%}' for part in one.good[0])})"
        for one in families
    )
    return [
        "## Transformers, segmentation, detection",
        "CNNs and vision transformers with ten sigmoid units, a U-Net that classifies each pixel, and a detector with "
        "a dense head, of which the box with the largest score of the digit is explained. The hybrid transformers "
        "have 7×7 tokens, made of the CNN's last feature map. Those of pure patches have 4×4 tokens, and their digits "
        f"cover most of 2×2 patches each. {size.seeds} models each, from other random seeds. What counts is the middle "
        "of the position with the largest value, before maps are enlarged.",
        f"The models: {trainings}.",
        Table("pointing-families", ["model", "explained by", "explained", "other", "each model"], lines),
    ]


def _shares(found: Pointing) -> tuple[float, float, float]:
    return found.explained, found.other, found.elsewhere


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report, write it and the pictures; return 1 if Grad-CAM points at too few digits."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pointing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little training, few canvases: only check that it works")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the training; default: %(default)s")
    parser.add_argument("--out", type=Path, default=_ROOT / "benchmarks" / "results", help="folder of the report")
    parser.add_argument(
        "--models", type=Path, default=trained.FOLDER, help="trained models of other families; default: %(default)s"
    )
    parser.add_argument("--docs", type=Path, default=_ROOT / "docs", help="folder of the pictures")
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else FULL
    before = conditions()
    heads, models = measure(size, options.seed)
    families = measure_families(size, options.seed, options.models)
    markdown = report(heads, families, size, before)
    print(markdown)
    options.out.mkdir(parents=True, exist_ok=True)
    # A quick run must not replace the kept files.
    stem = "pointing-quick" if options.quick else "pointing"
    (options.out / f"{stem}.md").write_text(markdown, encoding="utf-8")
    raw = {"conditions": before, "heads": [*map(asdict, heads)], "families": [*map(asdict, families)]}
    (options.out / f"{stem}.json").write_text(json.dumps(raw, indent=1), encoding="utf-8")
    draw(models[next(iter(HEADS))], (options.out if options.quick else options.docs), stem)
    missed = [] if options.quick else too_few(heads, families)
    print("\n".join(missed), file=sys.stderr)
    return 1 if missed else 0


def too_few(heads: Sequence[Head], families: Sequence[Family]) -> list[str]:
    """Return a line for each default that points at the digit less often than required."""
    shares = {"gradcam": (heads[0].methods["gradcam"].explained, REQUIRED)}
    shares |= {f"the default of {family.name}": (family.default, REQUIRED_OF_FAMILIES) for family in families}
    return [
        f"{name} points at the digit in {reached:.1%}, required {required:.0%}."
        for name, (reached, required) in shares.items()
        if reached < required
    ]


def draw(model: Any, folder: Path, stem: str) -> None:
    """Write the pictures of the documents: six examples of Grad-CAM, and four methods on one of them."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = held_out(pictures.EXAMPLES)
    maps = [explain(model, pairs, digit, pictures.METHODS) for digit in (0, 1)]
    pictures.examples(pairs, [found["gradcam"] for found in maps]).savefig(folder / f"{stem}.png", dpi=pictures.DPI)
    pictures.methods(pairs, maps).savefig(folder / f"{stem.replace('pointing', 'classes')}.png", dpi=pictures.DPI)


if __name__ == "__main__":
    sys.exit(main())
