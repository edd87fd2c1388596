"""Matplotlib's figure for notebooks. Needs the extra ``plot``, so it is imported where a figure is drawn."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A figure that a notebook shows as the value of a cell, although it was made without pyplot."""

    def _repr_png_(self) -> bytes:
        self.savefig(content := BytesIO(), format="png")
        return content.getvalue()
