// The input of one encoder and a sensor's samples, as in the runtime's `spec.py` and `sensor.py`.

export interface InputSpec {
  modality: string;
  dtype: "uint8" | "float32" | "int64";
  /** Waveform [1, S]; frames [1, T, H, W, 3]; text [1, L]. */
  shape: number[];
  /** Samples or frames a second; 0 for text, as are the window and the hop in seconds. */
  rate: number;
  window: number;
  hop: number;
  /** Seconds for which an embedding stays in the live set. */
  ttl: number;
  /** How the modality is handled, whatever its name: see `kinds.ts`. */
  kind: string;
  /** The device that carries the sensor, and is lost with it; empty: it is by itself. */
  device: string;
  /** Of a series alone. */
  channels: { name: string; unit: string; low?: number; high?: number }[];
}

/** Sound float32 [n] in [-1, 1], rows of a series float32 [n, C], a picture uint8 [H, W, 3], or a caption. */
export type Media = Float32Array | Uint8Array | string;

export interface Sample {
  modality: string;
  data: Media;
  /** The end of `data`, in seconds of one steady clock. */
  time: number;
  /** The stream starts again here: no window spans this sample and the one before. */
  cut?: boolean;
  /** Samples dropped just before this one. */
  lost?: number;
}

/** The input of one encoder call; `time` is that of its end. */
export interface Window {
  data: Media;
  time: number;
}

/** One line that says what is wrong and, in a bundle, where. */
export class SensembleError extends Error {}
