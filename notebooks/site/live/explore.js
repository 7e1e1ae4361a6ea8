// Explore: one picture, its map, and one question at a time.
"use strict";

const $ = (id) => document.getElementById(id);
// scores: of the picture, with the units that are on
const state = { picture: null, a: 0, b: null, cell: null, off: new Set(), scores: null };
Object.assign(state, { question: "word", threshold: 0.2, signed: false });
const say = (value, digits = 2) => value.toFixed(digits).replace("-", "−");
const plus = (value, digits = 2) => (value < 0 ? "" : "+") + say(value, digits);
const percent = (part) => `${Math.round(100 * part)} %`;
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

  function open() {
    const typed = input.dataset.typed ? input.value.trim().toLowerCase() : "", values = ranking();
    const rank = (name) => (name.startsWith(typed) ? 0 : name.includes(` ${typed}`) ? 1 : name.includes(typed) ? 2 : 3);
    const ranks = head.names.map((name) => rank(name.toLowerCase()));
    found = ranked(values, ranks.length).filter((c) => ranks[c] < 3).sort((x, y) => ranks[x] - ranks[y]).slice(0, 8);
    list.replaceChildren(...found.map((c, i) => {
      const option = element("li", { id: `${list.id}-${i}`, role: "option" }, head.names[c], element("span", {}, say(values[c])));
      option.addEventListener("pointerdown", (event) => { event.preventDefault(); close(c); });
      return option;
    }));
    at = typed && found.length ? 0 : -1;
    show(found.length > 0);
  }
  function show(visible) {
    list.hidden = !visible;
    input.ariaExpanded = visible;
    [...list.children].forEach((option, i) => { option.ariaSelected = i === at; });
    input.setAttribute("aria-activedescendant", visible && at >= 0 ? list.children[at].id : "");
  }
  function close(word) {
    if (word === undefined && none && input.dataset.typed && !input.value.trim()) word = null;
    delete input.dataset.typed;
    show(false);
    if (word === undefined) render();
    else chosen(word);
  }
  input.addEventListener("focus", () => { input.select(); open(); });
  input.addEventListener("click", open);
  input.addEventListener("input", () => { input.dataset.typed = "yes"; open(); });
  input.addEventListener("blur", () => close());
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && list.hidden) open();
    else if (step) { at = (at + step + found.length) % found.length; show(found.length > 0); }
    else if (event.key === "Enter") close(list.hidden ? undefined : found[at]);
    else if (event.key === "Escape") { delete input.dataset.typed; close(); }
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
  for (const id of ["photo", "under"]) $(id).src = picture.url;
  if (!picture.features) await load(picture.file);
  picture.features ||= unpack(LIVE.features[picture.file], picture);
  picture.scores ||= allScores(picture.features);
  const [a, second] = ranked(picture.scores, 2);
  Object.assign(state, { picture, a, b: state.question === "minus" ? second : null, cell: null, off: new Set() });
  $("photo").alt = picture.words;
  for (const button of $("pictures").children) button.ariaPressed = button.picture === picture;
  $("explore").style.setProperty("--ratio", picture.width / picture.height);
  render();
}

function addPicture(picture) {
  picture.url ||= `${picture.file}.jpg`;
  const button = element("button", { picture, title: picture.name }, element("img", { src: picture.url, alt: picture.words }));
  button.addEventListener("click", () => choosePicture(picture));
  $("pictures").append(button);
  return button;
}

// ---- what is seen ------------------------------------------------------------------------------------------------
function render() {
  const { picture, a, b, off } = state;
  if (!picture) return;
  const { features, height, width } = picture, { rows, columns } = features;
  const signed = state.signed || b !== null, toward = direction(a, b);
  const map = classMap(features, toward, off), large = enlarge(map, rows, columns, height, width);
  const whole = off.size ? classMap(features, toward) : map;  // the scale stays when units go
  const limit = highest(signed ? whole.map(Math.abs) : whole), score = average(map) + toward.constant;
  paint($("heat"), large, height, width, limit, signed, $("opacity").value / 100);
  state.scores = off.size ? allScores(features, off) : picture.scores;

  const boxed = $("boxed").checked || state.question === "box";
  const found = boxed ? largestBox(large, height, width, state.threshold) : null;
  $("box").hidden = !found;
  if (found) lay($("box"), found.box, width, height);
  const peak = map.indexOf(highest(map)), cell = state.cell ?? peak, x = cell % columns, y = (cell - x) / columns;
  lay($("cell"), [x, y, x + 1, y + 1], columns, rows);
  Object.assign(state, { map, large, found, score, peak, limit });  // for the tests

  showWords();
  showScale(limit, signed);
  showReading(cell, toward);
  showUnits();
  showSum(toward.constant);
  $("percent").textContent = Math.round(100 * state.threshold);
  if (!$("a").dataset.typed) $("a").value = head.names[a];
  if (!$("b").dataset.typed) $("b").value = b === null ? "" : head.names[b];
  $("map").ariaLabel = `Map of ${head.names[a]}, ${rows} by ${columns} cells; arrow keys go from cell to cell`;
  $("said").textContent = (off.size ? `${off.size} unit${off.size > 1 ? "s" : ""} off: ` : "") + sentence(boxed);
  LIVE.firstMap ??= performance.now();
}

