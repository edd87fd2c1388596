"""The sweep: each architecture in a process of its own, one after the other; what is done already is kept."""

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
    """Makes the result file of each architecture complete: the last maps of all first, then the rest, small ones first.

    Args:
        names: of the architectures.
        folder: of the result files, ``NAME.json``. A file that lacks nothing is left as it is, so that an interrupted
            sweep goes on; remove it, or cells of it, to try again.
        limit: seconds for each way.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.json" for name in names}
    for name, file in files.items():
        complete(name, file, ["last"], limit)
    for name, file in sorted(files.items(), key=lambda item: load(item[1])["about"].get("parameters", 0)):
        complete(name, file, WAYS, limit)


def load(file: Path) -> dict[str, Any]:
    """What is known of an architecture."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"about": {}, "cells": {}}


def complete(name: str, file: Path, ways: Iterable[str], limit: float) -> None:
    """Runs those of the ways that are missing."""
    result = load(file)
    while missing := [way for way in ways if way not in result["cells"]]:
        run_child(name, missing, result, file, limit)


def run_child(name: str, ways: Sequence[str], result: dict[str, Any], file: Path, limit: float) -> None:
    """Runs ways in one process until all are done, or one of them takes too long or ends it."""
    command = [sys.executable, "-m", "tools.zoo.child", name, *ways]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True)
        reader.start()
        for step in ("model", *ways):
            told = _next(process, limit)
            if told is None:
                reader.join()
                reason = _last_words(process.wait(), errors, limit)
                if step == "model":
                    keep(result, {way: {"ok": False, "text": f"{reason}, making the model"} for way in ways}, file)
                else:
                    keep(result, {step: {"ok": False, "text": reason}}, file)
                return
            if step == "model":
                result["about"] = told["about"]
            else:
                keep(result, {told.pop("way"): told}, file)
            print(f"{name:20} {step:12} {told.get('text', ''):.60} {told['seconds']} s", flush=True)


def _next(process: Any, limit: float) -> dict[str, Any] | None:
    """The next line of a child; None when it ended, or was ended because it took too long."""
    timer = threading.Timer(limit, process.kill)
    timer.start()
    line = process.stdout.readline()
    timer.cancel()
    return json.loads(line) if line else None


def _last_words(code: int, errors: Sequence[str], limit: float) -> str:
    if code == -signal.SIGKILL:
        return f"took longer than {limit:.0f} s, or more memory than there is"
    lines = [line.strip() for line in errors if line.strip()]
    return f"the process ended with {code}: {lines[-1] if lines else 'without a word'}"


def keep(result: dict[str, Any], cells: dict[str, Any], file: Path) -> None:
    """Writes what is known by now."""
    result["cells"] |= cells
    result["versions"] = {package: metadata.version(package) for package in _VERSIONED}
    today = datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()
    result["dates"] = sorted({*result.get("dates", []), today})
    file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
