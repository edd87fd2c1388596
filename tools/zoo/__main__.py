"""Explain and export every architecture in every way, one after the other, and write a table.

Results are kept in files, so that an interrupted sweep continues where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.zoo.architectures import ARCHITECTURES, GROUPS
from tools.zoo.presets import section_of, with_section
from tools.zoo.sweep import sweep
from tools.zoo.table import counts, document


def main(argv: Sequence[str] | None = None) -> None:
    """Try what is missing and write the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.zoo", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="architectures to try; default: all")
    parser.add_argument("--results", type=Path, default=Path("build/zoo"), help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("docs/zoo.md"), help="the table; default: %(default)s")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for each cell; default: %(default)s")
    parser.add_argument("--table", action="store_true", help="only write the table of the kept results")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.names) - set(ARCHITECTURES)
    if unknown:
        parser.error(f"no such architecture: {', '.join(sorted(unknown))}; there are {', '.join(ARCHITECTURES)}")
    if not arguments.table:
        sweep(arguments.names or ARCHITECTURES, arguments.results, arguments.limit)
    page = document(GROUPS, arguments.results)
    if arguments.out.exists():
        page = with_section(page, section_of(arguments.out.read_text(encoding="utf-8")))
    arguments.out.write_text(page, encoding="utf-8")
    print(counts(GROUPS, arguments.results))


if __name__ == "__main__":
    main()
