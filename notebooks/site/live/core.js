// What the page computes: scores, maps, boxes. The same rules as in cam_helpers (maps.py, boxes.py, drawing.py).
"use strict";

const bytes = (text) => {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
};
const floats = (text) => new Float32Array(bytes(text).buffer);

// ---- the last layer: class weights in eight bits, with one scale a class, and a constant -----------------------
const head = { units: 1280, names: [], weights: null, scales: null, constants: null };

function openHead() {
  Object.assign(head, { names: LIVE.names, units: LIVE.units, weights: new Int8Array(bytes(LIVE.weights).buffer) });
  Object.assign(head, { scales: floats(LIVE.scales), constants: floats(LIVE.constants) });
}

// {weights (K,), constant} of a class, or of class a minus class b
function direction(a, b = null) {
  const { units, weights, scales, constants } = head, out = new Float32Array(units);
  for (let k = 0; k < units; k++) {
    out[k] = weights[a * units + k] * scales[a] - (b === null ? 0 : weights[b * units + k] * scales[b]);
  }
  return { weights: out, constant: constants[a] - (b === null ? 0 : constants[b]) };
}

// ---- features: more than 80 % are zero, so only the others are kept, as (unit, cell, value) ---------------------
function sparse(value, rows, columns) {
  const cells = rows * columns, unit = [], cell = [], kept = [];
  for (let i = 0; i < value.length; i++) {
    if (value[i] !== 0) { unit.push(Math.floor(i / cells)); cell.push(i % cells); kept.push(value[i]); }
  }
  return withMeans({ rows, columns, unit, cell, value: kept });
}

// stored: a bit for each value that is not zero, in the order unit, row, column; then these as 16-bit numbers
function unpack(text, { rows, columns, scale }) {
  const packed = bytes(text), cells = rows * columns, count = head.units * cells, first = Math.ceil(count / 8);
  const unit = [], cell = [], value = [];
  let at = first;
  for (let i = 0; i < count; i++) {
    if (packed[i >> 3] & (128 >> (i & 7))) {
      unit.push(Math.floor(i / cells));
      cell.push(i % cells);
      value.push((packed[at] + 256 * packed[at + 1]) * scale);
      at += 2;
    }
  }
  return withMeans({ rows, columns, unit, cell, value });
}

function withMeans(features) {
  const means = new Float32Array(head.units), cells = features.rows * features.columns;
  features.unit.forEach((k, i) => { means[k] += features.value[i] / cells; });
  return { ...features, means };
}

// ---- score, map, box ---------------------------------------------------------------------------------------------
function allScores({ means }, off = new Set()) {
  const { units, weights, scales, constants } = head, out = new Float32Array(constants.length);
  const used = [...means.keys()].filter((k) => means[k] !== 0 && !off.has(k));
  for (let c = 0; c < out.length; c++) {
    let sum = 0;
    for (const k of used) sum += weights[c * units + k] * means[k];
    out[c] = sum * scales[c] + constants[c];
  }
  return out;
}

function classMap({ rows, columns, unit, cell, value }, { weights }, off = new Set()) {
  const out = new Float32Array(rows * columns);
  for (let i = 0; i < unit.length; i++) if (!off.has(unit[i])) out[cell[i]] += weights[unit[i]] * value[i];
  return out;
}

// bilinear between the centres of the cells, as torch's interpolate(align_corners=False)
function enlarge(map, rows, columns, height, width) {
  const out = new Float32Array(height * width);
  const places = (n, size) => Array.from({ length: size }, (_, i) => {
    const at = Math.max(0, (i + 0.5) * n / size - 0.5), low = Math.floor(at);
    return [low, Math.min(low + 1, n - 1), at - low];
  });
  const across = places(columns, width);
  places(rows, height).forEach(([up, down, v], y) => {
    for (let x = 0; x < width; x++) {
      const [left, right, u] = across[x];
      const top = map[up * columns + left] * (1 - u) + map[up * columns + right] * u;
      const bottom = map[down * columns + left] * (1 - u) + map[down * columns + right] * u;
      out[y * width + x] = top * (1 - v) + bottom * v;
    }
  });
  return out;
}

