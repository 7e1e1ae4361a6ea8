// Your photo and the camera: the whole network, by ONNX Runtime Web, in the page. Nothing is sent anywhere.
"use strict";

const CELL = 32, SHORT = 224, DRAWN = 112;  // pixels: a cell, the shorter side, the camera's map
const network = { session: null, loading: null, engine: null };
const camera = { stream: null, chosen: null, scores: null, times: [] };
const tell = (words) => { $("state").textContent = words; };

function missing() {
  if (!LIVE.runtime) return "This copy of the page was built without the network: explore the stored pictures instead.";
  if (location.protocol.startsWith("http")) return "";
  return "From a folder a browser may not load the network. Explore the stored pictures instead, or serve the pages, for "
    + "example with “python -m http.server”, and open http://localhost:8000.";
}

// ---- loading: with a bar; a service worker keeps what came, for the next visit ----------------------------------
async function fetched(address, arrived) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  const counted = new TransformStream({ transform(part, out) { arrived(part.length); out.enqueue(part); } });
  return new Uint8Array(await new Response(answer.body.pipeThrough(counted)).arrayBuffer());
}

async function graphicsCard() {
  const adapter = "Suspending" in WebAssembly && await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !(adapter.info?.isFallbackAdapter || adapter.isFallbackAdapter);  // one in software is slower
}

async function start(file = LIVE.runtime.network, size = LIVE.runtime.sizes[file]) {
  const { folder, sizes } = LIVE.runtime, card = await graphicsCard(), asked = performance.now();
  const wasm = `ort-wasm-simd-threaded${card ? ".jspi" : ""}.wasm`, all = size + sizes[wasm];
  let here = 0;
  const arrived = (count) => {
    here += count;
    $("progress").value = here / all;
    tell(`Loading the network: ${(here / 1e6).toFixed(1)} of ${(all / 1e6).toFixed(1)} MB.`);
  };
  const parts = Promise.all([fetched(file, arrived), fetched(`${folder}/${wasm}`, arrived)]);
  await load(`${folder}/ort.${card ? "jspi" : "wasm"}.min`);
  const [model, binary] = await parts;
  Object.assign(ort.env.wasm, { wasmBinary: binary.buffer, numThreads: 1, wasmPaths: new URL(`${folder}/`, location.href).href });
  ort.env.wasm.proxy = !card;  // the page stays quick while it computes
  network.session = await ort.InferenceSession.create(model, { executionProviders: card ? ["webgpu", "wasm"] : ["wasm"] });
  Object.assign(network, { engine: card ? "on the graphics card" : "on the processor", ready: performance.now() - asked });
}

async function ready() {
  if (missing()) { tell(missing()); return false; }
  navigator.serviceWorker?.register(`worker.js?${LIVE.runtime.folder}/${LIVE.runtime.network}`).catch(() => {});
  $("progress").hidden = Boolean(network.session);
  try {
    await (network.loading ||= start());
    tell(`The network is here, and computes ${network.engine}.`);
  } catch (error) {
    network.loading = null;
    tell(`The network cannot run in this browser (${error.message}): explore the stored pictures instead.`);
  }
  $("progress").hidden = true;
  $("sources").hidden = !network.session;
  return Boolean(network.session);
}

// ---- one picture through the network: its middle, in whole cells -------------------------------------------------
const pad = document.createElement("canvas");

function pixels(source, width, height) {
  Object.assign(pad, { width, height });
  const context = pad.getContext("2d", { willReadFrequently: true });
  const across = source.videoWidth || source.width, down = source.videoHeight || source.height;
  const scale = Math.max(width / across, height / down), [w, h] = [across * scale, down * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(source, (width - w) / 2, (height - h) / 2, w, h);
  return context.getImageData(0, 0, width, height).data;
}

async function look(rgba, width, height) {
  const answer = await network.session.run({ picture: new ort.Tensor("uint8", new Uint8Array(rgba.buffer), [1, height, width, 4]) });
  const [scores, value] = await Promise.all([answer.scores.getData(), answer.features.getData()]);
  return { width, height, scores, features: pooled(value, height / CELL, width / CELL) };
}

async function openPhoto(file) {
  closeCamera();
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return tell(`${file.name} is no picture that this browser can read: save it as JPEG or PNG.`);
  }
  const scale = SHORT / Math.min(bitmap.width, bitmap.height);
  const side = (length) => Math.min(3 * SHORT, Math.floor(Math.round(length * scale) / CELL) * CELL);  // a strip: its middle
  const [width, height] = [side(bitmap.width), side(bitmap.height)];
  const found = await look(pixels(bitmap, width, height), width, height);
  pixels(bitmap, 2 * width, 2 * height);
  const url = pad.toDataURL("image/jpeg", 0.9);
  const picture = { name: file.name, file: `own-${Date.now()}`, words: `your photo ${file.name}`, url, ...found };
  addPicture(picture).scrollIntoView({ block: "nearest" });
  await choosePicture(picture);
  showFive(picture);
}

