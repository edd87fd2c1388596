"""What a file of a graph holds, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from visualcnn_tf.graphs.nodes import Ref

#: The values of variables by the names of their nodes.
Values: TypeAlias = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Source:
    """A graph as it was read.

    Attributes:
        path: the file or folder, for messages.
        graph_def: the graph, as far as its outputs need it.
        inputs: its inputs by key.
        outputs: its outputs by key.
        values_of: reads the values of variables.
        has_guessed_outputs: whether the outputs are what no other operation reads, for want of a signature.
    """

    path: str
    graph_def: Any
    inputs: Mapping[str, Ref]
    outputs: Mapping[str, Ref]
    values_of: Callable[[Sequence[str]], Values]
    has_guessed_outputs: bool = False
