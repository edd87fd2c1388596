"""The image files in folders, and in the folders of classes inside of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from visualcnn_tf.errors import ImageReadError
from visualcnn_tf.io.image_files import image_files
from visualcnn_tf.pixels.photos import read_photos
from visualcnn_tf.pixels.pixels import Pixels


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"no image")
    return folder


def found(folder: Path, *paths: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in image_files(paths or [folder])]


def test_folders_of_classes_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    made(tmp_path, "dog/10.png", "dog/9.JPG", "cat/b.jpeg", "cat/a/deep.bmp", "cat/c.gif")
    assert found(tmp_path) == ["cat/a/deep.bmp", "cat/b.jpeg", "cat/c.gif", "dog/9.JPG", "dog/10.png"]


def test_hidden_and_other_files_are_left_out(tmp_path: Path) -> None:
    made(tmp_path, "a.png", ".b.png", "._a.png", ".cache/c.png", "labels.txt", "Thumbs.db", "noending")
    assert found(tmp_path) == ["a.png"]


def test_files_are_taken_as_they_are_and_in_their_order(tmp_path: Path) -> None:
    made(tmp_path, "b.png", "many/2.png", "many/1.png", ".hidden", "a.xyz")
    files = [tmp_path / name for name in ("b.png", "many", "a.xyz", ".hidden", "absent.png")]
    assert found(tmp_path, *files) == ["b.png", "many/1.png", "many/2.png", "a.xyz", ".hidden", "absent.png"]


def test_a_link_to_a_folder_is_a_folder(tmp_path: Path) -> None:
    made(tmp_path, "elsewhere/1.png", "classes/b/2.png")
    os.symlink(tmp_path / "elsewhere", tmp_path / "classes" / "a")
    assert found(tmp_path, tmp_path / "classes") == ["classes/a/1.png", "classes/b/2.png"]


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    made(tmp_path, "texts/labels.txt", "texts/.hidden.png")
    with pytest.raises(ImageReadError, match=r"There is no image file in `.*texts`, nor in its folders\. Allowed are"):
        image_files([tmp_path / "texts"])


@pytest.mark.parametrize("name", ["bad.png", "photo.HEIC", "photo.webp", "scan.tiff"])
def test_an_image_that_cannot_be_read_is_named_and_not_left_out(name: str, tmp_path: Path) -> None:
    made(tmp_path, f"cat/{name}")
    with pytest.raises(ImageReadError, match=rf"`.*cat/{name}` can't be read as an image"):
        read_photos(image_files([tmp_path]), (None, 8, 8, 3), Pixels())
