// The map on the site's front page: the live page's first picture, its ten first words, and a threshold.
"use strict";

{
  const parts = ["word", "threshold", "heat", "box", "said"].map((name) => document.getElementById(`front-${name}`));
  const [word, threshold, heat, box, said] = parts;
  const [picture] = LIVE.pictures, { height, width, rows, columns } = picture;
  const features = unpack(LIVE.features[picture.file], picture), scores = allScores(features);
  const show = () => {
    const map = classMap(features, direction(Number(word.value))), large = enlarge(map, rows, columns, height, width);
    const found = largestBox(large, height, width, threshold.value / 100), name = head.names[word.value];
    paint(heat, large, height, width, highest(map), false, 0.75);
    box.hidden = !found;
    if (found) lay(box, found.box, width, height);
    said.textContent = found ? `Above ${threshold.value} % of the highest value, the largest piece of the map of ${name} covers `
      + `${Math.round(100 * found.part)} % of the picture.` : `Nothing here speaks for ${name}.`;
  };
  head.names.forEach((name, c) => word.add(new Option(`${name} ${scores[c].toFixed(2)}`, c)));
  for (const control of [word, threshold]) control.addEventListener("input", show);
  show();
  document.getElementById("front").classList.add("works");
}
