"""Try one architecture, in a process of its own: ``python -m tools.zoo.child NAME WAY...``.

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
    """Yield what describes the architecture, then the cell of each way."""
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    subject = ARCHITECTURES[name]().adapted()
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
    """Return the text of a cell, or the error that prevented it."""
    try:
        return {"ok": True, "text": way(subject)}
    except Exception as error:  # the table shows every error
        return {"ok": False, "text": f"{type(error).__name__}: {error}"}


def main(name: str, *ways: str) -> None:
    """Print the results, and whatever else is printed on stderr."""
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for result in results(name, ways):
        print(json.dumps(result), file=lines, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
