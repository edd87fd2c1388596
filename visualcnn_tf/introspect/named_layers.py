"""All layers inside a model, by path."""

from __future__ import annotations

from collections.abc import Iterator

import keras


def named_layers(model: keras.Model) -> dict[str, keras.Operation]:
    """Return every layer and operation inside a model by its path, ``"backbone/block1_conv1"``, containers first.

    A layer that several containers share is listed once, in the first of them; equal names in one container are
    numbered (``"conv"``, ``"conv#2"``).
    """
    return dict(_layers_below(model, "", {id(model)}))


def children(layer: keras.Operation) -> list[keras.Operation]:
    """Return the layers and operations directly inside a model, a composite layer or a wrapper."""
    if isinstance(layer, keras.Sequential) or not hasattr(layer, "operations"):
        inner = layer.layers if isinstance(layer, keras.Model) else _sublayers(layer)
    else:
        inner = layer.operations
    return [child for child in inner if not isinstance(child, keras.layers.InputLayer)]


def _sublayers(layer: keras.Operation) -> list[keras.Layer]:
    # Keras has no public list of the layers inside a layer that is no model.
    flatten = getattr(layer, "_flatten_layers", None)
    return list(flatten(include_self=False, recursive=False)) if flatten else []


def _layers_below(container: keras.Operation, prefix: str, seen: set[int]) -> Iterator[tuple[str, keras.Operation]]:
    counts: dict[str, int] = {}
    for child in children(container):
        if id(child) in seen:
            continue
        seen.add(id(child))
        counts[child.name] = number = counts.get(child.name, 0) + 1
        path = f"{prefix}{child.name}" + (f"#{number}" if number > 1 else "")
        yield path, child
        yield from _layers_below(child, path + "/", seen)
