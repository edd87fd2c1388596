"""The sweep and its table; see ``--help``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.zoo.architectures import ARCHITECTURES
from benchmarks.zoo.sweep import sweep


def main(argv: Sequence[str] | None = None) -> None:
    """Sweeps what is missing and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="architectures; default: all")
    parser.add_argument("--results", type=Path, default=Path("build/zoo"), help="default: %(default)s")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for each way; default: %(default)s")
    arguments = parser.parse_args(argv)
    sweep(arguments.names or ARCHITECTURES, arguments.results, arguments.limit)


if __name__ == "__main__":
    main()
