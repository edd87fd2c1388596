"""The table in the documentation, made of the result files alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.zoo.sweep import load
from tools.zoo.ways import WAYS

_COLUMNS = ("last", "stages", "conv", "gradients", "SavedModel", "TFLite")
_REASON = 240
_NOT_YET = "not swept"
_INTRO = """# The zoo

Made by `python -m tools.zoo`, not to be edited: every architecture of `keras.applications` (the module is asked \
for them), models of other kinds, and backbones of `keras_hub` built from configs. Weights are random, normalizations \
have the statistics of the inputs, and these are the smallest with which the last map has more than one place. Deep \
networks with random weights magnify rounding, EfficientNets most: where rounding alone changes predicted classes, \
neither a file nor a compiled graph can equal Keras, with heatmaps or without.

| column | what is done with `method=["deviation", "gradcam"]` | cell |
|---|---|---|
| `last`, `stages`, `conv` | explained by that preset in a `tf.function`: the predictions are the bare model's to 1e-5 \
of the largest; each heatmap is finite, its minimum 0 and its maximum 1 exactly | tapped layers, and heatmaps that are \
blank because nothing there speaks for the class |
| gradients | raw Grad-CAM of the stages against the same by `tf.gradients`; 1e-4 is allowed | largest difference, as \
a part of the largest value |
| SavedModel | the stages with all signatures, run without Keras on the inputs of the other columns, and compared | \
"equal", but for what rounding moves |
| TFLite | the stages in a file of builtin operations only, run in LiteRT on these inputs, and compared | largest \
difference |

What can't be had has a number, and its reason below.
"""


def document(groups: Mapping[str, Iterable[str]], folder: Path) -> str:
    """The whole page."""
    results = {name: load(folder / f"{name}.json") for names in groups.values() for name in names}
    swept = [result for result in results.values() if "versions" in result]
    versions = sorted({f"{package} {version}" for result in swept for package, version in result["versions"].items()})
    dates = sorted({date for result in swept for date in result["dates"]})
    lines = [_INTRO, f"Versions: {', '.join(versions)}. Swept {' to '.join(dict.fromkeys([*dates[:1], *dates[-1:]]))}."]
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


def row(name: str, result: dict[str, Any], reasons: dict[str, int]) -> str:
    """One architecture; reasons get the next numbers."""
    about = result["about"]
    millions = f"{about['parameters'] / 1e6:.2f} M" if about else "?"
    cells = [cell(result["cells"].get(column), reasons) for column in _COLUMNS]
    return f"| {name} | {about.get('input', '?')} | {millions} | {' | '.join(cells)} |"


def cell(found: dict[str, Any] | None, reasons: dict[str, int]) -> str:
    """What a way said, or the number of the reason why it can't be had."""
    if found is None:
        return _NOT_YET
    if found["ok"]:
        return str(found["text"])
    reason = " ".join(found["text"].split())
    reason = reason if len(reason) <= _REASON else reason[:_REASON].rsplit(" ", 1)[0] + " …"
    return f"no ({reasons.setdefault(reason, len(reasons) + 1)})"


def counts(groups: Mapping[str, Iterable[str]], folder: Path) -> str:
    """How many cells could be had, for a summary."""
    cells = [
        load(folder / f"{name}.json")["cells"].get(way) for names in groups.values() for name in names for way in WAYS
    ]
    known = [found for found in cells if found is not None]
    return (
        f"{sum(found['ok'] for found in known)} of {len(known)} cells hold; {len(cells) - len(known)} are not swept yet"
    )
