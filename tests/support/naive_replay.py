"""Methods that run the model again, as a naive loop: change, run, score, one at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from support import oracle_gradient
from support.other_way import intercepted, rerun


class Naive:
    """One image at a time, one change at a time."""

    def __init__(self, model: Any, inputs: Any, taps: dict[str, tuple[str, int]], classes: Any) -> None:
        self.model, self.inputs, self.taps, self.classes = model, inputs, taps, np.asarray(classes)
        self.first = any(getattr(layer, "data_format", None) == "channels_first" for layer in model.layers)

    def number(self, logits: np.ndarray, b: int) -> float:
        k = self.classes[b]
        return float(logits[0, 0] * (2 * k - 1) if logits.shape[1] == 1 else logits[0, k])

    def maps(self, path: str, method: str, max_channels: int | None = None) -> np.ndarray:
        name, index = self.taps[path]
        found = []
        for b in range(len(self.classes)):
            one = tf.nest.map_structure(lambda t, b=b: t[b : b + 1], self.inputs)
            seen = {}

            def note(layer: Any, call: int, outputs: Any, seen: Any = seen) -> Any:
                seen[layer.name, call] = outputs
                return outputs

            with intercepted(note):
                self.model(one, training=False)
            a = self.last(seen[name, index][0].numpy())

            def score(a: np.ndarray, one: Any = one, b: int = b) -> float:
                a = a if not self.first else np.moveaxis(a, -1, 0)
                return self.number(rerun(self.model, one, name, index, a[None]), b)

            image = self.last(tf.nest.flatten(one)[-1][0])

            def score_of_image(x: np.ndarray, one: Any = one, b: int = b) -> float:
                x = np.moveaxis(x, -1, 0) if self.first else x
                changed = [*tf.nest.flatten(one)[:-1], x[None].astype("float32")]
                return self.number(rerun(self.model, tf.nest.pack_sequence_as(one, changed), "", 0, x), b)

            kept = None if max_channels is None else oracle_gradient.most_varied(a, max_channels)
            if method == "reciprocam":
                found.append(oracle_gradient.reciprocam(a.astype(float), score))
            elif method == "scorecam":
                found.append(oracle_gradient.scorecam(a.astype(float), score_of_image, image, kept))
            else:
                found.append(oracle_gradient.ablationcam(a.astype(float), score, kept))
        return np.array(found)

    def last(self, array: np.ndarray) -> np.ndarray:
        return np.moveaxis(array, 0, -1) if self.first else array
