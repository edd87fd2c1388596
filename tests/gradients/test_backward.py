"""The rules of the backward walk, each against TensorFlow, finite differences and in LiteRT."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.gradient_cases import activations as backward_cases_activations
from support.gradient_cases import convolution as backward_cases_convolution
from support.gradient_cases import elementwise as backward_cases_elementwise
from support.gradient_cases import layers as backward_cases_layers
from support.gradient_cases import linear as backward_cases_linear
from support.gradient_cases import pooling as backward_cases_pooling
from support.gradient_cases import shape as backward_cases_shape
from support.gradient_cases import spatial_layers as backward_cases_spatial_layers
from support.gradient_cases.check import Case, check_against_tensorflow, check_finite_differences, check_in_tflite

from visualcnn_tf.gradients.rules import FLAT, RULES

PAGE = Path(__file__).parents[2] / "docs" / "backward.md"

FAMILIES: dict[str, dict[str, Case]] = {
    "convolution": backward_cases_convolution.CASES,
    "activations": backward_cases_activations.CASES,
    "elementwise": backward_cases_elementwise.CASES,
    "layers": backward_cases_layers.CASES,
    "linear": backward_cases_linear.CASES,
    "pooling": backward_cases_pooling.CASES,
    "shape": backward_cases_shape.CASES,
    "spatial_layers": backward_cases_spatial_layers.CASES,
}
CASES = {f"{family}-{name}": case for family, cases in FAMILIES.items() for name, case in cases.items()}
BATCHES = {
    f"{family}-{start}": dict(list(convertible.items())[start : start + 10])
    for family, cases in FAMILIES.items()
    if (convertible := {name: case for name, case in cases.items() if case.tflite})
    for start in range(0, len(convertible), 10)
}


@pytest.mark.parametrize("unknown_batch", [False, True], ids=["static", "unknown_batch"])
@pytest.mark.parametrize("name", CASES)
def test_equals_tensorflow(name: str, unknown_batch: bool) -> None:
    check_against_tensorflow(CASES[name], unknown_batch)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.smooth])
def test_equals_finite_differences(name: str) -> None:
    check_finite_differences(CASES[name])


@pytest.mark.parametrize("name", BATCHES)
def test_in_tflite(name: str) -> None:
    check_in_tflite(BATCHES[name])


def test_every_rule_has_a_case() -> None:
    assert (set(RULES) | FLAT) - {op for case in CASES.values() for op in case.ops} == set()


def test_the_page_lists_every_rule() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    named = [name for row in rows for name in re.findall(r"`([A-Z]\w*)`", row.split("|")[2])]
    assert sorted(named) == sorted(set(RULES) | FLAT)
