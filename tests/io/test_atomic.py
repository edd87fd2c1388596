"""Files and folders appear completely or not at all: when replaced, refused, killed halfway, and on full disks."""

from __future__ import annotations

import os
import random
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.model_kinds import small_cnn_layers
from support.mounted import make_read_only, tmpfs

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError, InvalidTypeError, PathNotWritableError
from visualcnn_tf.io import atomic, rename
from visualcnn_tf.io.atomic import next_version, whole_folder, write_file

PARTIAL = re.compile(r"\.m\.[0-9a-f]{32}\.partial(\.old)?")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges names at once")


def write(path: Path, text: str, overwrite: bool = True) -> None:
    """Write a folder of several files with the same text, one file after the other."""
    with whole_folder(path, overwrite, holds="0") as folder:
        folder.mkdir()
        for number in range(5):
            (folder / str(number)).write_text(text)


def texts(path: Path) -> set[str]:
    files = sorted(path.iterdir())
    assert [file.name for file in files] == list("01234")
    return {file.read_text() for file in files}


@pytest.fixture(params=["exchange", "two renames"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "two renames":
        monkeypatch.setattr(rename, "_system_call", lambda: None)


# Replacing --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("either_way")
def test_a_folder_is_replaced_and_nothing_else_stays(tmp_path: Path) -> None:
    for text in ("old", "new"):
        write(tmp_path / "m", text)
        assert texts(tmp_path / "m") == {text}
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]


@pytest.mark.usefixtures("either_way")
def test_an_error_while_writing_keeps_the_old_folder(tmp_path: Path) -> None:
    write(tmp_path / "m", "old")
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "m", True, holds="0") as folder:  # noqa: PT012
        folder.mkdir()
        1 / 0  # noqa: B018
    assert texts(tmp_path / "m") == {"old"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]


def test_an_old_folder_survives_a_failing_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "m", "old")
    path_rename = Path.rename

    def rename_or_fail(self: Path, target: Path) -> Path:
        if target == tmp_path / "m" and not self.name.endswith(".old"):
            raise OSError(28, os.strerror(28))
        return path_rename(self, target)

    monkeypatch.setattr(rename, "_system_call", lambda: None)
    monkeypatch.setattr(Path, "rename", rename_or_fail)
    with pytest.raises(PathNotWritableError, match=os.strerror(28)):
        write(tmp_path / "m", "new")
    assert texts(tmp_path / "m") == {"old"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]


@pytest.mark.usefixtures("either_way")
def test_what_another_process_writes_in_the_meantime_is_kept(tmp_path: Path) -> None:
    with (  # noqa: PT012
        pytest.raises(PathNotWritableError, match="File exists"),
        whole_folder(tmp_path / "m", False, holds="0") as folder,
    ):
        folder.mkdir()
        (folder / "0").write_text("late")
        write(tmp_path / "m", "quick", overwrite=False)
    assert texts(tmp_path / "m") == {"quick"}
    (tmp_path / "file").write_text("quick")
    with pytest.raises(PathNotWritableError, match="File exists"):
        write_file(tmp_path / "file", b"late", overwrite=False)
    assert (tmp_path / "file").read_text() == "quick"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "m"]


def gaps(path: Path, seconds: float) -> int:
    """Return how often a reader does not find a folder that is being replaced again and again."""
    write(path, "0")
    stop, missing = threading.Event(), 0

    def replace() -> None:
        while not stop.is_set():
            write(path, "x")

    thread = threading.Thread(target=replace)
    thread.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        missing += not os.path.exists(path)
    stop.set()
    thread.join()
    return missing


@linux
def test_the_folder_exists_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gaps(tmp_path / "m", 1.5) == 0
    exchange = atomic.exchange

    def slowly_in_two_steps(one: Path, other: Path) -> bool:
        other.rename(one.with_name("aside"))
        time.sleep(0.01)
        one.rename(other)
        one.with_name("aside").rename(one)
        return True

    monkeypatch.setattr(atomic, "exchange", slowly_in_two_steps)
    assert gaps(tmp_path / "m", 0.5) > 0  # so this test can see a gap
    assert exchange is rename.exchange


# Files of others ----------------------------------------------------------------------------------------------------


def somebodys_work(folder: Path) -> Iterator[Path]:
    (folder / "thesis").mkdir()
    (folder / "thesis" / "thesis.tex").write_text("years")
    yield folder / "thesis"
    (folder / "notes.txt").write_text("years")
    yield folder / "notes.txt"
    (folder / "link").symlink_to("thesis")
    yield folder / "link"


def test_overwrite_does_not_delete_what_is_no_earlier_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in somebodys_work(tmp_path):
        with pytest.raises(InvalidArgumentError, match=r"`path` must be a new path or.*Nothing else is deleted"):
            write(path, "new")
    for path in (Path("/"), tmp_path / "thesis" / "..", Path()):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InvalidArgumentError, match="`path` must be a new path or"):
            write(path, "new")
    write(tmp_path / "m", "old")
    monkeypatch.chdir(tmp_path / "m")
    with pytest.raises(InvalidArgumentError, match="not the current one"):
        write(Path(), "new")
    assert (tmp_path / "thesis" / "thesis.tex").read_text() == (tmp_path / "notes.txt").read_text() == "years"


