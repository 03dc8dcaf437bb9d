// What the service worker keeps of what it fetches.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { createContext, runInContext } from "node:vm";
import { beforeEach, expect, test } from "vitest";

const HERE = "https://page.test/";
const hash = (text: string): string => createHash("sha256").update(text).digest("hex");

let site: Record<string, string | Uint8Array<ArrayBuffer>>; // what the network gives; empty: there is none
let stored: Map<string, Response>;
let full: boolean;
let handle: (event: unknown) => void;

beforeEach(() => {
  [site, stored, full] = [{}, new Map(), false];
  const urlOf = (asked: Request | string): string => (typeof asked === "string" ? asked : asked.url);
  const cache = {
    put: async (request: Request, response: Response) => {
      if (full) throw new Error("QuotaExceededError");
      stored.set(request.url, new Response(await response.arrayBuffer()));
    },
    keys: async () => [...stored.keys()].map((url) => new Request(url)),
    delete: async (asked: Request | string) => stored.delete(urlOf(asked)),
  };
  const self = {
    location: { origin: new URL(HERE).origin },
    addEventListener: (type: string, listener: typeof handle) => type === "fetch" && (handle = listener),
  };
  const fetch = async ({ url }: Request): Promise<Response> => {
    const [body] = Object.entries(site).filter(([path]) => url.startsWith(HERE + path)).map(([, text]) => text);
    if (body === undefined) throw new TypeError("Failed to fetch");
    return new Response(body);
  };
  const caches = { open: async () => cache, match: async (request: Request) => stored.get(request.url)?.clone() };
  const source = `const VERSION = "1"; const FILES = [];\n${readFileSync("src/page/sw.js", "utf8")}`;
  runInContext(source, createContext({ self, fetch, caches, crypto, URL, Uint8Array, Response, Blob, DecompressionStream }));
});

/** Return what the page gets at a path, once the worker is done. */
async function get(path: string): Promise<string> {
  const more: Promise<unknown>[] = [];
  let answer: Promise<Response>;
  handle({ request: new Request(HERE + path), respondWith: (given: Promise<Response>) => (answer = given), waitUntil: (one: Promise<unknown>) => more.push(one) });
  const text = await (await answer!).text();
  await Promise.all(more);
  return text;
}

test("wrong bytes are not kept, and right ones are asked for once", async () => {
  const path = `b/x.onnx?sha256=${hash("right")}`;
  site = { "b/x.onnx": "half" };
  expect([await get(path), stored.size]).toEqual(["half", 0]);
  site = { "b/x.onnx": "right" };
  expect(await get(path)).toBe("right");
  site = {};
  expect(await get(path)).toBe("right");
});

test("compressed bytes are kept by what they hold", async () => {
  const [path, packed] = [`b/x.onnx?sha256=${hash("right")}`, gzipSync("right")];
  site = { "b/x.onnx": packed };
  await get(path);
  expect(new Uint8Array(await stored.get(HERE + path)!.arrayBuffer())).toEqual(new Uint8Array(packed));
});

test("what does not fit on the disk still reaches the page", async () => {
  [full, site] = [true, { "b/manifest.json": "new" }];
  stored.set(`${HERE}b/manifest.json`, new Response("old"));
  expect(await get("b/manifest.json")).toBe("new");
});

test("a new manifest lets go of what the one before it named", async () => {
  site = { "b/x.onnx": "one", "c/x.onnx": "other" };
  await get(`b/x.onnx?sha256=${hash("one")}`);
  await get(`c/x.onnx?sha256=${hash("other")}`);
  site = { "b/x.onnx": "two", "b/manifest.json": hash("two") };
  await get("b/manifest.json");
  await get(`b/x.onnx?sha256=${hash("two")}`);
  await get("b/manifest.json");
  const left = [`c/x.onnx?sha256=${hash("other")}`, "b/manifest.json", `b/x.onnx?sha256=${hash("two")}`];
  expect([...stored.keys()]).toEqual(left.map((path) => HERE + path));
});
