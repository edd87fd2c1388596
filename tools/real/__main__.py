"""Explain real networks that packages ship, write the pictures of the documents and print what they show."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.real.packages import CACHE
from tools.real.pictures import save, sheet
from tools.real.shown import SHOWN

_HEIGHTS = {"dogs": 160, "edges": 150, "objects": 150}


def main(argv: Sequence[str] | None = None) -> None:
    """Write ``real-NAME.jpg`` for each network."""
    parser = argparse.ArgumentParser(prog="python -m tools.real", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *SHOWN], metavar="NAME", help=f"{', '.join(SHOWN)}; all")
    parser.add_argument("--packages", type=Path, default=CACHE, help="what was fetched; default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the pictures; default: %(default)s")
    arguments = parser.parse_args(argv)
    for name in arguments.names or SHOWN:
        shown = SHOWN[name](arguments.packages)
        size = save(sheet(shown.rows, _HEIGHTS[name]), arguments.out / f"real-{name}.jpg")
        print(f"{name}: {size} bytes", *shown.facts, sep="\n", flush=True)


if __name__ == "__main__":
    main()
