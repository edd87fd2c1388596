"""Films: frames in, pictures on one scale out."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import visualcnn_tf as vc
from visualcnn_tf._utils.progress import progress
from visualcnn_tf.cli.main import main
from visualcnn_tf.data.digits import build_cnn, load_digits
from visualcnn_tf.render.colormaps import color_table
from visualcnn_tf.video.film import Look
from visualcnn_tf.video.frames import open_frames
from visualcnn_tf.video.heatmap_video import heatmap_video
from visualcnn_tf.video.scale import robust_scale

COUNT = 20
SHIFTS = [0, 2, 4, 2, 0, -2, -4, -2] * 3  # of the digit, in pixels: each place comes at several times


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """The network that reads digits, not trained, and a film of a moving digit as PNGs and as a GIF."""
    folder: Path = tmp_path_factory.mktemp("film")
    keras.utils.set_random_seed(3)
    build_cnn().save(folder / "digits.keras")
    digit = load_digits().test_images[7]
    frames = [np.uint8(255 * np.roll(digit, shift, axis=1)) for shift in SHIFTS[:COUNT]]
    (folder / "frames").mkdir()
    for number, frame in enumerate(frames, 1):  # 10 comes before 9 in the order of the alphabet
        tf.io.write_file(str(folder / "frames" / f"digit{number}.png"), tf.io.encode_png(frame))
    (folder / "frames" / "notes.txt").write_text("no frame")
    (folder / "frames" / ".digit0.png").write_text("no frame")
    first, *others = (Image.fromarray(frame[..., 0]) for frame in frames)
    first.save(folder / "film.gif", save_all=True, append_images=others, duration=40)
    return folder


def film(folder: Path, out: Path, source: str = "frames", **options: Any) -> tuple[float, float]:
    model = keras.saving.load_model(folder / "digits.keras")
    options = {"pixels": "0..1", "layer": "conv3", "method": "deviation", **options}
    return heatmap_video(model, open_frames(folder / source), out, **options)


def pngs(path: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(file)) for file in sorted(path.iterdir())])


def gif(path: Path) -> np.ndarray:
    """The pictures of a GIF, each as often as it is shown."""
    with Image.open(path) as image:
        shown = []
        for number in range(image.n_frames):
            image.seek(number)
            shown += [np.asarray(image.convert("RGB"))] * (image.info["duration"] // 100)
    return np.stack(shown)


# the scale -----------------------------------------------------------------------------------------------


def test_equal_frames_have_equal_colors_at_any_time(folder: Path, tmp_path: Path) -> None:
    film(folder, tmp_path / "out")
    film(folder, tmp_path / "out.gif")
    for pictures in (pngs(tmp_path / "out"), gif(tmp_path / "out.gif")):
        assert pictures.shape == (COUNT, 224, 224, 3)
        for one in range(COUNT):
            for other in range(one):
                same = SHIFTS[one] == SHIFTS[other]
                assert np.array_equal(pictures[one], pictures[other]) == same, (one, other)


def test_pictures_are_the_overlays_on_that_scale(folder: Path, tmp_path: Path) -> None:
    low, high = film(folder, tmp_path / "out", calibrate=5)
    model = keras.saving.load_model(folder / "digits.keras")
    digit = np.uint8(255 * load_digits().test_images[7]) / np.float32(255)
    batch = np.stack([np.roll(digit, shift, axis=1) for shift in SHIFTS[:COUNT]])
    raw = vc.attach(model, "conv3", size=None, normalize=None)(batch)["heatmap_conv3"].numpy()
    np.testing.assert_allclose([low, high], np.percentile(raw[:5], [1, 99]), rtol=1e-5)
    options = {"normalize": ("range", low, high), "size": (224, 224)}
    heatmaps = vc.attach(model, "conv3", **options)(batch)["heatmap_conv3"]
    images = np.repeat(np.repeat(batch, 8, axis=1), 8, axis=2)
    difference = pngs(tmp_path / "out").astype(int) - vc.overlay(images, heatmaps).numpy()
    # A heatmap value may fall on the other side of the border between two colors.
    assert np.abs(difference).max() <= 8
    assert np.mean(difference != 0) < 0.01


def test_a_given_scale_is_used(folder: Path, tmp_path: Path) -> None:
    assert film(folder, tmp_path / "out", scale=(1e6, 2e6)) == (1e6, 2e6)
    assert film(folder, tmp_path / "out2", scale=(-2e6, -1e6)) == (-2e6, -1e6)
    black = pngs(tmp_path / "out")[:, 0, 0], pngs(tmp_path / "out2")[:, 0, 0]  # half of the lowest, highest color
    for corner, color in zip(black, color_table("turbo")[[0, -1]], strict=True):
        assert np.abs(corner - color / 2).max() <= 0.5


def test_the_scale_is_robust_and_never_empty() -> None:
    maps = np.linspace(0, 1, 10001)
    maps[-5:] = 1e9
    low, high = robust_scale([maps[:500], maps[500:]])
    assert (low, high) == (pytest.approx(0.01), pytest.approx(0.99))
    sparse = np.zeros((3, 100))
    sparse[0, 0] = 7
    assert robust_scale(sparse) == (0, 7)
    assert robust_scale(np.full((2, 3), 5.0)) == (5, 6)


# frames --------------------------------------------------------------------------------------------------


def test_frames_come_in_the_order_of_their_numbers(folder: Path) -> None:
    frames = open_frames(folder / "frames")
    assert [file.stem for file in frames.files] == [f"digit{number}" for number in range(1, COUNT + 1)]
    assert frames.count == COUNT == len(list(frames))


def test_folders_of_frames_come_one_after_the_other(folder: Path, tmp_path: Path) -> None:
    for name in ("clip2/1.png", "clip10/1.png", "clip2/a/9.png", ".trash/1.png", "clip2/.1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / name)
    frames = open_frames(tmp_path)
    assert [file.relative_to(tmp_path).as_posix() for file in frames.files] == [
        *("clip2/1.png", "clip2/a/9.png", "clip10/1.png"),
    ]


def test_a_gif_is_read_and_keeps_its_speed(folder: Path, tmp_path: Path) -> None:
    assert open_frames(folder / "film.gif").fps == 25
    film(folder, tmp_path / "of_gif.gif", "film.gif")
    with Image.open(tmp_path / "of_gif.gif") as image:
        assert image.n_frames == COUNT
        assert image.info["duration"] == 40
        assert image.info["loop"] == 0  # for ever
    film(folder, tmp_path / "of_gif", "film.gif")
    film(folder, tmp_path / "of_frames")
    np.testing.assert_array_equal(pngs(tmp_path / "of_gif"), pngs(tmp_path / "of_frames"))


def test_frames_of_other_sizes_and_kinds(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    rng = np.random.default_rng(0)
    for number, shape in enumerate([(100, 150, 3), (30, 20, 1), (300, 450, 3)]):
        image = tf.constant(rng.integers(0, 256, shape), tf.uint8)
        encode = tf.io.encode_png if number < 2 else tf.io.encode_jpeg
        tf.io.write_file(str(tmp_path / "frames" / f"{number}.{'png' if number < 2 else 'JPG'}"), encode(image))
    model = keras.saving.load_model(folder / "digits.keras")
    heatmap_video(
        model, open_frames(tmp_path / "frames"), tmp_path / "out", layer="conv1", method="mean", pixels="0..255"
    )
    assert pngs(tmp_path / "out").shape == (3, 200, 300, 3)


def test_a_model_of_any_size_and_colors(tmp_path: Path) -> None:
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(2, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)))
    (tmp_path / "frames").mkdir()
    for number, shape in enumerate([(240, 250, 3), (20, 20, 3)]):
        Image.fromarray(np.full(shape, 90, np.uint8)).save(tmp_path / "frames" / f"{number}.png")
    heatmap_video(model, open_frames(tmp_path / "frames"), tmp_path / "out", scale=(0, 1000), pixels="0..255")
    pictures = pngs(tmp_path / "out")
    assert pictures.shape == (2, 240, 250, 3)
    np.testing.assert_array_equal(pictures[0], pictures[1])  # resized to the first one's size


# what goes wrong -----------------------------------------------------------------------------------------


def test_an_unreadable_frame_is_named_and_nothing_is_left(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number in (1, 2):
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "frames" / f"{number}.png")
    (tmp_path / "frames" / "3.png").write_bytes((tmp_path / "frames" / "2.png").read_bytes()[:40])
    for out in ("out.gif", "out"):
        with pytest.raises(vc.errors.ImageReadError, match=r"3\.png` can't be read as an image"):
            film(tmp_path.parent / folder.name, tmp_path / out, str(tmp_path / "frames"), calibrate=2)
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


def test_a_broken_gif_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.gif").write_text("no film")
    with pytest.raises(vc.errors.ImageReadError, match=r"text\.gif` can't be read as a GIF"):
        open_frames(tmp_path / "text.gif")
    content = (folder / "film.gif").read_bytes()
    (tmp_path / "cut.gif").write_bytes(content[: len(content) // 2])
    with pytest.raises(vc.errors.ImageReadError, match=r"Frame \d+ of `.*cut\.gif` can't be read"):
        list(open_frames(tmp_path / "cut.gif"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "There is no file or folder `.*nothing`"),
        ("film.mp4", r"film\.mp4` must be a folder of pictures or an animated GIF.*ffmpeg -i film\.mp4 frames"),
        ("empty", "There is no image file in `.*empty`"),
    ],
)
def test_what_holds_no_frames(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_text("a film of another kind")
    (tmp_path / "empty").mkdir()
    with pytest.raises(vc.errors.ImageReadError, match=message):
        open_frames(tmp_path / name)


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("out.mp4", {}, "`path` must be a file that ends in .gif"),
        ("out", {"layer": "conv"}, "`layer` must be one layer.*'heatmap_conv1', 'heatmap_conv2'"),
        ("out", {"scale": (2, 1)}, "`scale` must be two finite numbers"),
        ("out", {"scale": (0, float("nan"))}, "`scale` must be two finite numbers"),
        ("out", {"calibrate": 0}, "`calibrate` must be a whole number"),
        ("out.gif", {"fps": 0}, "`fps` must be a number over 0"),
        ("out.gif", {"fps": 51}, "`fps` must be a number over 0"),
        ("here", {}, "`path` must be a path that does not exist yet"),
    ],
)
def test_options_that_are_not_allowed(folder: Path, tmp_path: Path, out: str, options: Any, message: str) -> None:
    (tmp_path / "here").mkdir()
    with pytest.raises(vc.errors.InvalidArgumentError, match=message):
        film(folder, tmp_path / out, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_an_existing_folder_is_an_error_before_any_frame_is_explained(folder: Path, tmp_path: Path) -> None:
    explained: list[Any] = []
    with pytest.raises(vc.errors.InvalidArgumentError, match="`path` must be a path that does not exist yet"):
        film(folder, tmp_path, pixels=lambda images: explained.append(images) or images)
    assert explained == []


def test_frames_are_not_overwritten(folder: Path) -> None:
    before = sorted((folder / "frames").iterdir())
    for source in ("frames", "film.gif"):
        with pytest.raises(vc.errors.InvalidArgumentError, match="`path` must be another path than that of the frames"):
            film(folder, folder / source, source, overwrite=True)
    assert sorted((folder / "frames").iterdir()) == before


@pytest.mark.parametrize("out", ["out.gif", "out"])
def test_a_film_in_the_folder_of_its_frames_is_no_frame_of_the_next(folder: Path, tmp_path: Path, out: str) -> None:
    (tmp_path / "1.png").write_bytes((folder / "frames" / "digit1.png").read_bytes())
    film(folder, tmp_path / out, str(tmp_path))
    with pytest.raises(vc.errors.InvalidArgumentError, match=r"another path .* and hold none of them"):
        film(folder, tmp_path / out, str(tmp_path), overwrite=True)


def test_gifs_need_pillow_and_pictures_do_not(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    frames = open_frames(folder / "frames")
    model = keras.saving.load_model(folder / "digits.keras")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "PIL", None)
        for call in (
            lambda: heatmap_video(model, frames, tmp_path / "a.gif"),
            lambda: open_frames(folder / "film.gif"),
        ):
            with pytest.raises(vc.errors.MissingExtraError, match=r"visualcnn-tf\[plot\]"):
                call()
        heatmap_video(model, frames, tmp_path / "out", layer="pool", method="mean", pixels="0..1")
    assert len(pngs(tmp_path / "out")) == COUNT


# the command ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command(folder: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["video", str(folder / "digits.keras"), str(folder / "frames"), "-o", str(tmp_path / "out")]
    words += ["--layer", "conv3", "--method", "deviation", "--alpha", "0.8", "--colormap", "viridis", "--weighted"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "Pixels: 0..1, assumed" in said.out
    assert f"Wrote {tmp_path / 'out'} (frames: {COUNT}, scale: --range " in said.out
    assert said.err == ""  # it is no terminal
    scale = said.out.split("--range ")[1].rstrip(").\n").split()
    assert main(words) == 2
    assert "Add `--overwrite` to replace it." in capsys.readouterr().err
    assert main([*words, "--overwrite", "--range", *scale]) == 0
    look = Look(alpha=0.8, colormap="viridis", weighted=True)
    film(folder, tmp_path / "same", look=look, scale=[float(text) for text in scale])
    np.testing.assert_array_equal(pngs(tmp_path / "out"), pngs(tmp_path / "same"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--alpha", "1.5"], "`alpha` must be a number from 0"),
        (["--range", "3", "-1"], "`scale` must be two finite numbers"),
        (["--layer", "conv33"], "conv3"),
    ],
)
def test_mistakes_of_the_command(folder: Path, tmp_path: Path, capsys: Any, words: list[str], message: str) -> None:
    code = main(["video", str(folder / "digits.keras"), str(folder / "frames"), "-o", str(tmp_path / "out"), *words])
    assert code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_wrong_color_map_is_found_before_anything_else(capsys: Any) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["video", "absent.keras", "absent", "-o", "film.gif", "--colormap", "viridi"])
    assert stop.value.code == 2
    assert "Did you mean 'viridis'" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_progress_bar_is_for_terminals_only() -> None:
    terminal, file = Terminal(), io.StringIO()
    assert list(progress("abcd", 4, terminal)) == list("abcd")
    lines = terminal.getvalue().rstrip("\n").split("\r")[1:]
    assert [line.split("] ")[1] for line in lines] == ["1/4", "2/4", "3/4", "4/4"]
    assert [line.count("#") for line in lines] == [7, 15, 22, 30]
    assert len({line.index("]") for line in lines}) == 1
    assert terminal.getvalue().endswith("\n")
    assert list(progress("abcd", 4, file)) == list("abcd")
    assert file.getvalue() == ""