const highest = (map) => map.reduce((best, v) => Math.max(best, v), -Infinity);

// The largest piece above `threshold` times the maximum (corners touch; of equal pieces the first in reading order)
// -> {box: [x1, y1, x2, y2], x2 and y2 exclusive, part: of the picture}, or null where nothing is positive.
function largestBox(large, height, width, threshold) {
  const most = highest(large), seen = new Uint8Array(large.length), stack = new Int32Array(large.length);
  if (!(most > 0)) return null;
  const above = (i) => large[i] > threshold * most && !seen[i];
  let best = null;
  for (let start = 0; start < large.length; start++) {
    if (!above(start)) continue;
    let size = 0, count = 0, [x1, y1, x2, y2] = [width, height, 0, 0];
    stack[count++] = start;
    seen[start] = 1;
    while (count) {
      const i = stack[--count], x = i % width, y = (i - x) / width;
      size += 1;
      x1 = Math.min(x1, x); x2 = Math.max(x2, x + 1); y1 = Math.min(y1, y); y2 = Math.max(y2, y + 1);
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          if (above(v * width + u)) { seen[v * width + u] = 1; stack[count++] = v * width + u; }
        }
      }
    }
    if (!best || size > best.size) best = { size, box: [x1, y1, x2, y2] };
  }
  return best && { box: best.box, part: best.size / large.length };
}

// the indices of the `count` largest values, the largest first
function ranked(values, count) {
  const best = [];
  for (let i = 0; i < values.length; i++) {
    if (best.length === count && !(values[i] > values[best[count - 1]])) continue;
    let at = best.length;
    while (at > 0 && values[i] > values[best[at - 1]]) at -= 1;
    best.splice(at, 0, i);
    best.length = Math.min(best.length, count);
  }
  return best;
}

function probability(scores, c) {
  const most = highest(scores);
  return Math.exp(scores[c] - most) / scores.reduce((sum, s) => sum + Math.exp(s - most), 0);
}

// the units that make a score (or one cell of the map), the largest first: [unit, what it adds]
function largestUnits(features, { weights }, count, cell = null) {
  const cells = features.rows * features.columns, adds = new Map();
  features.unit.forEach((k, i) => {
    if (cell === null || features.cell[i] === cell) {
      adds.set(k, (adds.get(k) || 0) + weights[k] * features.value[i] / (cell === null ? cells : 1));
    }
  });
  return [...adds].sort((a, b) => b[1] - a[1]).slice(0, count);
}

// ---- heat as colour, for a canvas that lies over the photo --------------------------------------------------------
// 256 levels as one number each, red lowest (every browser's machine is little-endian): clearer where the map is higher
function palette(signed, opacity) {
  const colours = signed ? LIVE.signedColours : LIVE.heatColours;
  return Uint32Array.from({ length: 256 }, (_, level) => {
    const part = signed ? Math.min(1, 3 * Math.abs(level / 255 - 0.5)) : 0.1 + 0.9 * level / 255;
    const [red, green, blue] = colours.subarray(3 * level, 3 * level + 3);
    return ((Math.round(255 * opacity * part) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
}

function paint(canvas, large, height, width, limit, signed, opacity) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const colours = palette(signed, opacity), picture = new ImageData(width, height);
  const out = new Uint32Array(picture.data.buffer), scale = limit > 0 ? 255 / limit : 0;
  const [factor, zero] = signed ? [scale / 2, 127.5] : [scale, 0];
  for (let i = 0; i < large.length; i++) {
    out[i] = colours[Math.round(Math.min(255, Math.max(0, large[i] * factor + zero)))];
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}
