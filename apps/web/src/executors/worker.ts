// The worker in which encoders run, so that the page never waits for one.

import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import type { Call, Reply } from "./in_worker";
import { OnnxExecutor } from "./onnx";

const executor = new OnnxExecutor(new URL(wasm, self.location.href).href);

self.onmessage = async ({ data: { number, method, args } }: MessageEvent<Call>) => {
  const reply: Reply = { number };
  try {
    const result = await (executor[method] as (...given: unknown[]) => Promise<Float32Array | void>)(...args);
    if (result) reply.result = result;
  } catch (error) {
    reply.problem = error instanceof Error ? error.message : String(error);
  }
  self.postMessage(reply);
};
