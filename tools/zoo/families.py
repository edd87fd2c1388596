"""Explain and export transformers, segmentation, detection and graphs: ``python -m tools.zoo.families``.

Writes the table of docs/layers.md. Results are kept, so that some can be made anew.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from tools.zoo.family_graphs import GRAPHS
from tools.zoo.family_models import DETECTION, SEGMENTATION, TRANSFORMERS
from tools.zoo.family_ways import WAYS, Member

FAMILIES: dict[str, dict[str, Callable[[], Member]]] = {
    "transformers": TRANSFORMERS,
    "segmentation": SEGMENTATION,
    "detection": DETECTION,
    "graphs": GRAPHS,
}
HEADING = "## Transformers, segmentation, detection and graphs"
_INTRO = f"""{HEADING}

Small models with random weights, explained and exported; made by `python -m tools.zoo.families`. `"last"` is the \
layer that it chooses for Grad-CAM, with its size (and the number of tokens that stand for no position). The next \
column has the largest difference between its Grad-CAM and that by TensorFlow's gradients, relative to the largest \
value; 1e-5 is allowed. Then comes a method of the family. The SavedModel and the TensorFlow Lite file hold both; each \
is run on the same inputs and compared. A number in parentheses refers to the reason below.

Box 3 of each detector is explained. Where heads read maps of several sizes, `"last"` is one of them, and only the \
boxes that are found on it lead there: the RetinaNet finds box 3 on its finest level, and its `"last"` is the \
coarsest. Choose a layer before the levels part, or the level itself.
"""
_COLUMNS = {"layers": '`"last"`', "gradcam": "`gradcam`", "method": "method", "SavedModel": "SavedModel"}
_REASON = 300


def tried(build: Callable[[], Member]) -> dict[str, dict[str, Any]]:
    """Return the cell of each way: its text, or the error that prevented it."""
    keras.utils.set_random_seed(0)
    cells: dict[str, dict[str, Any]] = {}
    try:
        member = build()
    except Exception as error:  # the table shows every error
        return dict.fromkeys(WAYS, _failed(error))
    for way, run in WAYS.items():
        try:
            cells[way] = {"ok": True, "text": run(member)}
        except Exception as error:
            cells[way] = _failed(error)
    return cells


def _failed(error: Exception) -> dict[str, Any]:
    return {"ok": False, "text": f"{type(error).__name__}: {' '.join(str(error).split())}"}


def section(results: dict[str, dict[str, Any]]) -> str:
    """Return the section of the page."""
    lines, reasons = [_INTRO], dict[str, int]()
    for family, builds in FAMILIES.items():
        lines += ["", f"| {family} | {' | '.join([*_COLUMNS.values(), 'TFLite'])} |", f"|---|---{'|---:' * 4}|"]
        lines += [row(name, results[name], reasons) for name in builds if name in results]
    if reasons:
        lines += ["", *(f"{number}. {reason}" for reason, number in reasons.items())]
    return "\n".join(lines) + "\n"


def row(name: str, cells: dict[str, Any], reasons: dict[str, int]) -> str:
    """Return the row of a model, and number new reasons."""
    texts = []
    for way in WAYS:
        text = cells[way]["text"]
        if not cells[way]["ok"]:
            reason = text if len(text) <= _REASON else text[:_REASON].rsplit(" ", 1)[0] + " …"
            text = f"no ({reasons.setdefault(reason, len(reasons) + 1)})"
        texts.append(text)
    return f"| {name} | {' | '.join(texts)} |"


def with_section(page: str, text: str) -> str:
    """Return the page with this section in place of the one that it has, or at its end."""
    before, heading, rest = page.partition(HEADING)
    if not heading:
        return f"{page.rstrip()}\n\n{text}"
    _, following, after = rest.partition("\n## ")
    return before + text + (f"\n## {after}" if following else "")


def main(argv: Sequence[str] | None = None) -> None:
    """Try what is asked for, or what was not tried yet, and write the section."""
    names = {name: build for builds in FAMILIES.values() for name, build in builds.items()}
    parser = argparse.ArgumentParser(prog="python -m tools.zoo.families", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="models to try again; default: those never tried")
    parser.add_argument("--results", type=Path, default=Path("build/zoo/families.json"), help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("docs/layers.md"), help="the page; default: %(default)s")
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.names) - set(names):
        parser.error(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    warnings.simplefilter("ignore")
    kept = arguments.results
    results = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for name in arguments.names or [name for name in names if name not in results]:
        results[name] = tried(names[name])
        print(name, json.dumps(results[name], ensure_ascii=False), flush=True)
        keras.backend.clear_session()
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = arguments.out.read_text(encoding="utf-8")
    arguments.out.write_text(with_section(page, section(results)), encoding="utf-8")
    failed = sum(not cell["ok"] for cells in results.values() for cell in cells.values())
    print(f"{failed} of {sum(map(len, results.values()))} cells have a reason instead of a result")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
