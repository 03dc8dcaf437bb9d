// An executor runs the encoders of a bundle: the place that another runtime, such as LiteRT's, could fill.

import type { InputSpec } from "../core/spec";

export type Input = Float32Array | Uint8Array | BigInt64Array;

export interface Executor {
  /** The target of the artifacts that it runs. */
  readonly target: string;
  /** Load the encoder of a modality, whose embeddings have `size` numbers. */
  load(modality: string, artifact: Uint8Array<ArrayBuffer>, spec: InputSpec, size: number): Promise<void>;
  encode(modality: string, window: Input): Promise<Float32Array>;
  unload(modality: string): Promise<void>;
}
