"""How figures look: colors, opacity, the size of panels."""

from __future__ import annotations

from dataclasses import dataclass

from visualcnn_tf._utils.checks import bad_value, check_choice, is_count
from visualcnn_tf.render.colormaps import COLORMAPS, DEFAULT_COLORMAP
from visualcnn_tf.render.overlay import check_alpha


@dataclass(frozen=True)
class Palette:
    """Colors of the background, of texts, of the frames of panels, and of the text beside a wrong prediction."""

    background: str
    text: str
    frame: str
    mistake: str


BACKGROUNDS = {
    "light": Palette("white", "black", "black", "firebrick"),
    "dark": Palette("#14171c", "#e8ebf0", "#565e6c", "#ff9d94"),
}


@dataclass(frozen=True)
class Look:
    """How figures look.

    Attributes:
        max_columns: More heatmaps than this wrap into lines.
        background: ``"light"`` or ``"dark"``.
        alpha: The opacity of the highest value where heatmaps are laid over their images; None draws the heatmaps by
            themselves.
        colormap: A name in :data:`~visualcnn_tf.render.colormaps.COLORMAPS`.
        panel: The longer side of an image in inches.
        dpi: Pixels per inch of photos.
    """

    max_columns: int = 12
    background: str = "light"
    alpha: float | None = None
    colormap: str = DEFAULT_COLORMAP
    panel: float = 1.5
    dpi: int = 100

    @property
    def pixels(self) -> int:
        """The longer side of a photo in pixels."""
        return round(self.panel * self.dpi)

    def __post_init__(self) -> None:
        if not is_count(self.max_columns):
            raise bad_value("max_columns", "a whole number of at least 1", self.max_columns)
        if not is_count(self.dpi):
            raise bad_value("dpi", "a whole number of at least 1", self.dpi)
        check_choice("background", self.background, tuple(BACKGROUNDS))
        check_choice("colormap", self.colormap, tuple(COLORMAPS))
        if self.alpha is not None:
            check_alpha(self.alpha)

    @property
    def palette(self) -> Palette:
        """The colors beside those of heatmaps."""
        return BACKGROUNDS[self.background]
