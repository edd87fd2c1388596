"""Tables of the kept results in the documents: between ``<!-- table: NAME -->`` and ``<!-- /table -->``."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks.report import RESULTS, ROOT

DOCUMENTS = ("README.md", "docs/performance.md")
_MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def kept(folder: Path = RESULTS) -> dict[str, str]:
    """The tables of the last full runs, by name."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        if not path.stem.endswith("-quick"):
            found |= json.loads(path.read_text(encoding="utf-8")).get("tables", {})
    return found


def filled(text: str, tables: dict[str, str]) -> str:
    """The text with each marked table as it was kept; one that was never measured stays as it is."""

    def fill(match: re.Match[str]) -> str:
        name = match[2]
        return f"{match[1]}{tables[name]}\n{match[3]}" if name in tables else match[0]

    return _MARKED.sub(fill, text)


def main(folder: Path = RESULTS) -> int:
    """Fills the documents."""
    tables = kept(folder)
    for name in DOCUMENTS:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        path.write_text(filled(text, tables), encoding="utf-8")
        missing = [match[2] for match in _MARKED.finditer(text) if match[2] not in tables]
        print(f"{name}: filled" + (f", but not {', '.join(missing)}" if missing else ""))
    return 0
