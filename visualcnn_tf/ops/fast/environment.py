"""Where the graph that is being built is going to run."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

import tensorflow as tf

from visualcnn_tf.ops.exporting import is_exporting

#: True while XLA's version of a function is traced, see :class:`visualcnn_tf.ops.fast.xla.Compiled`.
compiling: ContextVar[bool] = ContextVar("compiling", default=False)


@dataclass(frozen=True)
class Environment:
    """Where the graph that is being built is going to run.

    Attributes:
        compiled: Whether XLA compiles it, inside of a model that is not compiled.
        cpu: Whether no GPU is there: one could multiply in TensorFloat-32, which rounds to three digits.
        exporting: Whether it is exported, to run where nothing is compiled.
    """

    compiled: bool
    cpu: bool
    exporting: bool

    @classmethod
    def current(cls) -> Environment:
        """Return the environment of the graph that is being built."""
        return cls(compiling.get(), not tf.config.list_physical_devices("GPU"), is_exporting())

    @property
    def compiled_for_cpu(self) -> bool:
        """Whether XLA compiles the graph for a CPU."""
        return self.compiled and self.cpu
