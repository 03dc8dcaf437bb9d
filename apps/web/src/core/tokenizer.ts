// Token ids of captions, as the runtime's `bundle/tokenize.py` makes them.

import { Tokenizer } from "@huggingface/tokenizers";
import { SensembleError } from "./spec";

const SPACE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const LONGEST = 65_536; // characters of a caption that are read

/** Return the ids of a caption, int64 [1, L], padded with 0. */
export type Tokenize = (caption: string) => BigInt64Array;

interface Json {
  normalizer: unknown;
  truncation: { max_length: number } | null;
  post_processor: { type: string; single?: object[] } | null;
}

/** Return the tokenizer in the bytes of a `tokenizer.json`, for an encoder that takes `length` tokens. */
export function loadTokenizer(data: Uint8Array, length: number): Tokenize {
  let tokenizer: Tokenizer, json: Json;
  try {
    json = JSON.parse(new TextDecoder().decode(data)) as Json;
    tokenizer = new Tokenizer(json, {});
  } catch (error) {
    throw new SensembleError(`not a tokenizer (${String(error)}); export the bundle again`);
  }
  const most = json.truncation?.max_length ?? Infinity;
  const marks = marksAfter(json);
  spellOut(tokenizer.pre_tokenizer);
  // JavaScript lowers a last capital sigma to ς, the library of the runtime each to σ.
  const lowers = /"Lowercase"|"lowercase":true/.test(JSON.stringify(json.normalizer));
  return (caption) => {
    const read = caption.length > LONGEST ? [...caption].slice(0, LONGEST).join("") : caption;
    let { ids } = tokenizer.encode(lowers ? read.replaceAll("Σ", "σ") : read);
    // The library does not truncate; what is cut is the caption, never the marks around it.
    if (ids.length > most) ids = [...ids.slice(0, most - marks), ...ids.slice(ids.length - marks)];
    const padded = new BigInt64Array(length);
    padded.set(ids.slice(0, length).map(BigInt));
    return padded;
  };
}

/** Replace `\s` in the expressions of a pre-tokenizer, because JavaScript differs from Rust in what it is. */
function spellOut(step: unknown): void {
  const found = step as { pattern?: unknown; tokenizers?: unknown[] } | null;
  found?.tokenizers?.forEach(spellOut);
  if (!(found?.pattern instanceof RegExp)) return;
  const { source, flags } = found.pattern;
  const spelled = source.replaceAll("[^\\s", `[^${SPACE}`).replaceAll("\\s", `[${SPACE}]`).replaceAll("\\S", `[^${SPACE}]`);
  found.pattern = new RegExp(spelled, flags);
}

/** Return how many marks follow a caption. */
function marksAfter({ post_processor: post }: Json): number {
  if (post?.type === "RobertaProcessing") return 1;
  if (post?.type !== "TemplateProcessing" || !post.single) return 0;
  return post.single.length - 1 - post.single.findIndex((piece) => "Sequence" in piece);
}
