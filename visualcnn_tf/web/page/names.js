/** Short names for layers whose full names are long. */

const LONG = 24; // characters that a menu shows in any case

/**
 * Returns a short name for each layer: without the words that all names begin with, if any name is long.
 * @param {readonly string[]} names
 * @returns {Map<string, string>} the short names by the full ones
 */
export function shortNames(names) {
  const words = names.map((name) => name.split("_"));
  const most = Math.min(...words.map(({ length }) => length)) - 1;
  let shared = 0;
  if (names.some(({ length }) => length > LONG)) {
    while (shared < most && words.every((own) => own[shared] === words[0][shared])) shared++;
    while (shared > 0 && words.some((own) => /^\d/.test(own[shared]))) shared--; // a number alone says little
  }
  return new Map(names.map((name, i) => [name, words[i].slice(shared).join("_")]));
}
