"""The sweep over architectures: its checks can fail, it continues where it stopped, and its table has no gaps."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from support.markdown_tables import tables

from tools.zoo import hub, table, ways
from tools.zoo.architectures import ARCHITECTURES, GROUPS
from tools.zoo.child import outcome
from tools.zoo.sweep import complete, load

EVERYDAY = ("Siamese", "TimeDistributed CNN")
INSTALLED = [n for n in ARCHITECTURES if n not in hub.CONFIGS or importlib.util.find_spec("keras_hub")]


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERYDAY)
def test_small_models_in_every_way(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in INSTALLED if name not in EVERYDAY])
def test_every_architecture_in_every_way(name: str) -> None:
    check(name)


def check(name: str) -> None:
    keras.utils.set_random_seed(0)
    subject = ARCHITECTURES[name]().adapted()
    found = {way: outcome(run, subject) for way, run in ways.WAYS.items()}
    assert [(way, cell["text"]) for way, cell in found.items() if not cell["ok"]] == []


def test_the_module_is_asked_for_its_architectures() -> None:
    names = set(GROUPS["keras.applications"])
    assert len(names) >= 38
    assert {"VGG16", "NASNetLarge", "ConvNeXtXLarge", "MobileNetV3Small"} <= names
    assert all("weights" in str(getattr(keras.applications, name).__doc__) for name in names)


@pytest.mark.parametrize(
    ("heatmap", "message"),
    [([[np.nan, 1.0]], "from nan"), ([[0.0, 1.0000001]], "to 1.0000001"), ([[0.1, 1.0]], "from 0.1")],
)
def test_a_heatmap_out_of_range_is_found_out(heatmap: Any, message: str) -> None:
    tap = SimpleNamespace(path="conv", has_steps=False, space=(1, 2))
    assert ways.shows_something(tap, np.array([[[0, 1]]], np.float32))
    assert not ways.shows_something(tap, np.zeros((1, 1, 2), np.float32))
    with pytest.raises(ways.WrongResultError, match=message):
        ways.shows_something(tap, np.array([heatmap], np.float32))


def test_other_predictions_are_found_out() -> None:
    ways.check_predictions([np.array([1.0])], [np.array([1.000001])])
    for wrong in (1.0001, np.nan):
        with pytest.raises(ways.WrongResultError, match="predictions differ"):
            ways.check_predictions([np.array([wrong])], [np.array([1.0])])


@pytest.mark.slow
def test_wrong_gradients_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = ARCHITECTURES["1-D audio CNN"]().adapted()
    right = ways.reference_gradcam
    monkeypatch.setattr(ways, "reference_gradcam", lambda *given: {k: 1.001 * v for k, v in right(*given).items()})
    found = outcome(ways.gradients, subject)
    assert not found["ok"]
    assert "differs by 1.0e-03 from that by TensorFlow" in found["text"]


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    complete("1-D audio CNN", file, ["last"], 300)
    first = load(file)
    assert first["about"] == {"input": "1024×1", "parameters": 6221, "note": ""}
    assert first["cells"]["last"] | {"seconds": 0} == {"ok": True, "text": "1", "seconds": 0}
    capsys.readouterr()
    complete("1-D audio CNN", file, ["last"], 0.001)
    assert capsys.readouterr().out == ""
    complete("1-D audio CNN", file, ["last", "stages"], 0.001)
    cells = load(file)["cells"]
    assert cells["last"] == first["cells"]["last"]
    assert cells["stages"] == {
        "ok": False,
        "text": "took longer than 0 s, or more memory than there is, while building the model",
    }


def test_the_table_gives_a_reason_for_what_is_missing(tmp_path: Path) -> None:
    cells = {
        "last": {"ok": True, "text": "1"},
        "stages": {"ok": False, "text": "An\nerror."},
        "conv": {"ok": False, "text": "An error."},
        "TFLite": {"ok": False, "text": "Another. " * 100},
    }
    about = {"input": "8×8×3", "parameters": 12345, "note": "A note."}
    result = {"about": about, "cells": cells, "versions": {"keras": "3"}, "dates": ["2026-01-02"]}
    (tmp_path / "a.json").write_text(json.dumps(result), encoding="utf-8")
    page = table.document({"group": ["b", "a"]}, tmp_path)
    assert "| a | 8×8×3 | 0.01 M | 1 | no (1) | no (1) | not tried | not tried | no (2) |" in page
    assert "| b | ? | ? |" + 6 * " not tried |" in page
    assert "\n1. An error.\n2. Another. Another." in page
    assert "- a: A note." in page
    assert "Versions: keras 3. Made 2026-01-02." in page
    assert table.counts({"group": ["b", "a"]}, tmp_path) == "1 of 4 cells succeeded; 8 were not tried"


def test_the_page_has_every_architecture_and_no_empty_cell() -> None:
    page = (Path(__file__).parents[2] / "docs" / "zoo.md").read_text(encoding="utf-8")
    rows = [row for one in tables(page) for row in one]
    assert {row[0] for row in rows} >= set(ARCHITECTURES)
    assert all(cell.strip() for row in rows for cell in row)
