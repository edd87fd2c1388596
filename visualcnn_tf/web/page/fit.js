/** Fits images of any proportions to a model's input. */

/**
 * @typedef {[number, number, number, number]} Box  left, top, width and height
 * @typedef {[number, number]} Size  width and height
 */

/**
 * Returns the part of an image that a model sees, and the part of its input that this fills.
 * @param {Size} image
 * @param {Size} input
 * @param {string} fit "squeeze", "crop" or "pad"
 * @returns {{seen: Box, filled: Box}}
 */
export function fitBoxes(image, input, fit) {
  if (fit === "squeeze") return { seen: [0, 0, ...image], filled: [0, 0, ...input] };
  const scales = [input[0] / image[0], input[1] / image[1]];
  const scale = fit === "crop" ? Math.max(...scales) : Math.min(...scales);
  return {
    seen: centered(image, [Math.min(image[0], input[0] / scale), Math.min(image[1], input[1] / scale)]),
    filled: centered(input, [Math.min(input[0], image[0] * scale), Math.min(input[1], image[1] * scale)]),
  };
}

/**
 * Returns a box of an image in another size of it.
 * @param {Box} box
 * @param {Size} from
 * @param {Size} to
 * @returns {Box}
 */
export function scaleBox([left, top, width, height], from, to) {
  const [x, y] = [to[0] / from[0], to[1] / from[1]];
  return [left * x, top * y, width * x, height * y];
}

/**
 * @param {Size} outer
 * @param {Size} inner
 * @returns {Box}
 */
function centered(outer, inner) {
  return [(outer[0] - inner[0]) / 2, (outer[1] - inner[1]) / 2, ...inner];
}
