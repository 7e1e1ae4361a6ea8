// Your photo and the camera: the whole network, by ONNX Runtime Web, in the page. Nothing is sent anywhere.
"use strict";

const CELL = 32, SHORT = 224;  // pixels
const network = { session: null, loading: null, engine: null };
const camera = { stream: null, chosen: null, scores: null, features: null, times: [] };

const unavailable = () => {
  if (!LIVE.runtime) return "This copy of the page was built without the network: explore the stored pictures instead.";
  if (!location.protocol.startsWith("http")) {
    return "From a folder a browser may not load the network. Explore the stored pictures instead, or serve the pages, for "
      + "example with “python -m http.server”, and open http://localhost:8000.";
  }
  return "";
};

// ---- loading: with a bar; a service worker keeps what came, for the next visit ----------------------------------
async function fetched(address, size, arrived) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  const out = new Uint8Array(size), reader = answer.body.getReader();
  let at = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    out.set(part.value, at);
    at += part.value.length;
    arrived(part.value.length);
  }
  return out;
}

async function graphicsCard() {
  const adapter = "Suspending" in WebAssembly && await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !(adapter.info?.isFallbackAdapter || adapter.isFallbackAdapter);  // one in software is slower
}

async function start(file = LIVE.runtime.network, size = LIVE.runtime.sizes[file]) {
  const { folder, sizes } = LIVE.runtime, card = await graphicsCard();
  const wasm = `ort-wasm-simd-threaded${card ? ".jspi" : ""}.wasm`, all = size + sizes[wasm];
  const asked = performance.now();
  let here = 0;
  const arrived = (count) => {
    here += count;
    $("progress").value = here / all;
    $("state").textContent = `Loading the network: ${(here / 1e6).toFixed(1)} of ${(all / 1e6).toFixed(1)} MB.`;
  };
  $("progress").hidden = false;
  const parts = Promise.all([fetched(file, size, arrived), fetched(`${folder}/${wasm}`, sizes[wasm], arrived)]);
  await load(`${folder}/ort.${card ? "jspi" : "wasm"}.min`);
  const [model, binary] = await parts;
  Object.assign(ort.env.wasm, { wasmBinary: binary.buffer, numThreads: 1, wasmPaths: new URL(`${folder}/`, location.href).href });
  ort.env.wasm.proxy = !card;  // the page stays quick while it computes
  network.session = await ort.InferenceSession.create(model, { executionProviders: card ? ["webgpu", "wasm"] : ["wasm"] });
  network.engine = card ? "on the graphics card" : "on the processor";
  network.ready = performance.now() - asked;
  $("progress").hidden = true;
  return network.session;
}

async function ready() {
  const reason = unavailable();
  $("sources").hidden = Boolean(reason);
  if (reason) { $("state").textContent = reason; return false; }
  if ("serviceWorker" in navigator) navigator.serviceWorker.register("worker.js").catch(() => {});
  try {
    await (network.loading ||= start());
  } catch (error) {
    network.loading = null;
    $("progress").hidden = true;
    $("sources").hidden = true;
    $("state").textContent = `The network cannot run in this browser (${error.message}): explore the stored pictures instead.`;
    return false;
  }
  $("state").textContent = `The network is here, and computes ${network.engine}.`;
  return true;
}

// ---- one picture through the network: an image, video frame or canvas, its middle in whole cells -----------------
const pad = document.createElement("canvas");

function pixels(source, width, height) {
  Object.assign(pad, { width, height });
  const context = pad.getContext("2d", { willReadFrequently: true }), scale = Math.max(width / wide(source), height / high(source));
  context.imageSmoothingQuality = "high";
  const [w, h] = [wide(source) * scale, high(source) * scale];
  context.drawImage(source, (width - w) / 2, (height - h) / 2, w, h);
  const rgba = context.getImageData(0, 0, width, height).data, count = width * height, out = new Float32Array(3 * count);
  for (let i = 0; i < count; i++) for (let c = 0; c < 3; c++) out[c * count + i] = rgba[4 * i + c] / 255;
  return out;
}
const wide = (source) => source.videoWidth || source.naturalWidth || source.width;
const high = (source) => source.videoHeight || source.naturalHeight || source.height;

