"""The pages of a gallery of photos, each drawn when it is asked for."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from itertools import islice
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from visualcnn_tf._utils.checks import as_path, bad_value
from visualcnn_tf._utils.progress import progress
from visualcnn_tf.io.atomic import write_file
from visualcnn_tf.viz.explained_photo import ExplainedPhoto, PhotoExplainer
from visualcnn_tf.viz.gallery import parts, require_matplotlib
from visualcnn_tf.viz.grid import PageSize, Row, page_size
from visualcnn_tf.viz.look import Look
from visualcnn_tf.viz.photo_rows import LabeledPhoto, photo_rows, usual_row
from visualcnn_tf.viz.sheet import draw_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Compressed more, a page takes several times as long and is hardly smaller.
_OPTIONS: dict[str, dict[str, Any]] = {"png": {"pil_kwargs": {"compress_level": 1}}}
_PANELS = (4.0, 3.2, 2.6, 2.0)  # inches: the largest in which all photos fit on one page, else the smallest
_SHOWN = 5  # pages in a notebook


@dataclass(frozen=True, repr=False, eq=False)
class PhotoPages(Sequence["Figure"]):
    """Photos with heatmaps over them, on pages; made by :func:`visualcnn_tf.explain_photos`.

    A sequence of Matplotlib figures. Nothing is read before a page is asked for, and no page is kept: each loop over
    the pages explains the photos again. A notebook shows the first pages.

    Attributes:
        labeled: The photos, each with its true class.
        class_names: The names of the classes, None if they are unknown.
        explainer: What explains them.
        look: Colors, opacity and sizes.
    """

    labeled: Sequence[LabeledPhoto]
    class_names: Sequence[str] | None
    explainer: PhotoExplainer
    look: Look

    def __repr__(self) -> str:
        """Count the photos and the pages."""
        return f"<PhotoPages: {len(self.labeled)} photos on {len(self)} pages>"

    def __len__(self) -> int:
        """Return the number of pages."""
        return ceil(len(self.labeled) / self._page.images) * self._pages_per_photo

    @overload
    def __getitem__(self, index: SupportsIndex) -> Figure: ...
    @overload
    def __getitem__(self, index: slice) -> list[Figure]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Figure | list[Figure]:
        """Return a page, or several."""
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        group, part = divmod(range(len(self))[index], self._pages_per_photo)
        first = group * self._page.images
        some = replace(self, labeled=self.labeled[first : first + self._page.images])
        return next(islice(some, part, None))

    def __iter__(self) -> Iterator[Figure]:
        """Draw the pages, one after the other."""
        photos, labeled = self.photos(), iter(self.labeled)
        while batch := list(islice(photos, self._page.images)):
            own = list(islice(labeled, len(batch)))
            rows = photo_rows(batch, own, self.explainer.explained, self.class_names)
            if self._pages_per_photo == 1:
                yield draw_sheet(rows, self.look)
            else:
                yield from (draw_sheet([part], self.look) for part in parts(rows[0], self._page.heatmaps))

    def photos(self) -> Iterator[ExplainedPhoto]:
        """Explain the photos, one after the other, without drawing them.

        Example:
            >>> for photo in vc.explain_photos(model, "photos").photos():                     # doctest: +SKIP
            ...     print(photo.path, photo.outputs["predictions"].argmax())
        """
        return self.explainer([each.file.path for each in self.labeled], self.look.pixels)

    def save(self, path: str | os.PathLike[str], dpi: int = Look.dpi) -> list[Path]:
        """Write each page as soon as it is drawn, and return the files.

        Args:
            path: The file, in a format of Matplotlib, such as ``heatmaps.png``. Of several pages the files are
                ``heatmaps_1.png`` and so on.
            dpi: Pixels per inch; the longer side of a photo has 2 to 4 inches.

        Raises:
            InvalidArgumentError: Matplotlib does not know the ending, or one of the photos would be replaced.
            PathNotWritableError: A file can't be written.
        """
        out, count = as_path("path", path), len(self)
        check_out(out, [each.file.path for each in self.labeled], "path")
        paths = [out] if count == 1 else [out.with_stem(f"{out.stem}_{number}") for number in range(1, count + 1)]
        pages = replace(self, look=replace(self.look, dpi=dpi))
        kind = out.suffix[1:].lower()
        for figure, file in zip(progress(pages, count), paths, strict=True):
            figure.savefig(content := BytesIO(), format=kind, **_OPTIONS.get(kind, {}))
            write_file(file, content.getvalue())
        return paths

    def _repr_html_(self) -> str:
        """Return the first pages, as notebooks ask for them."""
        pictures = [f'<img src="data:image/png;base64,{_encoded(page)}"/>' for page in islice(self, _SHOWN)]
        if len(self) > _SHOWN:
            pictures.append(f"<p>{len(self) - _SHOWN} more pages: loop over them, or <code>save</code> them.</p>")
        return "\n".join(pictures)

    @cached_property
    def _page(self) -> PageSize:
        return page_size([self._usual], self.look)

    @property
    def _usual(self) -> Row:
        return usual_row(self.explainer.explained, any(each.truth is not None for each in self.labeled))

    @property
    def _pages_per_photo(self) -> int:
        return ceil(len(self.explainer.explained.heatmap_names) / self._page.heatmaps)


def sized(pages: PhotoPages) -> PhotoPages:
    """Return the pages with the largest panels in which all photos fit on one page, else with small ones."""
    several = [replace(pages, look=replace(pages.look, panel=panel)) for panel in _PANELS]
    return next((one for one in several if len(one) == 1), several[-1])


def check_out(out: Path, photos: Iterable[Path], argument: str) -> None:
    """Raise if Matplotlib does not know the kind of picture, or if it would replace one of the photos.

    In a folder of photos this may be a page that an earlier call wrote there.
    """
    if out.suffix[1:].lower() not in require_matplotlib()().canvas.get_supported_filetypes():
        raise bad_value(argument, "a picture file such as heatmaps.png", str(out))
    name = re.compile(rf"{re.escape(out.stem)}(_\d+)?{re.escape(out.suffix)}")
    for photo in photos:
        if name.fullmatch(photo.name) and photo.parent.resolve() == out.parent.resolve():
            raise bad_value(argument, "another file than the images", str(out), f"It would replace `{photo}`.")


def _encoded(page: Figure) -> str:
    page.savefig(content := BytesIO(), format="png", **_OPTIONS["png"])
    return base64.b64encode(content.getvalue()).decode()
