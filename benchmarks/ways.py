"""The ways to explain a digit for each family of models, those that one would try first among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

import visualcnn_tf as vc
from benchmarks.composites import CLASSES, SIZE, Composites
from benchmarks.families import BACKGROUND
from benchmarks.trained import CNN, best_boxes

Maps = Callable[[keras.Model, Composites, int, Mapping[str, Any]], np.ndarray]


@dataclass(frozen=True)
class Way:
    """One way to explain a digit.

    Attributes:
        label: Its name in the table.
        maps: Return the maps of the first (0) or second (1) digit of each canvas with these options of ``attach``.
        options: Options of ``attach``.
        default: Whether it is what the documents tell users of the family to do.
    """

    label: str
    maps: Maps
    options: Mapping[str, Any] = field(default_factory=dict)
    default: bool = False

    def __call__(self, model: keras.Model, pairs: Composites, digit: int) -> np.ndarray:
        """Return the maps ``(N, H, W)``."""
        return self.maps(model, pairs, digit, self.options)


def of_class(model: keras.Model, pairs: Composites, digit: int, options: Mapping[str, Any]) -> np.ndarray:
    """Return the maps of the classes of a digit."""
    return _explain(
        vc.attach(model, target="input", size=None, **options), pairs, "class_index", pairs.digits[:, digit]
    )


def of_probabilities(model: keras.Model, pairs: Composites, digit: int, options: Mapping[str, Any]) -> np.ndarray:
    """Return the maps of the summed probabilities of a class over its mask, instead of logits."""
    return of_class(_summed(model), pairs, digit, options)


def _summed(model: keras.Model) -> keras.Model:
    """Return a model of the summed probabilities of each class of pixels over the mask of that class, ``(B, 10)``."""
    probabilities = model.output
    predicted = keras.ops.one_hot(keras.ops.argmax(probabilities, axis=-1), BACKGROUND + 1)
    return keras.Model(model.input, keras.ops.sum(probabilities * predicted, axis=(1, 2))[:, :CLASSES])


def of_box(model: keras.Model, pairs: Composites, digit: int, options: Mapping[str, Any]) -> np.ndarray:
    """Return the maps of the box with the largest score of a digit."""
    scores = model.predict(pairs.images, verbose=0)["scores"]
    index = best_boxes(scores, pairs.digits[:, digit])
    return _explain(vc.attach(model, target=vc.targets.Box("input"), size=None, **options), pairs, "box_index", index)


def _explain(explained: Any, pairs: Composites, name: str, index: np.ndarray) -> np.ndarray:
    outputs = explained.predict({"image": pairs.images, name: index.astype(np.int32)}, verbose=0)
    [tap] = explained.taps
    return at_middles(outputs[tap.key])


def at_middles(maps: np.ndarray) -> np.ndarray:
    """Return maps of the canvas's size, ``(N, 56, 56)``, with each value in the middle of its position.

    An enlarged map would be constant over half a position at its border, and point at none of these pixels.
    """
    rows, columns = (((np.arange(count) + 0.5) * SIZE / count).astype(int) for count in maps.shape[1:])
    spread = np.zeros((len(maps), SIZE, SIZE), maps.dtype)
    spread[:, rows[:, None], columns] = maps
    return spread


_TRANSFORMER = (
    Way("`gradientrollout`", of_class, {"layers": "last", "method": "gradientrollout"}, default=True),
    *(
        Way(f'`"last"`, `{one}`', of_class, {"layers": "last", "method": one})
        for one in ("gradcam", "hirescam", "reciprocam")
    ),
    Way("patch convolution, `gradcam`", of_class, {"layers": "patches", "method": "gradcam"}),
)
_CNN = (
    Way('`"last"`, `gradcam`', of_class, {"layers": "last", "method": "gradcam"}, default=True),
    Way('`"last"`, `hirescam`', of_class, {"layers": "last", "method": "hirescam"}),
)
_BOTTLENECK = "bottleneck"
_SEGMENTATION = (
    Way('`"last"`, `gradcam`', of_class, {"layers": "last", "method": "gradcam"}, default=True),
    Way('`"last"`, `hirescam`', of_class, {"layers": "last", "method": "hirescam"}),
    Way("bottleneck, `gradcam`", of_class, {"layers": _BOTTLENECK, "method": "gradcam"}),
    Way("bottleneck, `hirescam`", of_class, {"layers": _BOTTLENECK, "method": "hirescam"}),
    Way("bottleneck, `gradcam` of probabilities", of_probabilities, {"layers": _BOTTLENECK, "method": "gradcam"}),
)
_DETECTION = (
    Way('`"last"`, `hirescam`', of_box, {"layers": "last", "method": "hirescam"}, default=True),
    Way('`"last"`, `gradcam`', of_box, {"layers": "last", "method": "gradcam"}),
)

#: The ways by the name of the trained model.
WAYS: dict[str, tuple[Way, ...]] = {
    CNN: _CNN,
    "ViT, hybrid, class token": _TRANSFORMER,
    "ViT, hybrid, global pooling": _TRANSFORMER,
    "ViT, pure patches, class token": _TRANSFORMER,
    "ViT, pure patches, global pooling": _TRANSFORMER,
    "U-Net": _SEGMENTATION,
    "detector": _DETECTION,
}
