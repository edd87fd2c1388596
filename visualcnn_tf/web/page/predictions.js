/** The list of the likeliest classes; where the model can be asked for a class, each is a button that asks. */

const SHOWN = 5;

/**
 * @typedef {{index: number, value: number}} Prediction
 */

/**
 * The largest values, largest first.
 * @param {ArrayLike<number>} values
 * @returns {Prediction[]}
 */
export function top(values) {
  return Array.from(values, (value, index) => ({ value, index })).sort((a, b) => b.value - a.value).slice(0, SHOWN);
}

/**
 * Whether values are probabilities of classes that exclude each other.
 * @param {ArrayLike<number>} values
 */
function areShares(values) {
  const all = Array.from(values);
  return all.every((value) => value >= 0) && Math.abs(all.reduce((sum, value) => sum + value, 0) - 1) < 1e-2;
}

export class PredictionList {
  #list;
  /** @type {HTMLButtonElement[]} */
  #buttons = [];

  /**
   * @param {HTMLElement} list
   * @param {(index: number) => void} choose
   */
  constructor(list, choose) {
    this.#list = list;
    list.addEventListener("click", ({ target }) => {
      const button = /** @type {HTMLElement} */ (target).closest("button");
      if (button) choose(Number(button.dataset.index));
    });
  }

  /**
   * @param {ArrayLike<number>} values
   * @param {{asked: number | null, canAsk: boolean}} state
   * @returns {string} the best one in words
   */
  show(values, { asked, canAsk }) {
    const shares = areShares(values);
    const best = top(values);
    this.#fit(best.length);
    best.forEach(({ index, value }, i) => {
      const [name, number] = this.#buttons[i].children;
      name.textContent = `${index}`;
      number.textContent = shares ? `${(100 * value).toFixed(1)} %` : value.toFixed(3);
      Object.assign(this.#buttons[i].dataset, { index });
      this.#buttons[i].style.setProperty("--share", shares ? `${100 * value}%` : "0%");
      this.#buttons[i].setAttribute("aria-pressed", String(index === asked));
      this.#buttons[i].disabled = !canAsk;
      this.#buttons[i].setAttribute("aria-label", `${canAsk ? "Explain class" : "Class"} ${index}, ${number.textContent}`);
    });
    return best.length ? `Class ${best[0].index}, ${this.#buttons[0].children[1].textContent}` : "";
  }

  /** @param {number} count */
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
