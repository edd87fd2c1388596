"""The interpreter that runs TensorFlow Lite files: LiteRT's, or the one inside TensorFlow."""

from __future__ import annotations

import warnings
from typing import Any

import tensorflow as tf


def interpreter(content: bytes, threads: int = 1) -> Any:
    """An interpreter of a TensorFlow Lite file: LiteRT's where it is installed, else the one inside TensorFlow."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is deprecated in favor of LiteRT, and does the same
            return tf.lite.Interpreter(model_content=content, num_threads=threads)
    return Interpreter(model_content=content, num_threads=threads)
