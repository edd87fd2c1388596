"""Operations on single values."""

from __future__ import annotations

from typing import Any

from visualcnn_tf.backward.node import Node, Rule, summed_to


def _add(node: Node) -> list[Any]:
    return [summed_to(node.gradient, operand, node.output) for operand in node.inputs]


def _mul(node: Node) -> list[Any]:
    a, b = node.inputs
    return [summed_to(node.gradient * b, a, node.output), summed_to(node.gradient * a, b, node.output)]


RULES: dict[str, Rule] = {"AddV2": _add, "Mul": _mul}
