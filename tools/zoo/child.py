"""One architecture, in a process of its own: ``python -m tools.zoo.child NAME WAY...``.

Prints one JSON line for each way, as soon as it is done.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from tools.zoo.architectures import ARCHITECTURES
from tools.zoo.subject import Subject
from tools.zoo.ways import WAYS


def results(name: str, ways: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What stands in the cells of one row, and what the row is of."""
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    subject = ARCHITECTURES[name]().settled()
    shapes = [tuple(array.shape[1:]) for array in keras.tree.flatten(subject.inputs)]
    about = {
        "input": ", ".join("×".join(map(str, shape)) for shape in dict.fromkeys(shapes)),
        "parameters": subject.model.count_params(),
        "note": subject.note,
    }
    yield {"about": about, "seconds": round(time.perf_counter() - start, 1)}
    for way in ways:
        start = time.perf_counter()
        cell = outcome(WAYS[way], subject)
        yield {"way": way, **cell, "seconds": round(time.perf_counter() - start, 1)}


def outcome(way: Callable[[Subject], str], subject: Subject) -> dict[str, Any]:
    """What a way says, or why it can't be had."""
    try:
        return {"ok": True, "text": way(subject)}
    except Exception as error:  # the table is to tell of each
        return {"ok": False, "text": f"{type(error).__name__}: {error}"}


def main(name: str, *ways: str) -> None:
    """Keeps what TensorFlow prints out of the lines."""
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for result in results(name, ways):
        print(json.dumps(result), file=lines, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
