"""A quiet TensorFlow, and a Matplotlib without a screen: set before either is imported."""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["MPLBACKEND"] = "Agg"
# On some processors TensorFlow leaves oneDNN out, and with it convolutions with channels first or in groups.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Everyday: the same examples in each run. More: `pytest --hypothesis-profile=many tests/pipeline/test_properties.py`.
settings.register_profile("everyday", max_examples=20, derandomize=True, deadline=None)
settings.register_profile("many", max_examples=1000, deadline=None)
settings.load_profile("everyday")


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is marked as slow
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow all cases of a sweep but a chosen few: see the marker ``sweep``."""
    cases = (item for item in items if isinstance(item, pytest.Function) and item.get_closest_marker("sweep"))
    for _, group in itertools.groupby(cases, key=lambda case: (case.parent, case.originalname)):
        sweep = [case for case in group if not case.get_closest_marker("slow")]
        everyday = list(_everyday(sweep))
        for case in sweep:
            if case not in everyday:
                case.add_marker(pytest.mark.slow)


def _everyday(sweep: Iterable[pytest.Function]) -> Iterator[pytest.Function]:
    """Yield cases, the same in each run, until each value of each parameter was among them, and ``cases`` of them."""
    seen: set[tuple[str, str]] = set()
    yielded = 0
    for case in sorted(sweep, key=lambda case: zlib.crc32(case.name.encode())):
        marker = case.get_closest_marker("sweep")
        wanted = marker.kwargs.get("cases") if marker else None
        values = {(name, repr(value)) for name, value in case.callspec.params.items()}
        if yielded < wanted if wanted is not None else values - seen:
            seen |= values
            yielded += 1
            yield case
