"""A SavedModel run as TensorFlow Serving runs it, for the stand-ins of its network interfaces.

As a program, ``python tests/support/served_model.py FOLDER``, it writes the model of these tests as ``FOLDER/1`` for a
real server.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import keras
import numpy as np
from tensorflow.core.protobuf import saved_model_pb2

import visualcnn_tf as vc
from support.model_kinds import small_cnn_layers

NAME = "cnn"


class ServedError(Exception):
    """A request that was not answered, with the status that TensorFlow Serving gives it over gRPC."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class ServedModel:
    """Signatures by name and tensors by name, as in a server; the graph runs in the C loader, in a child process."""

    def __init__(self, folder: Path) -> None:
        self.signatures = signatures(folder)
        program = Path(__file__).with_name("c_child.py")
        self._child = subprocess.Popen([sys.executable, program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lock = threading.Lock()

    def __enter__(self) -> ServedModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._child:
            self._child.stdin.close()

    def signature(self, name: str) -> Any:
        if (name or "serving_default") not in self.signatures:
            raise ServedError("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        return self.signatures[name or "serving_default"]

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """The outputs of a signature, or those ``wanted`` of them."""
        described = self.signature(signature)
        if set(inputs) != set(described.inputs) or not set(wanted) <= set(described.outputs):
            raise ServedError("INVALID_ARGUMENT", f"no such inputs or outputs: {[*inputs, *wanted]}")
        names = list(wanted) or list(described.outputs)
        feeds = {described.inputs[name].name: value for name, value in inputs.items()}
        with self._lock:
            pickle.dump((feeds, [described.outputs[name].name for name in names]), self._child.stdin)
            self._child.stdin.flush()
            answer = pickle.load(self._child.stdout)
        if isinstance(answer, str):
            raise ServedError("INVALID_ARGUMENT", answer)
        return dict(zip(names, answer, strict=True))


def signatures(folder: Path) -> Any:
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return proto.meta_graphs[0].signature_def


def seeded_cnn() -> Any:
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((12, 12, 1), name="image"), *small_cnn_layers()], name=NAME)


def export(folder: Path, **options: Any) -> tuple[Any, Path]:
    """The explained model of these tests, and the SavedModel of it that was written to ``folder/1``."""
    explained = vc.attach(seeded_cnn(), combine="mean", heatmap_dtype="uint8")
    return explained, vc.export_saved_model(explained, folder, version=1, pixels="0..1", **options)


if __name__ == "__main__":
    print(export(Path(sys.argv[1]), overwrite=True)[1])
