"""The progress of a job: as a bar where tqdm is, else as one line of text, and only on a terminal."""

from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from visualcnn_tf.data import progress as module
from visualcnn_tf.data.progress import progress


class Screen(io.StringIO):
    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


class Parts(SimpleNamespace):
    """60 of 100 images were explained before; each look finds 20 more, one of which is no image."""

    rows, errors, fails = 60, 0, False

    def refresh(self) -> None:
        if self.fails:
            raise OSError("the storage does not answer")
        self.rows, self.errors = self.rows + 20, self.errors + 1


def shown(parts: Any, monkeypatch: pytest.MonkeyPatch, is_terminal: bool = True) -> str:
    screen = Screen(is_terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    with progress(parts, 100, is_local=True):
        pass
    return screen.getvalue()


@pytest.fixture
def without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)


@pytest.mark.usefixtures("without_tqdm")
def test_one_line_of_text_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(Parts(), monkeypatch)
    assert re.fullmatch(r"\r80 of 100 images, \S+ a second, 1 errors, \d+ s left *\n", text)


@pytest.mark.usefixtures("without_tqdm")
def test_nothing_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(Parts(), monkeypatch, is_terminal=False) == ""


@pytest.mark.usefixtures("without_tqdm")
def test_storage_that_does_not_answer_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(Parts(fails=True), monkeypatch) == "\n"


def test_a_bar_where_tqdm_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    assert "80/100" in shown(Parts(), monkeypatch)


def test_it_looks_again_while_the_job_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.01)
    parts = Parts(errors=-4)
    monkeypatch.setattr(sys, "stderr", Screen(False))
    with progress(parts, 100, is_local=True):
        while parts.errors < 0:
            pass
    assert parts.rows > 100
