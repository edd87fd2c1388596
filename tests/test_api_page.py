"""The API reference names all that is public."""

from __future__ import annotations

import re
from pathlib import Path

import visualcnn_tf as vc

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text()


def test_every_public_name_is_on_the_page():
    named = {name.rpartition(".")[2] for name in re.findall(r"^::: (visualcnn_tf\S*)$", PAGE, flags=re.MULTILINE)}
    of_errors = {name for name in vc.__all__ if hasattr(vc.errors, name)}
    assert named == set(vc.__all__) - of_errors
