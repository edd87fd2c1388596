"""The arguments of the command line. Reading them needs neither TensorFlow nor NumPy, so that ``--help`` is quick."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from visualcnn_tf.cli.argument_types import listed, number_from, number_or_text, one_of, opacity, path
from visualcnn_tf.cli.batch_arguments import add_job, add_source
from visualcnn_tf.cli.box_arguments import add_box
from visualcnn_tf.cli.graph_arguments import MODEL, add_graph
from visualcnn_tf.cli.help_texts import HELP
from visualcnn_tf.cli.version import installed_version
from visualcnn_tf.pixels.names import FITS, MODULES, VALUES

# The names that other modules, which import TensorFlow, allow; a test compares them.
COLORMAPS = ("turbo", "viridis", "inferno", "cividis", "gray", "jet", "heat")
DEFAULT_COLORMAP = "turbo"
BACKGROUNDS = ("light", "dark")
DTYPES = ("float32", "float16", "uint8")
METHODS = (
    *("deviation", "mean", "mean_abs", "max", "l2", "std", "eigen"),
    *("gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "eigengradcam"),
    *("reciprocam", "scorecam", "ablationcam", "attentionrollout", "gradientrollout", "detclassmap"),
)
QUANTIZE = ("float16", "dynamic", "int8")
_CLASS = "a class (its index or, with --labels, its name)"


class Parser(argparse.ArgumentParser):
    """A parser that answers a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where help is found; exit with code 2."""
        end = "" if message.endswith((".", "?")) else "."
        self.exit(2, f"visualcnn: error: {message}{end} Run `{self.prog} --help` for help.\n")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; exit for a mistake, or after ``--help`` or ``--version``."""
    return _parser().parse_args(_joined(words))


