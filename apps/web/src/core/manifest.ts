// A bundle's `manifest.json`: every field of the declared form, and nothing beyond the runtime's limits.

import type { Calibration } from "./classifier";
import type { Task } from "./head";
import { isKnown, kindOf } from "./kinds";
import type { SubsetScore } from "./live_set";
import type { SparingCalibration } from "./sparing";
import { SensembleError, type InputSpec } from "./spec";
import { nameOf } from "./subsets";
import { roundEven } from "./windows";

const SCHEMA = 10;
const PATH = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*(\/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*$/; // no segment can be `..`
const LONGEST = 4096; // characters of a string, entries of an object
const ITEMS = 100_000; // of a list
const FILE = 512 << 20; // bytes of a file, which a browser holds in memory
const ELEMENTS = 1e8; // of a window

export interface FileEntry {
  path: string;
  bytes: number;
  sha256: string;
}

export interface Artifact {
  path: string;
  files: FileEntry[];
  scheme: string;
  parity: Record<string, number> | null;
  latency_ms: number | null;
  peak_mb: number | null;
  threads?: number | null;
}

export interface ModalityEntry {
  spec: InputSpec;
  artifacts: Record<string, Artifact>;
}

export interface Manifest {
  schema: number;
  modalities: Record<string, ModalityEntry>;
  embedding: number;
  labels: string[];
  task: Task;
  head: FileEntry;
  tokenizer: FileEntry | null;
  held_out: Record<string, FileEntry>;
  provenance: Record<string, unknown>;
  calibration: Calibration;
  audited: Record<string, SubsetScore>;
}

type Check = (raw: unknown, field: string) => void;

function refuse(field: string, problem: string, remedy = "export the bundle again"): never {
  throw new SensembleError(`manifest.json: ${field || "document"}: ${problem}; ${remedy}`);
}

const number: Check = (raw, field) => {
  if (typeof raw !== "number" || !(Math.abs(raw) <= Number.MAX_SAFE_INTEGER)) refuse(field, "expected a number");
};
const integer: Check = (raw, field) => {
  if (!Number.isSafeInteger(raw)) refuse(field, "expected an integer");
};
// Control characters, marks of writing direction and lone surrogates, as in Python's `printable`.
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\p{Cs}/u;
const string: Check = (raw, field) => {
  if (typeof raw !== "string" || raw.length > LONGEST || CONTROLS.test(raw)) refuse(field, "expected printable text");
};
const optional = (check: Check): Check => (raw, field) => void (raw === null || check(raw, field));
const maybe: Check = optional(integer); // may be missing
const list = (check: Check): Check => (raw, field) => {
  if (!Array.isArray(raw) || raw.length > ITEMS) refuse(field, "expected a list");
  raw.forEach((item, i) => check(item, `${field}[${i}]`));
};
const entries = (check: Check): Check => (raw, field) => {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) refuse(field, "expected an object");
  const found = Object.entries(raw);
  if (found.length > LONGEST) refuse(field, `expected at most ${LONGEST} entries`);
  for (const [key, value] of found) {
    string(key, field);
    check(value, join(field, key));
  }
};
const struct = (checks: Record<string, Check>): Check => (raw, field) => {
  entries(() => {})(raw, field);
  for (const key of new Set([...Object.keys(checks), ...Object.keys(raw as object)])) {
    if (!Object.hasOwn(raw as object, key) && [maybe, WEIGHTS, TIMELINE, SPARING, PRIOR].includes(checks[key])) continue;
    if (!Object.hasOwn(raw as object, key)) refuse(join(field, key), "missing");
    if (!Object.hasOwn(checks, key)) refuse(join(field, key), "unknown field");
    checks[key]((raw as Record<string, unknown>)[key], join(field, key));
  }
};
const join = (field: string, key: string): string => (field ? `${field}.${key}` : key);
const fields = (names: string, check: Check): Record<string, Check> => Object.fromEntries(names.split(" ").map((name) => [name, check]));

