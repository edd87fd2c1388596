"""A picture that fills a figure pixel by pixel. Importing this module needs the extra ``plot``."""

from __future__ import annotations

from typing import Any

from matplotlib.image import BboxImage


class CanvasImage(BboxImage):
    """An image that is drawn as it is where the figure has as many pixels, which Matplotlib would resample."""

    def make_image(self, renderer: Any, magnification: float = 1.0, unsampled: bool = False) -> Any:
        """Return the pixels to draw, and where they begin; see Matplotlib."""
        pixels = self.get_array()
        box = self.get_window_extent(renderer)
        if magnification == 1 and (round(box.height), round(box.width)) == pixels.shape[:2]:
            return pixels[::-1], 0, 0, None  # renderers begin at the bottom
        return super().make_image(renderer, magnification, unsampled)
