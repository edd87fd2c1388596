"""The sweep of presets over keras_hub: what is saved must load the same, and its section replaces the one before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

from tools.zoo import presets


def small() -> Any:
    image = keras.Input((12, 12, 3))
    maps = L.Conv2D(4, 3, activation="relu", name="maps")(image)
    return keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(maps)))


def test_a_model_is_explained_saved_and_loaded(tmp_path: Path) -> None:
    pytest.importorskip("keras_hub")
    found = presets.explain_and_save("small, one", small, tmp_path)
    assert found == {"input": "12×12×3", **{preset: ["maps 10×10"] for preset in presets.PRESETS}}
    assert presets.differences(tmp_path) == {"small__one": 0.0}
    with np.load(tmp_path / "small__one.out.npz") as kept:
        np.savez(tmp_path / "small__one.out.npz", **{key: value + 1 for key, value in kept.items()})
    assert presets.differences(tmp_path)["small__one"] == 1.0


def test_errors_are_rows(tmp_path: Path) -> None:
    found = presets.explain_and_save("broken", lambda: 1 / 0, tmp_path)
    assert found == {"error": "ZeroDivisionError: division by zero"}
    reasons: dict[str, int] = {}
    assert presets.row("broken", found, reasons) == "| broken | ? | no (1) | | | |"
    assert reasons == {"ZeroDivisionError: division by zero": 1}


def test_the_section_replaces_the_one_before() -> None:
    first = presets.section({"VGGBackbone": {"input": "1", "last": ["a 2×2"], "stages": ["a 2×2"], "conv": []}})
    assert "| VGGBackbone | 1 | `a 2×2` | `a 2×2` | 0 |  |" in first
    page = presets.with_section("# Page\n\nText.\n", first)
    assert presets.with_section(page, first) == page
    assert presets.section_of(page).strip() == first.strip()
    again = presets.with_section(page + "\n## More\n\nText.\n", presets.section({}))
    assert "VGGBackbone" not in again
    assert "## More" in again
