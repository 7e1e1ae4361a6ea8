// Explore: one picture, its map, and one question at a time.
"use strict";

const $ = (id) => document.getElementById(id);
const state = { picture: null, a: 0, b: null, question: "word", threshold: 0.2, signed: false, off: new Set(), cell: null };
const scores = { all: null };  // of the picture, with the units that are on
const QUESTIONS = {
  word: "Where is a word?", minus: "Why this word, not that?", box: "How far does it reach?",
  units: "Which units make it?", sum: "How do cells make a score?",
};
const say = (value, digits = 2) => value.toFixed(digits).replace("-", "−");
const plus = (value, digits = 2) => (value < 0 ? "" : "+") + say(value, digits);
const place = (i) => `row ${Math.floor(i / state.picture.features.columns) + 1}, column ${i % state.picture.features.columns + 1}`;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// ---- a box to type one of 1000 words into: https://www.w3.org/WAI/ARIA/apg/patterns/combobox ---------------------
function combobox(input, ranking, chosen, none = false) {
  const list = input.nextElementSibling;
  let found = [], at = -1;
  list.id = `${input.id}-list`;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Words");
  const attributes = { role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id };
  Object.entries(attributes).forEach(([name, value]) => input.setAttribute(name, value));

  function open() {
    const typed = input.dataset.typed ? input.value.trim().toLowerCase() : "", values = ranking();
    const rank = (name) => (name.startsWith(typed) ? 0 : name.includes(` ${typed}`) ? 1 : name.includes(typed) ? 2 : 3);
    const names = head.names.map((name) => rank(name.toLowerCase()));
    const order = [...names.keys()].filter((c) => names[c] < 3);
    found = order.sort((x, y) => names[x] - names[y] || values[y] - values[x]).slice(0, 8);
    list.replaceChildren(...found.map((c, i) => {
      const option = element("li", { id: `${list.id}-${i}` }, head.names[c], element("span", {}, say(values[c])));
      option.setAttribute("role", "option");
      option.addEventListener("pointerdown", (event) => { event.preventDefault(); choose(i); });
      return option;
    }));
    at = typed && found.length ? 0 : -1;
    show(found.length > 0);
  }
  function show(visible) {
    list.hidden = !visible;
    input.setAttribute("aria-expanded", visible);
    [...list.children].forEach((option, i) => option.setAttribute("aria-selected", i === at));
    if (visible && at >= 0) input.setAttribute("aria-activedescendant", `${list.id}-${at}`);
    else input.removeAttribute("aria-activedescendant");
  }
  function choose(i) {
    close();
    chosen(found[i]);
  }
  function close() {
    delete input.dataset.typed;
    show(false);
  }
  input.addEventListener("focus", () => { input.select(); open(); });
  input.addEventListener("click", open);
  input.addEventListener("input", () => { input.dataset.typed = "yes"; open(); });
  input.addEventListener("blur", () => {
    if (none && input.dataset.typed && !input.value.trim()) chosen(null);
    close();
    render();
  });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      if (list.hidden) open();
      else at = (at + step + found.length) % found.length;
      show(found.length > 0);
    } else if (event.key === "Enter" && none && !input.value.trim() && at < 0) { close(); chosen(null); }
    else if (event.key === "Enter" && at >= 0 && !list.hidden) choose(at);
    else if (event.key === "Escape") { close(); render(); }
    else return;
    event.preventDefault();
  });
}

// ---- pictures -----------------------------------------------------------------------------------------------------
const scripts = {};
const load = (file) => scripts[file] ||= new Promise((done, failed) => {
  document.head.append(element("script", { src: `${file}.js`, onload: done, onerror: failed }));
});

async function choosePicture(picture) {
  for (const id of ["photo", "under"]) $(id).src = picture.url || `${picture.file}.jpg`;
  if (!picture.features) {
    await load(picture.file);
    picture.features = unpack(LIVE.features[picture.file], picture);
  }
  picture.scores ||= allScores(picture.features);
  Object.assign(state, { picture, a: ranked(picture.scores, 1)[0], b: null, cell: null, off: new Set() });
  $("photo").alt = picture.words;
  for (const button of $("pictures").children) button.setAttribute("aria-pressed", button.picture === picture);
  for (const frame of document.querySelectorAll(".stage .frame")) {
    frame.style.aspectRatio = `${picture.width} / ${picture.height}`;
    frame.style.setProperty("--ratio", picture.width / picture.height);
  }
  if (state.question === "minus") state.b = ranked(picture.scores, 2)[1];
  render();
}

