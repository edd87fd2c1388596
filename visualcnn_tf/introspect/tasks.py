"""Tasks of ``keras_hub``: models whose ``predict`` preprocesses what it is given."""

from __future__ import annotations

import keras


def preprocesses(model: keras.Model) -> bool:
    """Return whether a model is a task of ``keras_hub``, whose ``predict`` preprocesses what it is given."""
    # Of another package, which need not be installed: known by what makes its `predict` do so.
    has_hook = callable(getattr(model, "preprocess_samples", None))
    return has_hook and getattr(model, "preprocessor", None) is not None
