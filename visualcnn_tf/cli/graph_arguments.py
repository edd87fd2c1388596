"""The arguments for models that are TensorFlow graphs. Like the parser, it needs no TensorFlow."""

from __future__ import annotations

import argparse
from typing import Any

#: What is said of the model.
MODEL = "a .keras or .h5 file, the folder of a SavedModel, or a frozen graph (.pb)"
# The options, and what `load_graph` calls them.
_NAMES = {"signature": "signature", "graph_inputs": "inputs", "graph_outputs": "outputs"}


def add_graph(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which part of a graph is the model."""
    parser.add_argument(
        "--signature", metavar="S", help="of a SavedModel: which of its signatures; default: serving_default"
    )
    for kind, default in {"inputs": "all that the outputs need", "outputs": "those of the signature"}.items():
        parser.add_argument(
            f"--graph-{kind}",
            nargs="+",
            metavar="N",
            help=f"of a graph: the names of its {kind}, or of tensors in it; default: {default}",
        )


def graph_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return those that were given, as arguments of ``load_graph``."""
    given = {name: getattr(arguments, option) for option, name in _NAMES.items()}
    return {name: value for name, value in given.items() if value is not None}


def option_of(name: str) -> str:
    """Return the option of an argument of ``load_graph``."""
    return next(f"--{option.replace('_', '-')}" for option, argument in _NAMES.items() if argument == name)
