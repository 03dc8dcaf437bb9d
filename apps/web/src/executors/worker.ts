// The worker in which encoders run by WebAssembly and heads are learned, so that the page never waits for them.

import * as ort from "onnxruntime-web/wasm";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { learn } from "../core/learning";
import { OnnxExecutor } from "./onnx";
import { serve } from "./serving";
import { program } from "./program";

serve(Object.assign(new OnnxExecutor(ort, "wasm", program(wasm)), { learn }));
