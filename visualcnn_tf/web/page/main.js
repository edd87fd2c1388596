/** Connects the form, the sources of images, the model and the picture. */

import { Camera, hasCamera } from "./camera.js";
import { COLORMAPS } from "./colormap.js";
import { fillControls, readControls, showLayer, showLegend } from "./controls.js";
import { readPixels } from "./metadata.js";
import { Overlay } from "./overlay.js";
import { Pad } from "./pad.js";
import { PixelReader, decodeImage } from "./pixels.js";
import { PredictionList } from "./predictions.js";
import { Problem } from "./problem.js";
import { ExplainedModel, loadRuntime } from "./runtime.js";
import { element } from "./dom.js";

const SMALL = 64; // pixels: images for a gray input up to this size can be drawn by hand

const overlay = new Overlay(/** @type {HTMLCanvasElement} */ (element("picture")));
const padCanvas = /** @type {HTMLCanvasElement} */ (element("pad"));
const pad = new Pad(padCanvas, () => explain(padCanvas, "Your drawing"));
const camera = new Camera();
const list = new PredictionList(element("predictions"), chooseClass);

/** @type {ExplainedModel | null} */
let model = null;
/** @type {PixelReader | null} */
let reader = null;
/** @type {import("./pixels.js").Source | null} */
let source = null;
/** @type {Record<string, ArrayLike<number>> | null} */
let outputs = null;
let running = false;
let outdated = false;

/**
 * Runs an action that may fail, and shows the error if it does.
 * @param {() => unknown} action
 */
async function attempt(action) {
  const box = element("error");
  try {
    await action();
    box.hidden = true;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    box.textContent = error instanceof Problem ? text : `Something went wrong: ${text}`;
    box.hidden = false;
  }
}

/**
 * Replaces the model.
 * @param {Uint8Array} bytes the content of a `.tflite` file
 * @param {string} name of the file
 */
async function useModel(bytes, name) {
  const next = await ExplainedModel.load(bytes);
  while (running) await new Promise((resolve) => setTimeout(resolve, 10));
  model?.delete();
  model = next;
  const { image } = model.signature;
  reader = new PixelReader(image);
  fillControls(model.signature, readPixels(bytes));
  element("model-name").textContent = name;
  const [, height, width, channels] = image.shape;
  element("pad-box").hidden = channels !== 1 || Math.max(height, width) > SMALL;
  element("status").textContent = `Ready: ${width} × ${height} ${channels === 1 ? "gray" : "color"} images.`;
  if (source) await run();
}

/**
 * Explains another image, and frees the one before.
 * @param {import("./pixels.js").Source} next
 * @param {string} name of the image, to show
 */
function explain(next, name) {
  if (next !== camera.video) stopCamera();
  if (source instanceof ImageBitmap && source !== next) source.close();
  source = next;
  element("image-name").textContent = name;
  attempt(run);
}

/** Runs the model on the current image; if it is running already, once more afterwards, on the newest image. */
async function run() {
  outdated = true;
  if (running || !model || !reader || !source) return;
  running = true;
  try {
    while (outdated) {
      outdated = false;
      const { scaling, fit, classIndex } = readControls();
      const input = reader.read(source, scaling, fit);
      const result = await model.run(input, classIndex);
      outputs = result.outputs;
      show();
      element("time").textContent = `${result.milliseconds.toFixed(1)} ms`;
      document.dispatchEvent(new CustomEvent("heatmaps", { detail: { input, classIndex, ...result } }));
    }
  } finally {
    running = false;
  }
}

/** Shows the current outputs. */
function show() {
  if (!model || !source || !outputs) return;
  const { heatmap, classIndex, opacity, table, fit } = readControls();
  const chosen = model.signature.heatmaps.find(({ name }) => name === heatmap) ?? model.signature.heatmaps[0];
  const [, height, width] = model.signature.image.shape;
  overlay.draw(source, outputs[chosen.name], chosen.size, [width, height], { opacity, table, fit });
  const explained = outputs.explained_class?.[0];
  element("explained").textContent = explained === undefined || explained < 0 ? "" : `Explained: class ${explained}`;
  const { predictions, classInput } = model.signature;
  const chosenClass = classIndex < 0 ? null : classIndex;
  const best = predictions ? list.show(outputs[predictions.name], { chosenClass, canChoose: classInput !== null }) : "";
  const description = `The image under the heatmap of ${[chosen.layer, chosen.method].filter(Boolean).join(", ")}. ${best}`;
  element("picture").setAttribute("aria-label", description);
  // Screen readers read this aloud, so it changes only with the prediction, and not for each frame of the camera.
  if (!camera.video.srcObject && element("spoken").textContent !== best) element("spoken").textContent = best;
}

/**
 * Explains a class; if it is explained already, the predicted one.
 * @param {number} index
 */
function chooseClass(index) {
  const select = /** @type {HTMLSelectElement} */ (element("class"));
  select.value = Number(select.value) === index ? "-1" : String(index);
  attempt(run);
}

/**
 * Opens a model or an image.
 * @param {File} file
 */
async function open(file) {
  if (file.name.endsWith(".tflite")) await useModel(new Uint8Array(await file.arrayBuffer()), file.name);
  else explain(await decodeImage(file), file.name);
}

function stopCamera() {
  if (!camera.video.srcObject) return;
  camera.stop();
  element("camera").textContent = "Start the camera";
  element("camera").setAttribute("aria-pressed", "false");
}

async function toggleCamera() {
  if (camera.video.srcObject) return stopCamera();
  await camera.start(() => explain(camera.video, "The camera"));
  element("camera").textContent = "Stop the camera";
  element("camera").setAttribute("aria-pressed", "true");
}

function listen() {
  for (const id of ["pixels", "class"]) element(id).addEventListener("change", () => attempt(run));
  for (const id of ["heatmap", "opacity", "colormap"]) {
    element(id).addEventListener("input", () => {
      showLegend();
      showLayer();
      show();
    });
  }
  for (const id of ["image", "model"]) {
    element(id).addEventListener("change", ({ target }) => {
      const input = /** @type {HTMLInputElement} */ (target);
      const [file] = input.files ?? [];
      input.value = ""; // so that the same file can be chosen again
      if (file) attempt(() => (id === "model" ? file.arrayBuffer().then((content) => useModel(new Uint8Array(content), file.name)) : open(file)));
    });
  }
  element("clear").addEventListener("click", () => pad.clear());
  element("camera").addEventListener("click", () => attempt(toggleCamera));
  element("camera").hidden = !hasCamera();
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("dragging"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    const [file] = event.dataTransfer?.files ?? [];
    if (file) attempt(() => open(file));
  });
}

async function start() {
  const [response] = await Promise.all([fetch("model.tflite"), loadRuntime()]);
  if (!response.ok) throw new Problem("The server has no model: its file was deleted.");
  await useModel(new Uint8Array(await response.arrayBuffer()), "");
}

element("colormap").append(...Object.keys(COLORMAPS).map((name) => new Option(name, name)));
listen();
showLegend();
await attempt(start);
if (!model) element("status").textContent = "No model is loaded.";
element("main").hidden = false;
