"""Real workers: killed, interrupted, without Keras and without the user's program; every row is there once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.hostile_files import encoded
from support.photos import COUNT, Photos

import visualcnn_tf as vc
from visualcnn_tf.data.engines.processes import processes

pq = pytest.importorskip("pyarrow.parquet")
ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")


def wait_for(what: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)
    return found


def begun(out: Path, index: int | None = None) -> list[int]:
    """The processes that work on a shard, or on any."""
    marks = out.glob(f"_temporary/begun-{'*' if index is None else f'{index:06d}'}/*-*")
    return [int(mark.name.split("-")[-2]) for mark in marks]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def killing(out: Path, index: int | None, times: int) -> Iterator[list[int]]:
    """Kills the processes that work on a shard, so often; yields which were killed."""
    killed: list[int] = []

    def kill() -> None:
        while len(killed) < times and not stopped.wait(0.001):
            for pid in set(begun(out, index)) - set(killed):
                if alive(pid) and len(killed) < times:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    stopped, thread = threading.Event(), threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        stopped.set()
        thread.join()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 images that take a while each."""
    folder = tmp_path_factory.mktemp("large")
    content = encoded(np.zeros((2500, 2500, 3), np.uint8), "PNG")
    for number in range(24):
        (folder / f"{number:02d}.png").write_bytes(content)
    return folder


def explain(photos: Photos, source: Path, out: Path, **options: Any) -> vc.BatchReport:
    return vc.explain_dataset(photos.exported, source, out, **{"workers": 2, "shard_rows": 3, **options})


def rows(out: Path) -> list[int]:
    return sorted(pq.read_table(out / "data")["row"].to_pylist())


@posix
def test_a_worker_that_is_killed_loses_nothing(photos: Photos, large: Path, tmp_path: Path) -> None:
    with killing(tmp_path, None, 1) as killed:
        report = explain(photos, large, tmp_path)
    assert len(killed) == 1
    assert (report.rows, report.computed, report.errors) == (24, 24, 0)
    assert rows(tmp_path) == list(range(24))
    assert not active_children()


@posix
@pytest.mark.slow
def test_a_shard_that_kills_its_workers_is_named_and_the_others_are_done(
    photos: Photos, large: Path, tmp_path: Path
) -> None:
    with killing(tmp_path, 4, 3) as killed, pytest.raises(vc.BatchError) as caught:
        explain(photos, large, tmp_path)
    assert len(set(killed)) == 3
    assert "1 of 8 shards are not done, first of all shard 4 (rows 12 to 14, from '12.png')" in str(caught.value)
    assert "3 workers have died with it. 21 images are done" in str(caught.value)
    assert rows(tmp_path) == [row for row in range(24) if row not in (12, 13, 14)]
    assert explain(photos, large, tmp_path, workers=0).computed == 3
    assert rows(tmp_path) == list(range(24))


@contextmanager
def driver(words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that runs a job; it is ended at last."""
    quiet = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    process = subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@posix
def test_a_driver_that_is_killed_takes_its_workers_along(photos: Photos, large: Path, tmp_path: Path) -> None:
    """The program has no ``if __name__ == "__main__"``: workers don't import it."""
    program, out = tmp_path / "program.py", tmp_path / "out"
    program.write_text(f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import keras
import visualcnn_tf as vc
vc.explain_dataset({str(photos.exported)!r}, {str(large)!r}, {str(out)!r}, workers=2, shard_rows=3)
""")
    with driver([str(program)]) as process:
        wait_for(lambda: list(out.glob("data/*.parquet")) or process.poll() is not None)
        workers = wait_for(lambda: begun(out) or process.poll() is not None)
        process.kill()
        wait_for(lambda: not any(map(alive, workers)), 10)
    done = rows(out)
    assert 0 < len(done) < 24, process.communicate()
    assert explain(photos, large, out, workers=0).computed == 24 - len(done)
    assert rows(out) == list(range(24))
    assert sorted(path.name for path in out.iterdir()) == ["_SUCCESS", "data", "plan.json"]


@posix
@pytest.mark.slow
def test_ctrl_c_stops_the_command_and_the_same_goes_on(photos: Photos, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["batch", str(photos.exported), str(large), "--out", str(out), "--workers", "1", "--shard-rows", "3"]
    with driver(["-m", "visualcnn_tf", *words]) as process:
        wait_for(lambda: list(out.glob("data/*.parquet")) or process.poll() is not None)
        workers = wait_for(lambda: begun(out) or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == "The same command goes on with what is missing.\nvisualcnn: error: Stopped.\n"
    assert not any(map(alive, workers))
    assert 0 < explain(photos, large, out, workers=0).computed < 24
    assert rows(out) == list(range(24))


@pytest.mark.slow
def test_workers_load_no_keras_and_no_program_and_leave_no_trace(photos: Photos) -> None:
    before = dict(os.environ)
    with processes(1) as pool:
        explained = pool.submit(vc.BatchExplainer(photos.exported, 1), photos.contents[:1]).result()
        names = pool.submit(eval, "[name.split('.')[0] for name in __import__('sys').modules]").result()
        assert not {"keras", "pytest", "PIL"}.intersection(names)
        assert "tensorflow" in names
    assert len(explained["valid"]) == 1
    assert dict(os.environ) == before


@pytest.mark.slow
def test_two_workers_share_the_work(photos: Photos, tmp_path: Path) -> None:
    report = vc.explain_dataset(photos.exported, photos.folder, tmp_path, workers=2, shard_rows=25)
    assert report.computed == COUNT
    photos.check(pq.read_table(tmp_path / "data").to_pydict(), vc.read_maps(tmp_path))
