// Visits the page in headless Chromium as a user would, and prints a report as JSON.
//
//   node visit.mjs '{"url": …, "modules": …, "chromium": …, "image": …, "noImage": …, "model": …, "noModels": […],
//     "photos": […], "longNames": …, "shots": …}'

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const given = JSON.parse(process.argv[2]);
const { chromium } = await import(pathToFileURL(`${given.modules}/playwright-core/index.mjs`).href);

const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];
const THREE = [[0.36, 0.3], [0.42, 0.23], [0.52, 0.21], [0.61, 0.26], [0.63, 0.35], [0.58, 0.43], [0.48, 0.48],
  [0.58, 0.52], [0.65, 0.6], [0.63, 0.71], [0.54, 0.78], [0.43, 0.77], [0.35, 0.7]];
const FRAMES = 500;

const browser = await chromium.launch({ executablePath: given.chromium, args: ARGUMENTS });
const page = await browser.newPage({ viewport: { width: 1040, height: 860 } });
const report = { console: [], elsewhere: [] };
page.on("console", (message) => report.console.push(`${message.type()}: ${message.text()}`));
page.on("pageerror", (error) => report.console.push(String(error)));
page.on("request", (request) => {
  if (!request.url().startsWith(given.url) && !request.url().startsWith("blob:")) report.elsewhere.push(request.url());
});

/** Runs an action that makes the page run the model, and returns its inputs and outputs. */
async function frameAfter(action) {
  await page.evaluate(() => {
    window.frame = new Promise((resolve) => document.addEventListener("heatmaps", (event) => resolve(event.detail), { once: true }));
  });
  await action();
  return page.evaluate(async () => {
    const { input, outputs, classIndex, milliseconds } = await window.frame;
    const plain = Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, Array.from(values)]));
    return { input: Array.from(input), outputs: plain, classIndex, milliseconds, time: performance.now() };
  });
}

const picture = () => page.evaluate(() => document.getElementById("picture").toDataURL());

/** Runs an action that fails, and returns the error that the page shows. */
async function complaint(action) {
  await page.evaluate(() => (document.getElementById("error").hidden = true));
  await action();
  await page.waitForSelector("#error:not([hidden])");
  return page.textContent("#error");
}

async function draw(points) {
  const box = await page.locator("#pad").boundingBox();
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(points[0]));
  await page.mouse.down();
  for (const point of points.slice(1)) await page.mouse.move(...at(point), { steps: 3 });
  await page.mouse.up();
  // The frame of the last stroke may still be running.
  await frameAfter(() => page.dispatchEvent("#class", "change"));
}

async function memory() {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.enable");
  await session.send("HeapProfiler.collectGarbage");
  await session.send("Performance.enable");
  const { metrics } = await session.send("Performance.getMetrics");
  await session.detach();
  const system = await browser.newBrowserCDPSession();
  const { processInfo } = await system.send("SystemInfo.getProcessInfo");
  await system.detach();
  const pages = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
  // Not the resident memory: it includes pages of files, which the system drops and reads again as it likes.
  const own = pages.map((id) => 1024 * Number(/Private_Dirty: +(\d+)/.exec(readFileSync(`/proc/${id}/smaps_rollup`, "utf8"))[1]));
  return { heap: metrics.find(({ name }) => name === "JSHeapUsedSize").value, own: Math.max(...own) };
}

/** Drops a file on the page. */
async function drop(file, type) {
  const content = readFileSync(file).toString("base64");
  const transfer = await page.evaluateHandle(([content, name, type]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, { type }));
    return transfer;
  }, [content, file.split("/").pop(), type]);
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
}

/** Returns the controls that the Tab key reaches, in order. */
async function tabOrder() {
  await page.evaluate(() => { document.activeElement?.blur(); window.getSelection()?.removeAllRanges(); });
  await page.mouse.click(1, 1);
  const reached = [];
  for (let i = 0; i < 30; i++) {
    await page.keyboard.press("Tab");
    const [id, outline] = await page.evaluate(() => {
      const active = document.activeElement;
      return [active.id || active.closest("[id]")?.id || "", getComputedStyle(active).outlineStyle];
    });
    if (!id || reached.some(([known]) => known === id && id !== "predictions")) break;
    reached.push([id, outline]);
  }
  return reached;
}

/** Returns the roles and names that screen readers find, from the browser's accessibility tree. */
async function readAloud() {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  await session.detach();
  return nodes.filter(({ ignored }) => !ignored).map(({ role, name }) => [role?.value, name?.value ?? ""]);
}

/** Takes screenshots of the whole page in light and dark. */
async function shoot(name) {
  if (!given.shots) return;
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: `${given.shots}/${name}_${colorScheme}.png`, fullPage: true });
  }
}

