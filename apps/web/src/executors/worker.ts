// The worker in which encoders run and heads are learned, so that the page never waits for them.

import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { learn, type Take } from "../core/learning";
import type { Call, Reply } from "./in_worker";
import { OnnxExecutor } from "./onnx";

const executor = new OnnxExecutor(new URL(wasm, self.location.href).href);
self.onmessage = async ({ data: { number, method, args } }: MessageEvent<Call>) => {
  const reply: Reply = { number };
  try {
    if (method === "learn") reply.result = learn(...(args as [Take[], number]));
    else reply.result = await (executor[method] as (...given: unknown[]) => Promise<unknown>)(...args);
  } catch (error) {
    reply.problem = error instanceof Error ? error.message : String(error);
  }
  self.postMessage(reply);
};
