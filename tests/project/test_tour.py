"""The tour of examples/ in a process of its own: what it says, and the pixels that it writes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import matplotlib
import numpy as np
import pytest
import tensorflow as tf

import visualcnn_tf as vc
from visualcnn_tf.data.digits import load_digits

pytestmark = pytest.mark.slow

TOUR = Path(__file__).parents[2] / "examples" / "tour.py"
WATCHED = (2, 3, 6, 9)  # the first test picture of each
EPOCHS = 5


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tour") / "new" / "folder"


@pytest.fixture(scope="module")
def said(out: Path) -> str:
    done = subprocess.run([sys.executable, TOUR, out], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def model(said: str, out: Path) -> Any:
    return keras.models.load_model(out / "digits.keras")


@pytest.fixture(scope="module")
def watched() -> np.ndarray:
    digits = load_digits()
    return np.stack([digits.test_images[np.flatnonzero(digits.test_labels == digit)[0]] for digit in WATCHED])


def png(path: Path) -> np.ndarray:
    return tf.io.decode_png(path.read_bytes()).numpy()


def heatmaps(model: Any, images: np.ndarray, **options: Any) -> np.ndarray:
    return vc.attach(model, layers="last", method="hirescam", **options).predict(images, verbose=0)["heatmap_conv3"]


def enlarged(images: np.ndarray, factor: int) -> np.ndarray:
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def assert_blend(strip: np.ndarray, images: np.ndarray, maps: np.ndarray) -> None:
    """Pictures side by side are gray images, half covered by matplotlib's turbo."""
    colors = 255 * matplotlib.colormaps["turbo"](np.round(255 * maps).astype(int))[..., :3]
    truth = np.concatenate(0.5 * 255 * images + 0.5 * colors, axis=1)
    assert strip.shape == truth.shape
    # Where a heatmap falls half-way between two colors, its neighbor may be taken.
    assert (np.abs(strip - truth) > 1.01).mean() < 0.005
    assert np.abs(strip - truth).max() <= 4


def test_it_says_what_it_does(said: str) -> None:
    assert [line[0] for line in said.splitlines() if re.match(r"\d\. ", line)] == list("1234567")
    assert float(re.search(r"test accuracy ([\d.]+)%", said)[1]) >= 95
    assert "predictions changed by 0e+00" in said
    assert float(re.search(r"differs from Keras by (\S+)", said)[1]) < 1e-4
    assert f"Heatmaps of {EPOCHS} epochs took" in said


def test_every_file_that_it_names_is_there(said: str, out: Path) -> None:
    named = [Path(name) for line in re.findall(r"wrote (.*)", said) for name in line.split(" (")[0].split(" and ")]
    assert len(named) == 11
    assert all(path.exists() for path in named)


def test_the_training_was_watched(model: Any, watched: np.ndarray, out: Path) -> None:
    strips = [png(path) for path in sorted((out / "training").iterdir())]
    assert len(strips) == EPOCHS
    assert not np.array_equal(strips[0], strips[-1])
    maps = heatmaps(model, watched, size=(112, 112))
    # Captions stand above the pictures; gaps of 8 pixels are between and below them.
    pictures = [strips[-1][-120:-8, left : left + 112, :3] for left in range(8, strips[-1].shape[1], 120)]
    assert_blend(np.concatenate(pictures, axis=1), enlarged(watched, 4), maps)
    assert len(list((out / "logs").iterdir())) == 1


def test_the_unsure_digits_are_asked_for_their_two_guesses(said: str, model: Any) -> None:
    digits = load_digits()
    scores = model.predict(digits.test_images, verbose=0)
    told = re.findall(r"test digit (\d+), a (\d): (\d) \((\d+)%\), then (\d) \((\d+)%\)", said)
    margins = np.sort(scores)[:, -1] - np.sort(scores)[:, -2]
    assert sorted(int(one[0]) for one in told) == sorted(np.argsort(margins)[:3].tolist())
    for index, label, first, p, second, q in (map(int, one) for one in told):
        assert label == digits.test_labels[index]
        assert [first, second] == np.argsort(scores[index])[::-1][:2].tolist()
        np.testing.assert_allclose(100 * scores[index, [first, second]], [p, q], atol=0.51)


def test_galleries_show_colors(said: str, out: Path) -> None:
    for name in ("gallery.png", "asked.png"):
        picture = png(out / name)[..., :3]
        assert min(picture.shape[:2]) > 500
        highest = (np.abs(picture.astype(int) - (122, 4, 3)).max(-1) < 4).mean()  # turbo's last color
        assert 1e-4 < highest < 0.2


def test_the_server_answers_with_overlays(said: str, model: Any, watched: np.ndarray, out: Path) -> None:
    sent = np.stack([png(out / f"request_{number}.png") for number in range(4)]) / np.float32(255)
    np.testing.assert_allclose(sent, watched, atol=0.5 / 255 + 1e-6)
    maps = heatmaps(model, sent)
    for number in range(4):
        assert_blend(png(out / f"answer_{number}.png"), sent[number][None], maps[number][None])
    assert_blend(png(out / "served.png"), enlarged(sent, 5), enlarged(maps, 5))
    read = [int(digit) for digit in re.findall(r"the server reads \S+ as (\d)", said)]
    assert read == model.predict(sent, verbose=0).argmax(-1).tolist()


def test_overlays_are_the_blend(model: Any, watched: np.ndarray, out: Path) -> None:
    assert_blend(png(out / "overlay.png"), enlarged(watched, 5), heatmaps(model, watched, size=(140, 140)))


def test_the_device_shows_the_first_and_the_second_guess(said: str, model: Any, out: Path) -> None:
    index = int(re.search(r"test digit (\d+)", said)[1])
    image = load_digits().test_images[index][None]
    guesses = np.argsort(model.predict(image, verbose=0)[0])[::-1][:2]
    maps = np.concatenate([heatmaps(model, image, target=int(guess)) for guess in guesses])
    assert_blend(png(out / "device.png"), enlarged(image.repeat(2, 0), 5), enlarged(maps, 5))
