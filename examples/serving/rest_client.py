"""Send images to TensorFlow Serving over REST and write the heatmaps as pictures.

    python rest_client.py cat.jpg dog.jpg -o heatmaps

Needs numpy, Pillow and matplotlib.
"""

from __future__ import annotations

import argparse
import base64
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pictures import summary, write_pictures


def predict(url: str, encoded_images: Sequence[bytes], timeout: float = 60) -> list[dict[str, Any]]:
    """Return the outputs for each image, by name.

    Raises:
        RuntimeError: The server refuses the request; the message is that of the server.
    """
    instances = [{"b64": base64.b64encode(encoded).decode()} for encoded in encoded_images]
    body = json.dumps({"signature_name": "serving_bytes", "instances": instances}).encode()
    request = urllib.request.Request(f"{url}:predict", body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{error.code}: {error.read().decode(errors='replace')}") from error
    return answer["predictions"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--url", default="http://localhost:8501/v1/models/explained")
    parser.add_argument("-o", "--output", type=Path, default=Path("heatmaps"))
    options = parser.parse_args(arguments)
    answers = predict(options.url, [image.read_bytes() for image in options.images])
    for image, outputs in zip(options.images, answers, strict=True):
        written = write_pictures(image, outputs, options.output)
        print(f"{image}: {summary(outputs)}; {len(written)} pictures in {options.output}")


if __name__ == "__main__":
    main()
