"""The API reference names all that is public."""

from __future__ import annotations

import re
from pathlib import Path

import visualcnn_tf as vc

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "api.md").read_text()


def test_every_public_name_is_on_the_page():
    named = {name.rpartition(".")[2] for name in re.findall(r"^::: (visualcnn_tf\S*)$", PAGE, flags=re.MULTILINE)}
    of_errors = {name for name in vc.__all__ if hasattr(vc.errors, name)}
    assert named == set(vc.__all__) - of_errors


def test_every_document_is_in_the_menu():
    menu = set(re.findall(r"^  - .*: (\S+\.md)$", (DOCS.parent / "mkdocs.yml").read_text(), flags=re.MULTILINE))
    assert {path.name for path in DOCS.glob("*.md")} == menu - {"index.md", "changelog.md", "contributing.md"}
