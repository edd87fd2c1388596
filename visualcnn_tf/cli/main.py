"""The command ``visualcnn``: a demo, a list of what can be tapped, pictures, and files for other programs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tensorflow as tf

from visualcnn_tf.cli import commands
from visualcnn_tf.errors import VisualCNNError
from visualcnn_tf.render.colormaps import COLORMAPS

_DEMO_HELP = """\
Trains a small CNN on scikit-learn's handwritten digits, attaches a heatmap to each of its layers, and
writes the networks and a picture of the heatmaps. Takes under a minute on two cores and needs no network."""

_DEMO_EXAMPLES = """\
examples:
  visualcnn demo
  visualcnn demo --out somewhere --seed 3"""

_LAYERS_HELP = """\
Lists every layer of which a heatmap can be made: its path (the name for --layers), its type, the shape of
its output, and which of the presets select it: "conv" (every convolution and pooling layer), "stages" (the
last layer of each resolution), "last" (the last feature map before the head)."""

_LAYERS_EXAMPLES = """\
examples:
  visualcnn layers model.keras
  visualcnn layers model.h5"""

_SHOW_HELP = """\
Draws images with the heatmaps of a model's layers beside them, and what the model says they are."""

_SHOW_EXAMPLES = """\
examples:
  visualcnn show model.keras cat.jpg dog.png
  visualcnn show model.keras cat.jpg --layers last --method gradcam --class top3
  visualcnn show model.keras cat.jpg --layers stages --method eigen -o cat_eigen.png
  visualcnn show model.keras cat.jpg --layers "block_*_project" out_relu --combine
  visualcnn show mobilenet.keras cat.jpg --layers stages --preprocess mobilenet_v2 --labels imagenet.txt"""

_VIDEO_HELP = """\
Lays the heatmap of one layer over every frame of a film. All frames share one scale of colors, so that they can
be compared: it is calibrated on the first frames, or given."""

_VIDEO_EXAMPLES = """\
examples:
  visualcnn video model.keras frames -o film.gif
  visualcnn video model.keras film.gif -o pictures --layer block3_conv --method deviation
  visualcnn video model.keras frames -o film.gif --range 0 2.5 --colormap inferno --weighted"""

_EXPORT_HELP = """\
Writes a model with its heatmaps as files for other programs: a SavedModel for TensorFlow Serving, a TensorFlow
Lite file for phones and browsers, or both. Each is run and compared with the model before it is kept."""

_EXPORT_EXAMPLES = """\
examples:
  visualcnn export model.keras --saved-model export --preprocess 0..1
  visualcnn export model.keras --layers stages --dtype uint8 --tflite model.tflite
  visualcnn export model.keras --layers last --tflite small.tflite --quantize dynamic
  visualcnn export model.keras --layers last --method gradcam --class input --tflite why.tflite"""

_WEB_HELP = """\
Serves a page, to this machine only, that runs an exported TensorFlow Lite file in the browser: draw a digit, choose
an image or use the camera, and see the heatmaps. It needs LiteRT.js, from npm:
  npm install --prefix . @litertjs/core@2.5.3"""

_WEB_EXAMPLES = """\
examples:
  visualcnn web explained.tflite
  visualcnn web mobilenet.tflite --preprocess -1..1 --port 0 --no-browser"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code: 0, 2 for a mistake of the user's, or 130 after Ctrl-C."""
    arguments = _parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    try:
        getattr(commands, arguments.command)(arguments)
    except (VisualCNNError, OSError) as error:
        return _failed(str(error), 2)
    except (MemoryError, tf.errors.ResourceExhaustedError):
        return _failed("There is not enough memory for this. Use smaller or fewer images, or a smaller `--size`.", 2)
    except KeyboardInterrupt:
        return _failed("Stopped.", 130)
    return 0


