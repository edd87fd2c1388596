"""A gallery of heatmaps: one row for each image, one column for each tapped layer.

Needs the extra ``plot``. Figures are made without pyplot, so no global state is touched and no window opens:
``plot_heatmaps(images, outputs).savefig("gallery.png")``; a notebook shows the figure that a cell ends with.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualcnn_tf._utils.checks import bad_value, check_choice, did_you_mean, is_count, quoted
from visualcnn_tf.pipeline.outputs import EXPLAINED_CLASS
from visualcnn_tf.viz import gallery

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREFIX = "heatmap"
_TITLE_WIDTH = 18  # characters above a panel
_CLASS_WIDTH = 26  # characters beside an image


def plot_heatmaps(
    images: ArrayLike,
    outputs: Mapping[str, Any],
    *,
    keys: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    taps: Sequence[Any] = (),
    labels: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
    max_columns: int = 12,
    background: str = "light",
) -> Figure:
    """Draws each image with its heatmaps beside it, on one color scale from 0 to 1.

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
        taps: ``explained.taps``: with it the titles tell each layer's own size, without it the heatmap's, and of
            which class a heatmap is the evidence.
        labels: The true class of each image: shown beside a wrong prediction, which is printed in red.
        class_names: Names instead of class numbers.
        max_columns: More heatmaps than this wrap into lines of about the same length.
        background: ``"light"`` or ``"dark"``, of the figure.

    Raises:
        InvalidArgumentError: An argument does not fit the others; the message says which. Or the figure would be too
            large: use :func:`plot_pages`.
        MissingExtraError: matplotlib is not installed.
    """
    _check_look(max_columns, background)
    rows = _rows(images, outputs, keys, titles, taps, labels, class_names)
    return gallery.draw(rows, max_columns, background)


def plot_pages(
    images: ArrayLike,
    outputs: Mapping[str, Any],
    *,
    max_columns: int = 12,
    background: str = "light",
    keys: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    taps: Sequence[Any] = (),
    labels: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
) -> list[Figure]:
    """Draws what :func:`plot_heatmaps` draws, on as many pages as are needed for pictures that can be looked at.

    A page holds four square images with 60 heatmaps each, or some 25 with up to twelve.

    >>> for number, page in enumerate(plot_pages(images, outputs), start=1):    # doctest: +SKIP
    ...     page.savefig(f"gallery_{number}.png")

    Args:
        images: This and all others as in :func:`plot_heatmaps`.
        outputs: What the explained model returned for these images.
        max_columns: More heatmaps than this wrap into lines of about the same length.
        background: ``"light"`` or ``"dark"``.
        keys: Which heatmaps.
        titles: One for each heatmap.
        taps: ``explained.taps``.
        labels: The true class of each image.
        class_names: Names instead of class numbers.

    Raises:
        InvalidArgumentError: An argument does not fit the others; the message says which.
        MissingExtraError: matplotlib is not installed.
    """
    _check_look(max_columns, background)
    gallery.require_matplotlib()
    rows = _rows(images, outputs, keys, titles, taps, labels, class_names)
    return [gallery.draw(page, max_columns, background) for page in gallery.pages(rows, max_columns)]


def _check_look(max_columns: int, background: str) -> None:
    if not is_count(max_columns):
        raise bad_value("max_columns", "a whole number of at least 1", max_columns)
    check_choice("background", background, tuple(gallery.BACKGROUNDS))


def _rows(
    images: ArrayLike,
    outputs: Mapping[str, Any],
    keys: Sequence[str] | None,
    titles: Sequence[str] | None,
    taps: Sequence[Any],
    labels: Sequence[int] | None,
    class_names: Sequence[str] | None,
) -> list[gallery.Row]:
    """One row for each image."""
    pictures = _pictures(images)
    if not isinstance(outputs, Mapping):
        raise bad_value("outputs", "what the explained model returned, a mapping", outputs)
    keys = _heatmap_keys(outputs) if keys is None else _known_keys(keys, outputs)
    maps = [_heatmaps(outputs[key], key, len(pictures)) for key in keys]
    if titles is not None:
        _check_count("titles", titles, len(keys), "heatmap")
    texts = _texts(outputs.get("predictions"), labels, class_names, len(pictures))
    known = {tap.key: tap for tap in taps}
    above = [
        _titles(key, heatmaps, known, outputs.get(EXPLAINED_CLASS), class_names) if titles is None else [titles[i]]
        for i, (key, heatmaps) in enumerate(zip(keys, maps, strict=True))
    ]
    return [
        gallery.Row(picture, [heatmaps[i] for heatmaps in maps], [title[i % len(title)] for title in above], *texts[i])
        for i, picture in enumerate(pictures)
    ]


def _pictures(images: ArrayLike) -> NDArray[Any]:
    """The images as RGB floats in [0, 1], ``(N, H, W, 3)``."""
    array = np.asarray(images)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise bad_value("images", "(N, H, W), (N, H, W, 1) or (N, H, W, 3)", np.shape(array))
    if array.dtype.kind in "iu":
        array = array / 255.0
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        array = (array - low) / max(high - low, 1e-12)
    return np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array


def _heatmap_keys(outputs: Mapping[str, Any]) -> list[str]:
    keys = [key for key in outputs if key.startswith(PREFIX)]
    if not keys:
        raise bad_value("outputs", f"a mapping with a key that starts with {PREFIX!r}", list(outputs))
    return keys


def _known_keys(keys: Sequence[str], outputs: Mapping[str, Any]) -> list[str]:
    if not keys or isinstance(keys, str):
        raise bad_value("keys", "a list of at least one name", keys)
    for key in keys:
        if key not in outputs:
            raise bad_value("keys", f"some of {quoted(outputs)}", key, did_you_mean(key, outputs).strip())
    return list(keys)


def _heatmaps(heatmaps: ArrayLike, key: str, count: int) -> NDArray[Any]:
    array = np.asarray(heatmaps)
    if array.ndim != 3 or len(array) != count:
        raise bad_value(f"outputs[{key!r}]", f"({count}, height, width), one map for each image", array.shape)
    return array / 255.0 if array.dtype.kind in "iu" else array


def _titles(
    key: str,
    heatmaps: NDArray[Any],
    taps: Mapping[str, Any],
    explained: ArrayLike | None,
    names: Sequence[str] | None,
) -> list[str]:
    """``conv2d`` and, below it, ``28×28``: one title for all images, or one for each with the class it explains.

    With the taps, the size is the layer's own, and the method is told of a layer that is tapped by several.
    """
    tap = taps.get(key)
    lines = [_wrap(tap.path if tap else key.removeprefix(PREFIX).strip("_") or "all layers")]
    if tap and len({str(other.method) for other in taps.values() if other.path == tap.path}) > 1:
        lines.append(tap.method.name)
    lines.append("×".join("?" if n is None else str(n) for n in (_space(tap) if tap else heatmaps.shape[1:])))
    if not tap or explained is None or not tap.method.explains_target:
        return ["\n".join(lines)]
    classes = np.reshape(explained, (len(heatmaps), -1))[:, tap.column]
    return ["\n".join([*lines, "no such class" if k < 0 else f"for {_class(int(k), names)}"]) for k in classes]


def _space(tap: Any) -> tuple[int | None, ...]:
    """Spatial size of a layer's feature maps."""
    shape: tuple[int | None, ...] = tap.frame_shape
    return shape[2:] if tap.data_format == "channels_first" else shape[1:-1]


