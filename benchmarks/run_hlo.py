"""Time the programs of ``python -m benchmarks.gpu --export FOLDER`` with JAX alone: ``python run_hlo.py FOLDER``.

Neither TensorFlow nor visualcnn_tf is needed where this runs: copy the folder there.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax._src import compiler
from jax._src.interpreters import mlir
from jax._src.lib import xla_client

ROUNDS = 51
TOLERANCE = 1e-2  # for values from 0 to 1: a GPU may multiply in TensorFloat-32


def load(path: Path) -> tuple[Any, list[Any], list[np.ndarray]]:
    """Return the compiled program, its arguments on the device, and the expected outputs."""
    module = xla_client.XlaComputation(path.read_bytes())
    text = xla_client._xla.mlir.xla_computation_to_mlir_module(module)
    backend = jax.devices()[0].client
    options = compiler.get_compile_options(num_replicas=1, num_partitions=1)
    devices = xla_client.DeviceList(tuple(jax.devices()[:1]))
    with mlir.make_ir_context():
        program = backend.compile_and_load(text, devices, options)
    arrays = np.load(path.with_suffix(".npz"))
    arguments = [jax.device_put(arrays[f"argument{i}"]) for i in range(sum("argument" in name for name in arrays))]
    outputs = [arrays[f"output{i}"] for i in range(sum("output" in name for name in arrays))]
    return program, arguments, outputs


def main(folder: Path) -> int:
    """Print the time of each program and its ratio to the bare one; return 1 if an output is wrong."""
    loaded = {path.stem: load(path) for path in sorted(folder.glob("*.hlo"), key=lambda path: path.stem != "bare")}
    for name, (program, arguments, outputs) in loaded.items():
        for got, want in zip(program.execute(arguments), outputs, strict=True):
            error = float(np.max(np.abs(np.asarray(got, np.float64) - want)))
            if not error <= TOLERANCE:
                print(f"{name}: off by {error:.2g}")
                return 1
    seconds: dict[str, list[float]] = {name: [] for name in loaded}
    for _ in range(ROUNDS):
        for name, (program, arguments, _) in loaded.items():
            start = time.perf_counter()
            for output in program.execute(arguments):
                output.block_until_ready()
            seconds[name].append(time.perf_counter() - start)
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}, {ROUNDS} rounds in turns")
    print("| program | median | × bare |\n| --- | ---: | ---: |")
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(times, seconds["bare"], strict=True))
        print(f"| {name} | {statistics.median(times) * 1e3:.2f} ms | {ratio:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
