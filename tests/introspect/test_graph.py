"""The graph of layer calls: neighbors, ancestors, descendants, dominators and bottlenecks, against plain search."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
import tensorflow as tf

from visualcnn_tf.introspect.graph import CallGraph, DominatorTree
from visualcnn_tf.introspect.layer_call import LayerCall


def graph_of(edges: Iterable[tuple[int, ...]]) -> CallGraph:
    """A graph of calls named by number; each entry holds the numbers of the sources of one call."""
    calls: list[LayerCall] = []
    with tf.Graph().as_default():
        for number, sources in enumerate(edges):
            # Operations between the layers, which are no calls.
            inputs = [tf.negative(calls[source].tensor) for source in sources]
            tensor = tf.add_n(inputs) if inputs else tf.compat.v1.placeholder(tf.float32, ())
            calls.append(LayerCall(str(number), None, 0, tensor))
    return CallGraph(reversed(calls))


def names(calls: Iterable[LayerCall]) -> list[int]:
    return [int(call.path) for call in calls]


def random_edges(seed: int) -> list[tuple[int, ...]]:
    rng = random.Random(seed)
    count = rng.randint(1, 14)
    return [tuple(sorted(set(rng.choices(range(i), k=rng.randint(0, 2))))) if i else () for i in range(count)]


def reachable(edges: list[tuple[int, ...]], without: int) -> set[int]:
    """The calls that a path leads to from any start, without running through one of them."""
    found: set[int] = set()
    for call, sources in enumerate(edges):
        if call != without and (not sources or found & set(sources)):
            found.add(call)
    return found


DIAMOND = [(), (0,), (1,), (1,), (2, 3), (4,)]


def test_links_calls_through_operations_that_are_no_layers() -> None:
    graph = graph_of(DIAMOND)
    assert names(graph.calls) == [0, 1, 2, 3, 4, 5]  # in the order of execution, however they are given
    assert [names(graph.sources[call]) for call in graph.calls] == [[], [0], [1], [1], [2, 3], [4]]
    assert [names(graph.consumers[call]) for call in graph.calls] == [[1], [2, 3], [4], [4], [5], []]
    assert names(graph.ancestors([graph.calls[4]])) == [4, 2, 3, 1, 0]
    assert names(graph.descendants([graph.calls[2]])) == [2, 4, 5]


def test_the_nearest_call_of_a_tensor() -> None:
    graph = graph_of(DIAMOND)
    last = graph.calls[5].tensor
    assert names(graph.nearest(last)) == [5]
    with last.graph.as_default():
        assert names(graph.nearest(last + graph.calls[2].tensor)) == [5, 2]


def test_of_calls_with_the_same_tensor_the_first_counts() -> None:
    with tf.Graph().as_default():
        tensor = tf.compat.v1.placeholder(tf.float32, ())
    first, second = LayerCall("inner", None, 0, tensor), LayerCall("outer", None, 0, tensor)
    assert CallGraph([first, second]).calls == [first]


def test_no_calls_at_all() -> None:
    graph = CallGraph([])
    assert (graph.calls, graph.bottlenecks([])) == ([], set())


@pytest.mark.parametrize("seed", range(60))
def test_dominators_and_bottlenecks(seed: int) -> None:
    edges = random_edges(seed)
    graph = graph_of(edges)
    tree = DominatorTree(graph.calls, graph.sources)
    avoiding = [reachable(edges, without=call) for call in range(len(edges))]
    for call in graph.calls:
        dominators, parent = set(), tree.parent[call]
        while parent is not None:
            dominators.add(int(parent.path))
            parent = tree.parent[parent]
        assert dominators == {other for other in range(int(call.path)) if int(call.path) not in avoiding[other]}
    later = [set(range(call + 1, len(edges))) for call in range(len(edges))]
    expected = {call for call in range(len(edges)) if not later[call] & avoiding[call]}
    assert set(names(graph.bottlenecks(graph.calls))) == expected


def test_bottlenecks_of_a_part() -> None:
    graph = graph_of(DIAMOND)
    part = graph.descendants([graph.calls[2], graph.calls[3]])
    assert names(part) == [2, 3, 4, 5]
    assert sorted(names(graph.bottlenecks(part))) == [4, 5]
