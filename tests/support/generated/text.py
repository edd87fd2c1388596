"""A generated model, and how it is explained, in one line: what a failure is told by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def text(case: Any) -> str:
    """Return a case in one line."""
    design = case.design
    branches = "; ".join(_branch(design, name) for name in design.inputs)
    options = {key: getattr(value, "__name__", value) for key, value in case.options.items()}
    how = ", ".join(f"{key}={value!r}" for key, value in options.items())
    outputs = "/".join(output.name for output in design.outputs)
    refused = "" if case.refused is None else f" -> {case.refused.__name__}"
    style = f"{design.kind}, {design.style}{' dict' if design.as_dict else ''}"
    attach = f"attach({case.layers!r}, method={case.method!r}, {how}), {' '.join(case.called)}{refused}"
    return f"seed {case.seed}: {style}: {branches} -> {outputs}; {attach}"


def _branch(design: Any, name: str) -> str:
    branch = design.branch(name)
    steps = [*branch.each.before, *branch.each.steps] if branch.each else branch.steps
    how = f" {branch.each.how}" if branch.each else ""
    return f"{name} {branch.shape} {branch.dtype}{how}: {' '.join(_layers(steps))}"


def _layers(steps: Sequence[Any]) -> list[str]:
    """Return the names of all layers, with what tells where a map lies."""
    found = []
    for step in steps:
        cells = f"{list(step.cells)}" if hasattr(step, "cells") else ""
        if hasattr(step, "style"):
            found.append(f"{step.name}({step.style}: {' '.join(_layers(step.steps))})")
        elif step.layers:
            found += [layer.name + cells + _window(layer) for layer in step.layers]
        else:
            found.append(f"cells{cells}")
    return found


def _window(layer: Any) -> str:
    """Return sizes, strides and padding of a convolution or pooling."""
    size = getattr(layer, "kernel_size", getattr(layer, "pool_size", None))
    return "" if size is None else f"({size[0]} /{layer.strides[0]} {layer.padding})"
