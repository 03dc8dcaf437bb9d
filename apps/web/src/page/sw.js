// The service worker: the page works without a network once it was opened with one.
// The build fills in VERSION and FILES.

const APP = `sensemble-app-${VERSION}`;
const BUNDLES = "sensemble-bundles";

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(APP).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = (names) => names.filter((name) => name.startsWith("sensemble-app-") && name !== APP);
  event.waitUntil(
    caches.keys().then((names) => Promise.all(old(names).map((name) => caches.delete(name)))).then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { method, url, mode } = event.request;
  if (method !== "GET" || new URL(url).origin !== self.location.origin) return;
  // What is named by its content never changes; all else is asked for first.
  const fixed = mode !== "navigate" && (/\/assets\//.test(url) || /[?&]sha256=/.test(url));
  event.respondWith(fixed ? kept(event.request) : asked(event.request));
});

async function kept(request) {
  return (await caches.match(request)) ?? asked(request);
}

async function asked(request) {
  try {
    const response = await fetch(request);
    if (response.ok) await (await caches.open(BUNDLES)).put(request, response.clone());
    return response;
  } catch (error) {
    const found = await caches.match(request, { ignoreSearch: request.mode === "navigate" });
    if (!found) throw error;
    return found;
  }
}
