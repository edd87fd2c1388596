"""The table of families: its checks can fail, errors become reasons, and its section replaces the one before."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from support.markdown_tables import tables

from tools.zoo import families, family_models, family_ways

NEEDS = {"keras_hub": "keras_hub", "tf_keras": "tf_keras"}
MEMBERS = {name: build for builds in families.FAMILIES.values() for name, build in builds.items()}
INSTALLED = [
    name for name in MEMBERS if all(word not in name or importlib.util.find_spec(NEEDS[word]) for word in NEEDS)
]
EVERYDAY = "ViT, class token"


def test_as_many_models_of_each_family_as_the_table_promises() -> None:
    counts = {family: len(builds) for family, builds in families.FAMILIES.items()}
    assert counts["transformers"] >= 14
    assert counts["segmentation"] >= 4
    assert counts["detection"] >= 5
    assert counts["graphs"] >= 6
    assert len(MEMBERS) == sum(counts.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", INSTALLED)
def test_layers_gradients_and_methods_of_each_model(name: str) -> None:
    keras.utils.set_random_seed(0)
    member = MEMBERS[name]()
    for way in ("layers", "gradcam", "method"):
        assert family_ways.WAYS[way](member)


@pytest.fixture(scope="module")
def member() -> family_ways.Member:
    keras.utils.set_random_seed(0)
    return MEMBERS[EVERYDAY]()


def test_the_layer_and_its_grid(member: family_ways.Member) -> None:
    assert family_ways.layers(member) == "`block1_norm1` 4×4×8 (tokens, 1 before)"


def test_wrong_gradients_are_found_out(member: family_ways.Member, monkeypatch: pytest.MonkeyPatch) -> None:
    right = family_ways.reference_gradcam
    monkeypatch.setattr(family_ways, "reference_gradcam", lambda *given: 1.001 * right(*given))
    with pytest.raises(family_ways.WrongResultError, match="Grad-CAM differs by"):
        family_ways.gradients(member)


def test_the_reference_leaves_the_model_as_it_was(member: family_ways.Member) -> None:
    before = member.model.predict(member.inputs, verbose=0)
    family_ways.gradients(member)
    np.testing.assert_array_equal(member.model.predict(member.inputs, verbose=0), before)


def test_the_score_of_a_mask() -> None:
    logits = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    want = np.zeros(2)
    for image in range(2):
        for pixel in logits[image].reshape(-1, 5):
            want[image] += pixel[2] if pixel.argmax() == 2 else 0
    np.testing.assert_allclose(family_models._on_mask(logits, 2), want)


def cells(**texts: Any) -> dict[str, Any]:
    return {way: {"ok": True, "text": way} for way in family_ways.WAYS} | texts


def test_errors_are_reasons() -> None:
    def broken() -> Any:
        raise ValueError("no such\n   model")

    found = families.tried(broken)
    assert found == {way: {"ok": False, "text": "ValueError: no such model"} for way in family_ways.WAYS}
    reasons: dict[str, int] = {"another": 1}
    assert families.row("broken", found, reasons) == "| broken | no (2) | no (2) | no (2) | no (2) | no (2) |"
    assert reasons == {"another": 1, "ValueError: no such model": 2}


def test_the_section_replaces_the_one_before() -> None:
    first = families.section({"Swin": cells(), "U-Net": cells(TFLite={"ok": False, "text": "why"})})
    transformers, segmentation, detection, graphs = tables(first)
    assert transformers[1] == ["Swin", "layers", "gradcam", "method", "SavedModel", "TFLite"]
    assert segmentation[1] == ["U-Net", "layers", "gradcam", "method", "SavedModel", "no (1)"]
    assert len(detection) == len(graphs) == 1
    assert first.endswith("1. why\n")
    page = "# Title\n\nText.\n"
    once = families.with_section(page, first)
    assert once == f"# Title\n\nText.\n\n{first}"
    more = once + "\n## After\n\nMore.\n"
    second = families.section({"Swin": cells()})
    assert families.with_section(more, second) == f"# Title\n\nText.\n\n{second}\n## After\n\nMore.\n"
    assert families.with_section(more, first) == more


def test_kept_results_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    builds = {"one": lambda: tried.append("one"), "two": lambda: tried.append("two")}
    monkeypatch.setattr(families, "FAMILIES", {"transformers": builds})
    monkeypatch.setattr(families, "tried", lambda build: build() or cells())
    page, kept = tmp_path / "page.md", tmp_path / "kept.json"
    page.write_text("# Title\n", encoding="utf-8")
    kept.write_text(json.dumps({"one": cells()}), encoding="utf-8")
    families.main(["--results", str(kept), "--out", str(page)])
    assert tried == ["two"]
    families.main(["one", "--results", str(kept), "--out", str(page)])
    assert tried == ["two", "one"]
    [table] = tables(page.read_text(encoding="utf-8"))
    assert [line[0] for line in table[1:]] == ["one", "two"]
