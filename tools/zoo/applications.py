"""All architectures of ``keras.applications``, found by looking into the module."""

from __future__ import annotations

import inspect
import re
from typing import Any

import keras

from tools.zoo.subject import Build, Subject, soft

# Tried in this order: the first size counts at which an architecture can be built and its last map exceeds 1×1.
SIZES = (64, 96, 139, 224)
_CLASSES = 10
_VARIANTS = ("Nano", "Tiny", "Mobile", "Small", "S", "Base", "M", "Large", "L", "XLarge")


def architectures() -> dict[str, Build]:
    """Return the architectures by name, the smaller variants of each family first."""
    found = [name for name, one in vars(keras.applications).items() if inspect.isfunction(one)]
    return {name: lambda name=name: application(name) for name in sorted(found, key=_by_size)}


def _by_size(name: str) -> tuple[Any, ...]:
    variant = max((i for i, end in enumerate(_VARIANTS) if name.endswith(end)), default=0)
    [*_, number] = re.findall(r"\d+", name.removesuffix("V2")) or ["0"]
    return variant, int(number), name


def application(name: str) -> Subject:
    """Return an architecture with random weights, on images as small as possible."""
    build = getattr(keras.applications, name)
    size = next(size for size in SIZES if _fits(build, size))
    model = build(weights=None, input_shape=(size, size, 3), classes=_CLASSES)
    return Subject(model, soft(size, size, 3, high=255.0))


def _fits(build: Any, size: int) -> bool:
    try:
        body = build(weights=None, input_shape=(size, size, 3), include_top=False)
    except ValueError:  # "Input size must be at least ..."
        return False
    return min(body.output_shape[1:3]) > 1
