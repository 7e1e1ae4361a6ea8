// What the page computes: scores, maps, boxes. The same rules as in cam_helpers (maps.py, boxes.py, drawing.py).
"use strict";

const bytes = (text) => {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
};
const numbers = (text, Kind) => new Kind(bytes(text).buffer);
const highest = (map) => map.reduce((best, v) => Math.max(best, v), -Infinity);
const sum = (values) => values.reduce((total, v) => total + v, 0);
const average = (values) => sum(values) / values.length;

// ---- the last layer: class weights as whole numbers, with one scale a class, and a constant ----------------------
const head = {
  names: LIVE.names, units: LIVE.units, weights: numbers(LIVE.weights, Int16Array),
  scales: numbers(LIVE.scales, Float32Array), constants: numbers(LIVE.constants, Float32Array),
};

// {weights (K,), constant} of a class, or of class a minus class b
function direction(a, b = null) {
  const row = head.weights.subarray(a * head.units, (a + 1) * head.units);
  const one = { weights: Float32Array.from(row, (whole) => whole * head.scales[a]), constant: head.constants[a] };
  if (b === null) return one;
  const { weights, constant } = direction(b);
  return { weights: one.weights.map((w, k) => w - weights[k]), constant: one.constant - constant };
}

// ---- features: value (K * rows * columns), and the mean of each unit ---------------------------------------------
function pooled(value, rows, columns) {
  const cells = rows * columns, unit = (k) => value.subarray(k * cells, (k + 1) * cells);
  return { rows, columns, value, means: Float32Array.from({ length: head.units }, (_, k) => average(unit(k))) };
}

// stored: a bit for each value that is not zero, in the order unit, row, column; then these as 16-bit numbers
function unpack(text, { rows, columns, scale }) {
  const packed = bytes(text), value = new Float32Array(head.units * rows * columns);
  const levels = new Uint16Array(packed.buffer.slice(Math.ceil(value.length / 8)));
  let at = 0;
  for (let i = 0; i < value.length; i++) if (packed[i >> 3] & (128 >> (i & 7))) value[i] = levels[at++] * scale;
  return pooled(value, rows, columns);
}

// ---- score, map, box ---------------------------------------------------------------------------------------------
function allScores({ means }, off = new Set()) {
  const { units, weights, scales, constants } = head;
  const used = [...means.keys()].filter((k) => means[k] !== 0 && !off.has(k));
  return constants.map((constant, c) => {
    let total = 0;
    for (const k of used) total += weights[c * units + k] * means[k];
    return total * scales[c] + constant;
  });
}

function classMap({ value, rows, columns }, { weights }, off = new Set()) {
  const out = new Float32Array(rows * columns);
  weights.forEach((w, k) => {
    if (!off.has(k)) for (let i = 0; i < out.length; i++) out[i] += w * value[k * out.length + i];
  });
  return out;
}

// bilinear between the centres of the cells, as torch's interpolate(align_corners=False): first across, then down
function enlarge(map, rows, columns, height, width) {
  const places = (n, size) => Array.from({ length: size }, (_, i) => {
    const at = Math.max(0, (i + 0.5) * n / size - 0.5), low = Math.floor(at);
    return [low, Math.min(low + 1, n - 1), at - low];
  });
  const across = places(columns, width), out = new Float32Array(height * width), wide = [];
  for (let row = 0; row < rows; row++) {
    const cells = map.subarray(row * columns, (row + 1) * columns);
    wide.push(across.map(([left, right, part]) => cells[left] * (1 - part) + cells[right] * part));
  }
  places(rows, height).forEach(([up, down, part], y) => {
    for (let x = 0; x < width; x++) out[y * width + x] = wide[up][x] * (1 - part) + wide[down][x] * part;
  });
  return out;
}

// The largest piece above `threshold` times the maximum (corners touch; of equal pieces the first in reading order)
// -> {box: [x1, y1, x2, y2], x2 and y2 exclusive, part: of the picture}, or null where nothing is positive.
function largestBox(large, height, width, threshold) {
  const most = highest(large), seen = new Uint8Array(large.length), piece = new Int32Array(large.length);
  const above = (i) => large[i] > threshold * most && !seen[i];
  let best = null;
  for (let start = 0; most > 0 && start < large.length; start++) {
    if (!above(start)) continue;
    let size = 0, [x1, y1, x2, y2] = [width, height, 0, 0];
    const add = (i) => { seen[i] = 1; piece[size++] = i; };
    add(start);
    for (let at = 0; at < size; at++) {  // it grows while it is walked through
      const x = piece[at] % width, y = (piece[at] - x) / width;
      x1 = Math.min(x1, x); x2 = Math.max(x2, x + 1); y1 = Math.min(y1, y); y2 = Math.max(y2, y + 1);
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          if (above(v * width + u)) add(v * width + u);
        }
      }
    }
    if (!best || size > best.size) best = { size, box: [x1, y1, x2, y2] };
  }
  return best && { box: best.box, part: best.size / large.length };
}

// the indices of the `count` largest values, the largest first
const ranked = (values, count) => [...values.keys()].sort((i, j) => values[j] - values[i]).slice(0, count);

function probability(scores, c) {
  const most = highest(scores);
  return Math.exp(scores[c] - most) / sum(scores.map((s) => Math.exp(s - most)));
}

// what each unit adds to a score, or to one cell of the map
function shares({ value, means, rows, columns }, { weights }, cell = null) {
  return weights.map((w, k) => w * (cell === null ? means[k] : value[k * rows * columns + cell]));
}

// ---- heat as colour, for a canvas that lies over the photo --------------------------------------------------------
const colours = { heat: bytes(LIVE.heat), signed: bytes(LIVE.signed) };

// 256 levels as one number each, red lowest (every browser's machine is little-endian): clearer where the map is higher
function palette(signed, opacity) {
  const chosen = signed ? colours.signed : colours.heat;
  return Uint32Array.from({ length: 256 }, (_, level) => {
    const part = signed ? Math.min(1, 3 * Math.abs(level / 255 - 0.5)) : 0.1 + 0.9 * level / 255;
    const [red, green, blue] = chosen.subarray(3 * level, 3 * level + 3);
    return ((Math.round(255 * opacity * part) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
}

function paint(canvas, large, height, width, limit, signed, opacity) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const levels = palette(signed, opacity), picture = new ImageData(width, height);
  const out = new Uint32Array(picture.data.buffer), scale = limit > 0 ? 255 / limit : 0;
  const [factor, zero] = signed ? [scale / 2, 127.5] : [scale, 0];
  large.forEach((v, i) => { out[i] = levels[Math.round(Math.min(255, Math.max(0, v * factor + zero)))]; });
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

// a mark over a picture of width × height, whatever the size it is shown at
function lay(mark, [x1, y1, x2, y2], width, height) {
  const sides = [y1 / height, 1 - x2 / width, 1 - y2 / height, x1 / width];
  mark.style.inset = sides.map((part) => `${100 * part}%`).join(" ");
}