function sentence(boxed) {
  const { a, b, score, scores, peak, map, found, threshold, off, picture } = state, name = head.names[a];
  const first = ranked(scores, 1)[0], highestAt = `highest in ${place(peak)}, with ${say(map[peak])}`;
  if (state.cell !== null) {
    return `${place(state.cell)}: ${say(map[state.cell])}. ${name} ${b === null ? "" : `minus ${head.names[b]} `}is ${highestAt}.`;
  }
  if (b !== null) {
    return `${name} minus ${head.names[b]}: ${plus(score)} in all. Red speaks for ${name}, most in ${place(peak)}; `
      + `blue for ${head.names[b]}, most in ${place(map.indexOf(Math.min(...map)))}.`;
  }
  if (boxed && !found) return `${name}: nothing speaks for it here, so there is no box.`;
  if (boxed) {
    return `${name}: the largest piece above ${percent(threshold)} of the highest value covers ${percent(found.part)} of the `
      + `picture; its box goes from ${found.box.slice(0, 2).join(", ")} to ${found.box.slice(2).join(", ")} `
      + `of ${picture.width} × ${picture.height} pixels.`;
  }
  const part = percent(probability(scores, a)), before = off.size ? `, ${say(picture.scores[a])} with all units on` : "";
  const says = first === a ? `The first word is ${name}, at ${part}: score` : `${name} has ${part}; first is ${head.names[first]}. Its score:`;
  return `${says} ${say(score)}${before}. The map is ${highestAt}.`;
}

// what can be pressed, with a value each: buttons, which stay the same ones, so that the focus stays on them
function list(into, items, values, pressed, act, label = (c) => head.names[c]) {
  while (into.children.length > items.length) into.lastChild.remove();
  while (into.children.length < items.length) {
    const button = element("button", {}, element("span"), element("b"));
    button.addEventListener("click", () => act(button.item));
    into.append(element("li", {}, button));
  }
  items.forEach((item, i) => {
    const button = into.children[i].firstChild;
    Object.assign(button, { item, ariaPressed: pressed(item) });
    button.firstChild.textContent = label(item);
    button.lastChild.textContent = say(values[item]);
    button.style.setProperty("--part", `${Math.max(0, 100 * values[item] / Math.max(values[items[0]], 1e-9))}%`);
  });
}

function showWords() {
  const { a, scores } = state, best = ranked(scores, 3), shown = best.includes(a) ? best : [...best, a];
  const rank = (c) => scores.reduce((count, s) => count + (s > scores[c]), 1);
  list($("words"), shown, scores, (c) => c === a, (c) => choose("a", c), (c) => `${rank(c)} ${head.names[c]}`);
}

function showScale(limit, signed) {
  const low = signed ? -limit : 0, ramp = Float32Array.from({ length: 256 }, (_, i) => low + (i / 255) * (limit - low));
  paint($("scale"), ramp, 1, 256, limit, signed, 1);
  $("low").textContent = signed ? say(low, 1) : "≤ 0";
  $("high").textContent = say(limit, 1);
}

function showReading(cell, toward) {
  const { map, off, score, picture: { features } } = state, adds = map[cell] / map.length;
  const values = shares(features, toward, cell), share = score > 0 ? `, ${percent(adds / score)} of it` : "";
  const units = ranked(values, 1280).filter((k) => values[k] && !off.has(k)).slice(0, 3);
  $("where").textContent = state.cell === null ? "The highest cell" : "This cell";
  $("reading").replaceChildren(
    element("p", {}, `${place(cell)}: `, element("b", {}, say(map[cell]))),
    element("p", {}, `adds ${plus(adds)} to the ${state.b === null ? "score" : "difference"}${share}`),
    element("p", {}, "units ", ...units.flatMap((k, i) => [i ? " · " : "", `${k} `, element("b", {}, plus(values[k], 1))])),
  );
}

