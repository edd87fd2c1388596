"""``visualcnn video``: a film overlaid with heatmaps."""

from __future__ import annotations

from argparse import Namespace

from visualcnn_tf.cli.files import load_with_pixels
from visualcnn_tf.cli.graph_arguments import graph_options
from visualcnn_tf.cli.pixels import chosen_pixels, pixels_of
from visualcnn_tf.introspect.find_inputs import image_inputs
from visualcnn_tf.io.atomic import check_free
from visualcnn_tf.video.film import Look
from visualcnn_tf.video.frames import open_frames
from visualcnn_tf.video.heatmap_video import heatmap_video


def run(arguments: Namespace) -> None:
    """Write the film."""
    model, kept = load_with_pixels(arguments.model, arguments.trust_model, graph_options(arguments))
    inputs = image_inputs(model)
    if not arguments.out.suffix:
        check_free(arguments.out, arguments.overwrite, "--out", "Add `--overwrite`")
    frames = open_frames(arguments.frames)
    known = pixels_of(model, inputs, arguments.pixels or kept)
    low, high = heatmap_video(
        model,
        frames,
        arguments.out,
        layer=arguments.layer,
        method=arguments.method,
        pixels=chosen_pixels(arguments, model, known, kept),
        scale=arguments.range,
        calibrate=arguments.calibrate,
        look=Look(arguments.alpha, arguments.colormap, arguments.weighted),
        fps=arguments.fps,
        overwrite=arguments.overwrite,
    )
    print(f"Wrote {arguments.out} (frames: {frames.count}, scale: --range {low:.6g} {high:.6g}).")
