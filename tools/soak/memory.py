"""Memory that stays: over many calls, and over many models that are attached and forgotten."""

from __future__ import annotations

import ctypes
import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tools.soak.subject import SoakError, attached, check_same, cnn, images

GROWTH = 0.01


def resident() -> int:
    """Return the bytes of memory in use, after returning free memory to the system."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096
    raise SoakError("Memory can only be measured on Linux.")


def growth(run: Callable[[int], None], count: int, warm_up: int) -> float:
    """Return the relative growth of memory over ``count`` runs, after ``warm_up`` runs that fill all caches."""
    for number in range(warm_up):
        run(number)
    before = resident()
    for number in range(count):
        run(number)
    return resident() / before - 1


def calls(count: int, allowed: float = GROWTH) -> dict[str, str]:
    """Call explained models, eagerly and compiled, with batches of different sizes."""
    model = cnn()
    ways: dict[str, Any] = {}
    for number in range(3):
        explained = attached(model, number)
        ways[f"eager {number}"] = explained
        ways[f"compiled {number}"] = tf.function(explained, reduce_retracing=True)
    batches = [images(size) for size in (1, 3, 4)]
    want = [[way(batch) for way in ways.values()] for batch in batches]

    def run(number: int) -> None:
        which, batch = number % len(ways), number // len(ways) % len(batches)
        outputs = list(ways.values())[which](batches[batch])
        if number % 97 == 0:
            check_same(list(ways)[which], outputs, want[batch][which])

    grown = growth(run, count, warm_up=max(count // 10, 200))
    if grown > allowed:
        raise SoakError(f"{count} calls increased the memory by {grown:.2%}.")
    return {"calls": f"{count:,}", "growth of memory": f"{grown:.2%}"}


def predict(count: int, allowed: float = GROWTH) -> dict[str, str]:
    """Call Keras's ``predict``."""
    explained = attached(cnn())
    batch = images(4)
    grown = growth(lambda _: explained.predict(batch, verbose=0), count, warm_up=max(count // 5, 30))
    if grown > allowed:
        raise SoakError(f"{count} calls of `predict` increased the memory by {grown:.2%}.")
    return {"calls of `predict`": f"{count:,}", "growth of memory": f"{grown:.2%}"}


def cycles(count: int) -> dict[str, str]:
    """Attach, call and drop explained models; nothing of them may stay."""
    model, batch = cnn(), images(2)
    model(batch)
    before = [set(vars(layer)) for layer in model.layers]
    alive: list[Any] = []

    def run(number: int) -> None:
        explained = attached(model, number)
        explained(batch)
        alive.append(weakref.ref(explained))

    graphs: list[int] = []

    def counted(number: int) -> None:
        run(number)
        if number == 0:
            graphs.append(living_graphs())

    grown = growth(counted, count, warm_up=min(count // 5 + 3, 60))
    graphs.append(living_graphs())
    left = sum(reference() is not None for reference in alive)
    hooks = [layer.name for layer, names in zip(model.layers, before, strict=True) if set(vars(layer)) != names]
    if left or hooks or graphs[-1] > graphs[-2]:
        raise SoakError(f"Left behind: {left} models, hooks on {hooks}, {graphs[-1] - graphs[-2]} graphs.")
    return {
        "cycles": f"{count:,}",
        "models, hooks and graphs left": "0",
        "growth of memory": f"{grown:.2%}",
    }


def living_graphs() -> int:
    """Return how many graphs exist."""
    gc.collect()
    # Not isinstance, which reads `__class__` of lazily loaded modules and so loads them.
    return sum(issubclass(type(thing), tf.Graph) for thing in gc.get_objects())
