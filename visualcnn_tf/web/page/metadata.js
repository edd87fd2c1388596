/** Reads what a model takes from the metadata of its TensorFlow Lite file, which is a FlatBuffer. */

const NAME = "visualcnn_tf.pixels";
// Numbers of fields in TensorFlow Lite's schema.
const MODEL_BUFFERS = 4;
const MODEL_METADATA = 6;
const METADATA_NAME = 0;
const METADATA_BUFFER = 1;
const BUFFER_DATA = 0;

/**
 * What a model takes where an image has pixels from 0 to 255: `(pixel / unit - mean) / std` for each channel.
 * @typedef {{unit: number, mean: number[], std: number[], order: "RGB" | "BGR"}} Scaling
 * @typedef {Scaling & {values: string | null, fit: "squeeze" | "crop" | "pad"}} FilePixels
 */

/**
 * Returns what the file says, or null if it says nothing that can be computed here.
 * @param {Uint8Array} bytes the content of a `.tflite` file
 * @returns {FilePixels | null}
 */
export function readPixels(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = new TextDecoder();
  const model = view.getUint32(0, true);
  for (const entry of tables(view, model, MODEL_METADATA)) {
    const name = field(view, entry, METADATA_NAME);
    if (!name || text.decode(content(bytes, view, name)) !== NAME) continue;
    const index = field(view, entry, METADATA_BUFFER);
    const buffer = tables(view, model, MODEL_BUFFERS)[index ? view.getUint32(index, true) : 0];
    const data = field(view, buffer, BUFFER_DATA);
    const about = data ? JSON.parse(text.decode(content(bytes, view, data))) : {};
    return about.unit ? about : null;
  }
  return null;
}

/**
 * Returns the position of a field of a table; 0 if the table lacks it.
 * @param {DataView} view
 * @param {number} table its position
 * @param {number} number of the field
 */
function field(view, table, number) {
  const offsets = table - view.getInt32(table, true);
  const place = 4 + 2 * number;
  const offset = place < view.getUint16(offsets, true) ? view.getUint16(offsets + place, true) : 0;
  return offset ? table + offset : 0;
}

/**
 * Returns the positions of the tables in a field that is a vector of them.
 * @param {DataView} view
 * @param {number} table
 * @param {number} number of the field
 */
function tables(view, table, number) {
  const position = field(view, table, number);
  if (!position) return [];
  const vector = position + view.getUint32(position, true);
  const elements = Array.from({ length: view.getUint32(vector, true) }, (_, index) => vector + 4 + 4 * index);
  return elements.map((element) => element + view.getUint32(element, true));
}

/**
 * Returns the bytes of a string, or of a vector of bytes.
 * @param {Uint8Array} bytes
 * @param {DataView} view
 * @param {number} position of the field
 */
function content(bytes, view, position) {
  const vector = position + view.getUint32(position, true);
  return bytes.subarray(vector + 4, vector + 4 + view.getUint32(vector, true));
}
