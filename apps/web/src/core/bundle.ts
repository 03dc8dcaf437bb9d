// A bundle: its manifest checked, and every byte that is used hashed first: the runtime's `bundle/bundle.py`.

import { Classifier } from "./classifier";
import { decompressed } from "./gzip";
import { loadHead, saveHead, type Head } from "./head";
import { kindOf } from "./kinds";
import type { Learned } from "./learning";
import type { Answering, SubsetScore } from "./live_set";
import { parseManifest, type Artifact, type FileEntry, type Manifest } from "./manifest";
import type { SparingCalibration } from "./sparing";
import { SensembleError, type InputSpec } from "./spec";
import { loadTokenizer, type Tokenize } from "./tokenizer";

export const MANIFEST = "manifest.json";
const LARGEST_MANIFEST = 16 << 20;

/** The files of a bundle, wherever they are; a path has `/` and stays inside. */
export interface Files {
  /** Return a file; its SHA-256, where it is known, names a version that may be cached. */
  read(path: string, sha256?: string): Promise<Uint8Array<ArrayBuffer>>;
}

/** Return the files below an address; those of a site are compressed. */
export function filesAt(base: string): Files {
  return {
    async read(path, sha256) {
      const response = await fetch(`${base.replace(/\/$/, "")}/${path}${sha256 ? `?sha256=${sha256}` : ""}`);
      if (!response.ok) throw new SensembleError(`${path}: not there (${response.status}); give the address of a bundle's folder`);
      return new Uint8Array(await decompressed(await response.arrayBuffer()));
    },
  };
}

/** Return the files of a folder that a person chose (`<input type=file webkitdirectory>`). */
export function filesOf(chosen: Iterable<File>): Files {
  const byPath = new Map([...chosen].map((file) => [file.webkitRelativePath.split("/").slice(1).join("/"), file]));
  return {
    async read(path) {
      const file = byPath.get(path);
      if (!file) throw new SensembleError(`${path}: not there; choose the folder of a bundle`);
      return new Uint8Array(await file.arrayBuffer());
    },
  };
}

export class Bundle implements Answering {
  private tokenizer: Tokenize | null = null; // made of `tokens` with the first caption, for that takes a while
  readonly modalities: readonly string[];
  readonly specs: Readonly<Record<string, InputSpec>>;
  classifier: Classifier;

  private constructor(
    public manifest: Manifest,
    /** The SHA-256 of the bytes of `manifest.json`. */
    readonly fingerprint: string,
    public head: Head,
    private readonly artifacts: Readonly<Record<string, Artifact>>,
    private readonly files: Files,
    private readonly tokens: Uint8Array | null,
  ) {
    this.modalities = Object.keys(manifest.modalities).sort();
    this.specs = Object.fromEntries(this.modalities.map((modality) => [modality, manifest.modalities[modality].spec]));
    this.classifier = new Classifier(head, manifest.calibration, manifest.labels, this.specs);
  }

  /** How its sensors sleep; null where none may. */
  get sparing(): SparingCalibration | null {
    return this.manifest.calibration.sparing ?? null;
  }

  get audited(): Readonly<Record<string, SubsetScore>> {
    return this.manifest.audited;
  }

  /** True if its encoders are pretrained and serve any classes: a head may be learned of takes. */
  get isLearnable(): boolean {
    return this.manifest.provenance["method"] === "instant";
  }

  /** Answer from now on with a head that was learned of takes. */
  use({ labels, head, calibration }: Learned): void {
    this.manifest = { ...this.manifest, labels, calibration, audited: {}, held_out: {} };
    this.head = head;
    this.classifier = new Classifier(head, this.manifest.calibration, labels, this.specs);
  }

  /** Return the files of a bundle with the head of now, for this executor alone, by path. */
  async contents(target = "onnx"): Promise<Record<string, Uint8Array<ArrayBuffer>>> {
    const { manifest } = this;
    const head = saveHead(this.head);
    const found: Record<string, Uint8Array<ArrayBuffer>> = { "head.safetensors": head };
    for (const file of [...(manifest.tokenizer ? [manifest.tokenizer] : []), ...Object.values(this.artifacts).flatMap(({ files }) => files)])
      found[file.path] = await verified(this.files, file);
    const modalities = Object.fromEntries(this.modalities.map((m) => [m, { spec: this.specs[m], artifacts: { [target]: this.artifacts[m] } }]));
    const entry = { path: "head.safetensors", bytes: head.length, sha256: await sha256(head) };
    found[MANIFEST] = new TextEncoder().encode(JSON.stringify({ ...manifest, modalities, head: entry }));
    return found;
  }

  /** Check the manifest, the head and the tokenizer; `target` is the executor's, of which each modality needs an artifact. */
  static async open(files: Files, target = "onnx"): Promise<Bundle> {
    const data = await files.read(MANIFEST);
    if (data.length > LARGEST_MANIFEST) throw new SensembleError(`${MANIFEST}: above 16 MB; give a bundle`);
    const manifest = parseManifest(new TextDecoder("utf-8", { fatal: true }).decode(data));
    const { modalities, labels, embedding, task, calibration } = manifest;
    const artifacts: Record<string, Artifact> = {};
    for (const [modality, entry] of Object.entries(modalities)) {
      const artifact = entry.artifacts[target];
      if (!artifact) throw new SensembleError(`${modality} is not exported for ${target}; run \`sensemble export RUN --target ${target}\``);
      artifacts[modality] = artifact;
    }
    const head = loadHead(await verified(files, manifest.head), task, labels.length, embedding, Object.keys(modalities).length);
    if (Object.keys(calibration.familiar).length && !head.familiarity)
      throw new SensembleError(`${manifest.head.path}: has no scores of familiarity; export the bundle again`);
    const tokens = manifest.tokenizer && (await verified(files, manifest.tokenizer));
    return new Bundle(manifest, await sha256(data), head, artifacts, files, tokens);
  }

  /** Return the verified bytes of a modality's artifact. */
  async artifact(modality: string): Promise<Uint8Array<ArrayBuffer>> {
    const { files } = this.artifacts[modality];
    if (files.length !== 1) throw new SensembleError(`${modality}: its artifact is not one file; export it again`);
    return verified(this.files, files[0]);
  }

  /** Return the ids of a caption as the text encoder takes them, padded with 0. */
  tokenize(caption: string): BigInt64Array {
    const text = Object.values(this.specs).find((spec) => kindOf(spec).name === "text");
    if (!this.tokens || !text) throw new SensembleError("the bundle has no text encoder");
    this.tokenizer ??= loadTokenizer(this.tokens, text.shape[1]);
    return this.tokenizer(caption);
  }
}

async function verified(files: Files, file: FileEntry): Promise<Uint8Array<ArrayBuffer>> {
  const data = await files.read(file.path, file.sha256);
  if (data.length !== file.bytes) throw new SensembleError(`${file.path}: ${data.length} bytes, the manifest says ${file.bytes}; copy the bundle again`);
  if ((await sha256(data)) !== file.sha256) throw new SensembleError(`${file.path}: altered, its SHA-256 is not the manifest's; copy the bundle again`);
  return data;
}

async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", data);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
