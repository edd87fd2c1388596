"""Which layers the presets choose in the models of keras_hub, and whether what is saved loads: one command.

``python -m tools.zoo.presets`` explains every model by each preset, saves it, loads all files in a fresh process,
compares, and writes the table into the documentation. Results are kept, so that some can be made anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import visualcnn_tf as vc
from tools.zoo.hub_models import HUB_GROUPS, example
from visualcnn_tf.introspect.find_inputs import model_inputs
from visualcnn_tf.introspect.select import Selector

PRESETS = ("last", "stages", "conv")
HEADING = "## keras_hub as it is: presets, saved and loaded"
_INTRO = f"""{HEADING}

Image backbones, classifiers and other tasks of `keras_hub`, built small with random weights: which layers `"last"` \
and `"stages"` choose, how many `"conv"` does, and the largest difference between what the model explained by all \
three returns and what it returns after `save`, loaded in a fresh process. This section is made by \
`python -m tools.zoo.presets`.
"""


def explain_and_save(name: str, build: Any, folder: Path) -> dict[str, Any]:
    """Explain a model by each preset, save it with its inputs and outputs, and return what was chosen."""
    keras.utils.set_random_seed(0)
    found: dict[str, Any] = {}
    try:
        model = build()
        found["input"] = ", ".join("×".join(map(str, t.shape[1:])) for t in keras.tree.flatten(model.input))
        selector = Selector(model, model_inputs(model))
        found |= {preset: outcome(selector, preset) for preset in PRESETS}
        chosen = [preset for preset in PRESETS if isinstance(found[preset], list)]
        if chosen:
            save(vc.attach(model, chosen, size=None), example(model), folder / file_name(name))
    except Exception as error:  # the table shows every error
        found["error"] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return found


def outcome(selector: Selector, preset: str) -> list[str] | str:
    """Return the paths and sizes of the layers that a preset chooses, or the error."""
    try:
        calls = selector.select(preset)
    except vc.VisualCNNError as error:
        return f"{type(error).__name__}: {error}"
    return [f"{call.path} {'×'.join('?' if n is None else str(n) for n in call.spatial_shape)}" for call in calls]


def save(explained: Any, inputs: Any, path: Path) -> None:
    """Write an explained model, its inputs, and what it returns."""
    outputs = {key: np.asarray(value) for key, value in explained(inputs).items()}
    explained.save(path.with_suffix(".keras"))
    np.savez(path.with_suffix(".in.npz"), *keras.tree.flatten(inputs))
    np.savez(path.with_suffix(".out.npz"), **outputs)


def file_name(name: str) -> str:
    """Return the name of a model's files."""
    return "".join(character if character.isalnum() else "_" for character in name)


def differences(folder: Path) -> dict[str, float | str]:
    """Return for each file of a folder how much the loaded model's outputs differ from those that were kept."""
    import keras_hub  # noqa: F401

    found: dict[str, float | str] = {}
    for file in sorted(folder.glob("*.keras")):
        try:
            loaded = keras.models.load_model(file)
            with np.load(file.with_suffix(".in.npz")) as arrays:
                inputs = keras.tree.pack_sequence_as(loaded.model.input, list(arrays.values()))
            got = loaded(inputs)
            with np.load(file.with_suffix(".out.npz")) as want:
                found[file.stem] = max(float(np.abs(np.asarray(got[key]) - want[key]).max(initial=0)) for key in want)
        except Exception as error:  # the table shows every error
            found[file.stem] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return found


def section(results: dict[str, dict[str, Any]]) -> str:
    """Return the tables of the page."""
    lines, reasons = [_INTRO], dict[str, int]()
    for group, builds in HUB_GROUPS.items():
        known = [name for name in builds if name in results]
        lines += ["", f"### {group}", "", "| model | input | last | stages | conv | saved and loaded |"]
        lines += ["|---|---|---|---|---:|---|", *(row(name, results[name], reasons) for name in known)]
    if reasons:
        lines += ["", "### Reasons of this table", "", *(f"{n}. {reason}" for reason, n in reasons.items())]
    return "\n".join(lines) + "\n"


def row(name: str, found: dict[str, Any], reasons: dict[str, int]) -> str:
    """Return the row of a model."""

    def no(reason: str) -> str:
        reason = reason if len(reason) <= 240 else reason[:240].rsplit(" ", 1)[0] + " …"
        return f"no ({reasons.setdefault(reason, len(reasons) + 1)})"

    if "error" in found:
        return f"| {name} | {found.get('input', '?')} | {no(found['error'])} | | | |"
    cells = []
    for preset in PRESETS:
        chosen = found[preset]
        if isinstance(chosen, str):
            cells.append(no(chosen))
        else:
            cells.append(str(len(chosen)) if preset == "conv" else ", ".join(f"`{one}`" for one in chosen))
    difference = found.get("difference", "")
    reloaded = f"difference {difference:g}" if isinstance(difference, float) else difference and no(difference)
    return f"| {name} | {found['input']} | {' | '.join(cells)} | {reloaded} |"


def section_of(page: str) -> str:
    """Return the section of a page that :func:`section` made, or "" if it has none."""
    _, heading, rest = page.partition(HEADING)
    return heading + rest.partition("\n## ")[0]


def with_section(page: str, text: str) -> str:
    """Return the page with this section at its end, in place of the one that it has."""
    without = page.replace(section_of(page), "") if HEADING in page else page
    return "\n\n".join(part.strip("\n") for part in (without, text) if part) + "\n"


def reload(folder: Path) -> dict[str, float | str]:
    """Return :func:`differences`, found in a fresh process."""
    command = [sys.executable, "-m", "tools.zoo.presets", "--load", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def keep(results: dict[str, dict[str, Any]], file: Path) -> None:
    """Write the results so far."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Explain, save, load in a fresh process, and write the section."""
    parser = argparse.ArgumentParser(prog="python -m tools.zoo.presets", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="models to try; default: all")
    parser.add_argument("--results", type=Path, default=Path("build/zoo/presets.json"), help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("docs/zoo.md"), help="the page; default: %(default)s")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    if arguments.load:
        print(json.dumps(differences(arguments.load)))
        return
    builds = {name: build for group in HUB_GROUPS.values() for name, build in group.items()}
    kept = arguments.results
    results = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in arguments.names or builds:
            results[model] = explain_and_save(model, builds[model], folder)
            print(model, json.dumps(results[model], ensure_ascii=False), flush=True)
            keep(results, kept)
        found = reload(folder)
    for model in arguments.names or builds:
        if file_name(model) in found:
            results[model]["difference"] = found[file_name(model)]
            print(model, results[model]["difference"])
    keep(results, kept)
    page = arguments.out.read_text(encoding="utf-8")
    arguments.out.write_text(with_section(page, section(results)), encoding="utf-8")


if __name__ == "__main__":
    main()
