/** Turns images, drawings and frames of the camera into the numbers that a model takes. */

import { Problem } from "./problem.js";

/** @type {Record<string, (value: number) => number>} */
const RANGES = {
  "0..1": (value) => value / 255,
  "-1..1": (value) => value / 127.5 - 1,
  "0..255": (value) => value,
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
   * Returns the image in the size and range of the model's input, stretched if its proportions differ, as
   * `visualcnn show` does.
   * @param {Source} source
   * @param {string} range
   * @returns {Pixels}
   */
  read(source, range) {
    const { width, height } = this.#context.canvas;
    this.#context.fillRect(0, 0, width, height); // black, which shows through transparent images
    this.#context.drawImage(source, 0, 0, width, height);
    const rgba = this.#context.getImageData(0, 0, width, height).data;
    const scale = this.dtype === "float32" ? RANGES[range] : RANGES["0..255"];
    const values = new ({ float32: Float32Array, int32: Int32Array, uint8: Uint8Array }[this.dtype])(width * height * this.channels);
    for (let i = 0; i < width * height; i++) {
      const [red, green, blue] = [rgba[4 * i], rgba[4 * i + 1], rgba[4 * i + 2]];
      if (this.channels === 1) {
        values[i] = scale(red === green && green === blue ? red : 0.299 * red + 0.587 * green + 0.114 * blue);
      } else {
        values[3 * i] = scale(red);
        values[3 * i + 1] = scale(green);
        values[3 * i + 2] = scale(blue);
      }
    }
    return values;
  }
}
