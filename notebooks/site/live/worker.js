// Keeps what was loaded once: runtime and network, whose names change with their content, are taken from there at once;
// everything else is asked for first, and taken from there without a network.
"use strict";

const KEPT = "live-page";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET" && event.request.url.startsWith(self.registration.scope)) event.respondWith(answer(event.request));
});

async function answer(request) {
  const kept = await caches.open(KEPT), lasting = /\/onnxruntime-web-|\/network-[0-9a-f]+\.onnx$/.test(request.url);
  const before = await kept.match(request);
  if (before && lasting) return before;
  try {
    const fresh = await fetch(request);
    if (fresh.ok) {
      if (lasting && !before) await forgetOlder(kept, request.url);
      await kept.put(request, fresh.clone());
    }
    return fresh;
  } catch (error) {
    if (before) return before;
    throw error;
  }
}

async function forgetOlder(kept, address) {
  const kind = (url) => url.replace(/-[0-9a-f]+\.onnx$/, ".onnx").replace(/web-[\d.]+\//, "web/");
  for (const request of await kept.keys()) {
    if (request.url !== address && kind(request.url) === kind(address)) await kept.delete(request);
  }
}
