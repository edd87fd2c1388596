"""What is promised about installing and importing: version, optional packages, wheel and sdist."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import visualcnn_tf

ROOT = Path(__file__).resolve().parents[2]
OPTIONAL = (
    "matplotlib",
    "sklearn",
    "PIL",
    "scipy",
    "tf_keras_vis",
    "pyarrow",
    "tqdm",
    "zarr",
    "fsspec",
    "ray",
    "pyspark",
    "dask",
)

# Where the optional packages are installed, Keras loads them itself, so they are hidden until Keras is there.
# The import of Matplotlib at the end shows that the test can fail.
LIST_LOADED = f"""
import json, sys
optional = {OPTIONAL!r}
def loaded():
    return [name for name in optional if name in sys.modules]
sys.modules.update(dict.fromkeys(optional))
import tensorflow, keras
for name in optional:
    del sys.modules[name]
import visualcnn_tf
by_package = loaded()
import matplotlib
print(json.dumps([by_package, loaded()]))
"""


def python(code: str) -> str:
    """Runs the code in a fresh process; returns the last line that it prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (done.stdout.splitlines() or [""])[-1]


def sources() -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in (ROOT / "visualcnn_tf").rglob("*.py")}


def test_version_equals_the_metadata():
    try:
        installed = metadata.version("visualcnn-tf")
    except metadata.PackageNotFoundError:
        pytest.skip("visualcnn-tf is not installed: the tests run from a checkout")
    assert visualcnn_tf.__version__ == installed


def test_importing_loads_no_optional_package():
    by_package, with_matplotlib = json.loads(python(LIST_LOADED))
    assert by_package == []
    assert "matplotlib" in with_matplotlib


def test_importing_needs_no_optional_package():
    blocked = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL!r})); import visualcnn_tf as vc"
    assert python(f"{blocked}; print(vc.__version__)") == visualcnn_tf.__version__


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel, the wheel built from the sdist."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_wheel_holds_the_package_and_nothing_else(distributions: Path):
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"visualcnn_tf-{visualcnn_tf.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"visualcnn_tf", info}
    assert {name for name in names if name.endswith(".py")} == sources()
    assert {"visualcnn_tf/py.typed", f"{info}/licenses/LICENSE", f"{info}/entry_points.txt"} <= names


@pytest.mark.slow
def test_wheel_states_its_metadata(distributions: Path):
    (wheel,) = distributions.glob("*.whl")
    (found,) = metadata.distributions(name="visualcnn-tf", path=[str(wheel)])
    assert found.metadata["License-Expression"] == "Apache-2.0"
    assert found.metadata["Requires-Python"] == ">=3.10"
    required = [name for name in found.requires or [] if "extra ==" not in name]
    assert sorted(name.partition(">")[0] for name in required) == ["keras", "numpy", "tensorflow"]
    assert [entry.value for entry in found.entry_points] == ["visualcnn_tf.cli.main:main"]


@pytest.mark.slow
def test_sdist_holds_tests_and_documents_too(distributions: Path):
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sources() <= names
    assert {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "pyproject.toml"} <= names
    assert "tests/project/test_packaging.py" in names
    for folder in ("benchmarks", "docs", "examples"):
        files = {path.name for path in (ROOT / folder).glob("*") if path.is_file()}
        assert not files or any(name.startswith(f"{folder}/") for name in names), f"{folder} is left out"
    assert not any("__pycache__" in name or name.startswith(".git/") for name in names)
