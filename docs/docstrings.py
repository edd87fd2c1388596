"""The package's docstrings as the generator of the API reference wants them."""

from __future__ import annotations

import re
from typing import Any

import griffe

#: Headings of this package, and those that griffe knows as sections.
HEADINGS = {"Example:": "Examples:", "Call arguments:": "Attributes: Call arguments"}
ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`~?(?:[\w.]*\.)?(\w+)`")


class Headings(griffe.Extension):
    """Renames headings, and takes Sphinx's roles for code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for every object that has been read."""
        if obj.docstring is not None:
            lines = [HEADINGS.get(line, line) for line in obj.docstring.value.splitlines()]
            obj.docstring.value = ROLE.sub(r"`\1`", "\n".join(lines))
