"""The options of the command line for detectors: which box is explained, and what its numbers are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.cli.argument_types import listed, number_or_text, one_of

if TYPE_CHECKING:
    from visualcnn_tf.targets.box import Box

#: The names that the package allows, which imports TensorFlow; a test compares them.
BOX_FORMATS = (
    *("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw"),
    *("rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh", "rel_center_yxhw"),
)


def add_box(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command."""
    parser.add_argument(
        "--box",
        type=number_or_text,
        nargs="+",
        metavar="N",
        help="of a detector: explain this box, several, or 'best', the one with the highest score; without --method by "
        "hirescam",
    )
    parser.add_argument(
        "--box-format",
        type=one_of(BOX_FORMATS),
        metavar="F",
        help=f"what the four numbers of its boxes are, to draw the box: {listed(BOX_FORMATS)}",
    )


def box_target(arguments: argparse.Namespace) -> Box | None:
    """Return the target that the options ask for, None for none.

    Raises:
        InvalidArgumentError: for a box and a class, or a format without a box.
    """
    if arguments.box is None:
        if arguments.box_format is not None:
            raise bad_value("--box-format", "left out without --box", arguments.box_format)
        return None
    if arguments.target != "predicted":
        raise bad_value("--class", "left out with --box, which explains the class of the box", arguments.target)
    from visualcnn_tf.targets.box import Box

    index = arguments.box[0] if len(arguments.box) == 1 else arguments.box
    if index != "best" and not all(isinstance(one, int) and one >= 0 for one in arguments.box):
        raise bad_value("--box", "the index of a box from 0, several, or 'best'", index)
    return Box(index, box_format=arguments.box_format)
