"""Every case of ``golden/cases.py`` against what version 1.0.0 returned for it, see ``golden/make.py``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from golden.cases import CASES, METHODS

Arrays = dict[str, dict[str, np.ndarray]]

#: Allowed differences. The values of a normalized heatmap are within [-1, 1], so there they are meant as they stand.
#: Raw maps (and predictions) have a size of their own, from hundredths to tens, and the rounding of float32 grows with
#: it: there they are parts of the largest value of the array. Classes are compared exactly. A byte may round to the
#: next step where a float differs in its last bit, as on another processor.
TOLERANCES = {"float32": 1e-6, "float16": 1e-3}
FOLDER = Path(__file__).parent / "golden"


def by_case(path: Path) -> Arrays:
    """The outputs of each case, in the order in which they were returned."""
    cases: Arrays = {}
    with np.load(path) as file:
        for name in file.files:
            case, key = name.split("/")
            cases.setdefault(case, {})[key] = file[name]
    return cases


GOLDEN = by_case(FOLDER / "golden.npz")


@pytest.fixture(scope="module")
def computed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    path = tmp_path_factory.mktemp("golden") / "computed.npz"
    cases = [item for item in request.session.items if isinstance(item, pytest.Function)]
    names = [case.callspec.params["name"] for case in cases if case.originalname == test_golden.__name__]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "golden.compute", str(path), *names]
    subprocess.run(command, env=environment, check=True, timeout=900)
    return by_case(path)


@pytest.mark.sweep(cases=24)
@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, computed: Arrays) -> None:
    case, outputs, wanted = CASES[name], computed[name], GOLDEN[name]
    assert list(outputs) == list(wanted)
    for key, want in wanted.items():
        assert (outputs[key].dtype, outputs[key].shape) == (want.dtype, want.shape), key
        if want.dtype.kind == "f":
            is_normalized = key.startswith("heatmap") and case.normalize is not None
            assert_close(key, outputs[key], want, is_normalized)
        elif want.dtype == np.uint8:
            assert_bytes_close(key, outputs[key], want)
        else:
            np.testing.assert_array_equal(outputs[key], want, err_msg=key)


def assert_close(key: str, got: np.ndarray, want: np.ndarray, is_normalized: bool) -> None:
    """Floats within the tolerance of their type."""
    tolerance = TOLERANCES[want.dtype.name] * (1.0 if is_normalized else float(np.abs(want).max()))
    np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=0, atol=tolerance, err_msg=key)


def assert_bytes_close(key: str, got: np.ndarray, want: np.ndarray) -> None:
    """Bytes of which a few may be rounded to the next step."""
    apart = np.abs(got.astype(int) - want.astype(int))
    assert apart.max() <= 1, key
    assert np.mean(apart == 0) >= 0.99, key


def test_the_file_is_of_these_cases() -> None:
    assert list(GOLDEN) == list(CASES)


def test_every_method_has_two_cases() -> None:
    counts = Counter(case.method for case in CASES.values() if isinstance(case.method, str))
    assert [method for method in METHODS if counts[method] < 2] == []
