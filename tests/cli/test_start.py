"""How the command starts: quickly, quietly, and in a process of its own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.small_cnn import small_cnn

from visualcnn_tf._attach import attach
from visualcnn_tf.cli import invocation

ROOT = Path(invocation.__file__).parents[2]
HEAVY = ("tensorflow", "keras", "numpy")

#: What pip installs as `visualcnn`, with a report of what was imported on the last line of the standard output.
SCRIPT = f"""#!{sys.executable}
import json, sys
sys.path.insert(0, {str(ROOT)!r})
from visualcnn_tf.cli.main import main
try:
    sys.exit(main())
finally:
    print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bin") / "visualcnn"
    path.write_text(SCRIPT)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def explained_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "explained.keras"
    attach(small_cnn(), combine="mean", render="overlay", pixels="0..1").save(path)
    return path


def run(command: list[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command with TensorFlow's own log level."""
    clean = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(command, cwd=ROOT, env={**clean, **environment}, capture_output=True, text=True)


def seconds(command: list[str | Path]) -> float:
    """The least of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run(command)
        times.append(time.perf_counter() - start)
    return min(times)


# --- quickly ---


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["show", "--help"], 0),
        (["draw"], 2),
        (["video", "m.keras", "frames", "-o", "film.gif", "--colormap", "hot"], 2),
    ],
)
def test_what_needs_no_model_is_answered_without_tensorflow(script: Path, words: list[str], code: int) -> None:
    done = run([sys.executable, script, *words])
    assert done.returncode == code, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.slow
def test_a_command_imports_tensorflow(script: Path) -> None:
    """So the test above can fail."""
    done = run([sys.executable, script, "layers", "absent.keras"])
    assert json.loads(done.stdout.splitlines()[-1]) == list(HEAVY)


def test_python_dash_m_is_as_quick() -> None:
    done = run([sys.executable, "-X", "importtime", "-m", "visualcnn_tf", "show", "--help"])
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argparse" in imported
    assert imported.isdisjoint(HEAVY)


def test_help_takes_little_longer_than_python(script: Path) -> None:
    assert seconds([sys.executable, script, "--help"]) < seconds([sys.executable, "-c", "pass"]) + 0.5


# --- quietly ---


def test_the_log_of_tensorflow_is_not_shown(script: Path, explained_file: Path) -> None:
    done = run([sys.executable, script, "layers", explained_file])
    assert done.returncode == 0
    assert done.stderr == ""
    assert "second  Conv2D" in done.stdout


@pytest.mark.slow
def test_the_log_of_tensorflow_can_be_asked_for(script: Path) -> None:
    for words, environment in ((["--verbose", "layers"], {}), (["layers"], {"TF_CPP_MIN_LOG_LEVEL": "0"})):
        lines = run([sys.executable, script, *words, "absent.keras"], **environment).stderr.splitlines()
        assert lines[-1].startswith("visualcnn: error: There is no file")
        assert len(lines) > 1


def quietly(code: str) -> subprocess.CompletedProcess[str]:
    """Runs a line inside ``quiet_import``, then writes to the standard error."""
    program = f"""
import os, sys
from visualcnn_tf.cli.quiet import quiet_import
with quiet_import():
    os.write(2, b"notice\\n")
    {code}
print("afterwards", file=sys.stderr)
"""
    return run([sys.executable, "-c", program])


@pytest.mark.slow
def test_what_is_written_during_the_import_is_held_back() -> None:
    assert quietly("pass").stderr.endswith("afterwards\n")
    assert "notice" not in quietly("pass").stderr


def test_what_was_held_back_is_shown_after_an_error() -> None:
    said = quietly("raise ImportError('broken')").stderr
    assert "notice\n" in said
    assert said.endswith("ImportError: broken\n")


@pytest.mark.slow
def test_a_crash_is_not_silent() -> None:
    done = quietly("os.abort()")
    assert done.returncode != 0
    assert "Fatal Python error: Aborted" in done.stderr


@pytest.mark.slow
def test_a_closed_standard_error_is_no_error(explained_file: Path) -> None:
    line = shlex.join([sys.executable, "-m", "visualcnn_tf", "layers", str(explained_file)])
    done = run(["sh", "-c", f"{line} 2>&-"])
    assert done.returncode == 0
    assert "second  Conv2D" in done.stdout


# --- in a process of its own ---


@pytest.mark.parametrize(
    ("argv", "orig_argv", "expected"),
    [
        (["/env/bin/visualcnn"], ["python", "/env/bin/visualcnn"], True),
        (["visualcnn.exe"], ["visualcnn.exe"], True),
        (["-m"], ["python", "-X", "dev", "-m", "visualcnn_tf", "layers"], True),
        (["-m"], ["python", "-m", "pytest", "visualcnn_tf"], False),
        (["visualcnn.py"], ["python", "visualcnn.py"], False),
        (["-c"], ["python", "-c", "import visualcnn_tf"], False),
        ([""], ["python"], False),
        ([], [], False),
    ],
)
def test_the_command_is_told_from_other_programs(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], orig_argv: list[str], expected: bool
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", orig_argv)
    assert invocation.is_command() is expected


@pytest.fixture
def command_line(tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch):
    """``command_line`` as if the script, which lies in ``bin`` of the working folder, had been started by a word."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "visualcnn").symlink_to(script)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")

    def started(program: str, orig_argv: tuple[str, ...] = ()) -> str:
        monkeypatch.setattr(sys, "argv", [program])
        monkeypatch.setattr(sys, "orig_argv", list(orig_argv))
        return invocation.command_line(["layers", "a b.keras"])

    return started


def test_a_command_line_starts_the_same_program(command_line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absolute = str(tmp_path / "bin" / "visualcnn")
    assert command_line("bin/visualcnn") == "bin/visualcnn layers 'a b.keras'"
    assert command_line(absolute) == "bin/visualcnn layers 'a b.keras'"
    dash_m = command_line("/site-packages/visualcnn_tf/__main__.py", ("python3", "-m", "visualcnn_tf", "demo"))
    assert dash_m == "python3 -m visualcnn_tf layers 'a b.keras'"
    assert command_line("/usr/bin/pytest") == "visualcnn layers 'a b.keras'"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert command_line(absolute) == f"{absolute} layers 'a b.keras'"
    monkeypatch.chdir(tmp_path / "bin")
    assert command_line("./visualcnn") == "./visualcnn layers 'a b.keras'"
    assert command_line(absolute) == "./visualcnn layers 'a b.keras'"


def test_a_command_line_is_short_where_the_shell_finds_the_program(
    command_line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert command_line(str(tmp_path / "bin" / "visualcnn")) == "visualcnn layers 'a b.keras'"
    monkeypatch.setenv("UV", "/usr/bin/uv")  # only the process that uv has started finds it
    assert command_line(str(tmp_path / "bin" / "visualcnn")) == "bin/visualcnn layers 'a b.keras'"


@pytest.mark.slow
def test_the_command_has_the_public_names_too(tmp_path: Path) -> None:
    """A model's own code may import them."""
    program = tmp_path / "visualcnn"
    program.write_text(f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import visualcnn_tf as vc
assert "tensorflow" not in sys.modules
vc.errors.InvalidTypeError is vc.InvalidTypeError
from visualcnn_tf import attach, Overlay
assert "tensorflow" in sys.modules
assert vc.attach is attach
try:
    vc.atach
except AttributeError as error:
    print(error)
""")
    done = run([sys.executable, program])
    assert done.returncode == 0, done.stderr
    assert done.stdout == "module 'visualcnn_tf' has no attribute 'atach'\n"
