// WebGPU beside WebAssembly: each encoder runs by whichever of the two is quicker here, if both give the same answers.

import type { Executor, Input } from "./executor";
import type { WorkerExecutor } from "./in_worker";

const EQUAL = 0.9999; // cosine of two embeddings
const ROUNDS = 5; // encodings that are timed
const QUICK = 20; // milliseconds of an encoding below which a GPU is not worth loading 4 MB

export interface GpuTrial {
  cosine: number;
  /** Whether the most probable class is the same. */
  agrees: boolean;
  /** Milliseconds of the quickest encoding, by WebAssembly and by WebGPU. */
  usual: number;
  gpu: number;
}

/** Return whether the browser has a GPU, and WebAssembly that can wait for it. */
export async function hasGpu(): Promise<boolean> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<object | null> } };
  return "Suspending" in WebAssembly && Boolean(await gpu?.requestAdapter().catch(() => null));
}

export class QuickerExecutor implements Executor {
  readonly target = "onnx";
  /** By modality, what runs its encoder. */
  readonly runs: Record<string, "WebAssembly" | "WebGPU"> = {};
  readonly trials: Record<string, GpuTrial | string> = {};
  private readonly available = hasGpu();
  private readonly untried = new Map<string, Parameters<Executor["load"]>>();
  private gpu: WorkerExecutor | null = null;
  /** Resolves after the trials that were begun. */
  done: Promise<void> = Promise.resolve();
  private queued = 0;

  constructor(
    private readonly usual: Executor,
    /** Says whether two embeddings of a window mean the same class. */
    private readonly agree: (modality: string, one: Float32Array, other: Float32Array) => boolean,
    /** Starts the executor of WebGPU, in a worker of `gpu_worker.ts`. */
    private readonly start: () => WorkerExecutor,
  ) {}

  async load(...given: Parameters<Executor["load"]>): Promise<void> {
    const [modality, artifact, ...form] = given;
    if (await this.available) this.untried.set(modality, [modality, artifact.slice(), ...form]);
    await this.usual.load(...given);
    this.runs[modality] = "WebAssembly";
  }

  async encode(modality: string, window: Input): Promise<Float32Array> {
    if (this.runs[modality] === "WebGPU")
      try {
        return await this.gpu!.encode(modality, window);
      } catch {
        this.runs[modality] = "WebAssembly"; // the GPU was lost
      }
    const began = performance.now();
    const embedding = await this.usual.encode(modality, window);
    const quick = performance.now() - began < QUICK;
    const load = this.untried.get(modality);
    this.untried.delete(modality);
    if (load && !quick) this.queue(() => this.try(load, window, embedding).catch((error: unknown) => void (this.trials[modality] = String(error)))); // nothing waits for it
    return embedding;
  }

  async unload(modality: string): Promise<void> {
    this.untried.delete(modality);
    delete this.runs[modality];
    await this.gpu?.unload(modality);
    await this.usual.unload(modality);
  }

  /** Do one trial after the other, and end the worker if none of its encoders is used. */
  private queue(trial: () => Promise<void>): void {
    this.queued++;
    this.done = this.done.then(trial).then(() => {
      if (--this.queued || Object.values(this.runs).includes("WebGPU")) return;
      this.gpu?.close();
      this.gpu = null;
    });
  }

  private async try(load: Parameters<Executor["load"]>, window: Input, embedding: Float32Array): Promise<void> {
    const [modality] = load;
    const gpu = (this.gpu ??= this.start());
    await gpu.load(...load);
    const found = await gpu.encode(modality, window); // compiles it, too
    const milliseconds = async (executor: Executor): Promise<number> => {
      const began = performance.now();
      await executor.encode(modality, window);
      return performance.now() - began;
    };
    const trial: GpuTrial = { cosine: cosine(embedding, found), agrees: this.agree(modality, embedding, found), usual: Infinity, gpu: Infinity };
    for (let round = 0; round < ROUNDS; round++) {
      trial.usual = Math.min(trial.usual, await milliseconds(this.usual));
      trial.gpu = Math.min(trial.gpu, await milliseconds(gpu));
    }
    this.trials[modality] = trial;
    if (this.runs[modality] && trial.cosine >= EQUAL && trial.agrees && trial.gpu < trial.usual) this.runs[modality] = "WebGPU";
    else await gpu.unload(modality);
  }
}

function cosine(one: Float32Array, other: Float32Array): number {
  const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i], 0);
  return dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
}