function largestUnits() {
  const values = shares(state.picture.features, direction(state.a));
  return [ranked(values, 10), values];
}

function showUnits() {
  const press = (k) => { if (!state.off.delete(k)) state.off.add(k); render(); };
  list($("units"), ...largestUnits(), (k) => !state.off.has(k), press, (k) => `unit ${k}`);
}

// mean + constant = score, in figures that add up as they are shown
function showSum(constant) {
  const { map, score } = state, total = Math.round(100 * score), fixed = Math.round(100 * constant);
  const against = Math.round(100 * average(map.map((v) => Math.min(v, 0)))), forIt = total - fixed - against;
  const values = [forIt, against, forIt + against, fixed, total], most = Math.max(forIt, -against, Math.abs(total), 1);
  $("sum").querySelectorAll("tr").forEach((row, i) => {
    row.cells[1].textContent = say(values[i] / 100);
    row.cells[2].firstChild.style.width = `${100 * Math.abs(values[i]) / most}%`;
  });
}

// ---- what is pressed ---------------------------------------------------------------------------------------------
function choose(which, c) {
  state[which] = c;
  if (which === "a") state.off = new Set();
  if (state.a === state.b) state.b = null;
  render();
}

function ask(question) {
  state.question = question;
  for (const button of $("questions").children) {
    button.ariaPressed = button.value === question;
    if (button.value === question) $("questions").scrollLeft = button.offsetLeft - 40;
  }
  for (const control of controls) {
    (control.dataset.for.split(" ").includes(question) ? $("controls") : $("more")).append(control);
  }
  state.b = question === "minus" && state.picture ? state.b ?? ranked(state.picture.scores, 2).find((c) => c !== state.a) : null;
  state.signed = $("signed").checked = question === "sum";
  render();
}

function goTo(x, y) {
  const { rows, columns } = state.picture.features, inside = (value, n) => Math.min(n - 1, Math.max(0, Math.floor(value)));
  const cell = inside(y, rows) * columns + inside(x, columns);
  if (cell !== state.cell) { state.cell = cell; render(); }
}

function point(event) {
  const { rows, columns } = state.picture.features, at = $("map").getBoundingClientRect();
  goTo((event.clientX - at.left) / at.width * columns, (event.clientY - at.top) / at.height * rows);
}

function step(event) {
  const { columns } = state.picture.features, cell = state.cell ?? state.peak;
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [];
  if (event.key === "Escape") leave();
  else if (dx === undefined) return;
  else goTo(cell % columns + dx, Math.floor(cell / columns) + dy);
  event.preventDefault();
}

function leave() {
  state.cell = null;
  render();
}

// The parts of the page, named by the end of its address: links lead there, and the browser's way back leads back.
function turn(event) {
  const links = [...document.querySelectorAll("nav a")], shown = links.find((link) => link.hash === location.hash) || links[0];
  for (const link of links) {
    link.ariaCurrent = link === shown ? "page" : null;
    $(link.hash.slice(1)).hidden = link !== shown;
  }
  if (event.type === "hashchange") shown.focus({ preventScroll: true });  // what had the focus may be hidden now
  turned(shown.hash.slice(1));
}

const controls = [...document.querySelectorAll(".control")];
LIVE.pictures.forEach(addPicture);
combobox($("a"), () => state.scores, (c) => choose("a", c));
combobox($("b"), () => state.scores, (c) => choose("b", c), true);
for (const button of $("questions").children) button.addEventListener("click", () => ask(button.value));
$("threshold").addEventListener("input", (event) => { state.threshold = event.target.value / 100; render(); });
$("signed").addEventListener("change", (event) => { state.signed = event.target.checked; render(); });
for (const id of ["boxed", "opacity"]) $(id).addEventListener("input", render);
$("ten").addEventListener("click", () => { state.off = new Set(largestUnits()[0]); render(); });
$("on").addEventListener("click", () => { state.off = new Set(); render(); });
for (const name of ["pointerdown", "pointermove"]) $("map").addEventListener(name, point);
$("map").addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") leave(); });
$("map").addEventListener("keydown", step);
addEventListener("hashchange", turn);
addEventListener("load", turn);
ask("word");
choosePicture(LIVE.pictures[0]);
