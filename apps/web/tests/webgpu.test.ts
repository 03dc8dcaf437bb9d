// Which encoder runs by WebGPU: the one that is quicker there and says the same, for as long as it works.

import { afterEach, expect, test, vi } from "vitest";
import { WorkerExecutor } from "../src/executors/in_worker";
import { QuickerExecutor } from "../src/executors/webgpu";
import type { InputSpec } from "../src/core/spec";

afterEach(() => vi.unstubAllGlobals());

let now = 0;
const WINDOW = new Float32Array(3);

/** An executor whose encoding takes so many milliseconds. */
function executor(milliseconds: number, embedding: number[]) {
  const found = { target: "onnx", load: vi.fn(async () => {}), unload: vi.fn(async () => {}), close: vi.fn(), encode: vi.fn(async () => ((now += milliseconds), Float32Array.from(embedding))) };
  return found as typeof found & WorkerExecutor;
}

async function tried(gpu: WorkerExecutor, adapter: object | null = {}, milliseconds = 50) {
  vi.stubGlobal("navigator", { gpu: { requestAdapter: async () => adapter } });
  vi.stubGlobal("WebAssembly", { Suspending: Object });
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const usual = executor(milliseconds, [0.001, 2]);
  const both = new QuickerExecutor(usual, (_, one, other) => Math.sign(one[0]) === Math.sign(other[0]), () => gpu);
  await both.load("video", new Uint8Array(4), {} as InputSpec, 2);
  await both.encode("video", WINDOW);
  await both.done;
  usual.encode.mockClear();
  return { both, usual, runs: both.runs["video"] };
}

test("one that is quicker and says the same", async () => {
  const gpu = executor(1, [0.001, 2.001]);
  const { both, usual, runs } = await tried(gpu);
  expect([runs, await both.encode("video", WINDOW)]).toEqual(["WebGPU", Float32Array.of(0.001, 2.001)]);
  expect(usual.encode).not.toHaveBeenCalled();
  gpu.encode.mockRejectedValue(new Error("the device is lost"));
  expect([await both.encode("video", WINDOW), both.runs]).toEqual([Float32Array.of(0.001, 2), { video: "WebAssembly" }]);
});

test.each([
  ["slower", executor(60, [0.001, 2])],
  ["of another embedding", executor(1, [0.1, 2])],
  ["of another class", executor(1, [-0.001, 2])],
])("one that is %s is not used, and its worker ends", async (_, gpu) => {
  const { runs } = await tried(gpu);
  expect(runs).toBe("WebAssembly");
  expect(gpu.close).toHaveBeenCalledOnce();
});

test("one that does not load", async () => {
  const gpu = executor(1, [0.001, 2]);
  gpu.load.mockRejectedValue(new Error("no such operator"));
  const { both, runs } = await tried(gpu);
  expect([runs, both.trials]).toEqual(["WebAssembly", { video: "Error: no such operator" }]);
  expect(gpu.close).toHaveBeenCalledOnce();
});

test.each([
  ["without an adapter", null, 50],
  ["where WebAssembly is quick", {}, 5],
])("nothing is loaded %s", async (_, adapter, milliseconds) => {
  const gpu = executor(1, [0.001, 2]);
  const { runs } = await tried(gpu, adapter, milliseconds);
  expect([runs, gpu.load.mock.calls]).toEqual(["WebAssembly", []]);
});
