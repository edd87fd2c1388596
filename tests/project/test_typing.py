"""The types of the public face, as mypy in strict mode sees them in a user's program."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "visualcnn_tf"
CONFIG = """
[mypy]
strict = True
[mypy-tensorflow.*,keras.*]
ignore_missing_imports = True
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed, beside NumPy alone: its types come by way of `py.typed`, not of a checkout."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("user")
    venv.create(folder / "env")
    (packages,) = (folder / "env").glob("lib/python*/site-packages")
    for package in (PACKAGE, Path(np.__file__).parent):
        (packages / package.name).symlink_to(package)
    (folder / "mypy.ini").write_text(CONFIG)
    return folder


def checked(environment: Path, program: str) -> subprocess.CompletedProcess[str]:
    (environment / "program.py").write_text(program)
    python = environment / "env" / "bin" / "python"
    command = [sys.executable, "-m", "mypy", "--python-executable", str(python), "program.py"]
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MYPYPATH")}
    return subprocess.run(command, cwd=environment, env=clean, capture_output=True, text=True)


def test_a_program_that_uses_the_public_face(environment: Path):
    done = checked(environment, (TESTS / "support" / "typed_use.py").read_text())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("vc.attach(None, siez=None)", 'Unexpected keyword argument "siez" for "attach"'),
        ("vc.attach(None, heatmap_dtype=8)", 'Argument "heatmap_dtype" to "attach" has incompatible type "int"'),
        ("vc.attach(None).predict(1) + 1", 'Unsupported operand types for + ("dict[str, ndarray'),
    ],
)
def test_a_mistake_is_found(environment: Path, line: str, message: str):
    done = checked(environment, f"import visualcnn_tf as vc\n{line}\n")
    assert done.returncode == 1
    assert message in done.stdout
    assert "Found 1 error" in done.stdout
