"""Say why Keras could not load a model, and what to do."""

from __future__ import annotations

import re
from pathlib import Path

from visualcnn_tf._utils.keras2 import advice_for_file, keras_2_version


def why_not_loaded(path: Path, error: Exception) -> str:
    """Return why Keras could not load a model file, in full, and what to do.

    Args:
        path: The file.
        error: What Keras raised.
    """
    text = str(error)
    if "safe_mode" in text:
        return (
            "it holds a Lambda layer, whose code is not run from a file. If you trust the file, pass "
            "`--trust-model`, or in Python load it with keras.saving.load_model(path, safe_mode=False)."
        )
    cause = _cause(text)
    version = keras_2_version(path)
    if version is not None:
        return f"it was written by Keras {version}, and Keras 3 does not load it: {cause} {advice_for_file(path)}"
    if "Could not locate" in text or "Unknown layer" in text:
        return (
            "it needs custom classes or functions. Load it in Python with keras.saving.load_model(path, "
            f"custom_objects=...) and use visualcnn_tf.attach. Keras says: {cause}"
        )
    return f"{type(error).__name__}: {cause}"


def _cause(text: str) -> str:
    """Return what Keras says, without the configuration of the whole model that it may quote.

    Errors inside of errors are quoted one after the other; the last one is where it failed.
    """
    innermost = text.rsplit("Exception encountered: ", 1)[-1]
    told = re.split(r"\s*(?:Full object config|Full config|config=\{)", innermost, maxsplit=1)[0]
    return " ".join((told or innermost).split()).rstrip(".") + "."