function addPicture(picture) {
  const image = element("img", { src: picture.url || `${picture.file}.jpg`, alt: picture.words });
  const button = element("button", { picture, title: picture.name }, image);
  button.addEventListener("click", () => choosePicture(picture));
  $("pictures").append(button);
  return button;
}

// ---- what is seen ------------------------------------------------------------------------------------------------
function render() {
  const { picture, a, b, off } = state;
  if (!picture) return;
  const { features, height, width } = picture, { rows, columns } = features, cells = rows * columns;
  const signed = state.signed || b !== null, toward = direction(a, b);
  const map = classMap(features, toward, off), large = enlarge(map, rows, columns, height, width);
  const whole = off.size ? classMap(features, toward) : map;  // the scale stays when units go
  const limit = signed ? whole.reduce((most, v) => Math.max(most, Math.abs(v)), 0) : highest(whole);
  paint($("heat"), large, height, width, limit, signed, $("opacity").value / 100);
  scores.all = off.size ? allScores(features, off) : picture.scores;
  const mean = map.reduce((sum, v) => sum + v, 0) / cells, score = mean + toward.constant;

  const boxed = $("boxed").checked || state.question === "box";
  const found = largestBox(large, height, width, state.threshold);
  $("box").hidden = !boxed || !found;
  if (found) lay($("box"), found.box, width, height);
  const peak = map.indexOf(highest(map)), cell = state.cell ?? peak, x = cell % columns, y = (cell - x) / columns;
  lay($("cell"), [x, y, x + 1, y + 1], columns, rows);
  Object.assign(state, { map, large, found, score, peak, limit });  // for the tests

  showWords();
  showScale(limit, signed);
  showReading(cell, toward, score, state.cell === null);
  showUnits(b === null ? toward : direction(a));
  showSum(map, toward.constant, score);
  $("percent").textContent = Math.round(100 * state.threshold);
  if (!$("a").dataset.typed) $("a").value = head.names[a];
  if (!$("b").dataset.typed) $("b").value = b === null ? "" : head.names[b];
  $("map").setAttribute("aria-label", `Map of ${head.names[a]}, ${rows} by ${columns} cells; arrow keys go from cell to cell`);
  $("said").textContent = sentence(boxed);
  LIVE.firstMap ??= performance.now();
}

function lay(mark, [x1, y1, x2, y2], width, height) {
  const percent = (part, whole) => `${100 * part / whole}%`;
  Object.assign(mark.style, { left: percent(x1, width), top: percent(y1, height) });
  Object.assign(mark.style, { width: percent(x2 - x1, width), height: percent(y2 - y1, height) });
}

function sentence(boxed) {
  const { a, b, score, peak, map, found, threshold, off, picture } = state, name = head.names[a];
  const first = ranked(scores.all, 1)[0], highestAt = `highest in ${place(peak)}, with ${say(map[peak])}`;
  const units = off.size ? `${off.size} unit${off.size > 1 ? "s" : ""} off: ` : "";
  if (state.cell !== null) {
    return `${units}${place(state.cell)}: ${say(map[state.cell])}. ${name} ${b === null ? "" : `minus ${head.names[b]} `}is ${highestAt}.`;
  }
  if (b !== null) {
    const low = map.indexOf(map.reduce((least, v) => Math.min(least, v), Infinity));
    return `${units}${name} minus ${head.names[b]}: ${plus(score)} in all. Red speaks for ${name}, most in ${place(peak)}; `
      + `blue for ${head.names[b]}, most in ${place(low)}.`;
  }
  if (boxed) {
    if (!found) return `${name}: nothing speaks for it here, so there is no box.`;
    return `${units}${name}: the largest piece above ${Math.round(100 * threshold)} % of the highest value covers `
      + `${Math.round(100 * found.part)} % of the picture; its box goes from ${found.box[0]}, ${found.box[1]} to `
      + `${found.box[2]}, ${found.box[3]} of ${picture.width} × ${picture.height} pixels.`;
  }
  const before = off.size ? `, ${say(picture.scores[a])} with all units on` : "";
  const percent = `${Math.round(100 * probability(scores.all, a))} %`;
  const says = first === a ? `The first word is ${name}, at ${percent}: score` : `${name} has ${percent}; first is ${head.names[first]}. Its score:`;
  return `${units}${says} ${say(score)}${before}. The map is ${highestAt}.`;
}

