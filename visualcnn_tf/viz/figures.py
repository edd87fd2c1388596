"""A gallery of heatmaps: images, each with its heatmaps beside it.

Needs the extra ``plot``. Figures are made without pyplot, so no global state is touched and no window opens:
``plot_heatmaps(images, outputs).savefig("gallery.png")``; a notebook shows the figure that a cell ends with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.render.colormaps import DEFAULT_COLORMAP
from visualcnn_tf.viz import gallery
from visualcnn_tf.viz.look import Look
from visualcnn_tf.viz.rows import make_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_heatmaps(
    images: ArrayLike,
    outputs: Mapping[str, ArrayLike],
    *,
    keys: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    taps: Sequence[Tap] = (),
    labels: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    max_columns: int = 12,
    background: str = "light",
    alpha: float | None = None,
    colormap: str = DEFAULT_COLORMAP,
) -> Figure:
    """Draw each image with its heatmaps beside it, on one color scale from 0 to 1.

    Example:
        >>> outputs = explained.predict(images)                                           # doctest: +SKIP
        >>> plot_heatmaps(images, outputs, taps=explained.taps).savefig("gallery.png")    # doctest: +SKIP

    Args:
        images: ``(N, H, W)``, ``(N, H, W, 1)`` or ``(N, H, W, 3)``: integers 0-255, or floats in any range.
            Floats outside [0, 1] (a preprocessed image) are shown from their minimum to their maximum.
        outputs: What the explained model returned for these images: ``"predictions"`` (may be missing) and
            heatmaps ``(N, h, w)`` in [0, 1], or 0-255 as uint8.
        keys: Which heatmaps, in this order. By default all whose name starts with ``heatmap``.
        titles: One for each heatmap. By default the layer's name and the size of its feature map.
        taps: ``explained.taps``: with it, titles show each layer's own size, and the class that a heatmap explains;
            without it, the heatmap's size.
        labels: The true class of each image: class indices, one-hot rows or, with ``class_names``, names. It is shown
            beside a wrong prediction, which is printed in red, and whose image has a red frame.
        class_names: The names of the classes, in the order of their indices.
        max_columns: More heatmaps than this wrap into lines of about the same length.
        background: ``"light"`` or ``"dark"``, of the figure.
        alpha: None draws heatmaps by themselves; a number from 0 to 1 lays them over their images, with this opacity
            where they are highest. Where they are 0, the image stays as it is.
        colormap: A name in ``visualcnn_tf.COLORMAPS``.

    Raises:
        InvalidArgumentError: An argument does not fit the others; the message says which. Or the figure would be too
            large: use :func:`plot_pages`.
        MissingExtraError: Matplotlib is not installed.
    """
    look = Look(max_columns, background, alpha, colormap)
    rows = make_rows(images, outputs, keys=keys, titles=titles, taps=taps, labels=labels, class_names=class_names)
    return gallery.draw(rows, look)


def plot_pages(
    images: ArrayLike,
    outputs: Mapping[str, ArrayLike],
    *,
    keys: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    taps: Sequence[Tap] = (),
    labels: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    max_columns: int = 12,
    background: str = "light",
    alpha: float | None = None,
    colormap: str = DEFAULT_COLORMAP,
) -> list[Figure]:
    """Draw what :func:`plot_heatmaps` draws, on as many pages as are needed to keep every picture legible.

    A page is up to 12.5 inches high: some 20 square images with one heatmap each, seven with five, or one with 60.

    Example:
        >>> for number, page in enumerate(plot_pages(images, outputs), start=1):          # doctest: +SKIP
        ...     page.savefig(f"gallery_{number}.png")

    Args:
        images: This and all others as in :func:`plot_heatmaps`.
        outputs: What the explained model returned for these images.
        keys: Which heatmaps.
        titles: One for each heatmap.
        taps: ``explained.taps``.
        labels: The true class of each image.
        class_names: The names of the classes, in the order of their indices.
        max_columns: More heatmaps than this wrap into lines of about the same length.
        background: ``"light"`` or ``"dark"``.
        alpha: The opacity of heatmaps that are laid over their images; None draws them by themselves.
        colormap: A name in ``visualcnn_tf.COLORMAPS``.

    Raises:
        InvalidArgumentError: An argument does not fit the others; the message says which.
        MissingExtraError: Matplotlib is not installed.
    """
    look = Look(max_columns, background, alpha, colormap)
    gallery.require_matplotlib()
    rows = make_rows(images, outputs, keys=keys, titles=titles, taps=taps, labels=labels, class_names=class_names)
    return [gallery.draw(page, look) for page in gallery.pages(rows, look)]
