"""One folder of photos and one exported model for all tests of data."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.photos import Photos, make_photos


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    pytest.importorskip("pyarrow")
    return make_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def few(photos: Photos, tmp_path: Path) -> Path:
    """A folder with three images, the second of which can't be read."""
    folder = tmp_path / "few"
    folder.mkdir()
    for target, name in {"a.png": "good.png", "b.png": "truncated.png", "c.jpg": "good.jpg"}.items():
        (folder / target).write_bytes((photos.folder / "cats" / name).read_bytes())
    return folder