def _wrap(name: str) -> str:
    """Breaks a long layer name after ``/`` and ``_`` so that it fits above a panel."""
    lines = [""]
    for part in re.findall(r"[^/_]*[/_]?", name):
        if lines[-1] and len(lines[-1]) + len(part) > _TITLE_WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _check_count(argument: str, values: Sequence[Any], count: int, each: str) -> None:
    if len(values) != count:
        raise bad_value(argument, f"one for each {each} ({count})", f"{len(values)} of them")


def _texts(
    predictions: ArrayLike | None, labels: Sequence[int] | None, names: Sequence[str] | None, count: int
) -> list[tuple[str, bool]]:
    """What the model said of each image, and what is true when that is something else; and whether it is."""
    scores = None if predictions is None else np.asarray(predictions)
    if scores is not None and (scores.ndim != 2 or scores.shape[1] < 2):
        scores = None  # not the scores of classes
    truth = [None] * count if labels is None else list(labels)
    _check_count("labels", truth, count, "image")
    if labels is not None and not all(hasattr(label, "__index__") for label in truth):
        raise bad_value("labels", "class numbers, one for each image", labels)
    if names is not None and scores is not None:
        _check_count("class_names", names, scores.shape[1], "class")
    return [_text(None if scores is None else scores[i], truth[i], names) for i in range(count)]


def _text(scores: NDArray[Any] | None, truth: int | None, names: Sequence[str] | None) -> tuple[str, bool]:
    if scores is None:
        return "" if truth is None else _class(truth, names), False
    guess = int(scores.argmax())
    probable = scores.min() >= 0 and scores.max() <= 1.0001  # logits are shown as they are
    text = f"{_class(guess, names)}\n{f'{scores[guess]:.1%}' if probable else f'{scores[guess]:.3g}'}"
    if truth is None or truth == guess:
        return text, False
    return f"{text}\ntrue: {_class(truth, names)}", True


def _class(index: int, names: Sequence[str] | None) -> str:
    if names is None:
        return f"class {index}"
    if not 0 <= index < len(names):
        raise bad_value("labels", f"numbers from 0 to {len(names) - 1}, one for each class name", index)
    return textwrap.shorten(str(names[index]), _CLASS_WIDTH, placeholder="…")
