/** A canvas on which a digit is drawn, white on black, with a pointer or the arrow keys. */

// In parts of the canvas. The pen is as thick as the strokes of the digits that networks are trained on.
const PEN = 1 / 11;
const STEP = 1 / 28;
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pad {
  #canvas;
  #context;
  #changed;
  /** @type {[number, number] | null} */
  #last = null;
  #pen = { x: 0.5, y: 0.25, down: false };

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} changed called after each stroke
   */
  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.#changed = changed;
    canvas.addEventListener("pointerdown", (event) => this.#start(event));
    canvas.addEventListener("pointermove", (event) => this.#last && this.#lineTo(this.#position(event)));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (this.#last = null));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#blank();
  }

  clear() {
    this.#blank();
    this.#changed();
  }

  #blank() {
    this.#context.fillStyle = "black";
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /** @param {PointerEvent} event */
  #start(event) {
    this.#canvas.setPointerCapture(event.pointerId);
    this.#last = this.#position(event);
    this.#lineTo(this.#last);
  }

  /**
   * @param {PointerEvent} event
   * @returns {[number, number]}
   */
  #position(event) {
    const box = this.#canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  /** @param {[number, number]} position */
  #lineTo(position) {
    const { width, height } = this.#canvas;
    const [x, y] = this.#last ?? position;
    Object.assign(this.#context, { strokeStyle: "white", lineWidth: PEN * width, lineCap: "round", lineJoin: "round" });
    this.#context.beginPath();
    this.#context.moveTo(x * width, y * height);
    this.#context.lineTo(position[0] * width, position[1] * height);
    this.#context.stroke();
    this.#last = position;
    this.#changed();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const pen = this.#pen;
    const from = /** @type {[number, number]} */ ([pen.x, pen.y]);
    if (event.key === " ") pen.down = !pen.down;
    else if (event.key in ARROWS) {
      const [right, down] = ARROWS[event.key];
      pen.x = Math.min(1, Math.max(0, pen.x + right * STEP));
      pen.y = Math.min(1, Math.max(0, pen.y + down * STEP));
    } else return;
    event.preventDefault();
    if (!pen.down) return;
    this.#last = from;
    this.#lineTo([pen.x, pen.y]);
    this.#last = null;
  }
}
