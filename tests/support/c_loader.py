"""Runs a SavedModel through TensorFlow's C API, in a process that never imports TensorFlow in Python.

`TF_LoadSessionFromSavedModel` is the loader of TensorFlow Serving; its library comes with the pip wheel. Run as a
program: ``python c_loader.py JOB.json``, where the job names the SavedModel, the tensors to feed and to fetch, and
the .npz files for both; arrays of type object or S are fed as strings.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import sys
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

_TYPES: dict[int, Any] = {1: "f4", 2: "f8", 3: "i4", 4: "u1", 6: "i1", 9: "i8", 10: "?", 19: "f2"}
_TYPES[14] = ml_dtypes.bfloat16
_CODES = {np.dtype(name): code for code, name in _TYPES.items()}
_STRING, _TSTRING_SIZE = 7, 24


class Output(ctypes.Structure):
    _fields_ = (("operation", c_void_p), ("index", c_int))


def library() -> Any:
    spec = importlib.util.find_spec("tensorflow")
    folder = Path(str(spec.origin)).parent
    ctypes.CDLL(str(folder / "libtensorflow_framework.so.2"), ctypes.RTLD_GLOBAL)
    lib = ctypes.CDLL(str(folder / "libtensorflow_cc.so.2"))
    for name in (
        "TF_NewStatus",
        "TF_NewGraph",
        "TF_NewSessionOptions",
        "TF_LoadSessionFromSavedModel",
        "TF_GraphOperationByName",
        "TF_AllocateTensor",
        "TF_TensorData",
        "TF_StringGetDataPointer",
    ):
        getattr(lib, name).restype = c_void_p
    lib.TF_Message.restype = c_char_p
    lib.TF_Dim.restype = c_int64
    lib.TF_TensorByteSize.restype = c_size_t
    lib.TF_StringGetSize.restype = c_size_t
    return lib


class Session:
    def __init__(self, folder: str) -> None:
        self.lib = library()
        self.status = c_void_p(self.lib.TF_NewStatus())
        self.graph = c_void_p(self.lib.TF_NewGraph())
        options = c_void_p(self.lib.TF_NewSessionOptions())
        tags = (c_char_p * 1)(b"serve")
        self.session = c_void_p(
            self.lib.TF_LoadSessionFromSavedModel(
                options, None, folder.encode(), tags, 1, self.graph, None, self.status
            )
        )
        self.check()

    def check(self) -> None:
        if self.lib.TF_GetCode(self.status):
            raise RuntimeError(self.lib.TF_Message(self.status).decode())

    def output(self, tensor: str) -> Output:
        name, index = tensor.split(":")
        operation = self.lib.TF_GraphOperationByName(self.graph, name.encode())
        if not operation:
            raise KeyError(tensor)
        return Output(operation, int(index))

    def tensor(self, array: np.ndarray) -> c_void_p:
        is_string = array.dtype.kind in "OS"
        size = array.size * _TSTRING_SIZE if is_string else array.nbytes
        code = _STRING if is_string else _CODES[array.dtype]
        dims = (c_int64 * array.ndim)(*array.shape)
        tensor = c_void_p(self.lib.TF_AllocateTensor(code, dims, array.ndim, c_size_t(size)))
        data = self.lib.TF_TensorData(tensor)
        if not is_string:
            ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, size)
            return tensor
        for i, value in enumerate(array.ravel()):
            address = c_void_p(data + i * _TSTRING_SIZE)
            self.lib.TF_StringInit(address)
            self.lib.TF_StringCopy(address, bytes(value), c_size_t(len(bytes(value))))
        return tensor

    def array(self, tensor: c_void_p) -> np.ndarray:
        shape = [self.lib.TF_Dim(tensor, i) for i in range(self.lib.TF_NumDims(tensor))]
        if self.lib.TF_TensorType(tensor) == _STRING:
            return self.strings(tensor, shape)
        content = ctypes.string_at(self.lib.TF_TensorData(tensor), self.lib.TF_TensorByteSize(tensor))
        return np.frombuffer(content, _TYPES[self.lib.TF_TensorType(tensor)]).reshape(shape)

    def strings(self, tensor: c_void_p, shape: list[int]) -> np.ndarray:
        addresses = [self.lib.TF_TensorData(tensor) + i * _TSTRING_SIZE for i in range(int(np.prod(shape)))]
        found = np.empty(len(addresses), object)
        for i, address in enumerate(map(c_void_p, addresses)):
            found[i] = ctypes.string_at(self.lib.TF_StringGetDataPointer(address), self.lib.TF_StringGetSize(address))
        return found.reshape(shape)

    def run(self, feeds: dict[str, np.ndarray], fetches: list[str]) -> list[np.ndarray]:
        inputs = (Output * len(feeds))(*(self.output(name) for name in feeds))
        values = (c_void_p * len(feeds))(*(self.tensor(array).value for array in feeds.values()))
        outputs = (Output * len(fetches))(*(self.output(name) for name in fetches))
        results = (c_void_p * len(fetches))()
        self.lib.TF_SessionRun(
            self.session,
            None,
            inputs,
            values,
            len(feeds),
            outputs,
            ctypes.cast(results, POINTER(c_void_p)),
            len(fetches),
            None,
            0,
            None,
            self.status,
        )
        self.check()
        return [self.array(c_void_p(result)) for result in results]


def main(job_file: str) -> None:
    job = json.loads(Path(job_file).read_text())
    session = Session(job["folder"])
    for number, call in enumerate(job["calls"]):
        with np.load(call["inputs"], allow_pickle=True) as arrays:
            feeds = {call["feeds"][key]: arrays[key] for key in call["feeds"]}
        try:
            values = session.run(feeds, list(call["fetches"].values()))
            np.savez(call["outputs"], **dict(zip(call["fetches"], values, strict=True)))
        except RuntimeError as error:
            print(json.dumps({"call": number, "error": str(error)}))
    assert "tensorflow" not in sys.modules


if __name__ == "__main__":
    main(sys.argv[1])
