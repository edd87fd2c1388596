/** Turns images, drawings and frames of the camera into the numbers that a model takes. */

import { fitBoxes } from "./fit.js";
import { Problem } from "./problem.js";

/** @type {Record<string, import("./metadata.js").Scaling>} by the names that visualcnn has for them */
export const SCALINGS = {
  "0..1": { unit: 255, mean: [0], std: [1], order: "RGB" },
  "-1..1": { unit: 127.5, mean: [1], std: [1], order: "RGB" },
  "0..255": { unit: 1, mean: [0], std: [1], order: "RGB" },
  caffe: { unit: 1, mean: [103.939, 116.779, 123.68], std: [1], order: "BGR" },
  torch: { unit: 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], order: "RGB" },
};

/**
 * @typedef {HTMLCanvasElement | HTMLVideoElement | ImageBitmap} Source
 * @typedef {Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | Int32Array<ArrayBuffer>} Pixels
 */

/**
 * Decodes an image file. Photos are turned upright, as their camera says: browsers do so unless they are told not to.
 * @param {Blob} file
 * @returns {Promise<ImageBitmap>}
 */
export async function decodeImage(file) {
  try {
    return await createImageBitmap(file);
  } catch (error) {
    const name = file instanceof File ? `“${file.name}”` : "This file";
    throw new Problem(`${name} can't be read as an image. JPEG, PNG, WebP and GIF work.`, { cause: error });
  }
}

/**
 * Returns the width and height of a source.
 * @param {Source} source
 * @returns {[number, number]}
 */
export function sizeOf(source) {
  return source instanceof HTMLVideoElement ? [source.videoWidth, source.videoHeight] : [source.width, source.height];
}

/** Turns images into a model's input. It keeps its canvas from frame to frame. */
export class PixelReader {
  #context;

  /** @param {import("./signature.js").Tensor} input */
  constructor(input) {
    const [, height, width, channels] = input.shape;
    this.channels = channels;
    this.dtype = input.dtype;
    const canvas = new OffscreenCanvas(width, height);
    this.#context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    this.#context.imageSmoothingQuality = "high";
  }

  /**
   * Returns the image as the model takes it.
   * @param {Source} source
   * @param {import("./metadata.js").Scaling} scaling
   * @param {string} fit
   * @returns {Pixels}
   */
  read(source, scaling, fit) {
    const { width, height } = this.#context.canvas;
    const { seen, filled } = fitBoxes(sizeOf(source), [width, height], fit);
    this.#context.fillRect(0, 0, width, height); // black, around padded images and behind transparent ones
    this.#context.drawImage(source, ...seen, ...filled);
    const rgba = this.#context.getImageData(0, 0, width, height).data;
    const { unit, mean, std, order } = this.dtype === "float32" ? scaling : SCALINGS["0..255"];
    /** @param {number} value @param {number} channel */
    const scale = (value, channel) => (value / unit - mean[channel % mean.length]) / std[channel % std.length];
    const round = this.dtype === "float32" ? (/** @type {number} */ value) => value : Math.round;
    const values = new ({ float32: Float32Array, int32: Int32Array, uint8: Uint8Array }[this.dtype])(width * height * this.channels);
    for (let i = 0; i < width * height; i++) {
      const [red, green, blue] = [rgba[4 * i], rgba[4 * i + 1], rgba[4 * i + 2]];
      if (this.channels === 1) {
        values[i] = round(scale(red === green && green === blue ? red : 0.299 * red + 0.587 * green + 0.114 * blue, 0));
      } else {
        const channels = order === "BGR" ? [blue, green, red] : [red, green, blue];
        for (const channel of [0, 1, 2]) values[3 * i + channel] = round(scale(channels[channel], channel));
      }
    }
    return values;
  }
}
