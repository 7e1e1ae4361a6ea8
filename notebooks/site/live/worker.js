// Keeps what was loaded once: runtime and network, whose names change with their content, are taken from there at once;
// everything else is asked for first, and taken from there without a network. A new network empties the store.
"use strict";

const NAME = "live-page", KEPT = NAME + self.location.search;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(renew()));
self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET" && event.request.url.startsWith(self.registration.scope)) event.respondWith(answer(event.request));
});

async function renew() {
  for (const name of await caches.keys()) if (name.startsWith(NAME) && name !== KEPT) await caches.delete(name);
  await self.clients.claim();
}

async function answer(request) {
  const kept = await caches.open(KEPT), before = await kept.match(request);
  if (before && /\/onnxruntime-web-|\/network-[0-9a-f]+\.onnx$/.test(request.url)) return before;
  const fresh = await fetch(request).catch(() => before || Response.error());
  if (fresh !== before && fresh.ok) await kept.put(request, fresh.clone());
  return fresh;
}
