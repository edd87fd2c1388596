"""All layers inside a model, by path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras


def named_layers(model: Any) -> dict[str, Any]:
    """Every layer and operation inside a model by its path, ``"backbone/block1_conv1"``, containers first.

    A layer that stands in two places is listed at the first; equal names in one container are numbered
    (``"conv"``, ``"conv#2"``).
    """
    return dict(_walk(model, "", {id(model)}))


def children(layer: Any) -> list[Any]:
    """The layers and operations directly inside a model, a composite layer or a wrapper."""
    if isinstance(layer, keras.Sequential) or not hasattr(layer, "operations"):
        inner = layer.layers if isinstance(layer, keras.Model) else _sublayers(layer)
    else:
        inner = layer.operations
    return [child for child in inner if not isinstance(child, keras.layers.InputLayer)]


def _sublayers(layer: Any) -> list[Any]:
    # Keras has no public list of the layers inside a layer that is no model.
    flatten = getattr(layer, "_flatten_layers", None)
    return list(flatten(include_self=False, recursive=False)) if flatten else []


def _walk(container: Any, prefix: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    used: dict[str, int] = {}
    for child in children(container):
        if id(child) in seen:
            continue
        seen.add(id(child))
        used[child.name] = number = used.get(child.name, 0) + 1
        path = f"{prefix}{child.name}" + (f"#{number}" if number > 1 else "")
        yield path, child
        yield from _walk(child, path + "/", seen)
