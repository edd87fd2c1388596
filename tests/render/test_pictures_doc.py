"""The Python snippets of docs/pictures.md run, one after the other, as a reader would run them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from visualcnn_tf.cli.main import main
from visualcnn_tf.render.colormaps import COLORMAPS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "pictures.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
layers = keras.layers


def test_snippets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(4, 3, activation="relu", name="conv3"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    images = np.random.default_rng(0).random((8, 28, 28, 1)).astype(np.float32)
    scope: dict[str, Any] = {"model": model, "images": images, "x": images, "y": np.zeros(8)}
    Image.new("RGB", (40, 30)).save("photo.jpg")
    Path("photos").mkdir()
    Image.new("RGB", (40, 30), "red").save("photos/1.png")
    assert len(SNIPPETS) == 7
    for snippet in SNIPPETS:
        exec(compile(snippet, "pictures.md", "exec"), scope)
    assert scope["pictures"].shape == scope["colors"].shape == (8, 28, 28, 3)
    assert scope["shown"].overlay_names == ["overlay_conv3"]
    assert scope["blurred"].shape == images.shape
    assert scope["returns_pictures"](images).shape == (8, 28, 28, 3)
    assert "s for the pictures of all epochs" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.glob("gallery*")) == ["gallery.png", "gallery_1.png"]
    assert scope["photo"].size == (28, 28)
    assert scope["large"].shape == (30, 40, 3)
    assert (tmp_path / "pages.png").exists()
    assert (tmp_path / "pictures" / "heatmap_conv3_epoch_0001.png").exists()
    assert len(list((tmp_path / "logs").iterdir())) == 1


def test_every_color_map_is_in_the_table() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, flags=re.MULTILINE)) == set(COLORMAPS)


@pytest.mark.parametrize("command", re.findall(r"^visualcnn (video .*|show .*)$", TEXT, flags=re.MULTILINE))
def test_commands_are_understood(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (4, 3)).save("photos/1.png")
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    assert main(command.split()) == 2  # an error of our own, not of the parser
    assert "There is no file `model.keras`" in capsys.readouterr().err
