"""The command ``visualcnn``: from its arguments to its exit code."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module

from visualcnn_tf.cli.export_arguments import check_export
from visualcnn_tf.cli.parser import parse
from visualcnn_tf.cli.quiet import quiet_import
from visualcnn_tf.errors import VisualCNNError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments; by default those of the process.

    Returns:
        The exit code: 0, 2 for a mistake of the user's, or 130 after Ctrl-C.
    """
    arguments = parse(sys.argv[1:] if argv is None else argv)
    try:
        if arguments.command == "export":
            check_export(arguments)
        _run(arguments)
    except (VisualCNNError, OSError) as error:
        return _failed(str(error), 2)
    except MemoryError:
        return _failed("There is not enough memory for this. Use smaller or fewer images, or a smaller `--size`.", 2)
    except KeyboardInterrupt:
        return _failed("Stopped.", 130)
    return 0


def _run(arguments: Namespace) -> None:
    """Import the module of a command, and with it TensorFlow, and run it.

    Raises:
        MemoryError: Python or TensorFlow has run out of memory.
    """
    with quiet_import(arguments.verbose):
        import tensorflow as tf

        command = import_module(f"visualcnn_tf.cli.{arguments.command}")
    try:
        command.run(arguments)
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError from error


def _failed(message: str, code: int) -> int:
    print(f"visualcnn: error: {' '.join(message.split())}", file=sys.stderr)
    return code