const WEIGHTS = optional(entries(number)); // may be missing
const TIMELINE = optional(struct({
  ...fields("evidence usual asked", number),
  dwell: entries(number),
  sets: entries(struct({ ...fields("threshold hours", number), false: integer, found: optional(number), weights: WEIGHTS })),
})); // may be missing
const PRIOR = optional(list(number)); // may be missing
const SPARING = optional(struct({
  order: list(list(string)),
  ...fields("costs on", list(number)),
  ...fields("wake hold threshold hours right sure sure_wrong every_right every_sure every_sure_wrong", number),
  groups: integer,
  recordings: (raw, field) => void (typeof raw === "boolean" || refuse(field, "expected true or false")),
})); // may be missing
const FILE_ENTRY = struct({ path: string, bytes: integer, sha256: string });
const SPEC = struct({
  ...fields("modality dtype kind device", string),
  shape: list(integer),
  ...fields("rate window hop ttl", number),
  channels: list(entries(() => {})),
});
const ARTIFACT = struct({
  path: string,
  files: list(FILE_ENTRY),
  scheme: string,
  parity: optional(entries(number)),
  ...fields("latency_ms peak_mb", optional(number)),
  threads: maybe,
});
const MANIFEST = struct({
  schema: integer,
  modalities: entries(struct({ spec: SPEC, artifacts: entries(ARTIFACT) })),
  embedding: integer,
  labels: list(string),
  task: string,
  head: FILE_ENTRY,
  tokenizer: optional(FILE_ENTRY),
  held_out: entries(FILE_ENTRY),
  provenance: entries(() => {}), // only shown
  calibration: struct({
    ...fields("risk threshold redundancy", number),
    groups: integer,
    modalities: entries(struct({ ...fields("temperature power", number), ...fields("examples groups", integer) })),
    familiar: entries(number),
    timeline: TIMELINE,
    sparing: SPARING,
    prior: PRIOR,
  }),
  audited: entries(struct({ ...fields("accuracy low high", number), n: integer })),
});

/** Check the text of a `manifest.json`; a SensembleError names the field. */
export function parseManifest(text: string): Manifest {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    refuse("", `not JSON (${String(error)})`);
  }
  const schema = (raw as { schema?: unknown } | null)?.schema;
  if (Number.isInteger(schema) && schema !== SCHEMA) refuse("schema", `version ${schema}, and this runtime reads version ${SCHEMA}`);
  MANIFEST(raw, "");
  const manifest = raw as Manifest;
  checkModalities(manifest);
  checkCalibration(manifest);
  return manifest;
}

function checkModalities(manifest: Manifest): void {
  const { modalities, labels, embedding, task, tokenizer } = manifest;
  if (!Object.keys(modalities).length) refuse("modalities", "there is none");
  if (!["multi-class", "multi-label"].includes(task)) refuse("task", "expected multi-class or multi-label");
  if (!labels.length || labels.includes("") || new Set(labels).size !== labels.length) refuse("labels", "expected distinct names");
  if (!(embedding >= 1 && embedding <= 65_536)) refuse("embedding", "expected 1 to 65536");
  checkFile(manifest.head, "head");
  if (tokenizer) checkFile(tokenizer, "tokenizer");
  for (const [modality, { spec, artifacts }] of Object.entries(modalities)) {
    const field = `modalities.${modality}`;
    if (spec.modality !== modality) refuse(`${field}.spec.modality`, "expected its own name");
    const isGrey = spec.kind === "frames" && spec.channels.length > 0;
    if (!isKnown(spec) || isGrey) refuse(field, `${isGrey ? "frames of one channel" : `the kind ${spec.kind}`}, which no browser gives`, "export a run without that sensor");
    checkSpec(spec, `${field}.spec`);
    if (kindOf(spec).name === "text" && !tokenizer) refuse("tokenizer", `missing, and there is a ${modality} encoder`);
    for (const [target, { path, files }] of Object.entries(artifacts)) {
      const inside = files.length && files.every((file) => file.path.startsWith(`${path}/`));
      const itself = files.length === 1 && files[0].path === path;
      if (!PATH.test(path) || !(inside || itself)) refuse(`${field}.artifacts.${target}.path`, "not a plain path inside the bundle");
      files.forEach((file, i) => checkFile(file, `${field}.artifacts.${target}.files[${i}]`));
    }
  }
}

function checkFile({ path, bytes, sha256 }: FileEntry, field: string): void {
  if (!PATH.test(path)) refuse(`${field}.path`, "not a relative path of plain names inside the bundle");
  if (!(bytes >= 1 && bytes <= FILE)) refuse(`${field}.bytes`, `expected 1 to ${FILE}`);
  if (!/^[0-9a-f]{64}$/.test(sha256)) refuse(`${field}.sha256`, "expected 64 lower-case hexadecimal digits");
}

