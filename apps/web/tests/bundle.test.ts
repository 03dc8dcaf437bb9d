// What is refused of a bundle, and where its line says it is.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Bundle, type Files } from "../src/core/bundle";
import { parseManifest } from "../src/core/manifest";
import { SensembleError } from "../src/core/spec";

const folder = join(process.env["VECTORS"]!, "multi-class");

/** The bundle in the folder, but for one file. */
function altered(path: string, change: (data: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>): Files {
  return {
    read: async (name) => {
      const data = new Uint8Array(readFileSync(join(folder, name)));
      return name === path ? change(data) : data;
    },
  };
}

const flipped = (data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => data.map((byte, i) => (i === data.length - 1 ? byte ^ 1 : byte));

/** The manifest with a value at a dotted place. */
const set = (place: string, value: unknown) =>
  altered("manifest.json", (data) => {
    const raw = JSON.parse(new TextDecoder().decode(data));
    const keys = place.split(".");
    const parent = keys.slice(0, -1).reduce((object, key) => object[key], raw);
    if (value === undefined) delete parent[keys.at(-1)!];
    else parent[keys.at(-1)!] = value;
    return new TextEncoder().encode(JSON.stringify(raw));
  });

test.each(["head.safetensors", "tokenizer.json"])("%s altered by a bit, or cut", async (path) => {
  await expect(Bundle.open(altered(path, flipped))).rejects.toThrow(`${path}: altered`);
  await expect(Bundle.open(altered(path, (data) => data.slice(1)))).rejects.toThrow("the manifest says");
});

test.each([
  ["head.path", "../head.safetensors"],
  ["head.path", "/etc/passwd"],
  ["modalities.audio.artifacts.onnx.path", "audio/../../x"],
  ["head.sha256", "0"],
  ["head.bytes", 2 ** 40],
  ["labels", ["one", "one", "two"]],
  ["labels", undefined],
  ["unheard", 1],
  ["schema", 8],
  ["modalities.audio.spec.kind", "smell"],
  ["embedding", "8"],
  ["modalities.audio.spec.shape", [1, 101]],
  ["modalities.audio.spec.ttl", 0.1],
  ["modalities.video.spec.shape", [1, 2, 12, 16, 4]],
  ["modalities.audio.artifacts.onnx", undefined],
  ["tokenizer", null],
  ["calibration.redundancy", 2],
  ["calibration.prior", [0.5]],
  ["calibration.threshold", 2.1],
  ["calibration.modalities.audio.temperature", 0],
  ["calibration.modalities.smell", { temperature: 1, power: 0, examples: 0, groups: 0 }],
  ["audited.audio.n", 0],
])("a manifest whose %s is %j", async (place, value) => {
  const refused = await Bundle.open(set(place, value)).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(SensembleError);
  expect((refused as Error).message.split("\n")).toHaveLength(1);
});

test.each([
  [{ kind: "smell" }, "the kind smell"],
  [{ dtype: "float32", shape: [1, 2, 12, 16, 1], channels: [{ name: "heat", unit: "" }] }, "frames of one channel"],
])("a camera that is %j", async (spec, form) => {
  const { modalities } = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  const grey = { ...modalities.video.spec, ...spec };
  const line = `manifest.json: modalities.video: ${form}, which no browser gives; export a run without that sensor`;
  await expect(Bundle.open(set("modalities.video.spec", grey))).rejects.toThrow(line);
});

test("a manifest of 4,096 modalities is read", () => {
  const raw = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  const { text } = raw.modalities;
  for (let i = 3; i < 4096; i++) raw.modalities[`text.${i}`] = { ...text, spec: { ...text.spec, modality: `text.${i}` } };
  raw.audited["audio+text.9+text.99"] = raw.audited.audio;
  expect(Object.keys(parseManifest(JSON.stringify(raw)).modalities)).toHaveLength(4096);
  raw.audited["text.99+text.9"] = raw.audited.audio;
  expect(() => parseManifest(JSON.stringify(raw))).toThrow("audited.text.99+text.9");
});

test("an artifact that was altered, or is not there, does not run", async () => {
  const bundle = await Bundle.open(altered("", flipped));
  await expect(bundle.artifact("audio")).rejects.toThrow("x.onnx");
});
