"""Serve a web page that runs an exported TensorFlow Lite file in the browser."""
