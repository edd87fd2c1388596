"""Each gradient rule, compared with TensorFlow's own gradient and finite differences, and run by LiteRT."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.gradient_cases import (
    activations,
    convolution,
    elementwise,
    layers,
    linear,
    pooling,
    shape,
    spatial_layers,
)
from support.gradient_cases.check import Case, check_against_tensorflow, check_finite_differences, check_in_tflite

from visualcnn_tf.gradients.rules import RULES, ZERO_GRADIENT

PAGE = Path(__file__).parents[2] / "docs" / "gradients.md"

FAMILIES: dict[str, dict[str, Case]] = {
    "convolution": convolution.CASES,
    "activations": activations.CASES,
    "elementwise": elementwise.CASES,
    "layers": layers.CASES,
    "linear": linear.CASES,
    "pooling": pooling.CASES,
    "shape": shape.CASES,
    "spatial_layers": spatial_layers.CASES,
}
CASES = {f"{family}-{name}": case for family, cases in FAMILIES.items() for name, case in cases.items()}
BATCHES = {
    f"{family}-{start}": dict(list(convertible.items())[start : start + 30])
    for family, cases in FAMILIES.items()
    if (convertible := {name: case for name, case in cases.items() if case.tflite})
    for start in range(0, len(convertible), 30)
}


@pytest.mark.sweep
@pytest.mark.parametrize("unknown_batch", [False, True], ids=["static", "unknown_batch"])
@pytest.mark.parametrize("name", CASES)
def test_equals_tensorflow(name: str, unknown_batch: bool) -> None:
    check_against_tensorflow(CASES[name], unknown_batch)


@pytest.mark.sweep(cases=80)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.smooth])
def test_equals_finite_differences(name: str) -> None:
    check_finite_differences(CASES[name])


@pytest.mark.sweep(cases=5)
@pytest.mark.parametrize("name", BATCHES)
def test_in_tflite(name: str) -> None:
    check_in_tflite(BATCHES[name])


def test_every_rule_has_a_case() -> None:
    assert (set(RULES) | ZERO_GRADIENT) - {op for case in CASES.values() for op in case.ops} == set()


def test_the_page_lists_every_rule() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    named = [name for row in rows for name in re.findall(r"`([A-Z]\w*)`", row.split("|")[2])]
    assert sorted(named) == sorted(set(RULES) | ZERO_GRADIENT)
