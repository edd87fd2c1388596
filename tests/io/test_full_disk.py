"""A disk that fills while a file is written, imitated by a limit on the size of files."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

# At this size the writes of Python and of TensorFlow's C++ code fail as on a full disk, with an error of the system.
PROGRAM = """
    import resource, signal, sys
    import keras
    import visualcnn_tf as vc

    what, folder, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
    layers = [keras.layers.Conv2D(64, 5, name="conv"), keras.layers.Flatten(), keras.layers.Dense(64)]
    explained = vc.attach(keras.Sequential([keras.Input((12, 12, 8), name="image"), *layers]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    export = {"saved_model": vc.export_saved_model, "tflite": vc.export_tflite}[what]
    try:
        export(explained, folder + "/new/m")
    except vc.errors.PathNotWritableError as error:
        print("refused:", error)
"""
_WEIGHTS = 4 * (5 * 5 * 8 * 64 + 8 * 8 * 64 * 64)


def export_until_full(what: str, folder: Path, limit: int) -> str:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), what, str(folder), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "refused: `path` must be a file or folder that can be written" in done.stdout, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("limit", [4096, _WEIGHTS // 2], ids=["at the graph", "in the weights"])
def test_half_a_saved_model_is_removed(limit: int, tmp_path: Path) -> None:
    assert f"{tmp_path}/new/m" in export_until_full("saved_model", tmp_path, limit)
    assert [path.name for path in tmp_path.rglob("*")] == ["new"]


@pytest.mark.slow
def test_half_a_tflite_file_is_removed(tmp_path: Path) -> None:
    # More than the converter needs for its own files, and less than the result.
    assert f"{tmp_path}/new/m" in export_until_full("tflite", tmp_path, _WEIGHTS + 2048)
    assert [path.name for path in tmp_path.rglob("*")] == ["new"]


@pytest.mark.slow
def test_a_full_folder_of_temporary_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    assert f"{tmp_path}/temporary/" in export_until_full("tflite", tmp_path, 4096)
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]
