"""Open a TensorFlow Lite file in Python."""

from __future__ import annotations

import warnings

import tensorflow as tf


def interpreter(content: bytes, threads: int = 1) -> tf.lite.Interpreter:
    """Return an interpreter for the content of a TensorFlow Lite file.

    Args:
        content: The content of the file.
        threads: The number of threads to compute with.

    Returns:
        LiteRT's interpreter if it is installed, which has the same methods, and otherwise the one inside TensorFlow.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated in favor of LiteRT, but it does the same
            return tf.lite.Interpreter(model_content=content, num_threads=threads)
    return Interpreter(model_content=content, num_threads=threads)
