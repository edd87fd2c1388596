"""The table in the documentation, made of the result files alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.zoo.sweep import load
from tools.zoo.ways import WAYS

_COLUMNS = ("last", "stages", "conv", "gradients", "SavedModel", "TFLite")
_REASON = 240
_MISSING = "not tried"
_INTRO = """# Architectures

Every architecture of `keras.applications`, models of other kinds, and backbones of `keras_hub` built from configs, \
each explained and exported in every way. This page is made by `python -m tools.zoo`; do not edit it. Weights are \
random, normalizations have the statistics of the inputs, and inputs are the smallest for which the last map has more \
than one position. Deep networks with random weights amplify rounding, EfficientNets most: where rounding alone \
changes the predicted classes, neither a file nor a compiled graph can equal Keras, with or without heatmaps.

| column | what is done with `method=["deviation", "gradcam"]` | cell |
|---|---|---|
| `last`, `stages`, `conv` | explained by this preset in a `tf.function`: predictions are the bare model's up to 1e-5 \
of the largest; each heatmap is finite, with a minimum of 0 and a maximum of 1 exactly | tapped layers, and heatmaps \
that are blank because nothing there supports the class |
| gradients | raw Grad-CAM of the stages, compared with `tf.gradients`; 1e-4 is allowed | largest difference, relative \
to the largest value |
| SavedModel | the stages with all signatures, run without Keras on the same inputs, and compared | "equal" up to \
rounding |
| TFLite | the stages in a file of builtin operations only, run in LiteRT on the same inputs, and compared | largest \
difference |

A number in parentheses refers to the reason below.
"""


def document(groups: Mapping[str, Iterable[str]], folder: Path) -> str:
    """Return the whole page."""
    results = {name: load(folder / f"{name}.json") for names in groups.values() for name in names}
    lines = [_INTRO, provenance(results.values())]
    reasons: dict[str, int] = {}
    for group, names in groups.items():
        lines += ["", f"## {group}", "", f"| architecture | input | parameters | {' | '.join(_COLUMNS)} |"]
        lines += [f"|---|---|---:|{'---:|' * len(_COLUMNS)}"]
        lines += [row(name, results[name], reasons) for name in sorted(names, key=str.lower)]
    if reasons:
        lines += ["", "## Reasons", "", *(f"{number}. {reason}" for reason, number in reasons.items())]
    notes = [f"- {name}: {result['about']['note']}" for name, result in results.items() if result["about"].get("note")]
    if notes:
        lines += ["", "## Notes", "", *notes]
    return "\n".join(lines) + "\n"


def provenance(results: Iterable[dict[str, Any]]) -> str:
    """Return the versions and the dates of the results."""
    made = [result for result in results if "versions" in result]
    versions = sorted({f"{package} {version}" for result in made for package, version in result["versions"].items()})
    dates = sorted({date for result in made for date in result["dates"]})
    return f"Versions: {', '.join(versions)}. Made {' to '.join(dict.fromkeys([*dates[:1], *dates[-1:]]))}."


def row(name: str, result: dict[str, Any], reasons: dict[str, int]) -> str:
    """Return the row of one architecture, and number new reasons."""
    about = result["about"]
    millions = f"{about['parameters'] / 1e6:.2f} M" if about else "?"
    cells = [cell(result["cells"].get(column), reasons) for column in _COLUMNS]
    return f"| {name} | {about.get('input', '?')} | {millions} | {' | '.join(cells)} |"


def cell(found: dict[str, Any] | None, reasons: dict[str, int]) -> str:
    """Return the text of a cell, or the number of the reason why there is none."""
    if found is None:
        return _MISSING
    if found["ok"]:
        return str(found["text"])
    reason = " ".join(found["text"].split())
    reason = reason if len(reason) <= _REASON else reason[:_REASON].rsplit(" ", 1)[0] + " …"
    return f"no ({reasons.setdefault(reason, len(reasons) + 1)})"


def counts(groups: Mapping[str, Iterable[str]], folder: Path) -> str:
    """Return a summary: how many cells succeeded."""
    cells = [
        load(folder / f"{name}.json")["cells"].get(way) for names in groups.values() for name in names for way in WAYS
    ]
    known = [found for found in cells if found is not None]
    succeeded = sum(found["ok"] for found in known)
    return f"{succeeded} of {len(known)} cells succeeded; {len(cells) - len(known)} were not tried"
