/** The form of the page: filled from a model's signature, and read for each frame. */

import { COLORMAPS } from "./colormap.js";
import { element } from "./dom.js";
import { shortNames } from "./names.js";
import { SCALINGS } from "./pixels.js";

const PREDICTED = -1;
const COMBINED = "heatmap"; // the output with all layers in one
let asked = new URLSearchParams(location.search).get("pixels"); // with `visualcnn web --pixels`, of its file
const DEFAULT = "0..1";
const OF_FILE = "file"; // values that have no name

/** @type {import("./metadata.js").FilePixels | null} */
let filePixels = null;

/** @param {string} id */
const select = (id) => /** @type {HTMLSelectElement} */ (element(id));

/**
 * Offers what the model has.
 * @param {import("./signature.js").Signature} signature
 * @param {import("./metadata.js").FilePixels | null} pixels what the file says that the model takes
 */
export function fillControls({ image, classInput, predictions, heatmaps }, pixels) {
  select("heatmap").replaceChildren(...heatmapOptions(heatmaps));
  for (const part of document.querySelectorAll(".needs-class")) part.toggleAttribute("hidden", !classInput);
  const count = classInput && predictions ? predictions.shape[predictions.shape.length - 1] : 0;
  const classes = Array.from({ length: count }, (_, index) => new Option(String(index), String(index)));
  select("class").replaceChildren(new Option("the predicted class", String(PREDICTED)), ...classes);
  filePixels = pixels;
  fillPixels(image);
  showLayer();
}

/**
 * Offers the values that images of a type and of so many channels can have.
 * @param {import("./signature.js").Tensor} image
 */
function fillPixels({ dtype, shape }) {
  const isGray = shape[3] === 1;
  const known = dtype === "float32" ? (asked ?? (filePixels ? (filePixels.values ?? OF_FILE) : DEFAULT)) : "0..255";
  for (const option of select("pixels").options) {
    option.hidden = option.value === OF_FILE ? filePixels === null : isGray && SCALINGS[option.value].mean.length > 1;
  }
  select("pixels").value = known;
  select("pixels").disabled = dtype !== "float32";
  asked = null;
}

/**
 * Makes one option for each heatmap, and a group for each layer that has several methods.
 * @param {import("./signature.js").Heatmap[]} heatmaps
 */
function heatmapOptions(heatmaps) {
  /** @type {Map<string, HTMLOptionElement[]>} */
  const layers = new Map();
  const short = shortNames(heatmaps.filter(({ name }) => name !== COMBINED).map(({ layer }) => layer));
  for (const { name, layer, method } of heatmaps) {
    const shown = short.get(layer) ?? layer;
    const option = new Option([shown, method].filter(Boolean).join(" · "), name);
    option.dataset.layer = shown === layer ? "" : layer;
    layers.set(layer, [...(layers.get(layer) ?? []), option]);
  }
  return [...layers].flatMap(([layer, options]) => {
    if (options.length === 1) return options;
    const group = document.createElement("optgroup");
    group.label = short.get(layer) ?? layer;
    group.append(...options);
    return group;
  });
}

/** Shows the full name of the chosen layer, if the menu shortens it. */
export function showLayer() {
  element("layer-name").textContent = select("heatmap").selectedOptions[0]?.dataset.layer ?? "";
}

/** Returns what the user has chosen. */
export function readControls() {
  return {
    heatmap: select("heatmap").value,
    classIndex: Number(select("class").value || PREDICTED),
    scaling: SCALINGS[select("pixels").value] ?? filePixels ?? SCALINGS[DEFAULT],
    fit: filePixels?.fit ?? "squeeze",
    opacity: Number(select("opacity").value) / 100,
    table: COLORMAPS[select("colormap").value],
  };
}

/** Shows the opacity as a number, and the colors of the table as a scale. */
export function showLegend() {
  element("opacity-value").textContent = `${select("opacity").value} %`;
  const canvas = /** @type {HTMLCanvasElement} */ (element("scale"));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const { table } = readControls();
  const pixels = context.createImageData(256, 1);
  for (let level = 0; level < 256; level++) {
    pixels.data.set([table[3 * level], table[3 * level + 1], table[3 * level + 2], 255], 4 * level);
  }
  context.putImageData(pixels, 0, 0);
}
