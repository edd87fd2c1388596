"""Type aliases that the modules of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import tensorflow as tf

#: Arrays by the names of a model's inputs or outputs, the batch first.
Arrays: TypeAlias = dict[str, np.ndarray]

#: A signature in TensorFlow: input tensors in order, to output tensors by name.
Signature: TypeAlias = Callable[..., dict[str, tf.Tensor]]
