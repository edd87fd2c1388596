"""From images and the outputs of an explained model to the rows of a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from visualcnn_tf._utils.checks import bad_value, did_you_mean, quoted
from visualcnn_tf.introspect.outputs import PREDICTIONS
from visualcnn_tf.pipeline.outputs import COMBINED, EXPLAINED_BOX, EXPLAINED_CLASS, EXPLAINED_SCORE
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.viz.boxes import Corners, corners_of
from visualcnn_tf.viz.grid import Floats, Row
from visualcnn_tf.viz.labels import class_indices
from visualcnn_tf.viz.predictions import Prediction, check_count, class_scores, predictions_of
from visualcnn_tf.viz.titles import Titles, key_title, mark_blank


class Explanation(NamedTuple):
    """What is drawn and written for one image: its heatmaps, the title of each, and what the model predicts."""

    heatmaps: list[Floats]
    titles: list[str]
    prediction: Prediction
    boxes: list[Corners | None]


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
    truths = None if labels is None else class_indices(labels, class_names, len(pictures))
    about = explanations(
        outputs,
        len(pictures),
        keys=keys,
        titles=titles,
        taps=taps,
        truths=truths,
        class_names=class_names,
        size=pictures.shape[1:3],
    )
    return [
        Row(
            image=picture,
            heatmaps=each.heatmaps,
            titles=each.titles,
            text=each.prediction.text(class_names),
            is_wrong=each.prediction.is_wrong,
            boxes=each.boxes,
        )
        for picture, each in zip(pictures, about, strict=True)
    ]


def explanations(
    outputs: Mapping[str, ArrayLike],
    count: int,
    *,
    keys: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    taps: Sequence[Tap] = (),
    truths: Sequence[int | None] | None = None,
    class_names: Sequence[str] | None = None,
    scored: str = PREDICTIONS,
    size: Sequence[int] = (1, 1),
    brief: bool = False,
) -> list[Explanation]:
    """Return what is drawn and written for each of ``count`` images.

    Args:
        outputs: What the explained model returned.
        count: The number of images.
        keys: Which heatmaps; by default all.
        titles: One for each heatmap; by default its layer and class.
        taps: What the titles tell of.
        truths: The true class of each image, None where it is not known.
        class_names: The names of the classes.
        scored: The key of the output that holds the scores of the classes.
        size: Height and width of the model's input, in which boxes are told.
        brief: Whether titles are short, see :class:`visualcnn_tf.viz.titles.Titles`.

    Raises:
        InvalidArgumentError: An argument does not fit the others.
    """
    keys = _heatmap_keys(outputs) if keys is None else _known_keys(keys, outputs)
    maps = {key: _heatmaps(outputs[key], key, count) for key in keys}
    scores = class_scores(outputs.get(scored), class_names)
    if class_names is not None and scores is not None:
        check_count("class_names", class_names, scores.values.shape[1], "class")
    predictions = predictions_of(scores, truths, count)
    if titles is None:
        explained = [outputs.get(key) for key in (EXPLAINED_CLASS, EXPLAINED_SCORE)]
        above = _titles(maps, Titles(taps, explained[0], scores, class_names, explained[1], brief))
    else:
        check_count("titles", titles, len(keys), "heatmap")
        above = [[title] for title in titles]
    return [
        Explanation(
            [each[i] for each in maps.values()],
            [title[i % len(title)] for title in above],
            predictions[i],
            _boxes(keys, taps, outputs.get(EXPLAINED_BOX), i, size),
        )
        for i in range(count)
    ]


def _boxes(
    keys: Sequence[str], taps: Sequence[Tap], boxes: ArrayLike | None, image: int, size: Sequence[int]
) -> list[Corners | None]:
    """Return the box that each heatmap explains."""
    by_key = {tap.key: tap for tap in taps}
    return [corners_of(boxes, by_key[key], image, size) if key in by_key else None for key in keys]


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
