// By hand: lesson 01's three channels of three by three places, and the two orders of pooling and weighing.
"use strict";

const CHANNELS = {
  window: [9, 0, 0, 0, 0, 0, 0, 0, 0],
  fur: [0, 0, 0, 0, 9, 9, 0, 0, 0],
  grass: [0, 0, 0, 0, 0, 0, 3, 3, 3],
};
const byHand = { weights: [-1, 2, 1] };

function cellsOf(values, limit, signed) {
  return values.map((v) => {
    const part = Math.max(-1, Math.min(1, v / limit)), at = 3 * Math.round(255 * (signed ? (part + 1) / 2 : 1 - part / 2));
    const rgb = signed ? colours.signed.slice(at, at + 3) : [at / 3, at / 3, at / 3];
    const cell = element("span", {}, say(v, Number.isInteger(v) ? 0 : 1));
    const light = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
    Object.assign(cell.style, { background: `rgb(${rgb.join(" ")})`, color: light > 130 ? "black" : "white" });
    return cell;
  });
}

function renderByHand() {
  const { weights } = byHand, channels = Object.values(CHANNELS), short = (v) => say(v, Number.isInteger(v) ? 0 : 1);
  const map = channels[0].map((_, i) => sum(weights.map((w, k) => w * channels[k][i])));
  const means = channels.map(average), score = sum(weights.map((w, k) => w * means[k]));
  Object.assign(byHand, { map, score });  // for the tests
  $("byhand").replaceChildren(...cellsOf(map, 27, true));
  const terms = weights.map((w, k) => `${short(w)} · ${short(means[k])}`).join(" + ").replaceAll("+ −", "− ");
  $("pooled").textContent = `the sum of weight × mean is ${terms} = ${short(score)}`;
  $("mapped").textContent = `the mean of the map is ${short(sum(map))} ÷ 9 = ${short(average(map))}`;
  $("equal").textContent = `Both give ${short(score)}: two finite sums may change places.`;
  document.querySelectorAll("#channels input").forEach((input, k) => {
    input.value = weights[k];
    input.previousElementSibling.lastChild.textContent = short(weights[k]);
  });
}

Object.entries(CHANNELS).forEach(([name, values], k) => {
  const grid = element("div", { className: "grid" }, ...cellsOf(values, 9, false));
  const input = element("input", { type: "range", min: -3, max: 3, step: 0.5, id: `weight-${name}` });
  const label = element("label", { htmlFor: input.id }, `weight of ${name} `, element("output"));
  input.addEventListener("input", () => { byHand.weights[k] = Number(input.value); renderByHand(); });
  $("sum-of-channels").before(element("div", {}, element("h2", {}, `${name}, mean ${average(values)}`), grid, label, input));
});
for (const button of document.querySelectorAll("[data-weights]")) {
  button.addEventListener("click", () => { byHand.weights = button.dataset.weights.split(" ").map(Number); renderByHand(); });
}
renderByHand();
