// ONNX models by onnxruntime-web: WebAssembly, one thread, which needs no special headers of the server; or WebGPU.

import type * as Ort from "onnxruntime-web/wasm";
import { SensembleError, type InputSpec } from "../core/spec";
import type { Executor, Input } from "./executor";

const LARGEST = 1e12; // of an embedding's numbers
const TYPES = { float32: "float32", uint8: "uint8", int64: "int64" } as const;

interface Encoder {
  session: Ort.InferenceSession;
  spec: InputSpec;
  size: number;
}

export class OnnxExecutor implements Executor {
  readonly target = "onnx";
  private readonly encoders = new Map<string, Encoder>();

  /** `ort` is the build of ONNX Runtime that has the provider; `wasm` is its WebAssembly. */
  constructor(private readonly ort: Pick<typeof Ort, "env" | "InferenceSession" | "Tensor">, private readonly provider: "wasm" | "webgpu", private readonly wasm: Promise<ArrayBuffer>) {
    ort.env.wasm.numThreads = 1;
  }

  async load(modality: string, artifact: Uint8Array<ArrayBuffer>, spec: InputSpec, size: number): Promise<void> {
    this.ort.env.wasm.wasmBinary = await this.wasm;
    const session = await this.ort.InferenceSession.create(artifact, { executionProviders: [this.provider], logSeverityLevel: 3 });
    await this.unload(modality);
    if (session.inputNames.length !== 1 || session.outputNames.length !== 1) throw new SensembleError(`${modality}: its encoder has not one input and one output`);
    this.encoders.set(modality, { session, spec, size });
  }

  async encode(modality: string, window: Input): Promise<Float32Array> {
    const encoder = this.encoders.get(modality);
    if (!encoder) throw new SensembleError(`${modality}: its encoder is not loaded`);
    const { session, spec, size } = encoder;
    const tensor = new this.ort.Tensor(TYPES[spec.dtype], window as never, spec.shape);
    const output = Object.values(await session.run({ [session.inputNames[0]]: tensor }))[0].data;
    if (!(output instanceof Float32Array) || output.length !== size || !output.every((value) => Math.abs(value) <= LARGEST))
      throw new SensembleError(`${modality}: its encoder gave no embedding of ${size} finite numbers`);
    return output;
  }

  async unload(modality: string): Promise<void> {
    const encoder = this.encoders.get(modality);
    this.encoders.delete(modality);
    await encoder?.session.release();
  }
}