// words as buttons, which stay the same ones, so that the focus stays on them
function list(into, words, values, chosen, act, label = (c) => head.names[c]) {
  while (into.children.length > words.length) into.lastChild.remove();
  while (into.children.length < words.length) {
    const button = element("button", {}, element("span"), element("b"));
    button.addEventListener("click", () => act(button.word));
    into.append(element("li", {}, button));
  }
  words.forEach((c, i) => {
    const button = into.children[i].firstChild;
    button.word = c;
    button.firstChild.textContent = label(c);
    button.lastChild.textContent = say(values[c]);
    button.style.setProperty("--part", `${Math.max(0, 100 * values[c] / Math.max(values[words[0]], 1e-9))}%`);
    button.setAttribute("aria-pressed", c === chosen);
  });
}

function showWords() {
  const best = ranked(scores.all, 3), shown = best.includes(state.a) ? best : [...best, state.a];
  const rank = (c) => scores.all.reduce((count, s) => count + (s > scores.all[c]), 1);
  list($("words"), shown, scores.all, state.a, (c) => choose("a", c), (c) => `${rank(c)} ${head.names[c]}`);
}

function showScale(limit, signed) {
  const ends = [signed ? -limit : 0, limit];
  paint($("scale"), Float32Array.from({ length: 256 }, (_, i) => ends[0] + (i / 255) * (ends[1] - ends[0])), 1, 256, limit, signed, 1);
  $("low").textContent = signed ? say(-limit, 1) : "≤ 0";
  $("high").textContent = say(limit, 1);
}

function showReading(cell, toward, score, highestCell) {
  const { map, off, picture: { features } } = state, adds = map[cell] / map.length;
  const units = largestUnits(features, toward, 1280, cell).filter(([k]) => !off.has(k)).slice(0, 3);
  const share = score > 0 ? `, ${Math.round(100 * adds / score)} % of it` : "";
  $("where").textContent = highestCell ? "The highest cell" : "This cell";
  $("reading").replaceChildren(
    element("p", {}, `${place(cell)}: `, element("b", {}, say(map[cell]))),
    element("p", {}, `adds ${plus(adds)} to the ${state.b === null ? "score" : "difference"}${share}`),
    element("p", {}, "units ", ...units.flatMap(([k, v], i) => [i ? " · " : "", `${k} `, element("b", {}, plus(v, 1))])),
  );
}

function showUnits(toward) {
  const { off, picture } = state, key = `${picture.file}-${state.a}`;
  if ($("units").dataset.key !== key) {
    $("units").dataset.key = key;
    $("units").replaceChildren(...largestUnits(picture.features, toward, 10).map(([k, v]) => {
      const button = element("button", { unit: k }, `unit ${k} `, element("b", {}, plus(v)));
      button.addEventListener("click", () => { if (!state.off.delete(k)) state.off.add(k); render(); });
      return button;
    }));
  }
  for (const button of $("units").children) button.setAttribute("aria-pressed", !off.has(button.unit));
}

// mean + constant = score, in figures that add up as they are shown
function showSum(map, constant, score) {
  const cells = map.length, total = Math.round(100 * score), fixed = Math.round(100 * constant);
  const against = Math.round(100 * map.reduce((sum, v) => sum + Math.min(v, 0), 0) / cells);
  const forIt = total - fixed - against, most = Math.max(forIt, -against, Math.abs(total), 1);
  const line = (words, value, sign, kind) => {
    const bar = element("i", { className: kind });
    bar.style.width = `${100 * Math.abs(value) / most}%`;
    return element("tr", {}, element("th", { scope: "row" }, words), element("td", {}, sign + say(value / 100)), element("td", {}, bar));
  };
  $("sum").replaceChildren(element("table", {}, element("tbody", {},
    line("cells for it ÷ " + cells, forIt, "", "for"), line("cells against it ÷ " + cells, against, "", "against"),
    line("the mean of the map", forIt + against, "= ", "all"), line("constant of the class", fixed, fixed < 0 ? "" : "+", "for"),
    line("score", total, "= ", "all"))));
}

