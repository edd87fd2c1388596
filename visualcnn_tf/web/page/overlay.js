/** Draws a heatmap over an image. */

import { colorize } from "./colormap.js";
import { fitBoxes, scaleBox } from "./fit.js";
import { sizeOf } from "./pixels.js";

const LONGER_SIDE = 480;

export class Overlay {
  #canvas;
  #map = new OffscreenCanvas(1, 1);

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
  }

  /**
   * Draws the image and, over the part of it that the model saw, the heatmap.
   * @param {import("./pixels.js").Source} source
   * @param {ArrayLike<number>} heatmap
   * @param {[number, number]} size width and height of the heatmap
   * @param {[number, number]} input width and height of what the model sees
   * @param {{opacity: number, table: Uint8ClampedArray, fit: string}} look
   */
  draw(source, heatmap, size, input, { opacity, table, fit }) {
    this.#fit(sizeOf(source));
    const { width, height } = this.#canvas;
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    context.imageSmoothingQuality = "high";
    context.globalAlpha = 1;
    context.drawImage(source, 0, 0, width, height);
    context.globalAlpha = opacity;
    const { seen, filled } = fitBoxes(sizeOf(source), input, fit);
    const boxes = [scaleBox(filled, input, size), scaleBox(seen, sizeOf(source), [width, height])].flat();
    context.drawImage(this.#colored(heatmap, size, table), .../** @type {[number, number, number, number, number, number, number, number]} */ (boxes));
  }

  /**
   * Resizes the canvas to the proportions of the image.
   * @param {[number, number]} size
   */
  #fit([width, height]) {
    const scale = LONGER_SIDE / Math.max(width, height);
    const wanted = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
    if (this.#canvas.width !== wanted[0]) this.#canvas.width = wanted[0];
    if (this.#canvas.height !== wanted[1]) this.#canvas.height = wanted[1];
  }

  /**
   * Returns the heatmap in colors, in its own size.
   * @param {ArrayLike<number>} heatmap
   * @param {[number, number]} size
   * @param {Uint8ClampedArray} table
   */
  #colored(heatmap, [width, height], table) {
    if (this.#map.width !== width) this.#map.width = width;
    if (this.#map.height !== height) this.#map.height = height;
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (this.#map.getContext("2d"));
    const pixels = context.createImageData(width, height);
    colorize(heatmap, table, pixels.data);
    context.putImageData(pixels, 0, 0);
    return this.#map;
  }
}