def _failed(message: str, code: int) -> int:
    print(f"visualcnn: error: {' '.join(message.split())}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="visualcnn", description="Heatmaps of what the layers of a CNN respond to.")
    parser.add_argument("--version", action="version", version=f"visualcnn-tf {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{demo,layers,show,video,export,web}")
    _add_demo(_command(commands, "demo", "try it on built-in data, offline", _DEMO_HELP, _DEMO_EXAMPLES))
    _add_layers(_command(commands, "layers", "list what can be tapped", _LAYERS_HELP, _LAYERS_EXAMPLES))
    _add_show(_command(commands, "show", "draw heatmaps of images", _SHOW_HELP, _SHOW_EXAMPLES))
    _add_video(_command(commands, "video", "lay heatmaps over a film", _VIDEO_HELP, _VIDEO_EXAMPLES))
    _add_export(_command(commands, "export", "write files for servers and devices", _EXPORT_HELP, _EXPORT_EXAMPLES))
    _add_web(_command(commands, "web", "run a TensorFlow Lite file in the browser", _WEB_HELP, _WEB_EXAMPLES))
    return parser


def _command(commands: Any, name: str, summary: str, description: str, examples: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=_path, default=Path("visualcnn_demo"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the training; default: %(default)s")


def _add_layers(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=_path, metavar="MODEL", help="a .keras or .h5 file")
    parser.add_argument(
        "--trust-model", action="store_true", help="run the code that MODEL holds (Lambda layers), unsafe if not yours"
    )


def _add_show(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument("images", type=_path, nargs="+", metavar="IMAGE", help="JPEG, PNG, BMP or GIF files")
    _add_heatmaps(parser, classes="a class index, or top3 and the like")
    parser.add_argument("--combine", action="store_true", help="add the mean of all heatmaps")
    _add_pixels(parser)
    parser.add_argument("--labels", type=_path, metavar="FILE", help="class names, one a line")
    parser.add_argument("--background", choices=("light", "dark"), default="light", help="default: %(default)s")
    parser.add_argument(
        "-o",
        "--out",
        type=_path,
        default=Path("heatmaps.png"),
        metavar="FILE",
        help="default: %(default)s; what fits on no page becomes heatmaps_1.png and so on",
    )


def _add_video(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument("frames", type=_path, metavar="FRAMES", help="a folder of pictures, or an animated GIF")
    parser.add_argument("-o", "--out", type=_path, required=True, metavar="OUT", help="film.gif, or a folder for PNGs")
    parser.add_argument(
        "--layer", type=_number_or_text, default="last", metavar="L", help="one layer, or 'last'; default: %(default)s"
    )
    parser.add_argument("--method", default="gradcam", metavar="M", help="the fusion; default: %(default)s")
    parser.add_argument(
        "--range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="raw values of the lowest and highest color"
    )
    parser.add_argument(
        "--calibrate", type=int, default=30, metavar="N", help="frames that set the scale; default: %(default)s"
    )
    parser.add_argument("--colormap", default="turbo", metavar="C", help=f"{', '.join(COLORMAPS)}; default: turbo")
    parser.add_argument("--alpha", type=float, default=0.5, metavar="A", help="opacity; default: %(default)s")
    parser.add_argument("--weighted", action="store_true", help="make low values transparent")
    parser.add_argument("--fps", type=float, metavar="N", help="frames a second; default: those of FRAMES, or 10")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing folder")
    _add_pixels(parser)


def _add_export(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    _add_heatmaps(parser, classes="a class index, top3 and the like, or input for one that each request may choose")
    parser.add_argument("--dtype", default="float32", metavar="T", help="float32, float16 or uint8 heatmaps")
    parser.add_argument(
        "--saved-model", type=_path, metavar="DIR", help="write a SavedModel to the next free number in this folder"
    )
    parser.add_argument(
        "--preprocess", metavar="P", help="of encoded and calibration images: 0..1, -1..1 or caffe; default: none"
    )
    parser.add_argument("--tflite", type=_path, metavar="FILE", help="write a TensorFlow Lite file")
    parser.add_argument("--quantize", metavar="Q", help="of the TensorFlow Lite file: float16, dynamic or int8")
    parser.add_argument(
        "--calibrate",
        type=_path,
        metavar="DIR",
        help="images to compare with, as --preprocess says; int8 needs 100",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing TensorFlow Lite file")


def _add_pixels(parser: argparse.ArgumentParser) -> None:
    pixels = parser.add_mutually_exclusive_group()
    pixels.add_argument(
        "--scale",
        choices=("none", "0..1", "-1..1"),
        help="range of the pixel values that the model takes; default: none (0..255) for a model that "
        "rescales them itself, 0..1 for others",
    )
    pixels.add_argument(
        "--preprocess",
        metavar="NAME",
        help="preprocess as this module of keras.applications does, e.g. mobilenet_v2",
    )


def _add_heatmaps(parser: argparse.ArgumentParser, classes: str) -> None:
    parser.add_argument(
        "--layers",
        type=_number_or_text,
        nargs="+",
        metavar="L",
        help="a preset (conv, stages, last), or names, paths, patterns and indices; default: conv",
    )
    parser.add_argument("--method", default="deviation", metavar="M", help="the fusion; default: %(default)s")
    parser.add_argument(
        "--class",
        dest="target",
        type=_number_or_text,
        default="predicted",
        metavar="K",
        help=f"what methods such as gradcam explain: {classes}; default: %(default)s",
    )
    parser.add_argument("--output", metavar="NAME", help="which of several outputs they explain")
    parser.add_argument(
        "--max-channels", type=int, metavar="N", help="scorecam and ablationcam: only the N channels that vary most"
    )
    parser.add_argument(
        "--size",
        nargs="+",
        metavar="N",
        help="height and width of the heatmaps, or 'native' for each layer's own; default: the input's",
    )


def _add_web(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=_path, metavar="MODEL", help="a .tflite file with heatmaps")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="0 for any; default: %(default)s")
    parser.add_argument(
        "--preprocess", choices=("0..1", "-1..1", "0..255"), help="pixel values that the page starts with"
    )
    parser.add_argument("--no-browser", action="store_true", help="don't open the page")
    parser.add_argument(
        "--modules",
        type=_path,
        default=Path("node_modules"),
        metavar="DIR",
        help="the folder that holds LiteRT.js; default: %(default)s",
    )


def _joined(words: Sequence[str]) -> list[str]:
    """The words, with ``--scale -1..1`` as one, because argparse takes ``-1..1`` for an option."""
    text = "\0".join(words)
    for option in ("--scale", "--preprocess"):
        text = text.replace(f"{option}\0-1..1", f"{option}=-1..1")
    return text.split("\0") if words else []


def _path(text: str) -> Path:
    if not text:  # of a shell variable that is not set; it would mean the current folder
        raise argparse.ArgumentTypeError("must not be empty")
    return Path(text)


def _number_or_text(text: str) -> str | int:
    """A layer or a class; what looks like a number is an index."""
    try:
        return int(text)
    except ValueError:
        return text


def _version() -> str:
    try:
        return version("visualcnn-tf")
    except PackageNotFoundError:
        return "of a source checkout"
