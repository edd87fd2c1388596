"""Send images to TensorFlow Serving over gRPC and write the heatmaps as pictures.

    python grpc_client.py cat.jpg dog.jpg -o heatmaps

Needs numpy, Pillow, matplotlib, grpcio, tensorflow-serving-api and tensorflow (for the tensors in the messages).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from pictures import summary, write_pictures
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

# bytes; gRPC's default of 4 MiB is too small for heatmaps
MAX_ANSWER = 64 * 1024 * 1024


def predict(
    address: str, model: str, encoded_images: Sequence[bytes], wanted: Sequence[str] = (), timeout: float = 60
) -> dict[str, np.ndarray]:
    """Return the outputs for all images, by name, the images along the first axis; only those ``wanted``, if given.

    Raises:
        grpc.RpcError: The server refuses the request.
    """
    request = PredictRequest(output_filter=wanted)
    request.model_spec.name = model
    request.model_spec.signature_name = "serving_bytes"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(np.array(encoded_images, object)))
    with grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", MAX_ANSWER)]) as channel:
        response = PredictionServiceStub(channel).Predict(request, timeout=timeout)
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--address", default="localhost:8500")
    parser.add_argument("--model", default="explained")
    parser.add_argument("-o", "--output", type=Path, default=Path("heatmaps"))
    options = parser.parse_args(arguments)
    answer = predict(options.address, options.model, [image.read_bytes() for image in options.images])
    for index, image in enumerate(options.images):
        outputs: dict[str, Any] = {name: values[index] for name, values in answer.items()}
        written = write_pictures(image, outputs, options.output)
        print(f"{image}: {summary(outputs)}; {len(written)} pictures in {options.output}")


if __name__ == "__main__":
    main()
