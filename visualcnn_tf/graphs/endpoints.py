"""Which tensors of a graph are a model's inputs and outputs: those that the caller names, or that the file tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, did_you_mean, quoted
from visualcnn_tf.errors import IncompatibleModelError, InvalidArgumentError, InvalidTypeError, LayerNotFoundError
from visualcnn_tf.graphs.inline import InlinedGraph
from visualcnn_tf.graphs.nodes import Ref, ref_of
from visualcnn_tf.graphs.source import Source

#: Names of inputs or outputs of a signature, or of tensors: one, several, or several by the key that they get; or, of
#: inputs that are fixed, their values.
Endpoints: TypeAlias = "str | Sequence[str] | Mapping[str, Any] | None"
_SHOWN = 10
_WORDS = {"inputs": "input", "outputs": "output"}


def named(argument: str, given: Endpoints) -> dict[str, Any]:
    """Return what a caller gave as a dict from keys to names, or values.

    Raises:
        InvalidTypeError: for anything else.
        InvalidArgumentError: for none, or for two with the same key.
    """
    if isinstance(given, Mapping):
        found = list(given.items())
    else:
        names = [given] if isinstance(given, str) else given
        if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
            raise InvalidTypeError(
                f"`{argument}` must be the name of a tensor, a list of names, or a dict of them. Received: {given!r} "
                f"of type {type(given).__name__}."
            )
        found = [(name.removesuffix(":0"), name) for name in names]
    keys = [key_of(key) for key, _ in found]
    if not keys or len(set(keys)) < len(keys):
        raise bad_value(argument, "at least one name, and each only once", given)
    return {key: value for key, (_, value) in zip(keys, found, strict=True)}


def key_of(name: str) -> str:
    """Return a name as the inputs and outputs of a Keras model may have it, without slashes and colons.

    Example:
        >>> key_of("import/image:0")
        'import_image_0'
    """
    return re.sub(r"[^\w.]", "_", name)


def fed_names(given: Endpoints, source: Source) -> set[str]:
    """Return the names of the nodes that are fed, or may be."""
    names = {ref[0] for ref in source.inputs.values()}
    if given is not None:
        found = named("inputs", given)
        names |= {ref_of(name)[0] for pair in found.items() for name in pair if isinstance(name, str)}
    return names


def ref_by_name(argument: str, name: str, source: Source, graph: InlinedGraph) -> Ref:
    """Return the tensor that a name means: the key of an input or output of the file, or a tensor of its graph.

    Raises:
        LayerNotFoundError: for a name that is not there.
    """
    keys = source.inputs if argument == "inputs" else source.outputs
    ref = graph.source(keys[name] if name in keys else ref_of(name))
    if ref[0] in graph.nodes:
        return ref
    near = did_you_mean(name, [*keys, *graph.nodes])
    raise LayerNotFoundError(
        f"`{argument}` must name tensors of the graph in `{source.path}`, such as 'block/Relu:0', or its "
        f"{argument}, {quoted(list(keys)[:_SHOWN])}. Received: {name!r}.{near}"
    )


def output_refs(given: Endpoints, source: Source, graph: InlinedGraph) -> dict[str, Ref]:
    """Return the outputs by key: those that are given, or else all of a signature or the only one of a frozen graph.

    Raises:
        LayerNotFoundError: for a name that is not there.
        InvalidArgumentError: where nothing tells which of several tensors are the outputs.
    """
    if given is not None:
        names = named("outputs", given)
        texts = {key: _text(name) for key, name in names.items()}
        return {key: ref_by_name("outputs", name, source, graph) for key, name in texts.items()}
    if (len(source.outputs) > 1 and source.has_guessed_outputs) or not source.outputs:
        raise InvalidArgumentError(
            "`outputs` must be given for a graph that does not tell which of its tensors are the outputs. Received: "
            f"None, and nothing reads {quoted(list(source.outputs)[:_SHOWN])} of `{source.path}`. Name those that you "
            "want: `outputs=['name']`."
        )
    return {key_of(key): graph.source(ref) for key, ref in source.outputs.items()}


def input_refs(
    given: Endpoints, source: Source, graph: InlinedGraph, needs: Callable[[Iterable[Ref]], set[str]]
) -> tuple[dict[str, Ref], dict[Ref, Any]]:
    """Return the inputs by key, and the values of those that are fixed.

    Args:
        given: what the caller names, or None for all that the outputs need.
        source: the file.
        graph: its graph.
        needs: from tensors that are fed to the names of the nodes that the outputs still need.

    Raises:
        LayerNotFoundError: for a name that is not there.
        InvalidArgumentError: for one that the outputs don't need, or without one that they need.
    """
    known = {key_of(key): graph.source(ref) for key, ref in source.inputs.items()}
    if given is None:
        needed = needs([])
        return {key: ref for key, ref in known.items() if ref[0] in needed}, {}
    found: dict[str, Ref] = {}
    fixed: dict[Ref, Any] = {}
    for key, value in named("inputs", given).items():
        if isinstance(value, str):
            found[key] = ref_by_name("inputs", value, source, graph)
        else:
            fixed[known[key] if key in known else ref_by_name("inputs", key, source, graph)] = np.asarray(value)
    _check_needed(found, fixed, needs, source)
    return found, fixed


def _check_needed(
    found: Mapping[str, Ref],
    fixed: Mapping[Ref, Any],
    needs: Callable[[Iterable[Ref]], set[str]],
    source: Source,
) -> None:
    """Raise for inputs without effect."""
    needed = needs([])
    for ref in [*found.values(), *fixed]:
        if ref[0] not in needed:
            raise bad_value("inputs", f"tensors that the outputs of `{source.path}` are computed from", ref[0])


def check_complete(missing: Sequence[str], source: Source) -> None:
    """Raise for placeholders that nobody feeds.

    Raises:
        InvalidArgumentError: if there are any.
    """
    if missing:
        raise InvalidArgumentError(
            f"`inputs` must hold all inputs that the outputs of `{source.path}` are computed from. Received: none for "
            f"{quoted(missing)}. Name it, too, or fix it to a value: `inputs={{..., {missing[0]!r}: False}}`."
        )


def no_input(source: Source) -> IncompatibleModelError:
    """Return the error for a graph that computes its outputs from nothing."""
    return IncompatibleModelError(
        f"`path` must hold a graph whose outputs depend on an input. Received: `{source.path}`, whose outputs are the "
        "same for whatever it is given. Name other `outputs`."
    )


def check_inputs(starts: Mapping[str, Ref], tensors: Mapping[Ref, tf.Tensor], source: Source) -> None:
    """Raise unless each input is a batch of numbers.

    Raises:
        IncompatibleModelError: for texts, scalars, tensors of unknown rank, and resources.
    """
    for key, ref in starts.items():
        why = _no_batch(tensors[ref])
        if why:
            raise IncompatibleModelError(
                f"`inputs` must be batches of numbers. Received: {key!r} of `{source.path}`, which {why}"
            )


def _no_batch(tensor: tf.Tensor) -> str:
    """Return why a tensor is no batch of numbers and what to do, or ""."""
    behind = "name the tensor behind it that is computed from it"
    if tensor.dtype == tf.string:
        return f"takes texts or encoded images; {behind} and holds numbers, such as `inputs=['decoded:0']`."
    if not (tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool):
        return f"is of type {tensor.dtype.name}; {behind}."
    if tensor.shape.rank is None:
        return f"has a shape that is not known; {behind} and whose shape is."
    return "" if tensor.shape.rank else "is a scalar; fix it to a value, `inputs={'image': 'image:0', 'name': False}`."


def check_outputs(ends: Mapping[str, Ref], tensors: Mapping[Ref, tf.Tensor], source: Source) -> None:
    """Raise unless each output is a tensor of numbers.

    Raises:
        IncompatibleModelError: for texts, resources and the like.
    """
    bad = [key for key, ref in ends.items() if not _is_number(tensors[ref].dtype)]
    if bad:
        others = [key for key in ends if key not in bad]
        raise IncompatibleModelError(
            f"`outputs` must be tensors of numbers. Received: {quoted(bad)} of `{source.path}`, of type "
            f"{tensors[ends[bad[0]]].dtype.name}. Name the others: `outputs={others}`."
        )


def _is_number(dtype: tf.DType) -> bool:
    return bool(dtype.is_floating or dtype.is_integer or dtype.is_bool)


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise InvalidTypeError(
            f"`outputs` must be the names of tensors. Received: {name!r} of type {type(name).__name__}."
        )
    return name
