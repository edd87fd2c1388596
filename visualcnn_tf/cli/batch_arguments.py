"""The arguments of ``visualcnn batch`` that no other command has. Like the parser, it needs no TensorFlow."""

from __future__ import annotations

import argparse

from visualcnn_tf.cli.graph_arguments import MODEL, add_graph

# The names that the package `data` allows; a test compares them.
ENGINES = ("local", "ray", "spark", "dask")
SINKS = ("parquet", "zarr", "png", "tfrecord")
ENCODINGS = ("raw", "png")


def add_job(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the job."""
    parser.add_argument("--out", required=True, type=_text, metavar="DIR", help="a new folder, or that of the same job")
    parser.add_argument(
        "--sink", choices=SINKS, default="parquet", help="where maps go; png writes overlays, too; default: %(default)s"
    )
    parser.add_argument(
        "--encoding", choices=ENCODINGS, default="raw", help="of maps in Parquet files; default: %(default)s"
    )
    parser.add_argument(
        "--column", metavar="NAME", help="the column or feature that holds the images; default: the only one"
    )
    parser.add_argument(
        "--heatmap-dtype",
        choices=("float32", "float16", "uint8"),
        help="of the heatmaps of a model without any; default: uint8",
    )
    parser.add_argument("--engine", choices=ENGINES, default="local", help="what runs it; default: %(default)s")
    parser.add_argument("--address", metavar="A", help="of the cluster; default: one on this machine")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes; default: one for each core and 2 GB of memory"
    )
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="images at once; default: %(default)s")
    parser.add_argument(
        "--shard-rows", type=int, default=1000, metavar="N", help="images in a file of the result; default: %(default)s"
    )


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the model and the images."""
    parser.add_argument("model", type=_text, metavar="MODEL", help=f"{MODEL}, or an exported folder")
    parser.add_argument(
        "source",
        type=_text,
        metavar="SOURCE",
        help="a folder, a pattern in quotes, a Parquet or TFRecord file, an address",
    )
    parser.add_argument(
        "--trust-model", action="store_true", help="run the code that MODEL holds (Lambda layers), unsafe if not yours"
    )
    add_graph(parser)


def _text(text: str) -> str:
    if not text:  # a shell variable that is not set: it would mean the current folder
        raise argparse.ArgumentTypeError("must not be empty")
    return text