/** Explains a number of frames, each for another class. */
const frames = (count) => page.evaluate(async (count) => {
  const select = document.getElementById("class");
  for (let i = 0; i < count; i++) {
    const done = new Promise((resolve) => document.addEventListener("heatmaps", resolve, { once: true }));
    select.value = String(i % 10);
    select.dispatchEvent(new Event("change"));
    await done;
  }
}, count);

const start = Date.now();
await page.goto(given.url);
await page.waitForSelector("main:not([hidden])");
report.readyAfter = Date.now() - start;
report.threads = await page.evaluate(() => crossOriginIsolated);
report.heatmaps = await page.$$eval("#heatmap option", (options) => options.map(({ value, text }) => [value, text]));

const chosen = Date.now();
report.uploaded = await frameAfter(() => page.setInputFiles("#image", given.image));
report.firstHeatmapAfter = Date.now() - chosen;
report.shownTime = { text: await page.textContent("#time"), milliseconds: report.uploaded.milliseconds };
report.layers = [];
for (const [name] of report.heatmaps) {
  await page.selectOption("#heatmap", name);
  report.layers.push(await picture());
}
await page.selectOption("#heatmap", "heatmap_conv3_gradcam");

report.asked = [];
for (let index = 0; index < 10; index++) {
  const frame = await frameAfter(() => page.selectOption("#class", String(index)));
  report.asked.push({ ...frame, picture: await picture() });
}
await frameAfter(() => page.selectOption("#class", "-1"));

await page.locator("#opacity").focus();
const before = await picture();
await page.keyboard.press("Home");
report.opacity = { text: await page.textContent("#opacity-value"), changed: before !== (await picture()) };
for (let i = 0; i < 12; i++) await page.keyboard.press("ArrowRight");
report.opacity.back = before === (await picture());

report.complaints = { image: await complaint(() => page.setInputFiles("#image", given.noImage)), models: [] };
for (const file of given.noModels) {
  report.complaints.models.push(await complaint(() => page.setInputFiles("#model", file)));
}
await page.setInputFiles("#model", given.model);
await page.waitForSelector("#error", { state: "hidden" });
report.status = await page.textContent("#status");
report.dropped = await frameAfter(() => drop(given.image, "image/png"));
report.droppedNoImage = await complaint(() => drop(given.noImage, "image/png"));
await page.selectOption("#heatmap", "heatmap_conv3_gradcam");
report.afterComplaints = await frameAfter(() => page.setInputFiles("#image", given.image));
report.complaintHidden = await page.isHidden("#error");

await page.focus("#pad");
await page.click("#clear");
await page.focus("#pad");
await page.keyboard.press("Space");
report.byKeyboard = await frameAfter(() => page.keyboard.press("ArrowDown"));
await page.keyboard.press("Space");
await page.click("#clear");
await draw(THREE);
report.drawn = await frameAfter(() => page.dispatchEvent("#class", "change"));
report.drawnName = await page.textContent("#image-name");
report.firstPrediction = await page.textContent("#predictions li:first-child");
report.second = await frameAfter(() => page.click("#predictions li:nth-child(2) button"));
await frameAfter(() => page.click("#predictions button[aria-pressed=true]"));
report.spoken = await page.textContent("#spoken");
report.readAloud = await readAloud();
report.tabs = await tabOrder();
await page.evaluate(() => document.activeElement?.blur());
await page.mouse.move(0, 0);
await shoot("desktop");
await page.setViewportSize({ width: 360, height: 740 });
const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
report.phone = { width: await page.evaluate(() => document.documentElement.scrollWidth), light: await background() };
await page.emulateMedia({ colorScheme: "dark" });
report.phone.dark = await background();
await shoot("phone");
await page.setViewportSize({ width: 1200, height: 860 });
await page.emulateMedia({ colorScheme: "light" });

await page.setInputFiles("#image", given.image);
await frames(300);
const early = await memory();
await frames(FRAMES);
report.memory = { early, late: await memory() };

report.photos = [];
for (const photo of given.photos) {
  const { input } = await frameAfter(() => page.setInputFiles("#image", photo));
  report.photos.push({ input, name: await page.textContent("#image-name") });
}
await frameAfter(() => page.setInputFiles("#model", given.longNames));
report.longNames = {
  options: await page.$$eval("#heatmap option", (options) => options.map(({ text }) => text)),
  full: await page.textContent("#layer-name"),
  file: await page.textContent("#model-name"),
};
await shoot("long_names");

report.camera = await frameAfter(() => page.click("#camera"));
await frameAfter(() => undefined);
report.cameraPressed = await page.getAttribute("#camera", "aria-pressed");
await page.click("#camera");
report.cameraStopped = await page.textContent("#camera");

await browser.close();
console.log(JSON.stringify(report));
