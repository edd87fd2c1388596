"""What the benchmark of overheads measures, and in how many rounds."""

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
#: The network of the earlier package's example.
EARLIER_CNN = "the CNN of the earlier package"
#: How heatmaps are asked for, the fastest way last.
PLAIN, AFTER, XLA = "plain", "after activation", "XLA for heatmaps"
AFTER_XLA, AFTER_BLOCKS = f"{AFTER}, {XLA}", f"{AFTER}, {XLA} and fused blocks"


def subject(name: str, batch: int) -> Subject:
    """Return a network with random weights."""
    return Subject(name, build_cnn if name == EARLIER_CNN else lambda: _APPLICATIONS[name](weights=None), batch)


@dataclass(frozen=True)
class Case:
    """One bare model, and the explained ones that take turns with it.

    Attributes:
        table: The table that its rows go into.
        layers: What ``attach`` gets as ``layers``.
        size: What ``attach`` gets as ``size``.
        ways: How heatmaps are asked for, each with each of the dtypes.
        target: The key of the target that it is measured for, "" for none.
    """

    table: str
    subject: Subject
    layers: str
    method: str = "deviation"
    size: str | None = "input"
    dtypes: Sequence[str] = ("float32", "uint8")
    ways: Sequence[str] = (PLAIN, XLA)
    caller: str = "tf.function"
    rounds: int = 11
    target: str = ""

    @property
    def edge(self) -> int:
        """Height and width of the input."""
        return 28 if self.subject.name == EARLIER_CNN else 224


@dataclass(frozen=True)
class Grid:
    """Cases, the titles of their tables by name, and how many bytes are copied to measure the machine's speed."""

    tables: Mapping[str, str]
    cases: Sequence[Case]
    copied: int

    def by_subject(self) -> Iterator[tuple[Subject, list[Case]]]:
        """Yield each model with its cases, so that it is built once."""
        groups: dict[tuple[str, int], list[Case]] = {}
        for case in self.cases:
            groups.setdefault((case.subject.name, case.subject.batch), []).append(case)
        for cases in groups.values():
            yield cases[0].subject, cases


TABLES = {
    "main": "`deviation`, heatmaps of the input's size",
    "batch1": "One image",
    "methods": "`mean`, and `gradcam` at the last map",
    "native": "Heatmaps of the feature maps' size",
    "predict": "By Keras's `predict`, from arrays to arrays",
}
_CONV = (PLAIN, AFTER, AFTER_BLOCKS, AFTER_XLA)
# Networks without batch normalization have no fused blocks. ResNet50 gains next to nothing by compiling them, and with
# random weights its predictions differ by rounding of 1.1e-6, more than the check allows.
_WITH_BLOCKS = ("MobileNetV2", "EfficientNetB0")
_F32 = ("float32",)


def _conv(name: str, *ways: str) -> list[str]:
    """Return the ways without compiled blocks where a network has none, or gains nothing."""
    return [way for way in ways if name in _WITH_BLOCKS or way != AFTER_BLOCKS]


def _main(name: str, batch: int, rounds: int, plain: bool = True) -> list[Case]:
    """Return the cases of the main table: the three presets, `conv` without the plain way if not ``plain``."""
    one = subject(name, batch)
    has_target = name in ("MobileNetV2", "ResNet50")
    conv = _conv(name, *(_CONV if plain else _CONV[1:]))
    return [
        Case("main", one, "last", ways=(PLAIN,), dtypes=_F32, rounds=rounds),
        Case("main", one, "stages", rounds=rounds, target=f"stages, {name}" if has_target else ""),
        Case("main", one, "conv", ways=conv, rounds=rounds, target=f"conv, {name}" if has_target else ""),
    ]


def _full() -> list[Case]:
    cases = _main(EARLIER_CNN, 256, 15) + _main("MobileNetV2", 16, 31) + _main("ResNet50", 16, 21)
    cases += _main("VGG16", 16, 3, plain=False) + _main("EfficientNetB0", 16, 5)
    for name, rounds in {EARLIER_CNN: 51, "MobileNetV2": 21, "ResNet50": 9, "VGG16": 5, "EfficientNetB0": 11}.items():
        one = subject(name, 1)
        cases.append(Case("batch1", one, "stages", dtypes=_F32, rounds=rounds))
        cases.append(Case("batch1", one, "conv", dtypes=_F32, ways=_conv(name, PLAIN, *_CONV[2:]), rounds=rounds))
    for name, batch, rounds in ((EARLIER_CNN, 256, 11), ("MobileNetV2", 16, 7), ("ResNet50", 16, 5)):
        one = subject(name, batch)
        cases += [
            Case("methods", one, "stages", "mean", dtypes=_F32, rounds=rounds),
            Case("methods", one, "last", "gradcam", dtypes=_F32, ways=(PLAIN,), rounds=rounds),
            Case("native", one, "conv", size=None, dtypes=_F32, ways=(PLAIN, AFTER_XLA), rounds=rounds),
        ]
    for name, rounds in {"VGG16": 3, "EfficientNetB0": 5}.items():
        cases.append(Case("methods", subject(name, 16), "last", "gradcam", dtypes=_F32, ways=(PLAIN,), rounds=rounds))
    for layers in ("stages", "conv"):
        one = subject("MobileNetV2", 16)
        cases.append(Case("predict", one, layers, ways=(PLAIN, *_CONV[2:]), caller="predict", rounds=7))
    return cases


def _quick() -> list[Case]:
    one = subject(EARLIER_CNN, 4)
    return [
        Case("main", one, "last", ways=(PLAIN,), dtypes=_F32, rounds=3),
        Case("main", one, "stages", rounds=3),
        Case("main", one, "conv", ways=_CONV, rounds=3, target="conv, small"),
        Case("batch1", subject(EARLIER_CNN, 1), "conv", dtypes=_F32, ways=(PLAIN,), rounds=3),
        Case("methods", one, "stages", "mean", dtypes=_F32, ways=(PLAIN,), rounds=3),
        Case("methods", one, "last", "gradcam", dtypes=_F32, ways=(PLAIN,), rounds=3),
        Case("native", one, "conv", size=None, dtypes=_F32, ways=(PLAIN,), rounds=3),
        Case("predict", one, "stages", ways=(PLAIN,), dtypes=_F32, caller="predict", rounds=3),
    ]


FULL = Grid(TABLES, _full(), 2**28)
QUICK = Grid(TABLES, _quick(), 2**24)
