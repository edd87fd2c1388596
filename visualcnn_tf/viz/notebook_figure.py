"""A figure of Matplotlib for notebooks. Importing this module needs the extra ``plot``."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A figure that a notebook shows as the value of a cell, although it was made without pyplot."""

    def _repr_png_(self) -> bytes:
        """Return the figure as PNG, as notebooks ask for it."""
        self.savefig(content := BytesIO(), format="png")
        return content.getvalue()
