"""A figure of Matplotlib that was made without pyplot. Importing this module needs the extra ``plot``."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure

from visualcnn_tf.viz.windows import show_figure


class NotebookFigure(Figure):
    """A figure that shows itself, although pyplot knows nothing of it before."""

    def _repr_png_(self) -> bytes:
        """Return the figure as PNG, as notebooks ask for it."""
        self.savefig(content := BytesIO(), format="png")
        return content.getvalue()

    def show(self, warn: bool = True) -> None:
        """Show the figure, below the cell in a notebook, else in a window.

        Where no window can be opened, it is drawn into a temporary file, whose path is printed.

        Args:
            warn: As in Matplotlib; without effect, because nothing is warned of.
        """
        show_figure(self, "`savefig` chooses another file")
