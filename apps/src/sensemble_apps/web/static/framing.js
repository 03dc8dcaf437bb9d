// Pictures in the form that an encoder takes: the runtime's `codecs/framing.py`, OpenCV's INTER_AREA.

/**
 * Shrink an RGBA picture until it just covers the wanted height and width, averaging, and crop its middle: RGB.
 * @param {ArrayLike<number>} rgba
 * @param {[number, number]} size its height and width
 * @param {[number, number]} wanted
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function fit(rgba, [sourceHeight, sourceWidth], [height, width]) {
  const scale = Math.max(height / sourceHeight, width / sourceWidth);
  const rows = spans(sourceHeight, Math.max(Math.round(sourceHeight * scale), height), height);
  const columns = spans(sourceWidth, Math.max(Math.round(sourceWidth * scale), width), width);
  const out = new Uint8Array(height * width * 3);
  rows.forEach((row, y) =>
    columns.forEach((column, x) => {
      const sums = [0, 0, 0];
      let total = 0;
      for (let i = 0; i < row.weights.length; i++)
        for (let j = 0; j < column.weights.length; j++) {
          const weight = row.weights[i] * column.weights[j];
          const at = ((row.first + i) * sourceWidth + column.first + j) * 4;
          for (let c = 0; c < 3; c++) sums[c] += weight * rgba[at + c];
          total += weight;
        }
      for (let c = 0; c < 3; c++) out[(y * width + x) * 3 + c] = Math.round(sums[c] / total);
    }),
  );
  return out;
}

/**
 * Return, for each of the `kept` middle ones of `count` pixels, the source pixels it comes from and their weights.
 * @param {number} source
 * @param {number} count
 * @param {number} kept
 */
function spans(source, count, kept) {
  const skipped = Math.floor((count - kept) / 2);
  return Array.from({ length: kept }, (_, i) => {
    const from = ((i + skipped) * source) / count;
    const to = ((i + skipped + 1) * source) / count;
    const first = Math.floor(from);
    /** @type {number[]} */
    const weights = [];
    for (let pixel = first; pixel < to && pixel < source; pixel++) weights.push(Math.min(to, pixel + 1) - Math.max(from, pixel));
    return { first, weights };
  });
}