function checkSpec(spec: InputSpec, field: string): void {
  const { dtype, shape, rate, window, hop, ttl } = spec;
  const kind = kindOf(spec);
  const size = shape.reduce((product, side) => product * side, 1);
  if (dtype !== kind.dtype || shape.length !== kind.rank || shape[0] !== 1 || Math.min(...shape) < 1 || size > ELEMENTS)
    refuse(`${field}.shape`, `expected ${kind.dtype} of ${kind.rank} dimensions, the first 1`);
  if (kind.name === "frames" && shape[4] !== 3) refuse(`${field}.shape`, "expected RGB, 3 in the last dimension");
  const names = spec.channels.map(({ name }) => name);
  if (kind.name === "series" && (names.length !== shape[2] || new Set(names).size !== names.length)) refuse(`${field}.channels`, `expected ${shape[2]} of distinct names`);
  if (!(ttl > 0 && ttl <= 86_400 && ttl >= hop)) refuse(`${field}.ttl`, "expected seconds, at least the hop");
  if (kind.name === "text") {
    if (rate || window || hop || shape[1] > 65_536) refuse(field, "expected rate, window and hop 0, and at most 65536 tokens");
  } else {
    const timed = rate > 0 && rate <= 1e6 && window > 0 && window <= 3600 && hop >= 1e-3 && hop <= 3600 && rate * hop <= ELEMENTS;
    if (!timed || shape[1] !== roundEven(rate * window)) refuse(field, "expected a rate, a window and a hop, and the shape that follows");
  }
}

function checkCalibration({ calibration, audited, labels, modalities, task }: Manifest): void {
  const { risk, threshold, groups, redundancy, familiar, prior } = calibration;
  const isSubset = (name: string): boolean => {
    const parts = name.split("+");
    return new Set(parts).size === parts.length && parts.every((m) => Object.hasOwn(modalities, m)) && nameOf(parts) === name;
  };
  if (!(risk >= 1e-6 && risk < 1)) refuse("calibration.risk", "expected a share");
  if (!(threshold >= 1e-6 && threshold <= 2)) refuse("calibration.threshold", "expected 1e-06 to 2");
  if (groups < 0) refuse("calibration.groups", "expected a count");
  if (calibration.sparing) checkSparing(calibration.sparing, Object.keys(modalities));
  if (!(redundancy >= 0 && redundancy <= 1)) refuse("calibration.redundancy", "expected a share");
  if (prior && (prior.length !== labels.length || !prior.every((share) => share >= 1e-9 && share <= 1))) refuse("calibration.prior", "expected a share of each class");
  for (const [modality, fitted] of Object.entries(calibration.modalities)) {
    const field = `calibration.modalities.${modality}`;
    const isFitted = fitted.temperature >= 0.01 && fitted.temperature <= 100 && fitted.groups >= 0 && fitted.groups <= fitted.examples;
    if (!Object.hasOwn(modalities, modality)) refuse(field, "has no encoder here");
    if (!isFitted || !(fitted.power >= 0 && fitted.power <= (task === "multi-label" ? 0 : 4))) refuse(field, "a number is out of its range");
  }
  for (const [modality, least] of Object.entries(familiar))
    if (!Object.hasOwn(modalities, modality) || !(Math.abs(least) <= 1e4)) refuse(`calibration.familiar.${modality}`, "expected a score of an encoder");
  for (const [subset, { accuracy, low, high, n }] of Object.entries(audited))
    if (!isSubset(subset) || !(0 <= low && low <= accuracy && accuracy <= high && high <= 1 && n >= 1))
      refuse(`audited.${subset}`, "expected 0 <= low <= accuracy <= high <= 1 of a sorted set of modalities");
}

function checkSparing({ order, wake, hold, threshold }: SparingCalibration, modalities: string[]): void {
  const named = order.flat().sort();
  if (order.length < 2 || !order.every((place) => place.length) || named.join() !== [...modalities].sort().join()) refuse("calibration.sparing.order", "expected each modality once, in two places or more");
  if (!(wake >= 0 && wake <= 2 && hold >= 0.1 && hold <= 3600 && threshold >= 1e-6 && threshold <= 2)) refuse("calibration.sparing", "a number is out of its range");
}
