// The worker in which encoders run by WebGPU. Its WebAssembly waits for the GPU by JSPI: `asyncify` is 10 MB larger.

import * as ort from "onnxruntime-web/jspi";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url";
import { OnnxExecutor } from "./onnx";
import { serve } from "./serving";
import { program } from "./program";

serve(new OnnxExecutor(ort, "webgpu", program(wasm)));