// ---- what is pressed ---------------------------------------------------------------------------------------------
function choose(which, c) {
  state[which] = c;
  if (which === "a") state.off = new Set();
  if (state.a === state.b) state.b = null;
  render();
}

const controls = [...document.querySelectorAll(".control")];

function ask(question) {
  state.question = question;
  for (const button of $("questions").children) {
    button.setAttribute("aria-pressed", button.value === question);
    if (button.value === question) $("questions").scrollLeft = button.offsetLeft - 40;
  }
  for (const control of controls) {
    (control.dataset.for.split(" ").includes(question) ? $("controls") : $("more")).append(control);
  }
  if (question === "minus" && state.b === null && state.picture) state.b = ranked(state.picture.scores, 2).find((c) => c !== state.a);
  if (question !== "minus") state.b = null;
  state.signed = $("signed").checked = question === "sum";
  render();
}

function point(event) {
  const { rows, columns } = state.picture.features, at = $("map").getBoundingClientRect();
  const part = (value, n) => Math.min(n - 1, Math.max(0, Math.floor(value * n)));
  const cell = part((event.clientY - at.top) / at.height, rows) * columns + part((event.clientX - at.left) / at.width, columns);
  if (cell !== state.cell) { state.cell = cell; render(); }
}

function step(event) {
  const { rows, columns } = state.picture.features, cell = state.cell ?? state.peak;
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [];
  if (event.key === "Escape") state.cell = null;
  else if (dx === undefined) return;
  else {
    const x = Math.min(columns - 1, Math.max(0, cell % columns + dx));
    state.cell = x + columns * Math.min(rows - 1, Math.max(0, Math.floor(cell / columns) + dy));
  }
  event.preventDefault();
  render();
}

function tabs() {
  const all = [...document.querySelectorAll("[role=tab]")];
  const open = (tab, focus) => {
    for (const other of all) {
      other.setAttribute("aria-selected", other === tab);
      other.tabIndex = other === tab ? 0 : -1;
      $(other.getAttribute("aria-controls")).hidden = other !== tab;
    }
    if (focus) tab.focus();
    document.dispatchEvent(new CustomEvent("opened", { detail: tab.getAttribute("aria-controls") }));
  };
  all.forEach((tab, i) => {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", (event) => {
      const go = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: all.length - 1 }[event.key];
      if (go !== undefined) { event.preventDefault(); open(all.at(go % all.length), true); }
    });
  });
  return { show: (id, focus) => open($(`tab-${id}`), focus) };
}

LIVE.heatColours = bytes(LIVE.heat);
LIVE.signedColours = bytes(LIVE.signed);
openHead();
const tablist = tabs();
LIVE.pictures.forEach(addPicture);
for (const [value, words] of Object.entries(QUESTIONS)) {
  const button = element("button", { value }, words);
  button.addEventListener("click", () => ask(value));
  $("questions").append(button);
}
combobox($("a"), () => scores.all, (c) => choose("a", c));
combobox($("b"), () => scores.all, (c) => choose("b", c), true);
$("threshold").addEventListener("input", (event) => { state.threshold = event.target.value / 100; render(); });
$("signed").addEventListener("change", (event) => { state.signed = event.target.checked; render(); });
for (const id of ["boxed", "opacity"]) $(id).addEventListener("input", render);
$("ten").addEventListener("click", () => { state.off = new Set([...$("units").children].map((button) => button.unit)); render(); });
$("on").addEventListener("click", () => { state.off = new Set(); render(); });
for (const name of ["pointerdown", "pointermove"]) $("map").addEventListener(name, point);
$("map").addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") { state.cell = null; render(); } });
$("map").addEventListener("keydown", step);
ask("word");
choosePicture(LIVE.pictures[0]);
