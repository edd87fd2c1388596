"""``visualcnn batch``: Keras files, exported folders, and options that would have no effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.hostile_files import IMAGES
from support.small_cnn import small_cnn

import visualcnn_tf as vc
from visualcnn_tf.cli import batch_arguments
from visualcnn_tf.cli.main import main
from visualcnn_tf.data.columns import PNG, RAW
from visualcnn_tf.data.engines import NAMES
from visualcnn_tf.data.sinks import SINKS

pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch")
    small_cnn().save(folder / "model.keras")
    explained = vc.attach(small_cnn(), "last", pixels="0..255")
    vc.export_saved_model(explained, folder / "exported", on_error="blank", verify=False)
    (folder / "photos").mkdir()
    for name in ("good.png", "good.jpg", "truncated.png"):
        (folder / "photos" / name).write_bytes(IMAGES[name])
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    monkeypatch.chdir(made)

    def run(words: str) -> tuple[int, str, str]:
        status = main(["batch", *words.format(out=tmp_path / "out").split()])
        return status, *capsys.readouterr()

    return run


def test_a_keras_file_and_again(run: Any, tmp_path: Path) -> None:
    status, said, _ = run("model.keras photos --out {out} --workers 0")
    assert status == 0
    assert "3 images in" in said
    assert "; 1 could not be read (see the column `error`); 3 explained in" in said
    maps = vc.read_maps(tmp_path / "out")
    assert {values.dtype.name for values in maps.values()} == {"uint8"}
    assert sorted(maps) == sorted(vc.attach(small_cnn(), "stages").heatmap_names)
    status, said, _ = run("model.keras photos --out {out} --workers 0")
    assert (status, said.splitlines()[-1]) == (
        0,
        f"3 images in {tmp_path / 'out'}; 1 could not be read (see the column `error`); 3 were there",
    )


def test_an_exported_folder_and_a_pattern(run: Any, tmp_path: Path) -> None:
    assert run("exported photos/good.* --out {out} --workers 0 --shard-rows 1")[0] == 0
    assert pq.read_table(tmp_path / "out" / "data")["path"].to_pylist() == ["good.jpg", "good.png"]


@pytest.mark.slow
def test_pictures_have_overlays(run: Any, tmp_path: Path) -> None:
    words = "model.keras photos --out {out} --workers 0 --sink png --layers last --method gradcam"
    assert run(words)[0] == 0
    made = sorted(path.name for path in (tmp_path / "out" / "png").iterdir())
    assert made == ["heatmap_second", "overlay_second"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("exported photos --out {out} --layers last", "`--layers` must be left out with an exported folder"),
        ("exported photos --out {out} --class 2", "`--class` must be left out with an exported folder"),
        ("absent.keras photos --out {out}", "There is no file `absent.keras`"),
        ("model.keras absent --out {out}", "`source` must be a folder, a pattern or a file that is there"),
        ("model.keras photos --out {out} --address auto", "`address` must be None with `engine='local'`"),
    ],
)
def test_mistakes(run: Any, tmp_path: Path, words: str, message: str) -> None:
    status, _, said = run(words)
    assert status == 2
    assert message in said
    assert not (tmp_path / "out").exists()


def test_the_names_of_the_parser_are_those_of_the_package() -> None:
    assert batch_arguments.ENGINES == NAMES
    assert tuple(SINKS) == batch_arguments.SINKS
    assert batch_arguments.ENCODINGS == (RAW, PNG)
