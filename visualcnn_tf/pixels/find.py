"""Find out what values a model's image input takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.pixels.of_task import fit_of_task, values_of_task
from visualcnn_tf.pixels.pixels import Pixels, Values
from visualcnn_tf.pixels.preprocessing import Preprocessing, image_tensors, preprocessings
from visualcnn_tf.pixels.scaling import SCALINGS

Numbers = NDArray[np.float64]

#: The ranges that a model may take: black, the middle and white. One comes before those that it is part of, because of
#: statistics that fit several the narrowest is the likeliest.
RANGES = {"0..1": (0.0, 0.5, 1.0), "-1..1": (-1.0, 0.0, 1.0), "0..255": (0.0, 127.5, 255.0)}
# Black and white as first layers usually get them, each tuple those of the channels, in any order.
_USUAL = (
    *((((0.0, 1.0),), ((-1.0, 1.0),), ((-0.5, 0.5),), ((0.0, 255.0),), ((-127.5, 127.5),))),
    *(SCALINGS[name].ends for name in ("caffe", "torch")),
)
_TOLERANCE = 0.01  # of the range: some divide by 256 or by 128
_MOST = 0.9  # of the numbers: edges may be padded
_WIDEST = 16.0  # standard deviations from black to white, of data sets of dark or flat images


@dataclass(frozen=True)
class Found:
    """What is known of the values that a model takes.

    Attributes:
        values: all that fit, the likeliest first.
        by: the layers that preprocess, for messages.
        fit: how photos are fitted.
    """

    values: tuple[Values, ...]
    by: tuple[str, ...] = ()
    fit: str = "squeeze"


def find_pixels(trace: Trace) -> Pixels | None:
    """Return the pixels that a model takes, or None if that can't be known.

    A model that preprocesses its images itself, by layers or operations, tells the range: it is the one whose black
    and white become what first layers usually get. Images that reach the first weights as they are tell nothing.
    Integers are pixels from 0 to 255. The preprocessor of a ``keras_hub`` task tells what the task takes in a call.
    """
    found = find_values(trace)
    return None if found is None else Pixels(found.values[0], found.fit)


def find_values(trace: Trace) -> Found | None:
    """Return the values that a model may take, or None if nothing is known of them."""
    images = image_tensors(trace)
    if not images:
        return None
    if all(image.dtype.is_integer for image in images):
        return Found(("0..255",))
    values = values_of_task(trace.model, images[0].shape[-1])
    return _of_graph(trace, images) if values is None else Found((values,), ("preprocessor",), fit_of_task(trace.model))


def range_of(function: Callable[[tf.Tensor], tf.Tensor]) -> str | None:
    """Return the name of the range that a function makes of pixels, or None if it is none of them."""
    try:
        black, middle, white = (np.asarray(function(tf.fill([1, 8, 8, 3], n)), np.float64) for n in (0.0, 127.5, 255.0))
    except Exception:  # the user's function may raise anything
        return None
    for name, (low, mid, high) in RANGES.items():
        slack = _TOLERANCE * (high - low)
        if all(np.allclose(a, b, rtol=0, atol=slack) for a, b in ((black, low), (middle, mid), (white, high))):
            return name
    return None


def _of_graph(trace: Trace, images: Sequence[tf.Tensor]) -> Found | None:
    """Return what follows from what the model does to its images before the first weights."""
    done = [one for image in images for one in preprocessings(trace, image) if not one.does_nothing]
    fitting = [_ranges(one) for one in done]
    common = [name for name in RANGES if all(name in names for names in fitting)] if done else []
    return Found(tuple(common), done[0].layers) if common else None


def _ranges(preprocessing: Preprocessing) -> list[str]:
    """Return the ranges of which the preprocessing makes what first layers usually get, the likeliest first."""
    straight = {name: ends for name in RANGES if (ends := _ends(preprocessing, name)) is not None}
    exact = [name for name, ends in straight.items() if any(_is_usual(*ends, usual) for usual in _USUAL)]
    return exact or [name for name, ends in straight.items() if _is_standardized(*ends)]


def _ends(preprocessing: Preprocessing, name: str) -> tuple[Numbers, Numbers] | None:
    """Return what black and white of a range become, if all between them lies on straight lines."""
    black, middle, white = (preprocessing.results[probe] for probe in RANGES[name])
    bend = np.abs(middle - (black + white) / 2)
    if not _most(bend <= _TOLERANCE * np.abs(white - black)):
        return None
    return np.minimum(black, white), np.maximum(black, white)  # some take negatives of images


def _is_usual(low: Numbers, high: Numbers, usual: Sequence[tuple[float, float]]) -> bool:
    def near(black: float, white: float) -> Any:
        slack = _TOLERANCE * (white - black)
        return (np.abs(low - black) <= slack) & (np.abs(high - white) <= slack)

    return _most(np.any([near(*ends) for ends in usual], axis=0))


def _is_standardized(low: Numbers, high: Numbers) -> bool:
    """Return whether data between these ends can have mean 0 and standard deviation 1: the Bhatia-Davis inequality."""
    return _most((low * high <= -1 + _TOLERANCE) & (high - low <= _WIDEST))


def _most(fits: NDArray[np.bool_]) -> bool:
    return bool(np.mean(fits) >= _MOST)
