"""``visualcnn web``: a page that runs a TensorFlow Lite file in the browser."""

from __future__ import annotations

from argparse import Namespace

from visualcnn_tf.web.server import serve


def run(arguments: Namespace) -> None:
    """Serve the page."""
    serve(
        arguments.model,
        modules=arguments.modules,
        port=arguments.port,
        pixels=arguments.pixels,
        browser=not arguments.no_browser,
    )
