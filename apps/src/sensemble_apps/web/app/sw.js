const VERSION = "f5ba150f8e5a";
const FILES = ["./","app.webmanifest","assets/browser-BvGt_LFQ.js","assets/capture-BDfHWMAO.js","assets/encode-BexTj-IL.js","assets/in_worker-DniuaJZz.js","assets/index-F5Tt5AdF.js","assets/index-nWMSSYi8.css","assets/ort-wasm-simd-threaded-DcHrbrbl.wasm.gz","assets/sql-wasm-CXIAVl5-.wasm.gz","assets/sql-wasm-browser-DTlAvlsk.js","assets/worker-Cz4tHlF_.js","icon-192.png","icon-512.png","icon.svg"];
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
  event.respondWith(fixed ? kept(event) : asked(event));
});

async function kept(event) {
  return (await caches.match(event.request)) ?? asked(event);
}

async function asked(event) {
  const { request } = event;
  let response;
  try {
    response = await fetch(request);
  } catch (error) {
    const found = await caches.match(request, { ignoreSearch: request.mode === "navigate" });
    if (!found) throw error;
    return found;
  }
  // A full disk takes nothing from the page.
  if (response.ok) event.waitUntil(keep(request, response.clone()).catch(() => {}));
  return response;
}

/** Keep a file, if it is what its name says; with a manifest, of the files beside it only those that it names. */
async function keep(request, response) {
  const cache = await caches.open(BUNDLES);
  const { pathname, searchParams } = new URL(request.url);
  const named = searchParams.get("sha256");
  if (named && (await sha256(response.clone())) !== named) return;
  const manifest = pathname.endsWith("/manifest.json") ? await response.clone().text() : null;
  await cache.put(request, response);
  if (manifest === null) return;
  const folder = request.url.slice(0, request.url.lastIndexOf("/") + 1);
  for (const { url } of await cache.keys()) {
    const old = new URL(url).searchParams.get("sha256");
    if (old && url.startsWith(folder) && !manifest.includes(old)) await cache.delete(url);
  }
}

/** Hash a file; what is compressed is named by what it holds. */
async function sha256(response) {
  let bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
