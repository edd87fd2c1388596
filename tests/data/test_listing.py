"""What a source means: which files, of which kind, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import visualcnn_tf as vc
from visualcnn_tf.data.files import locate
from visualcnn_tf.data.sources.listing import kind_of, list_files

pytest.importorskip("pyarrow")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a/2.JPG", "a/1.jpeg", "a/deep/3.webp", "empty.gif", ".hidden/4.png", ".5.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"" if name == "empty.gif" else b"123")
    return tmp_path


def names(source: Any, out: str = "elsewhere") -> list[str]:
    return list(list_files(source, locate(out)).sizes)


def test_a_folder_is_its_images(folder: Path) -> None:
    assert names(folder) == ["a/1.jpeg", "a/2.JPG", "a/deep/3.webp", "b.png", "empty.gif"]
    assert list_files(str(folder), locate("elsewhere")).sizes["empty.gif"] == 0


def test_what_the_job_writes_is_no_source(folder: Path) -> None:
    assert names(folder, str(folder / "a")) == ["b.png", "empty.gif"]
    with pytest.raises(vc.InvalidArgumentError, match="`out` must be another folder than the source"):
        names(folder, str(folder))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["b.png"]),
        ("*/*", ["a/1.jpeg", "a/2.JPG"]),
        ("**/*.jp*g", ["a/1.jpeg"]),
        ("a/**/?.*", ["1.jpeg", "2.JPG", "deep/3.webp"]),
        ("a/[12].*", ["1.jpeg", "2.JPG"]),
        ("notes.*", ["notes.txt"]),
    ],
)
def test_a_pattern(folder: Path, pattern: str, expected: list[str]) -> None:
    root = folder / "a" if pattern.startswith("a/") else folder
    listing = list_files(f"{folder}/{pattern}", locate("elsewhere"))
    assert (Path(listing.root), list(listing.sizes)) == (root, expected)


def test_a_name_with_brackets_is_no_pattern(folder: Path) -> None:
    (folder / "a [1]").mkdir()
    (folder / "a [1]" / "x.png").write_bytes(b"")
    assert names(folder / "a [1]") == ["x.png"]
    assert names(folder / "a [1]" / "x.png") == ["x.png"]


def test_files_and_lists(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert names("b.png") == names(["b.png"]) == ["b.png"]
    listing = list_files([folder / "b.png", "a/deep/3.webp", "absent.png"], locate("elsewhere"))
    assert Path(listing.root) == folder
    assert listing.sizes == {"b.png": 3, "a/deep/3.webp": 3, "absent.png": 0}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.PNG", "images"),
        ("a.parquet", "parquet"),
        ("train.tfrecord-00001-of-00010", "tfrecord"),
        ("a.tfrec", "tfrecord"),
        ("a.tfrecords.gz", "tfrecord"),
        ("a.csv", None),
    ],
)
def test_kinds(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent", "`source` must be a folder, a pattern or a file that is there"),
        ("nothing", "Here are no image, Parquet or TFRecord files with the usual endings"),
        ("nothing/*.png", "Here are no image, Parquet"),
        ([], "Here are no image, Parquet"),
        ("mixed", "Here are images and parquet: choose with a pattern"),
        ("", "`source` must be the name of a file or folder"),
    ],
)
def test_what_is_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Any, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("nothing/x.txt", "mixed/a.png", "mixed/b.parquet"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"")
    with pytest.raises(vc.InvalidArgumentError, match=message.replace("(", r"\(")):
        names(source)


def test_what_is_no_source_by_its_type() -> None:
    with pytest.raises(vc.InvalidTypeError, match=r"a list of files, or a `tf.data.Dataset`. Received: 5 of type int"):
        names(5)
