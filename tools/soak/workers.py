"""Workers in processes of their own, started by spawn and by fork."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from typing import Any

from tools.soak.subject import SoakError, arrays, attached, check_same, cnn, images

_WORKERS = 2
# Forked from a process that has only imported TensorFlow: after a computation a child would hang, waiting for
# TensorFlow's threads, which a fork does not copy.
_FORKED = """
import multiprocessing, pickle, sys
import visualcnn_tf
from tools.soak.workers import answer
with multiprocessing.get_context("fork").Pool({workers}) as pool:
    sys.stdout.buffer.write(pickle.dumps(pool.map_async(answer, range({workers})).get(240)))
"""


def answer(number: int) -> dict[str, Any]:
    """Attach and explain a batch, in a worker."""
    return arrays(attached(cnn(), number)(images(2, number)))


def spawned() -> dict[str, str]:
    """Check workers that are started by spawn, which works at any time."""
    with multiprocessing.get_context("spawn").Pool(_WORKERS) as pool:
        answers = pool.map_async(answer, range(_WORKERS)).get(300)
    return _checked(answers)


def forked() -> dict[str, str]:
    """Check workers that are forked from a process that has imported the package but computed nothing."""
    import pickle

    command = [sys.executable, "-W", "ignore", "-c", _FORKED.format(workers=_WORKERS)]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    if done.returncode:
        raise SoakError(f"Forked workers failed: {done.stderr.decode()[-500:]}")
    return _checked(pickle.loads(done.stdout))


def _checked(answers: list[dict[str, Any]]) -> dict[str, str]:
    """Compare the workers' results with those of this process."""
    for number, got in enumerate(answers):
        check_same(f"worker {number}", got, answer(number))
    return {"workers, all correct": str(len(answers))}
