/** Lists the most likely classes. If the user can choose the class to explain, each is a button that chooses it. */

const SHOWN = 5;

/**
 * @typedef {{index: number, value: number}} Prediction
 */

/**
 * Returns the largest values, largest first.
 * @param {ArrayLike<number>} values
 * @returns {Prediction[]}
 */
export function top(values) {
  return Array.from(values, (value, index) => ({ value, index })).sort((a, b) => b.value - a.value).slice(0, SHOWN);
}

/**
 * Returns whether values are probabilities that sum to 1.
 * @param {ArrayLike<number>} values
 */
function areProbabilities(values) {
  const all = Array.from(values);
  return all.every((value) => value >= 0) && Math.abs(all.reduce((sum, value) => sum + value, 0) - 1) < 1e-2;
}

export class PredictionList {
  #list;
  /** @type {HTMLButtonElement[]} */
  #buttons = [];

  /**
   * @param {HTMLElement} list
   * @param {(index: number) => void} choose called with the class of a clicked button
   */
  constructor(list, choose) {
    this.#list = list;
    list.addEventListener("click", ({ target }) => {
      const button = /** @type {HTMLElement} */ (target).closest("button");
      if (button) choose(Number(button.dataset.index));
    });
  }

  /**
   * Shows the most likely classes.
   * @param {ArrayLike<number>} values
   * @param {{chosenClass: number | null, canChoose: boolean}} state
   * @returns {string} the most likely class in words
   */
  show(values, { chosenClass, canChoose }) {
    const isDistribution = areProbabilities(values);
    const best = top(values);
    this.#fit(best.length);
    best.forEach(({ index, value }, i) => {
      const [name, number] = this.#buttons[i].children;
      name.textContent = `${index}`;
      number.textContent = isDistribution ? `${(100 * value).toFixed(1)} %` : value.toFixed(3);
      Object.assign(this.#buttons[i].dataset, { index });
      this.#buttons[i].style.setProperty("--share", isDistribution ? `${100 * value}%` : "0%");
      this.#buttons[i].setAttribute("aria-pressed", String(index === chosenClass));
      this.#buttons[i].disabled = !canChoose;
      this.#buttons[i].setAttribute("aria-label", `${canChoose ? "Explain class" : "Class"} ${index}, ${number.textContent}`);
    });
    return best.length ? `Class ${best[0].index}, ${this.#buttons[0].children[1].textContent}` : "";
  }

  /**
   * Makes as many buttons as there are classes to show.
   * @param {number} count
   */
  #fit(count) {
    if (this.#buttons.length === count) return;
    this.#buttons = Array.from({ length: count }, () => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(document.createElement("span"), document.createElement("span"));
      return button;
    });
    this.#list.replaceChildren(...this.#buttons.map((button) => {
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
  }
}