def _parser() -> Parser:
    parser = Parser(prog="visualcnn", description="Heatmaps of what the layers of a CNN respond to.")
    parser.add_argument("--version", action="version", version=f"visualcnn-tf {installed_version()}")
    _add_verbose(parser, default=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar=f"{{{','.join(HELP)}}}")
    for name, add_arguments in {
        "demo": _add_demo,
        "layers": _add_model,
        "show": _add_show,
        "video": _add_video,
        "export": _add_export,
        "batch": _add_batch,
        "web": _add_web,
    }.items():
        command = commands.add_parser(
            name,
            help=HELP[name].summary,
            description=HELP[name].description,
            epilog=f"examples:\n{HELP[name].examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_arguments(command)
        _add_verbose(command, default=argparse.SUPPRESS)
    return parser


def _add_verbose(parser: argparse.ArgumentParser, default: object) -> None:
    """Add an option that may stand before the command and after it."""
    parser.add_argument("--verbose", action="store_true", default=default, help="show the log messages of TensorFlow")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=path, default=Path("visualcnn_demo"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the training; default: %(default)s")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=path, metavar="MODEL", help=MODEL)
    parser.add_argument(
        "--trust-model", action="store_true", help="run the code that MODEL holds (Lambda layers), unsafe if not yours"
    )
    add_graph(parser)


def _add_show(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument(
        "images", type=path, nargs="+", metavar="IMAGE", help="JPEG, PNG, BMP or GIF files, or folders of them"
    )
    _add_heatmaps(parser, classes=f"{_CLASS}, or top3 and the like", layers="stages")
    parser.set_defaults(method=None)
    add_box(parser)
    parser.add_argument("--combine", action="store_true", help="add the mean of all heatmaps")
    _add_pixels(parser)
    _add_look(parser)
    parser.add_argument(
        "-o",
        "--out",
        type=path,
        default=Path("heatmaps.png"),
        metavar="FILE",
        help="default: %(default)s; what does not fit on one page becomes heatmaps_1.png and so on",
    )


def _add_look(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--alpha",
        type=opacity,
        default=0.6,
        metavar="A",
        help="opacity of the heatmaps where they are highest, from 0 to 1, or none to draw them by themselves; "
        "default: %(default)s",
    )
    _add_colormap(parser)
    parser.add_argument("--background", choices=BACKGROUNDS, default="light", help="default: %(default)s")


def _add_colormap(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--colormap",
        type=one_of(COLORMAPS),
        default=DEFAULT_COLORMAP,
        metavar="C",
        help=f"{listed(COLORMAPS)}; default: %(default)s",
    )


def _add_video(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument("frames", type=path, metavar="FRAMES", help="a folder of pictures, or an animated GIF")
    parser.add_argument("-o", "--out", type=path, required=True, metavar="OUT", help="film.gif, or a folder for PNGs")
    parser.add_argument(
        "--layer", type=number_or_text, default="last", metavar="L", help="one layer, or 'last'; default: %(default)s"
    )
    _add_method(parser, default="gradcam")
    parser.add_argument(
        "--range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="raw values of the lowest and highest color"
    )
    parser.add_argument(
        "--calibrate", type=int, default=30, metavar="N", help="frames that set the scale; default: %(default)s"
    )
    _add_colormap(parser)
    parser.add_argument("--alpha", type=float, default=0.5, metavar="A", help="opacity; default: %(default)s")
    parser.add_argument("--weighted", action="store_true", help="make low values transparent")
    parser.add_argument("--fps", type=float, metavar="N", help="frames a second; default: those of FRAMES, or 10")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing folder")
    _add_pixels(parser)


def _add_export(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    _add_heatmaps(parser, classes=f"{_CLASS}, top3 and the like, or input for one that each request may choose")
    parser.add_argument(
        "--heatmap-dtype",
        type=one_of(DTYPES),
        default="float32",
        metavar="T",
        help=f"{listed(DTYPES)}; of the heatmaps",
    )
    parser.add_argument(
        "--saved-model", type=path, metavar="DIR", help="write a SavedModel to the next free number in this folder"
    )
    parser.add_argument("--tflite", type=path, metavar="FILE", help="write a TensorFlow Lite file")
    parser.add_argument(
        "--quantize", type=one_of(QUANTIZE), metavar="Q", help=f"of the TensorFlow Lite file: {listed(QUANTIZE)}"
    )
    parser.add_argument(
        "--calibrate",
        type=path,
        metavar="DIR",
        help="images, also in folders, to compare with; int8 needs 100",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing TensorFlow Lite file")
    _add_limits(parser)
    _add_pixels(parser)


def _add_batch(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_job(parser)
    _add_heatmaps(parser, classes=f"{_CLASS}, top3 and the like", layers="stages")
    _add_pixels(parser)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-correlation",
        type=number_from(-1),
        metavar="C",
        help="write the TensorFlow Lite file if its heatmaps correlate by C or more on every image; default of "
        "quantized files: 0.5, and 0.9 on 95 %% of them",
    )
    parser.add_argument(
        "--min-agreement",
        type=number_from(0),
        metavar="A",
        help="and if it predicts the same class for this share of them; default of quantized files: 0.9",
    )


def _add_pixels(parser: argparse.ArgumentParser) -> None:
    _add_values(parser, default="found in the model or, where it does not tell, assumed, and printed")
    parser.add_argument(
        "--fit",
        type=one_of(FITS),
        metavar="F",
        help=f"how images of another shape are fitted to the model's input: {listed(FITS)}; default: squeeze",
    )


def _add_values(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--pixels",
        type=one_of((*VALUES, *MODULES)),
        metavar="P",
        help=f"what the model takes where an image has pixels of 0 to 255: {', '.join(VALUES)}, or the name of a "
        f"module of keras.applications, e.g. mobilenet_v2; default: {default}",
    )


def _add_heatmaps(parser: argparse.ArgumentParser, classes: str, layers: str = "conv") -> None:
    parser.add_argument(
        "--layers",
        type=number_or_text,
        nargs="+",
        metavar="L",
        help=f"a preset (conv, stages, last), or names, paths, patterns and indices; default: {layers}",
    )
    _add_method(parser, default="deviation")
    parser.add_argument(
        "--class",
        dest="target",
        type=number_or_text,
        default="predicted",
        metavar="K",
        help=f"what methods such as gradcam explain: {classes}; default: %(default)s",
    )
    parser.add_argument("--labels", type=path, metavar="FILE", help="a text file of class names, one a line")
    parser.add_argument("--output", metavar="NAME", help="which output they explain, and presets choose layers for")
    parser.add_argument(
        "--max-channels", type=int, metavar="N", help="scorecam and ablationcam: only the N channels that vary most"
    )
    parser.add_argument(
        "--size",
        nargs="+",
        metavar="N",
        help="height and width of the heatmaps, or 'native' for each layer's own; default: the input's",
    )


def _add_method(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--method",
        type=one_of(METHODS),
        default=default,
        metavar="M",
        help=f"how channels become one heatmap: {listed(METHODS)}; default: {default}",
    )


def _add_web(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=path, metavar="MODEL", help="a .tflite file with heatmaps")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="0 for any; default: %(default)s")
    _add_values(parser, default="as the file says")
    parser.add_argument("--no-browser", action="store_true", help="don't open the page")
    parser.add_argument(
        "--modules",
        type=path,
        default=Path("node_modules"),
        metavar="DIR",
        help="the folder that holds LiteRT.js; default: %(default)s",
    )


def _joined(words: Sequence[str]) -> list[str]:
    """Return the words with ``--pixels -1..1`` as one, because argparse takes ``-1..1`` for an option."""
    text = "\0".join(words).replace("--pixels\0-1..1", "--pixels=-1..1")
    return text.split("\0") if words else []
