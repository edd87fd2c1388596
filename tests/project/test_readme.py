"""The README's Python snippets run, one after the other, as a reader would run them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SNIPPETS = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE)


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) == 8


def test_snippets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    layers = keras.layers
    names = ["conv1", "conv2", "pool", "conv3"]
    convolutions = [layers.Conv2D(4, 3, padding="same", activation="relu", name=name) for name in names]
    convolutions[2] = layers.MaxPooling2D(name="pool")
    head = [layers.Flatten(), layers.Dense(10, activation="softmax")]
    keras.Sequential([keras.Input((28, 28, 1), name="image"), *convolutions, *head]).save("digits.keras")

    scope: dict[str, Any] = {}
    for snippet in SNIPPETS:
        exec(compile(snippet, "README.md", "exec"), scope)

    printed = capsys.readouterr().out
    assert "(8, 10)" in printed
    assert "(8, 28, 28)" in printed
    assert str(scope["outputs"]["predictions"].argmax(-1)) in printed  # the explained classes
    loaded = keras.models.load_model("explained.keras")
    np.testing.assert_array_equal(
        loaded.predict(scope["images"], verbose=0)["heatmap_conv1"], scope["outputs"]["heatmap_conv1"]
    )
    assert sorted(path.name for path in tmp_path.glob("Heatmap*.png")) == [f"Heatmap{i}.png" for i in (1, 2, 3, 4)]
    assert [heatmap.shape for heatmap in scope["heatmaps"]] == [(28, 28)] * 4
    assert (tmp_path / "models" / "explained" / "1" / "saved_model.pb").exists()
    assert scope["report"].builtin_only
    assert scope["two_outputs"](np.ones((2, 64, 64, 3)))["heatmap"].shape == (2, 64, 64)
