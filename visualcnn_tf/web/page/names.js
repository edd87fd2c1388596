/** Short names for layers whose full names are long. */

const LONG = 24; // characters that a menu shows in any case
const TELLING = 12; // characters: a shorter ending says little

/**
 * Returns a short name for each layer: of a long one its ending, the shortest that no other name has.
 * @param {readonly string[]} names
 * @returns {Map<string, string>} the short names by the full ones
 */
export function shortNames(names) {
  const all = [...new Set(names)];
  return new Map(all.map((name) => [name, name.length > LONG ? ending(name, all.filter((other) => other !== name)) : name]));
}

/**
 * @param {string} name
 * @param {readonly string[]} others
 */
function ending(name, others) {
  const words = name.split("_");
  for (let start = words.length - 1; start > 0; start--) {
    const end = words.slice(start).join("_");
    if (end.length >= TELLING && !/^\d/.test(end) && !others.some((other) => other.endsWith(`_${end}`) || other === end)) return `…${end}`;
  }
  return name;
}
