"""Processes that start without the user's program, load no Keras, and end with the process that started them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType

from visualcnn_tf._utils.worker import WORKER

_ENVIRONMENT = {WORKER: "1", "TF_CPP_MIN_LOG_LEVEL": "3"}  # and a log as quiet as that of the command


class _Process(SpawnProcess):
    """A process that does not import the user's program, which would start the job again, or load Keras."""

    def start(self) -> None:
        """Start the process."""
        program, before = sys.modules["__main__"], dict(os.environ)
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            os.environ.update(_ENVIRONMENT | {name: before[name] for name in _ENVIRONMENT if name in before})
            super().start()
        finally:
            sys.modules["__main__"] = program
            for name in _ENVIRONMENT.keys() - before.keys():
                del os.environ[name]


class _Context(SpawnContext):
    Process = _Process


@contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes; end them at once after an error or Ctrl-C."""
    pool = ProcessPoolExecutor(count, mp_context=_Context(), initializer=_begin)
    try:
        yield pool
    except BaseException:
        for process in active_children():
            if isinstance(process, _Process):
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Leave Ctrl-C to the process that started this one, and end when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
