"""Files: local ones, those of fsspec, whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import visualcnn_tf as vc
from visualcnn_tf.data.files import locate

pytest.importorskip("pyarrow")


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path)
    pytest.importorskip("fsspec")
    return f"memory://{tmp_path}"


def test_files_are_written_whole_or_not_at_all(folder: str) -> None:
    out, scratch = locate(folder), locate(folder) / "scratch"
    scratch.make_folder()
    (out / "a").write(b"first", scratch)
    assert (out / "a").read() == b"first"
    with pytest.raises(ZeroDivisionError), (out / "a").written(scratch) as file:  # noqa: PT012
        file.write(b"second")
        1 / 0  # noqa: B018
    assert (out / "a").read() == b"first"
    with (out / "a").written(scratch) as file:
        file.write(b"third")
    assert (out / "a").read() == b"third"
    assert not scratch.names()


def test_what_is_in_a_folder(folder: str) -> None:
    out = locate(folder)
    (out / "deep" / "er").make_folder()
    (out / "deep" / "er" / "b").write(b"12", out)
    (out / "a").write(b"1", out)
    assert out.listing() == {"a": 1}
    assert out.listing(recursive=True) == {"a": 1, "deep/er/b": 2}
    assert out.names() == {"a", "deep"}
    assert (out / "a").is_file
    assert not (out / "deep").is_file
    assert (out / "deep").exists
    (out / "deep").remove()
    (out / "a").remove()
    (out / "a").remove()
    assert not out.names()
    assert (out / "absent").listing() == {}


def test_a_file_that_is_too_large_is_not_read(folder: str) -> None:
    (locate(folder) / "a").write(b"12345", locate(folder))
    assert (locate(folder) / "a").read(limit=5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        (locate(folder) / "a").read(limit=4)


def test_an_address_that_nobody_knows() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(vc.InvalidArgumentError, match=r"that pyarrow or fsspec know. Received: 'nothing://a'"):
        locate("nothing://a")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(vc.MissingExtraError, match=r'pip install "visualcnn-tf\[fsspec\]"'):
        locate("other://a")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(vc.MissingExtraError, match=r'pip install "visualcnn-tf\[batch\]"'):
        locate("a")
