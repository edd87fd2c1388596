"""Copy the tables of the kept reports into the documents: between ``<!-- table: NAME -->`` and ``<!-- /table -->``."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.report import MARKED, RESULTS, ROOT, marked

DOCUMENTS = ("README.md", "docs/performance.md")


def kept(folder: Path = RESULTS) -> dict[str, str]:
    """Return the tables of the kept reports by name."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.md")):
        if not path.stem.endswith("-quick"):
            found |= {match["name"]: match["table"] for match in MARKED.finditer(path.read_text(encoding="utf-8"))}
    return found


def filled(text: str, tables: dict[str, str]) -> str:
    """Return the text with its marked tables replaced; a table that was never measured stays as it is."""

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        return marked(name, tables[name]) if name in tables else match[0]

    return MARKED.sub(fill, text)


def main(folder: Path = RESULTS) -> int:
    """Fill the documents."""
    tables = kept(folder)
    for name in DOCUMENTS:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        path.write_text(filled(text, tables), encoding="utf-8")
        missing = [match["name"] for match in MARKED.finditer(text) if match["name"] not in tables]
        print(f"{name}: filled" + (f", except {', '.join(missing)}" if missing else ""))
    return 0