async function look(values, width, height) {
  const answer = await network.session.run({ picture: new ort.Tensor("float32", values, [1, 3, height, width]) });
  return {
    scores: await answer.scores.getData(),
    features: sparse(await answer.features.getData(), height / CELL, width / CELL),
  };
}

async function openPhoto(file) {
  closeCamera();
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    $("state").textContent = `${file.name} is no picture that this browser can read: save it as JPEG or PNG.`;
    return;
  }
  const scale = SHORT / Math.min(bitmap.width, bitmap.height);
  const side = (length) => Math.min(3 * SHORT, Math.floor(Math.round(length * scale) / CELL) * CELL);  // a strip: its middle
  const [width, height] = [side(bitmap.width), side(bitmap.height)];
  const found = await look(pixels(bitmap, width, height), width, height);
  pixels(bitmap, 2 * width, 2 * height);
  const picture = { name: file.name, file: `own-${Date.now()}`, words: `your photo ${file.name}`, url: pad.toDataURL("image/jpeg", 0.9) };
  Object.assign(picture, { width, height, ...found });
  addPicture(picture).scrollIntoView({ block: "nearest" });
  await choosePicture(picture);
  showFive(picture);
}

function showFive(picture) {
  const first = ranked(picture.scores, 5);
  $("state").textContent = `${picture.name}: ${first.map((c) => `${head.names[c]} ${say(picture.scores[c])}`).join(", ")}.`;
  $("five").replaceChildren(...first.map((c) => {
    const canvas = element("canvas"), frame = element("div", { className: "frame" }, element("img", { src: picture.url, alt: "" }), canvas);
    overlay(canvas, picture, c);
    const button = element("button", {}, frame, element("span", {}, head.names[c], element("b", {}, say(picture.scores[c]))));
    button.addEventListener("click", () => { choose("a", c); tablist.show("explore", true); });
    return button;
  }));
}

function overlay(canvas, { features, width, height }, c) {
  const map = classMap(features, direction(c));
  paint(canvas, enlarge(map, features.rows, features.columns, height, width), height, width, highest(map), false, 0.75);
}

// ---- the camera: the chosen word's map over the moving picture ---------------------------------------------------
async function openCamera() {
  if (camera.stream) return closeCamera();
  try {
    camera.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 640 } } });
  } catch (error) {
    $("state").textContent = `No camera (${error.message || error.name}): choose a photo, or explore the stored pictures.`;
    return;
  }
  $("video").srcObject = camera.stream;
  await $("video").play();
  $("live").hidden = false;
  $("five").replaceChildren();
  $("state").textContent = "The camera is on; no frame of it is kept.";
  $("camera").setAttribute("aria-pressed", true);
  $("camera").textContent = "Stop the camera";
  camera.times = [];
  follow().catch((error) => { closeCamera(); $("state").textContent = `The camera stopped: ${error.message}.`; });
}

function closeCamera() {
  camera.stream?.getTracks().forEach((track) => track.stop());
  camera.stream = null;
  $("live").hidden = true;
  $("camera").setAttribute("aria-pressed", false);
  $("camera").textContent = "Start the camera";
}

async function follow() {
  const next = () => look(pixels($("video"), SHORT, SHORT), SHORT, SHORT);
  let coming = next();
  while (camera.stream) {
    Object.assign(camera, await coming);
    if (document.hidden) await new Promise(requestAnimationFrame);
    coming = next();  // computed while this one is drawn
    const first = ranked(camera.scores, 3), c = camera.chosen ?? first[0];
    overlay($("liveheat"), { features: camera.features, width: SHORT, height: SHORT }, c);
    const shown = camera.chosen === null || first.includes(c) ? first : [...first, c];
    list($("livewords"), shown, camera.scores, c, (word) => chooseLive(word === camera.chosen ? null : word));
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

combobox($("c"), () => camera.scores || scores.all, chooseLive, true);
$("c").addEventListener("blur", () => chooseLive(camera.chosen));
$("file").addEventListener("change", (event) => { if (event.target.files[0]) openPhoto(event.target.files[0]); event.target.value = ""; });
$("camera").addEventListener("click", openCamera);
document.addEventListener("opened", (event) => { if (event.detail === "own") ready(); else closeCamera(); });
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  const file = event.dataTransfer.files[0];
  if (!file) return;
  tablist.show("own");
  if (await ready()) openPhoto(file);
});
