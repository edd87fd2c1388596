"""Time fairly on a shared machine: contenders take turns, and only times of the same round are compared."""

from __future__ import annotations

import datetime
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

Contender = Callable[[], Any]


@dataclass(frozen=True)
class Spread:
    """The median and the quartiles of some numbers."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Any) -> Spread:
        """Return the median and quartiles, linearly interpolated."""
        return cls(*(float(quartile) for quartile in np.percentile(values, [25, 50, 75])))

    def times(self, factor: float) -> Spread:
        """Return all three multiplied by a factor."""
        return Spread(self.low * factor, self.median * factor, self.high * factor)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


@dataclass(frozen=True)
class Samples:
    """The seconds of each contender, one number for each round."""

    seconds: Mapping[str, list[float]]

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> Samples:
        """Return the rounds of several samples, one after the other."""
        return cls({name: [one for part in parts for one in part.seconds[name]] for name in parts[0].seconds})

    def time(self, name: str) -> Spread:
        """Return the spread of one contender's seconds."""
        return Spread.of(self.seconds[name])

    def ratio(self, name: str, over: str) -> Spread:
        """Return how many times as long ``name`` takes as ``over``: the spread of the ratios within each round.

        A load that slows the machine down for a while slows down both contenders of a round and leaves their ratio
        unchanged; the ratio of two medians might compare a busy minute with a quiet one.
        """
        return Spread.of(np.divide(self.seconds[name], self.seconds[over]))


def take_turns(
    contenders: Mapping[str, Contender],
    rounds: int,
    warmup: int = 1,
    ahead: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Samples:
    """Time the contenders in turn, A B C A B C …, after ``warmup`` rounds that do not count.

    Each turn begins with ``ahead`` calls that do not count either. They help where contenders differ much: a long
    call leaves the processor's caches full of its own data, which would slow down a short call right after it.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(warmup + rounds):
        for name, contender in contenders.items():
            for _ in range(ahead):
                contender()
            start = clock()
            result = contender()
            elapsed = clock() - start
            del result  # after the clock was read: freeing memory is not part of the call
            if turn >= warmup:
                seconds[name].append(elapsed)
    return Samples(seconds)


_started = time.perf_counter()


def start_progress(start: float) -> None:
    """Set the time from which :func:`progress` counts."""
    global _started
    _started = start


def progress(what: str) -> None:
    """Print on stderr what is done, and after how many seconds."""
    print(f"[{time.perf_counter() - _started:5.0f} s] {what}", file=sys.stderr, flush=True)


def fix_threads(count: int) -> None:
    """Set the threads within an operation and between operations, unless TensorFlow has already started."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
    except RuntimeError:  # they can no longer be changed; `conditions` reports them
        progress("TensorFlow has already started: its threads stay as they are")


def conditions() -> dict[str, str]:
    """Return what times depend on: the machine, the threads, the versions, the date."""
    threading = tf.config.threading
    within, between = threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()
    versions = {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    return {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "GPU": ", ".join(gpu.name for gpu in tf.config.list_physical_devices("GPU")) or "none",
        "threads": f"{within or 'as many as cores'} within an operation, {between or 'as many as cores'} between them",
        "load before": _load(),
        "python": platform.python_version(),
        **versions,
        "date": datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat(),
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _load() -> str:
    """Return how many processes ran or waited for a core, on average over the last minute."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