def test_an_empty_folder_is_taken_and_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "m").mkdir()
    (tmp_path / "link").symlink_to("disk/m")
    for text in ("old", "new"):
        write(tmp_path / "link", text)
        assert texts(tmp_path / "disk" / "m") == {text}
    write_file(tmp_path / "other", b"old")
    (tmp_path / "alias").symlink_to("other")
    write_file(tmp_path / "alias", b"new")
    assert (tmp_path / "other").read_bytes() == b"new"
    assert (tmp_path / "alias").is_symlink()
    assert (tmp_path / "link").is_symlink()


@linux
def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PathNotWritableError, match="Not a regular file"):
        write_file(tmp_path / "pipe", b"x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_names_of_every_kind_and_length_are_allowed(tmp_path: Path) -> None:
    for name in ("a b", "ünïcode 漢字", "-o", "x" * 255, "é" * 127, "'$(rm)'"):
        write(tmp_path / "there" / name, "new")
        assert texts(tmp_path / "there" / name) == {"new"}
        assert write_file(tmp_path / "files" / name, b"new").read_bytes() == b"new"


@pytest.mark.parametrize("path", [None, 5, b"m", ["m"]])
def test_other_types_than_paths_are_refused(path: Any) -> None:
    for export in (vc.export_saved_model, vc.export_tflite):
        with pytest.raises(InvalidTypeError, match="`path` must be a path: a string"):
            export(cnn(), path)


@pytest.mark.parametrize("path", ["", "m\0"])
def test_impossible_names_are_refused(path: str) -> None:
    for export in (vc.export_saved_model, vc.export_tflite):
        with pytest.raises(InvalidArgumentError, match="`path` must be the name of a file or folder"):
            export(cnn(), path)


def test_leftovers_do_not_count_as_versions(tmp_path: Path) -> None:
    for name in (".3.0123456789abcdef0123456789abcdef.partial", "2"):
        (tmp_path / name).mkdir()
    assert next_version(tmp_path).name == "3"


# Killed halfway ----------------------------------------------------------------------------------------------------


@linux
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_killed_writer_leaves_the_folder_whole(tmp_path: Path) -> None:
    """Forty times, at random moments of the writing, the exchange and the cleanup."""
    chance = random.Random(0)
    write(tmp_path / "m", "0")
    for _ in range(40):
        child = os.fork()
        if not child:
            for number in range(10**9):  # pragma: no cover - killed
                write(tmp_path / "m", str(number))
        time.sleep(0.005 + 0.02 * chance.random())
        os.kill(child, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        assert len(texts(tmp_path / "m")) == 1  # all files are of the same version
    leftovers = {entry.name for entry in tmp_path.iterdir()} - {"m"}
    assert leftovers
    assert all(PARTIAL.fullmatch(name) for name in leftovers)


EXPORTER = """
import sys
import keras, numpy as np, visualcnn_tf as vc
model = keras.models.load_model(sys.argv[1])
for number in range(1, 10**6):
    model.set_weights([np.full_like(weight, number) for weight in model.get_weights()])
    vc.export_saved_model(model, sys.argv[2], signatures=["serving_default"], overwrite=True, verify=False)
    print(number, flush=True)
"""


def cnn() -> Any:
    return keras.Sequential([keras.Input((12, 12, 1), name="image"), *small_cnn_layers()])


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, pytest.param(15, marks=pytest.mark.slow)])
def test_a_killed_export_leaves_a_version_that_loads(tmp_path: Path, kills: int) -> None:
    chance = random.Random(1)
    one = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, use_bias=False, name="d")])
    one.save(tmp_path / "model.keras")
    for _ in range(kills):
        command = [sys.executable, "-c", EXPORTER, str(tmp_path / "model.keras"), str(tmp_path / "m")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            last = int(child.stdout.readline())
            time.sleep(0.5 * chance.random())
            child.kill()
            last = max([last, *map(int, child.stdout.read().split())])
        served = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
        (answer,) = served(x=tf.ones((1, 2))).values()
        assert float(answer[0, 0]) / 2 in (
            last,
            last + 1,
        )  # one version, the last that was printed or the next
    leftovers = {entry.name for entry in tmp_path.iterdir()} - {"m", "model.keras"}
    assert all(PARTIAL.fullmatch(name) for name in leftovers)


# Full and read-only disks -------------------------------------------------------------------------------------------


def everything_that_writes(folder: Path) -> dict[str, Any]:
    explained = vc.attach(cnn(), "last")
    visualizer = vc.Visualizer(cnn(), small_layers=True)
    noise = np.random.default_rng(0).random((12, 12, 1))
    visualizer.heatmap(noise)
    return {
        "saved model": lambda: vc.export_saved_model(explained, folder / "served", signatures=["serving_default"]),
        "tflite": lambda: vc.export_tflite(explained, folder / "m.tflite", verify=False),
        "pictures": lambda: visualizer.save_heatmaps(folder, resize=4000),
        "figure": lambda: visualizer.show_heatmap(path=folder / "shown.png"),
    }


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_full_and_read_only_disks_are_reported(tmp_path: Path, how: str) -> None:
    with tmpfs(tmp_path / "disk", kilobytes=16) as disk:
        kept = "kept" if how == "read-only" else "x" * 15_000  # all of its four pages
        (disk / "old").write_text(kept)
        if how == "read-only":
            make_read_only(disk)
        reason = "No space left on device" if how == "full" else "Read-only file system"
        for name, run in everything_that_writes(disk).items():
            with pytest.raises(PathNotWritableError) as failed:
                run()
            assert reason in str(failed.value), f"{name}: {failed.value}"
            assert [entry.name for entry in disk.iterdir()] == ["old"], name
        assert (disk / "old").read_text() == kept
