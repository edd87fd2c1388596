/** Loads LiteRT.js, and models that it runs by the names of their inputs and outputs. */

import { Tensor, loadAndCompile, loadLiteRt, supportsFeature } from "@litertjs/core";
import { Problem } from "./problem.js";
import { readSignature } from "./signature.js";

const WASM = "npm/@litertjs/core/wasm/";
const SIGNATURE = "serving_default";

/** Loads the WebAssembly, with threads where the browser allows them. */
export async function loadRuntime() {
  const threads = crossOriginIsolated && (await supportsFeature("relaxedSimd")) && (await supportsFeature("threads"));
  // The WebAssembly logs to the console as errors, even if nothing is wrong. The page shows real errors itself.
  Object.assign(globalThis, { Module: { printErr: () => undefined } });
  await withoutGpu(() => loadLiteRt(WASM, { threads }));
}

/**
 * Runs an action without a GPU. The runtime looks for one when it starts, and warns in the console if there is none;
 * the models run on the CPU, so it finds one without any features.
 * @param {() => Promise<unknown>} load
 */
async function withoutGpu(load) {
  const adapter = { limits: {}, features: new Set(), requestDevice: async () => null };
  Object.defineProperty(navigator, "gpu", { value: { requestAdapter: async () => adapter }, configurable: true });
  try {
    await load();
  } finally {
    Reflect.deleteProperty(navigator, "gpu");
  }
}

/** A model that explains itself, and its signature. */
export class ExplainedModel {
  #model;
  #runner;

  /** @param {import("@litertjs/core").CompiledModel} model */
  constructor(model) {
    this.#model = model;
    this.#runner = model.signatures[SIGNATURE];
    if (!this.#runner) throw new Problem(`This file has no signature ${SIGNATURE}. Export it with visualcnn.`);
    this.signature = readSignature(this.#runner.getInputDetails(), this.#runner.getOutputDetails());
  }

  /**
   * Loads a model.
   * @param {Uint8Array} bytes the content of a `.tflite` file
   * @returns {Promise<ExplainedModel>}
   */
  static async load(bytes) {
    const identifier = String.fromCharCode(...bytes.subarray(4, 8));
    if (identifier !== "TFL3") throw new Problem("This file is not a TensorFlow Lite model (.tflite).");
    let model;
    try {
      model = await loadAndCompile(bytes, { accelerator: "wasm" });
    } catch (error) {
      throw new Problem("This TensorFlow Lite model can't be run here: it is damaged, or has types or operations that " +
        "browsers don't support.", { cause: error });
    }
    try {
      return new ExplainedModel(model);
    } catch (error) {
      model.delete();
      throw error;
    }
  }

  /**
   * Runs the model on one image.
   * @param {import("./pixels.js").Pixels} pixels
   * @param {number} classIndex the class to explain; -1 for the predicted one
   * @returns {Promise<{outputs: Record<string, Float32Array | Int32Array | Uint8Array>, milliseconds: number}>}
   */
  async run(pixels, classIndex) {
    const { image, classInput } = this.signature;
    /** @type {Record<string, Tensor>} */
    const inputs = { [image.name]: new Tensor(pixels, [...image.shape]) };
    if (classInput) inputs[classInput.name] = new Tensor(new Int32Array([classIndex]), [1]);
    const start = performance.now();
    /** @type {Record<string, Tensor>} */
    let tensors = {};
    try {
      tensors = await this.#runner.run(inputs);
      const milliseconds = performance.now() - start;
      // The memory of a tensor belongs to the runtime, so its values are copied before it is freed.
      const copies = Object.entries(tensors).map(([name, tensor]) => [name, tensor.toTypedArray().slice()]);
      return { outputs: Object.fromEntries(copies), milliseconds };
    } finally {
      for (const tensor of [...Object.values(inputs), ...Object.values(tensors)]) tensor.delete();
    }
  }

  /** Frees the model's memory. */
  delete() {
    this.#model.delete();
  }
}
