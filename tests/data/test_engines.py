"""Engines: one of the user's; and Ray, Spark and Dask, whose workers are killed. Run the latter with ``-m engines``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.photos import COUNT, SHARD_ROWS, Photos

import visualcnn_tf as vc
from visualcnn_tf._utils.worker import WORKER
from visualcnn_tf.data.engines.work import Work

pq = pytest.importorskip("pyarrow.parquet")
ROOT = Path(__file__).resolve().parents[2]


def check(photos: Photos, out: Path) -> None:
    """Each row is there once, and right."""
    photos.check(pq.read_table(out / "data").to_pydict(), vc.read_maps(out))


def explain(photos: Photos, out: Path, **options: Any) -> vc.BatchReport:
    return vc.explain_dataset(photos.exported, photos.folder, out, shard_rows=SHARD_ROWS, **options)


# An engine of the user's --------------------------------------------------------------------------------------------


def test_an_engine_is_a_function(photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKER, "1")  # what the task sets, here in this process

    def threads(task: Callable[[str], Any], shards: list[str]) -> Iterator[Any]:
        assert [json.loads(shard)[0] for shard in shards] == list(range(8))
        with ThreadPoolExecutor(2) as pool:
            yield from pool.map(task, reversed(shards))

    assert explain(photos, tmp_path, engine=threads).computed == COUNT
    check(photos, tmp_path)


def test_an_engine_that_runs_shards_twice_doubles_nothing(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKER, "1")
    assert explain(photos, tmp_path, engine=lambda task, shards: map(task, shards * 2)).computed == COUNT
    check(photos, tmp_path)


def test_an_engine_that_leaves_shards_out_is_noticed(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKER, "1")
    with pytest.raises(vc.BatchError, match=r"1 of 8 shards are not done, .* shard 7 .*: it was not begun"):
        explain(photos, tmp_path, engine=lambda task, shards: map(task, shards[:-1]))


@pytest.mark.slow
def test_a_task_is_sent_as_code_and_imports_the_package_itself(tmp_path: Path) -> None:
    """cloudpickle sends it by value, so what unpickles it need not import the package, and with it Keras, first."""
    cloudpickle = pytest.importorskip("cloudpickle")
    (tmp_path / "task.pkl").write_bytes(cloudpickle.dumps(Work("{}", [], None, None).task))
    code = f"""
import pickle, sys
task = pickle.load(open({str(tmp_path / "task.pkl")!r}, "rb"))
assert "visualcnn_tf" not in sys.modules
try:
    task("[0, 0, []]")
except KeyError:
    pass
print([name for name in ("visualcnn_tf.data.work", "tensorflow", "keras") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "['visualcnn_tf.data.work', 'tensorflow']\n", done.stderr


# Ray, Spark and Dask -------------------------------------------------------------------------------------------------


@contextmanager
def driver(photos: Photos, out: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that runs a job with an engine, started with all that it starts."""
    program = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import visualcnn_tf as vc
print(vc.explain_dataset({str(photos.exported)!r}, {str(photos.folder)!r}, {str(out)!r}, shard_rows={SHARD_ROWS},
                         batch_size=1, **{options!r}))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (out.parent / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=out.parent, env=environment, stdout=log, stderr=log, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def workers_of(out: Path) -> list[int]:
    """The processes that have begun a shard and not ended it."""
    return [int(mark.name.split("-")[-2]) for mark in out.glob("_temporary/begun-*/*-*")]


def wait_for(what: Callable[[], Any], process: subprocess.Popen[str], log: Path) -> Any:
    end = time.monotonic() + 240
    while not (found := what()):
        assert process.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < end, log.read_text()[-4000:]
        time.sleep(0.005)
    return found


ENGINES = {
    "ray": {"engine": "ray", "workers": 2},
    "spark": {"engine": "spark", "address": "local-cluster[2,1,1024]"},
    "dask": {"engine": "dask", "workers": 2},
}
MODULES = {"ray": "ray", "spark": "pyspark", "dask": "distributed"}


@pytest.mark.engines
@pytest.mark.parametrize("engine", ENGINES)
def test_a_worker_is_killed_then_the_driver(photos: Photos, tmp_path: Path, engine: str) -> None:
    pytest.importorskip(MODULES[engine])
    out, log = tmp_path / "out", tmp_path / "log"
    with driver(photos, out, **ENGINES[engine]) as process:
        wait_for(lambda: list(out.glob("data/*.parquet")), process, log)
        os.kill(wait_for(lambda: workers_of(out), process, log)[0], signal.SIGKILL)
        count = len(list(out.glob("data/*.parquet")))
        wait_for(lambda: len(list(out.glob("data/*.parquet"))) > count, process, log)
        os.killpg(process.pid, signal.SIGKILL)
    before = len(list(out.glob("data/*.parquet")))
    with driver(photos, out, **ENGINES[engine]) as process:
        assert process.wait(240) == 0, log.read_text()[-4000:]
    assert before < 8
    check(photos, out)
    assert f"200 images in {out}" in log.read_text()


def executor_of(pid: int) -> int:
    """The executor of Spark that a worker belongs to: a process of Java."""
    while "CoarseGrainedExecutorBackend" not in Path(f"/proc/{pid}/cmdline").read_text():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


@pytest.mark.engines
@pytest.mark.parametrize("engine", ENGINES)
def test_a_worker_is_killed_and_nobody_notices(photos: Photos, tmp_path: Path, engine: str) -> None:
    """Of Spark it is a whole executor."""
    pytest.importorskip(MODULES[engine])
    out, log = tmp_path / "out", tmp_path / "log"
    with driver(photos, out, **ENGINES[engine]) as process:
        worker = wait_for(lambda: workers_of(out), process, log)[0]
        os.kill(executor_of(worker) if engine == "spark" else worker, signal.SIGKILL)
        assert process.wait(240) == 0, log.read_text()[-4000:]
    check(photos, out)


def ray_start(*words: str) -> None:
    ray = Path(sys.executable).with_name("ray")
    command = [str(ray), "start", "--num-cpus=1", "--object-store-memory=200000000", "--node-ip-address=127.0.0.1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def raylets() -> list[int]:
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/comm")
        if path.read_text(errors="replace").strip() == "raylet"
    ]


@pytest.mark.engines
def test_ray_loses_one_of_two_nodes(photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")  # what all processes of this cluster know, and nobody else
    monkeypatch.setenv("RAY_AUTH_TOKEN", uuid.uuid4().hex)
    out, log = tmp_path / "out", tmp_path / "log"
    ray_start("--head", "--port=6399", "--include-dashboard=false")
    first = raylets()
    try:
        ray_start("--address=127.0.0.1:6399")
        [second] = set(raylets()) - set(first)
        with driver(photos, out, engine="ray", address="127.0.0.1:6399") as process:
            wait_for(lambda: list(out.glob("data/*.parquet")), process, log)
            os.kill(second, signal.SIGKILL)
            assert process.wait(300) == 0, log.read_text()[-4000:]
    finally:
        subprocess.run(
            [str(Path(sys.executable).with_name("ray")), "stop", "--force"], capture_output=True, check=False
        )
    check(photos, out)
