// The head of Eq. 7, its file, pooling, and calibrated probabilities: the runtime's `head.py` and `pooling.py`.
// Sums are of doubles, rounded to float32 where NumPy stores float32.

import { SensembleError } from "./spec";

export type Task = "multi-class" | "multi-label";

const LARGEST = 1e12;
export const KNOWN = Math.log(29); // the log-odds that a window shows one of the classes, before any evidence
const UNKNOWN = 0.99; // the most that an opinion is doubted: it still has a likeliest class

export interface Head {
  task: Task;
  /** Row by row, [C, d]. */
  weight: Float32Array;
  bias: Float32Array;
  familiarity: Familiarity | null;
}

/** How familiar embeddings are, by modality, sorted: the smaller of a linear score and the nearness of means. */
export interface Familiarity {
  weight: Float32Array;
  bias: Float32Array;
  /** Some means of each class, [n, C, p, d]; null for the linear score alone. */
  means: Float32Array | null;
  offset: Float32Array | null;
}

/** Return the mean of embeddings, in the order of their modalities' names. */
export function pool(embeddings: ReadonlyMap<string, Float32Array>): Float32Array {
  const members = [...embeddings.keys()].sort().map((modality) => embeddings.get(modality)!);
  const sum = Float32Array.from(members[0]);
  for (const member of members.slice(1)) member.forEach((value, i) => (sum[i] += value));
  return sum.map((value) => value / members.length);
}

/** Return row `row` of `weight` times `vector`, plus its bias. */
export function project(weight: Float32Array, bias: Float32Array, row: number, vector: Float32Array): number {
  const start = row * vector.length;
  return Math.fround(vector.reduce((sum, value, i) => sum + value * weight[start + i], 0) + bias[row]);
}

/** Return how familiar an embedding of the modality in row `row` is. */
export function familiar({ weight, bias, means, offset }: Familiarity, row: number, embedding: Float32Array): number {
  const linear = project(weight, bias, row, embedding);
  if (!means || !offset) return linear;
  const each = means.length / bias.length / embedding.length; // means of a modality
  const offsets = new Float32Array((row + 1) * each).fill(offset[row]);
  let nearest = -Infinity;
  for (let k = row * each; k < offsets.length; k++) nearest = Math.max(nearest, project(means, offsets, k, embedding));
  return Math.min(linear, nearest);
}

/** Return whether the linear score is below a limit, as of a covered or broken sensor; without means, it is not known. */
export const isFar = ({ weight, bias, means }: Familiarity, row: number, embedding: Float32Array, limit: number): boolean =>
  means !== null && project(weight, bias, row, embedding) < Math.fround(limit);

/** Return the logits of an embedding, or of a mean of some. */
export const logits = ({ weight, bias }: Head, embedding: Float32Array): number[] =>
  Array.from(bias, (_, row) => project(weight, bias, row, embedding));

/** Return the calibrated probabilities of logits: times their own confidence to `power`, over `temperature`. */
export function calibrated(logits: readonly number[], temperature: number, power: number, task: Task): Float32Array {
  if (task === "multi-label") return Float32Array.from(logits, (logit) => sigmoid(logit / Math.fround(temperature)));
  const top = Math.max(...logits);
  const shifted = logits.map((logit) => logit - top);
  const confidence = 1 / shifted.reduce((sum, logit) => sum + Math.exp(logit), 0);
  const scale = confidence ** power / Math.fround(temperature);
  const shares = shifted.map((logit) => Math.exp(logit * scale));
  const whole = shares.reduce((sum, share) => sum + share, 0);
  return Float32Array.from(shares, (share) => share / whole);
}

/** Return an opinion, mixed with no evidence as far as the window may show none of the classes, by its score of familiarity as log-odds. */
export function doubted(opinion: ArrayLike<number>, score: number, task: Task): Float32Array {
  const nothing = task === "multi-class" ? 1 / opinion.length : 0.5; // no evidence
  const unknown = Math.min(UNKNOWN, sigmoid(-(score + KNOWN)));
  return Float32Array.from(opinion, (share) => share + unknown * (nothing - share));
}

function sigmoid(logit: number): number {
  const small = Math.exp(-Math.abs(logit));
  return (logit < 0 ? small : 1) / (1 + small);
}

/** Parse the bytes of `head.safetensors` for `classes` labels and embeddings of `size` numbers. */
export function loadHead(data: Uint8Array, task: Task, classes: number, size: number, modalities: number): Head {
  const tensors = safetensors(data);
  const expect = (name: string, length: number): Float32Array => {
    const tensor = tensors.get(name);
    if (!(tensor instanceof Float32Array) || tensor.length !== length || !tensor.every((value) => Math.abs(value) <= LARGEST))
      throw new SensembleError(`the head's ${name}: expected ${length} finite float32 numbers; export the bundle again`);
    return tensor;
  };
  const block = modalities * classes * size;
  const means = tensors.get("familiar_means");
  const familiarity = tensors.has("familiar_weight")
    ? {
        weight: expect("familiar_weight", modalities * size),
        bias: expect("familiar_bias", modalities),
        means: means ? expect("familiar_means", Math.max(1, Math.round(means.length / block)) * block) : null,
        offset: means ? expect("familiar_offset", modalities) : null,
      }
    : null;
  return { task, weight: expect("weight", classes * size), bias: expect("bias", classes), familiarity };
}

/** Return the bytes of `head.safetensors`, of a head that was learned of takes: without means. */
export function saveHead({ weight, bias, familiarity }: Head): Uint8Array<ArrayBuffer> {
  const scores = familiarity ? { familiar_weight: familiarity.weight, familiar_bias: familiarity.bias } : {};
  const tensors = Object.entries({ weight, bias, ...scores });
  let end = 0;
  const described = tensors.map(([name, tensor], i) => {
    const rows = tensors[i | 1][1].length; // a weight has a row for each number of the bias after it
    const shape = i % 2 ? [rows] : [rows, tensor.length / rows];
    return [name, { dtype: "F32", shape, data_offsets: [end, (end += tensor.byteLength)] }];
  });
  const header = JSON.stringify(Object.fromEntries(described));
  const padded = new TextEncoder().encode(header.padEnd(Math.ceil(header.length / 8) * 8));
  const data = new Uint8Array(8 + padded.length + end);
  new DataView(data.buffer).setBigUint64(0, BigInt(padded.length), true);
  data.set(padded, 8);
  data.set(new Uint8Array(Float32Array.from(tensors.flatMap(([, tensor]) => [...tensor])).buffer), 8 + padded.length);
  return data;
}

const ARRAYS = { F32: Float32Array, U8: Uint8Array, I64: BigInt64Array };

/** Parse a safetensors file. */
export function safetensors(data: Uint8Array): Map<string, Float32Array | Uint8Array | BigInt64Array> {
  try {
    const length = Number(new DataView(data.buffer, data.byteOffset, data.length).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(data.subarray(8, 8 + length))) as Record<
      string,
      { dtype: keyof typeof ARRAYS; data_offsets: [number, number] }
    >;
    delete header["__metadata__"];
    return new Map(
      Object.entries(header).map(([name, { dtype, data_offsets: [from, to] }]) => {
        const bytes = data.slice(8 + length + from, 8 + length + to);
        if (bytes.length !== to - from) throw new RangeError(`${name} ends early`);
        return [name, new ARRAYS[dtype](bytes.buffer)];
      }),
    );
  } catch (error) {
    throw new SensembleError(`not a safetensors file (${String(error)}); export the bundle again`);
  }
}