function showFive(picture) {
  const first = ranked(picture.scores, 5);
  tell(`${picture.name}: ${first.map((c) => `${head.names[c]} ${say(picture.scores[c])}`).join(", ")}.`);
  $("five").replaceChildren(...first.map((c) => {
    const canvas = element("canvas"), frame = element("div", { className: "frame" }, element("img", { src: picture.url, alt: "" }), canvas);
    overlay(canvas, picture, c);
    const button = element("button", {}, frame, element("span", {}, head.names[c], element("b", {}, say(picture.scores[c]))));
    button.addEventListener("click", () => { choose("a", c); location.hash = "explore"; });
    return button;
  }));
}

function overlay(canvas, { features, width, height }, c) {
  const map = classMap(features, direction(c));
  paint(canvas, enlarge(map, features.rows, features.columns, height, width), height, width, highest(map), false, 0.75);
}

// ---- the camera: the chosen word's map over the moving picture ---------------------------------------------------
function showCamera(on) {
  $("live").hidden = !on;
  $("camera").ariaPressed = on;
  $("camera").textContent = on ? "Stop the camera" : "Start the camera";
}

async function openCamera() {
  if (camera.stream) return closeCamera();
  try {
    camera.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 640 } } });
  } catch (error) {
    return tell(`No camera (${error.message || error.name}): choose a photo, or explore the stored pictures.`);
  }
  $("video").srcObject = camera.stream;
  await $("video").play();
  showCamera(true);
  $("five").replaceChildren();
  tell("The camera is on; no frame of it is kept.");
  camera.times = [];
  follow().catch((error) => { closeCamera(); tell(`The camera stopped: ${error.message}.`); });
}

function closeCamera() {
  camera.stream?.getTracks().forEach((track) => track.stop());
  camera.stream = null;
  showCamera(false);
}

async function follow() {
  const next = () => look(pixels($("video"), SHORT, SHORT), SHORT, SHORT);
  let coming = next();
  while (camera.stream) {
    const found = await coming;
    if (document.hidden) await new Promise(requestAnimationFrame);
    coming = next();  // computed while this one is drawn
    camera.scores = found.scores;
    const first = ranked(found.scores, 3), c = camera.chosen ?? first[0];
    overlay($("liveheat"), { ...found, width: DRAWN, height: DRAWN }, c);
    const press = (word) => chooseLive(word === camera.chosen ? null : word);
    list($("livewords"), first.includes(c) ? first : [...first, c], found.scores, (word) => word === c, press);
    camera.times = [...camera.times.slice(-19), performance.now()];
    const seconds = (camera.times.at(-1) - camera.times[0]) / 1000, count = camera.times.length - 1;
    if (count > 2) $("speed").textContent = `${Math.round(count / seconds)} maps a second`;
  }
  await coming;
}

function chooseLive(word) {
  camera.chosen = word;
  $("c").value = word === null ? "" : head.names[word];
}

// ---- what is pressed ---------------------------------------------------------------------------------------------
const turned = (part) => (part === "own" ? ready() : closeCamera());
combobox($("c"), () => camera.scores || state.scores, chooseLive, true);
$("c").addEventListener("blur", () => chooseLive(camera.chosen));
$("file").addEventListener("change", (event) => { if (event.target.files[0]) openPhoto(event.target.files[0]); event.target.value = ""; });
$("camera").addEventListener("click", openCamera);
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  const file = event.dataTransfer.files[0];
  location.hash = "own";
  if (file && await ready()) openPhoto(file);
});
