"""Run the benchmarks, one after the other, each in a process of its own: ``python -m benchmarks``.

python -m benchmarks                          all of them, about an hour on two cores
python -m benchmarks --quick                  check in minutes that everything works
python -m benchmarks --only overhead,tflite   some of them, and the targets
python -m benchmarks --docs                   write the kept tables into README.md and docs/
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks import docs
from benchmarks.report import ROOT, parser

#: The benchmarks in the order of a run, with a time limit in seconds; `targets` reads what the others wrote.
BENCHMARKS = {
    "overhead": 2400,
    "fusions": 600,
    "classes": 900,
    "transformers": 1200,
    "peers": 1200,
    "dataset": 900,
    "batch": 2400,
    "growth": 900,
    "tflite": 900,
    "startup": 900,
    "photos": 1200,
    "gpu": 600,
    "targets": 120,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; return 1 when one of them fails."""
    options = _parser().parse_args(arguments)
    if options.docs:
        return docs.main(options.out)
    names = options.only.split(",") if options.only else list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"`--only` takes {', '.join(BENCHMARKS)}. Received: {', '.join(unknown)}.", file=sys.stderr)
        return 2
    if "targets" not in names:
        names.append("targets")
    passed = ["--out", str(options.out), "--pictures", str(options.pictures), "--run", options.run]
    passed += ["--threads", str(options.threads), *(["--quick"] if options.quick else [])]
    start, failed = time.perf_counter(), []
    for name in names:
        print(f"=== {name}, {time.perf_counter() - start:.0f} s after the start", file=sys.stderr, flush=True)
        if not _run(name, passed):
            failed.append(name)
    print(f"=== {time.perf_counter() - start:.0f} s; failed: {', '.join(failed) or 'none'}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str, arguments: Sequence[str]) -> bool:
    """Run one benchmark; return whether it succeeded."""
    try:
        command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
        return subprocess.run(command, cwd=ROOT, timeout=BENCHMARKS[name]).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"{name}: stopped after {BENCHMARKS[name]} s", file=sys.stderr)
        return False


def _parser() -> argparse.ArgumentParser:
    made = parser("benchmarks", __doc__ or "")
    made.prog = "python -m benchmarks"
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.add_argument("--only", default="", help="names of benchmarks, separated by commas")
    made.add_argument("--docs", action="store_true", help="write the kept tables into the documents")
    return made


if __name__ == "__main__":
    sys.exit(main())
