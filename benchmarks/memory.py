"""Measure peak memory, in a process of its own so that measurements do not affect each other. Linux only."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.report import ROOT

# Not by `ru_maxrss`, which a child inherits. Writing 5 resets the peak to what is resident now.
_CHILD = """
import pathlib, re, sys
def kilobytes(name):
    return int(re.search(name + r":\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
exec(sys.argv[1])
pathlib.Path("/proc/self/clear_refs").write_text("5")
before = kilobytes("VmRSS")
exec(sys.argv[2])
print("peak", (kilobytes("VmHWM") - before) * 1024)
"""


def peak(prepare: str, work: str, timeout: float = 300) -> int:
    """Return by how many bytes the peak of resident memory rises while Python runs ``work``, after ``prepare``."""
    return peak_and_output(prepare, work, timeout)[0]


def peak_and_output(prepare: str, work: str, timeout: float = 300) -> tuple[int, str]:
    """Return the same as :func:`peak`, and what was printed."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, prepare, work],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if done.returncode:
        raise RuntimeError(f"The child process ended with {done.returncode}:\n{done.stderr[-2000:]}")
    printed, peak = done.stdout.rsplit("peak ", 1)
    return int(peak), printed
