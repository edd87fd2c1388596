"""The calls of a trace as a directed acyclic graph: whose output is computed from whose."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import tensorflow as tf

from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.upstream import nearest_upstream


class CallGraph:
    """Layer calls, linked from each output to the nearest ones that it is computed from.

    Args:
        calls: calls with a tensor, all of one TensorFlow graph. Of calls with the same tensor, such as a layer and
            the model that it is the last layer of, only the first is kept.

    Attributes:
        calls: the calls in topological order.
        call_of: the call that returned a tensor, by the tensor's reference.
        sources: for each call the calls that its output is directly computed from, the nearest first.
        consumers: for each call the calls whose outputs are directly computed from its own.
    """

    def __init__(self, calls: Iterable[LayerCall]) -> None:
        self.call_of: dict[Any, LayerCall] = {}
        for call in calls:
            self.call_of.setdefault(call.tensor.ref(), call)
        self.calls = _in_order_of_creation(self.call_of.values())
        self.sources = {call: self._sources_of(call.tensor) for call in self.calls}
        self.consumers: dict[LayerCall, list[LayerCall]] = {call: [] for call in self.calls}
        for call, sources in self.sources.items():
            for source in sources:
                self.consumers[source].append(call)

    def nearest(self, tensor: tf.Tensor) -> list[LayerCall]:
        """Return the call that returned this tensor or, if none did, those that it is directly computed from."""
        call = self.call_of.get(tensor.ref())
        return self._sources_of(tensor) if call is None else [call]

    def _sources_of(self, tensor: tf.Tensor) -> list[LayerCall]:
        return [self.call_of[reference] for reference in nearest_upstream(tensor, self.call_of)]

    def ancestors(self, calls: Iterable[LayerCall]) -> Iterator[LayerCall]:
        """Yield the calls themselves and all that they are computed from, breadth first."""
        todo = deque(dict.fromkeys(calls))
        seen = set(todo)
        while todo:
            call = todo.popleft()
            yield call
            new = [source for source in self.sources[call] if source not in seen]
            seen.update(new)
            todo.extend(new)

    def descendants(self, calls: Iterable[LayerCall]) -> list[LayerCall]:
        """Return the calls themselves and all that is computed from them, in topological order."""
        found = set(calls)
        for call in self.calls:
            if not found.isdisjoint(self.sources[call]):
                found.add(call)
        return [call for call in self.calls if call in found]

    def bottlenecks(self, calls: Sequence[LayerCall]) -> set[LayerCall]:
        """Return the calls of a subgraph that every path to a later call runs through: they dominate all later ones.

        Args:
            calls: the subgraph, in topological order. Paths start at each call that has no source in it.
        """
        tree = DominatorTree(calls, self.sources)
        found = set()
        common: LayerCall | None = calls[-1] if calls else None
        for call in reversed(calls):
            common = tree.common(common, call)
            if common is call:
                found.add(call)
        return found


class DominatorTree:
    """The dominators of each call: the calls that every path to it runs through.

    Keith Cooper, Timothy Harvey and Ken Kennedy: A Simple, Fast Dominance Algorithm (2001). Without cycles, one pass
    is enough.

    Args:
        calls: a subgraph, in topological order. Calls without a source in it hang from the root, which is None.
        sources: for each call those that it is directly computed from.

    Attributes:
        parent: the immediate dominator of each call: the nearest one.
    """

    def __init__(self, calls: Iterable[LayerCall], sources: Mapping[LayerCall, Iterable[LayerCall]]) -> None:
        self.parent: dict[LayerCall | None, LayerCall | None] = {}
        self._depth: dict[LayerCall | None, int] = {None: 0}
        for call in calls:
            before: list[LayerCall | None] = [source for source in sources[call] if source in self.parent]
            self.parent[call] = reduce(self.common, before) if before else None
            self._depth[call] = self._depth[self.parent[call]] + 1

    def common(self, one: LayerCall | None, other: LayerCall | None) -> LayerCall | None:
        """Return the nearest call that dominates both, or None if only the root does."""
        while one is not other:
            if self._depth[one] > self._depth[other]:
                one = self.parent[one]
            else:
                other = self.parent[other]
        return one


def _in_order_of_creation(calls: Iterable[LayerCall]) -> list[LayerCall]:
    """Sort calls by when their outputs were computed: a tensor can only be computed from older ones."""
    calls = list(calls)
    operations = calls[0].tensor.graph.get_operations() if calls else []
    position = {operation.name: index for index, operation in enumerate(operations)}
    return sorted(calls, key=lambda call: position[call.tensor.op.name])
