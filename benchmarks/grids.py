"""What the table of overheads measures, and how often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import keras

from benchmarks.models import Subject
from visualcnn_tf.data.digits import build_cnn

_APPLICATIONS = {
    "MobileNetV2": keras.applications.MobileNetV2,
    "ResNet50": keras.applications.ResNet50,
    "VGG16": keras.applications.VGG16,
    "EfficientNetB0": keras.applications.EfficientNetB0,
}
SEED = "the seed's CNN"


def subject(name: str, batch: int) -> Subject:
    """A network with random weights."""
    return Subject(name, build_cnn if name == SEED else lambda: _APPLICATIONS[name](weights=None), batch)


@dataclass(frozen=True)
class Case:
    """One bare model and the heatmaps that take turns with it.

    Attributes:
        table: where its rows stand.
        reach: the target that it is measured for, "" for none.
    """

    table: str
    subject: Subject
    taps: str
    method: str = "deviation"
    size: str | None = "input"
    dtypes: Sequence[str] = ("float32", "uint8")
    ways: Sequence[str] = ("plain", "XLA")
    caller: str = "tf.function"
    rounds: int = 11
    reach: str = ""

    @property
    def edge(self) -> int:
        """Pixels of the input."""
        return 28 if self.subject.name == SEED else 224


@dataclass(frozen=True)
class Grid:
    """Cases, the tables that they stand in, and the bytes that are copied to learn the machine's speed."""

    tables: Mapping[str, str]
    cases: Sequence[Case]
    copied: int

    def by_subject(self) -> Iterator[tuple[Subject, list[Case]]]:
        """The cases of one model together, so that it is made once."""
        groups: dict[tuple[str, int], list[Case]] = {}
        for case in self.cases:
            groups.setdefault((case.subject.name, case.subject.batch), []).append(case)
        for cases in groups.values():
            yield cases[0].subject, cases


TABLES = {
    "main": "`deviation`, size of the input",
    "batch1": "One image",
    "methods": "`mean`, and `gradcam` at the last map",
    "native": "Heatmaps of the maps' own size",
    "predict": "By Keras's `predict`, from arrays to arrays",
}
_CONV = ("plain", "after", "after, XLA+", "after, XLA")
# Without a batch normalization XLA+ is XLA. ResNet50 wins next to nothing by it, and with random weights its
# predictions differ by 1.1e-6 in rounding: more than the check allows.
_PLUS = ("MobileNetV2", "EfficientNetB0")
_F32 = ("float32",)


def _conv(name: str, *ways: str) -> list[str]:
    """Those of the ways that are different ones for a network."""
    return [way for way in ways if name in _PLUS or way != "after, XLA+"]


def _main(name: str, batch: int, rounds: int, plain: bool = True) -> list[Case]:
    """Last, stages and conv; without XLA alone where it was never the best."""
    one = subject(name, batch)
    target = name in ("MobileNetV2", "ResNet50")
    conv = _conv(name, *(_CONV if plain else _CONV[1:]))
    return [
        Case("main", one, "last", ways=("plain",), dtypes=_F32, rounds=rounds),
        Case("main", one, "stages", rounds=rounds, reach=f"stages, {name}" if target else ""),
        Case("main", one, "conv", ways=conv, rounds=rounds, reach=f"conv, {name}" if target else ""),
    ]


def _full() -> list[Case]:
    cases = _main(SEED, 256, 15) + _main("MobileNetV2", 16, 31) + _main("ResNet50", 16, 21)
    cases += _main("VGG16", 16, 3, plain=False) + _main("EfficientNetB0", 16, 5)
    for name, rounds in {SEED: 51, "MobileNetV2": 21, "ResNet50": 9, "VGG16": 5, "EfficientNetB0": 11}.items():
        one = subject(name, 1)
        cases.append(Case("batch1", one, "stages", dtypes=_F32, rounds=rounds))
        cases.append(Case("batch1", one, "conv", dtypes=_F32, ways=_conv(name, "plain", *_CONV[2:]), rounds=rounds))
    for name, batch, rounds in ((SEED, 256, 11), ("MobileNetV2", 16, 7), ("ResNet50", 16, 5)):
        one = subject(name, batch)
        cases += [
            Case("methods", one, "stages", "mean", dtypes=_F32, rounds=rounds),
            Case("methods", one, "last", "gradcam", dtypes=_F32, ways=("plain",), rounds=rounds),
            Case("native", one, "conv", size=None, dtypes=_F32, ways=("plain", "after, XLA"), rounds=rounds),
        ]
    for name, rounds in {"VGG16": 3, "EfficientNetB0": 5}.items():
        cases.append(Case("methods", subject(name, 16), "last", "gradcam", dtypes=_F32, ways=("plain",), rounds=rounds))
    for taps in ("stages", "conv"):
        one = subject("MobileNetV2", 16)
        cases.append(Case("predict", one, taps, ways=("plain", *_CONV[2:]), caller="predict", rounds=7))
    return cases


def _quick() -> list[Case]:
    one = subject(SEED, 4)
    return [
        Case("main", one, "last", ways=("plain",), dtypes=_F32, rounds=3),
        Case("main", one, "stages", rounds=3),
        Case("main", one, "conv", ways=_CONV, rounds=3, reach="conv, small"),
        Case("batch1", subject(SEED, 1), "conv", dtypes=_F32, ways=("plain",), rounds=3),
        Case("methods", one, "stages", "mean", dtypes=_F32, ways=("plain",), rounds=3),
        Case("methods", one, "last", "gradcam", dtypes=_F32, ways=("plain",), rounds=3),
        Case("native", one, "conv", size=None, dtypes=_F32, ways=("plain",), rounds=3),
        Case("predict", one, "stages", ways=("plain",), dtypes=_F32, caller="predict", rounds=3),
    ]


FULL = Grid(TABLES, _full(), 2**28)
QUICK = Grid(TABLES, _quick(), 2**24)
