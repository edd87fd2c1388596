"""10,000 images of mixed sizes in one job: memory stays flat, and nothing is left open or behind."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from multiprocessing import active_children, resource_tracker
from pathlib import Path

import numpy as np
import pytest
from support.hostile_files import encoded
from support.photos import Photos

import visualcnn_tf as vc

pytest.importorskip("pyarrow")
linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
COUNT, MB = 10_000, 1024


def resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // MB


@linux
@pytest.mark.slow
def test_memory_is_flat(photos: Photos, tmp_path: Path) -> None:
    rng, source = np.random.default_rng(0), tmp_path / "photos"
    source.mkdir()
    contents = [
        encoded(rng.integers(0, 256, (*rng.integers(20, 600, 2), 3)).astype(np.uint8), ("JPEG", "PNG")[number % 2])
        for number in range(50)
    ]
    contents += [photos.contents[0][:100], b"", encoded(np.zeros((4000, 4000, 3), np.uint8), "PNG")]
    for number in range(COUNT):
        (source / f"{number:05d}.img.png").write_bytes(contents[number % len(contents)])
    resource_tracker.ensure_running()  # a process of multiprocessing, which stays
    handles, leftovers = set(os.listdir("/proc/self/fd")), set(os.listdir(tempfile.gettempdir()))
    samples: list[tuple[float, int]] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            for process in active_children():
                try:
                    samples.append((time.monotonic(), resident(process.pid or 0)))
                except (OSError, StopIteration):
                    continue

    before, watcher = resident(os.getpid()), threading.Thread(target=watch)
    watcher.start()
    report = vc.explain_dataset(photos.exported, source, tmp_path / "out", workers=2, shard_rows=500)
    ended.set()
    watcher.join()
    assert (report.rows, report.computed) == (COUNT, COUNT)
    start, end = samples[0][0], samples[-1][0]
    middle = [size for when, size in samples if 0.3 < (when - start) / (end - start) < 0.6]
    last = [size for when, size in samples if (when - start) / (end - start) > 0.7]
    print(f"worker: {max(middle)}, then {max(last)} MB; driver: {before}, then {resident(os.getpid())} MB; {report}")
    assert max(last) < max(middle) + 100
    assert max(last) < 2048
    assert resident(os.getpid()) < before + 200
    assert set(os.listdir("/proc/self/fd")) <= handles
    assert {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("visualcnn")} <= leftovers
    assert not active_children()
