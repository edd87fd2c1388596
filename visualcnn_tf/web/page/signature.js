/** Reads a model's inputs and outputs from the names in its signature. */

import { Problem } from "./problem.js";

/**
 * @typedef {{name: string, dtype: "float32" | "int32" | "uint8", shape: Int32Array}} Tensor
 * @typedef {{name: string, layer: string, method: string}} HeatmapName
 * @typedef {HeatmapName & {size: [number, number]}} Heatmap  its width and height
 * @typedef {{image: Tensor, classInput: Tensor | null, predictions: Tensor | null, heatmaps: Heatmap[]}} Signature
 */

const CLASS_INDEX = "class_index";
const UNKNOWN_TO_THE_PAGE = ["region", "point", "box_index"];
const EXPLAINED_CLASS = "explained_class";
const COMBINED = "heatmap";
const PREDICTIONS = "predictions";
const METHODS = [
  "deviation", "mean", "mean_abs", "max", "l2", "std", "eigen",
  "gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "eigengradcam",
  "reciprocam", "scorecam", "ablationcam",
].sort((a, b) => b.length - a.length); // longer names first, so that none is taken for its own ending

/**
 * Finds the image, the class index, the predictions and the heatmaps of a model.
 * @param {readonly Tensor[]} inputs
 * @param {readonly Tensor[]} outputs
 * @returns {Signature}
 */
export function readSignature(inputs, outputs) {
  const heatmaps = outputs.filter(({ name }) => name === COMBINED || name.startsWith(`${COMBINED}_`));
  if (!heatmaps.length) throw new Problem("This model has no heatmaps among its outputs. Export it with visualcnn.");
  const asked = inputs.find(({ name }) => UNKNOWN_TO_THE_PAGE.includes(name));
  if (asked) {
    throw new Problem(`This model asks for "${asked.name}" with each image, which the page can't give. Export another target.`);
  }
  const images = inputs.filter(({ name }) => name !== CLASS_INDEX);
  const [image] = images;
  if (images.length !== 1 || image.shape.length !== 4 || ![1, 3].includes(image.shape[3])) {
    throw new Problem("This page runs models that take one image, gray or color, channels last.");
  }
  if (image.shape[0] !== 1) throw new Problem("This model takes several images at once. Export it with batch_size=1.");
  const others = outputs.filter((output) => !heatmaps.includes(output) && output.name !== EXPLAINED_CLASS);
  return {
    image,
    classInput: inputs.find(({ name }) => name === CLASS_INDEX) ?? null,
    predictions: others.find(({ name }) => name === PREDICTIONS) ?? others.find(({ shape }) => shape.length === 2) ?? null,
    heatmaps: readHeatmaps(heatmaps).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true })),
  };
}

/**
 * Returns the layers and methods of a file's heatmaps. Either all names end in a method or none does: in that case a
 * layer may be called `dense_mean`.
 * @param {Tensor[]} outputs
 * @returns {Heatmap[]}
 */
function readHeatmaps(outputs) {
  const read = outputs.map(({ name }) => parseHeatmap(name));
  const plain = read.some(({ name, method }) => name !== COMBINED && !method);
  return read.map((parsed, i) => {
    const { name, shape } = outputs[i];
    const whole = { name, layer: name.slice(COMBINED.length + 1), method: "" };
    return { ...(plain && name !== COMBINED ? whole : parsed), size: [shape[2], shape[1]] };
  });
}

/**
 * Returns the layer and the method in the name of an output. A file with one method for all layers leaves it out.
 * @param {string} name
 * @returns {HeatmapName}
 */
export function parseHeatmap(name) {
  if (name === COMBINED) return { name, layer: "all layers", method: "" };
  const rest = name.slice(COMBINED.length + 1);
  const [, base, target] = /** @type {string[]} */ (rest.match(/^(.*?)(_class\d+|_top\d+)?$/));
  const suffix = target ? ` ${target.slice(1).replace(/(\d+)/, " $1")}` : "";
  const method = METHODS.find((known) => base.endsWith(`_${known}`));
  if (!method) return { name, layer: base + suffix, method: "" };
  return { name, layer: base.slice(0, -method.length - 1), method: method + suffix };
}
