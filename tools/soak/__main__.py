"""Run long checks and fail if anything leaks, hangs or is wrong: ``python -m tools.soak``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.timing import conditions
from tools.soak import memory, served, threads, workers
from tools.soak.subject import SoakError

Part = Callable[[], dict[str, str]]

FULL: dict[str, Part] = {
    "calls": lambda: memory.calls(10_000),
    "predict": lambda: memory.predict(1_000),
    "attach and forget": lambda: memory.cycles(1_000),
    "threads": lambda: threads.shared(calls=500, attaches=50),
    "first calls": lambda: threads.first_calls(10),
    "clients": lambda: served.clients(50),
    "spawned workers": workers.spawned,
    "forked workers": workers.forked,
}
# With so few calls, memory varies by the allocator's noise: only the full run shows that it is constant.
QUICK: dict[str, Part] = {
    "calls": lambda: memory.calls(600, allowed=0.03),
    "predict": lambda: memory.predict(40, allowed=0.03),
    "attach and forget": lambda: memory.cycles(15),
    "threads": lambda: threads.shared(calls=30, attaches=3),
    "first calls": lambda: threads.first_calls(1),
    "clients": lambda: served.clients(5),
    "spawned workers": workers.spawned,
    "forked workers": workers.forked,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer of everything, in about a minute")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(FULL)}")
    arguments = parser.parse_args(argv)
    parts = QUICK if arguments.quick else FULL
    if unknown := set(arguments.parts) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    print(" · ".join(f"{name}: {value}" for name, value in conditions().items()), end="\n\n")
    print("| part | result | seconds |\n|---|---|---:|", flush=True)
    failed = False
    for name in arguments.parts or parts:
        start = time.perf_counter()
        try:
            figures = parts[name]()
        except SoakError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
            continue
        result = "; ".join(f"{what}: {value}" for what, value in figures.items())
        print(f"| {name} | {result} | {time.perf_counter() - start:.0f} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
