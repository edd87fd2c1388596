"""The long checks, in short: nothing leaks, hangs or is wrong, and the checks notice when something is."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import pytest

from tools.soak import __main__ as soak
from tools.soak import memory, threads
from tools.soak.subject import SoakError, check_same, images

SERVED = ("grpc", "tensorflow_serving.apis.predict_pb2")


@pytest.mark.slow
@pytest.mark.parametrize("part", ["attach and forget", "threads", "first calls", "spawned workers", "forked workers"])
def test_part(part: str) -> None:
    assert soak.QUICK[part]()


@pytest.mark.slow
@pytest.mark.parametrize("part", ["calls", "predict"])
def test_memory(part: str) -> None:
    assert "growth of memory" in soak.QUICK[part]()


def test_clients() -> None:
    for name in SERVED:
        pytest.importorskip(name, reason="needs `pip install --no-deps tensorflow-serving-api`")
    assert soak.QUICK["clients"]()["clients"] == "64"


def test_the_full_run_has_the_same_parts() -> None:
    assert list(soak.FULL) == list(soak.QUICK)


# Does it notice? ------------------------------------------------------------------------------------------------------


def test_growing_memory_is_noticed() -> None:
    kept = []
    assert memory.growth(lambda _: kept.append(bytearray(4_000_000)), count=20, warm_up=1) > memory.GROWTH


@pytest.mark.slow
def test_what_is_kept_alive_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, attached = [], memory.attached
    monkeypatch.setattr(memory, "attached", lambda *args: kept.append(attached(*args)) or kept[-1])
    with pytest.raises(SoakError, match=r"Left behind: [1-9]"):
        memory.cycles(2)


@pytest.mark.slow
def test_a_hook_that_stays_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def hooked(model: Any, number: int) -> Any:
        vars(model.layers[0])["hook"] = number
        return attached(model, number)

    attached = memory.attached
    monkeypatch.setattr(memory, "attached", hooked)
    with pytest.raises(SoakError, match=r"hooks on \['first'\]"):
        memory.cycles(2)


def test_threads_that_fail_or_hang_are_noticed() -> None:
    with pytest.raises(SoakError, match="1 of 2 threads failed, the first with ZeroDivisionError"):
        threads.run_together([lambda: None, lambda: 1 / 0], seconds=10)  # type: ignore[list-item, func-returns-value]
    stop = threading.Event()
    with pytest.raises(SoakError, match="did not end"):
        threads.run_together([lambda: None, stop.wait], seconds=0.2)  # type: ignore[list-item]
    stop.set()
    time.sleep(0.1)


def test_a_wrong_answer_is_noticed() -> None:
    with pytest.raises(SoakError, match="'predictions' differs by 1"):
        check_same("x", images(1), images(1) + 1)


def test_a_part_that_fails_does_not_keep_the_others_from_running(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    monkeypatch.setitem(soak.QUICK, "spawned workers", lambda: {"workers": "2"})
    assert soak.main(["--quick", "clients", "spawned workers"]) == 1
    printed = capsys.readouterr()
    assert "clients: not run: " in printed.err
    assert "`pip install --no-deps tensorflow-serving-api`" in printed.err
    assert "| spawned workers | workers: 2 |" in printed.out
