"""The sweep: each architecture in a process of its own, one after the other; kept results are not made again."""

from __future__ import annotations

import datetime
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tools.zoo.ways import WAYS

_VERSIONED = ("tensorflow", "keras", "numpy", "ai-edge-litert")


def sweep(names: Iterable[str], folder: Path, limit: float) -> None:
    """Complete the result file of each architecture: the last maps of all first, then the rest, small models first.

    Args:
        names: The names of the architectures.
        folder: The folder of the result files ``NAME.json``. Complete files are left as they are, so that an
            interrupted sweep continues; remove a file, or cells of it, to try again.
        limit: The seconds for each way.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.json" for name in names}
    for name, file in files.items():
        complete(name, file, ["last"], limit)
    for name, file in sorted(files.items(), key=lambda item: load(item[1])["about"].get("parameters", 0)):
        complete(name, file, WAYS, limit)


def load(file: Path) -> dict[str, Any]:
    """Return the kept result of an architecture."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"about": {}, "cells": {}}


def complete(name: str, file: Path, ways: Iterable[str], limit: float) -> None:
    """Try the ways that are missing."""
    result = load(file)
    while missing := [way for way in ways if way not in result["cells"]]:
        run_child(name, missing, result, file, limit)


def run_child(name: str, ways: Sequence[str], result: dict[str, Any], file: Path, limit: float) -> None:
    """Try ways in one process until all are done, or one of them takes too long or ends the process."""
    command = [sys.executable, "-m", "tools.zoo.child", name, *ways]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True)
        reader.start()
        for step in ("model", *ways):
            line = _next(process, limit)
            if line is None:
                reader.join()
                reason = _reason(process.wait(), errors, limit)
                failed = [step]
                if step == "model":
                    failed, reason = list(ways), f"{reason}, while building the model"
                keep(result, {way: {"ok": False, "text": reason} for way in failed}, file)
                return
            if step == "model":
                result["about"] = line["about"]
            else:
                keep(result, {line.pop("way"): line}, file)
            print(f"{name:20} {step:12} {line.get('text', ''):.60} {line['seconds']} s", flush=True)


def _next(process: Any, limit: float) -> dict[str, Any] | None:
    """Return the next line of a child, None if it ended or was stopped because it took too long."""
    timer = threading.Timer(limit, process.kill)
    timer.start()
    line = process.stdout.readline()
    timer.cancel()
    return json.loads(line) if line else None


def _reason(code: int, errors: Sequence[str], limit: float) -> str:
    """Return why a child process ended."""
    if code == -signal.SIGKILL:
        return f"took longer than {limit:.0f} s, or more memory than there is"
    lines = [line.strip() for line in errors if line.strip()]
    return f"the process ended with {code}: {lines[-1] if lines else 'no message'}"


def keep(result: dict[str, Any], cells: dict[str, Any], file: Path) -> None:
    """Write the results so far."""
    result["cells"] |= cells
    result["versions"] = {package: metadata.version(package) for package in _VERSIONED}
    today = datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()
    result["dates"] = sorted({*result.get("dates", []), today})
    file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
