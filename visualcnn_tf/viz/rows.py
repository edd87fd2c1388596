"""From images and the outputs of an explained model to the rows of a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from visualcnn_tf._utils.checks import bad_value, did_you_mean, quoted
from visualcnn_tf.introspect.outputs import PREDICTIONS
from visualcnn_tf.pipeline.outputs import COMBINED, EXPLAINED_CLASS
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.viz.gallery import Floats, Row
from visualcnn_tf.viz.predictions import check_count, class_scores, predictions_of
from visualcnn_tf.viz.titles import Titles, key_title, mark_blank


def make_rows(
    images: ArrayLike,
    outputs: Mapping[str, ArrayLike],
    *,
    keys: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    taps: Sequence[Tap] = (),
    labels: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
) -> list[Row]:
    """Return one row for each image; the arguments are those of ``plot_heatmaps``.

    Raises:
        InvalidArgumentError: An argument does not fit the others.
    """
    pictures = _pictures(images)
    if not isinstance(outputs, Mapping):
        raise bad_value("outputs", "what the explained model returned, a mapping", outputs)
    keys = _heatmap_keys(outputs) if keys is None else _known_keys(keys, outputs)
    maps = {key: _heatmaps(outputs[key], key, len(pictures)) for key in keys}
    scores = class_scores(outputs.get(PREDICTIONS), class_names)
    if class_names is not None and scores is not None:
        check_count("class_names", class_names, scores.values.shape[1], "class")
    predictions = predictions_of(scores, labels, len(pictures), class_names)
    if titles is None:
        above = _titles(maps, Titles(taps, outputs.get(EXPLAINED_CLASS), scores, class_names))
    else:
        check_count("titles", titles, len(keys), "heatmap")
        above = [[title] for title in titles]
    return [
        Row(
            image=picture,
            heatmaps=[heatmaps[i] for heatmaps in maps.values()],
            titles=[title[i % len(title)] for title in above],
            text=predictions[i].text(class_names),
            is_wrong=predictions[i].is_wrong,
        )
        for i, picture in enumerate(pictures)
    ]


def _pictures(images: ArrayLike) -> Floats:
    """Return the images as RGB floats in [0, 1], ``(N, H, W, 3)``."""
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


def _heatmap_keys(outputs: Mapping[str, ArrayLike]) -> list[str]:
    keys = [key for key in outputs if key.startswith(COMBINED)]
    if not keys:
        raise bad_value("outputs", f"a mapping with a key that starts with {COMBINED!r}", list(outputs))
    return keys


def _known_keys(keys: Sequence[str], outputs: Mapping[str, ArrayLike]) -> list[str]:
    if not keys or isinstance(keys, str):
        raise bad_value("keys", "a list of at least one name", keys)
    for key in keys:
        if key not in outputs:
            raise bad_value("keys", f"some of {quoted(outputs)}", key, did_you_mean(key, outputs).strip())
    return list(keys)


def _heatmaps(heatmaps: ArrayLike, key: str, count: int) -> Floats:
    """Return heatmaps as floats in [0, 1], ``(N, h, w)``."""
    array = np.asarray(heatmaps)
    if array.ndim != 3 or len(array) != count:
        raise bad_value(f"outputs[{key!r}]", f"({count}, height, width), one map for each image", array.shape)
    return array / 255.0 if array.dtype.kind in "iu" else array


def _titles(maps: Mapping[str, Floats], titles: Titles) -> list[list[str]]:
    """Return the titles of each heatmap: one for each image, or one for all."""
    by_key = {tap.key: tap for tap in titles.taps}
    return [
        mark_blank(titles.of(by_key[key]) if key in by_key else [key_title(key, heatmaps.shape[1:])], heatmaps)
        for key, heatmaps in maps.items()
    ]
