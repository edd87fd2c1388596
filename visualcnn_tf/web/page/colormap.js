/** Color tables: 256 colors for values from 0 (nothing) to 1 (strongest). */

/** @param {number} value */
const toByte = (value) => Math.round(255 * Math.min(1, Math.max(0, value)));

/**
 * Turbo, by Google's polynomial approximation (Mikhailov, 2019).
 * @param {number} x
 */
function turbo(x) {
  const coefficients = [
    [0.13572138, 4.6153926, -42.66032258, 132.13108234, -152.94239396, 59.28637943],
    [0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604],
    [0.1066733, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973],
  ];
  return coefficients.map((row) => row.reduceRight((sum, factor) => sum * x + factor, 0));
}

const VIRIDIS = [[68, 1, 84], [71, 45, 123], [59, 82, 139], [44, 114, 142], [33, 145, 140], [40, 174, 128], [94, 201, 98], [173, 220, 48], [253, 231, 37]];

/**
 * Viridis, interpolated linearly between nine of its colors.
 * @param {number} x
 */
function viridis(x) {
  const position = x * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(position), VIRIDIS.length - 2);
  return VIRIDIS[low].map((value, i) => (value + (VIRIDIS[low + 1][i] - value) * (position - low)) / 255);
}

/** @type {Record<string, (x: number) => number[]>} */
const FORMULAS = { turbo, viridis, gray: (x) => [x, x, x] };

/** @type {Record<string, Uint8ClampedArray>} red, green and blue of each of 256 levels, by the name of the table */
export const COLORMAPS = Object.fromEntries(
  Object.entries(FORMULAS).map(([name, formula]) => [
    name,
    Uint8ClampedArray.from({ length: 768 }, (_, i) => toByte(formula(Math.floor(i / 3) / 255)[i % 3])),
  ]),
);

/**
 * Fills opaque pixels with the colors of values from 0 to 1 (0 to 255 for bytes).
 * @param {ArrayLike<number>} values
 * @param {Uint8ClampedArray} table
 * @param {Uint8ClampedArray} rgba
 */
export function colorize(values, table, rgba) {
  const factor = values instanceof Uint8Array ? 1 : 255;
  for (let i = 0; i < values.length; i++) {
    const level = Math.min(255, Math.max(0, Math.round(values[i] * factor)));
    rgba[4 * i] = table[3 * level];
    rgba[4 * i + 1] = table[3 * level + 1];
    rgba[4 * i + 2] = table[3 * level + 2];
    rgba[4 * i + 3] = 255;
  }
}
