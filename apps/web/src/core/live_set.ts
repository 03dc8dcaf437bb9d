// The modalities that are attached and live, and predictions from them: the runtime's `engine/live_set.py`.
// It has no clock: times are given, so equal input gives equal predictions.

import { againstNone, answer, honest } from "./answer";
import { Belief } from "./belief";
import type { Classifier, Evidence } from "./classifier";
import { Debounced } from "./debounce";
import type { SessionEvent } from "./events";
import { pool } from "./head";
import { kindOf } from "./kinds";
import { Opinion } from "./opinion";
import { prefixes, type SparingCalibration } from "./sparing";
import { SensembleError, type InputSpec, type Sample, type Window } from "./spec";
import { nameOf } from "./subsets";
import { Timeline, type Happening } from "./timeline";
import type { WindowRing } from "./windows";

/** Windows that are pooled together end within so many seconds: the runtime's `Policy.skew`. */
const SKEW = 2;

/** What a live set needs of a bundle. */
export interface Answering {
  readonly specs: Readonly<Record<string, InputSpec>>;
  readonly classifier: Classifier;
  readonly audited: Readonly<Record<string, SubsetScore>>;
  readonly sparing: SparingCalibration | null;
}

export interface SubsetScore {
  accuracy: number;
  n: number;
  low: number;
  high: number;
}

/** A window on its way from its ring to its encoder. */
export interface PoppedWindow extends Window {
  modality: string;
  ring: WindowRing;
}

export interface WindowEmbedding extends PoppedWindow {
  embedding: Float32Array;
  /** Seconds that encoding took. */
  latency: number;
}

/** The answer of the sensors live at one moment; fields as in the runtime's `prediction.py`. */
export class Prediction extends Opinion {
  constructor(
    whole: Opinion,
    readonly time: number,
    readonly live: string[],
    readonly ages: Record<string, number>,
    readonly pooled: Float32Array,
    readonly embeddings: ReadonlyMap<string, Float32Array>,
    /** Of the same modalities as `opinions`, by which `answer` answers for any set of them. */
    readonly evidence: ReadonlyMap<string, Evidence>,
    readonly opinions: ReadonlyMap<string, Opinion>,
    readonly audited: SubsetScore | null,
    /** Of each modality with an opinion and each device (`whole`), the probability that it lies, by the scenes before this one. */
    readonly lies: Record<string, number>,
    readonly unfamiliar: string[],
    readonly suspect: string | null,
    readonly latencies: Record<string, number>,
    readonly dropped: Record<string, number>,
    readonly lost: Record<string, number>,
    readonly levels: Record<string, number>,
  ) {
    super(whole.probabilities, whole.threshold, whole.labels, whole.doubt);
  }
}

const UNLIKE = "it is unlike what the encoder was trained on";
const ALONE = "it contradicts the others, which agree";

export class LiveSet {
  readonly windows = new Map<string, WindowRing>();
  private readonly embeddings = new Map<string, WindowEmbedding>();
  private readonly unfamiliar = new Debounced();
  private readonly suspected = new Debounced();
  private belief!: Belief;
  private asked!: Classifier; // of the bundle
  private classifier!: Classifier; // that answers
  private prefixes: string[][] = [];
  /** The newest answers of the first places alone; null where one knows nothing. */
  steps: (Opinion | null)[] = [];
  private timeline: Timeline | null = null;
  private readonly happened: Happening[] = [];
  private readonly sensors = new Map<string, string>();

  constructor(
    private readonly bundle: Answering,
    private spares = false,
  ) {
    this.begin();
  }

  /** Begin or end to answer as a session whose sensors sleep. */
  spare(spares: boolean): void {
    this.spares = spares;
    this.begin();
  }

  private begin(): void {
    this.finish();
    this.asked = this.bundle.classifier;
    const sparing = this.spares ? this.bundle.sparing : null;
    this.classifier = sparing ? this.asked.sureFrom(sparing.threshold) : this.asked;
    this.prefixes = sparing ? prefixes(sparing.order) : [];
    this.steps = [];
    this.belief = new Belief(Object.keys(this.bundle.specs).sort(), (modality) => this.bundle.specs[modality].device);
    this.timeline = this.asked.task === "multi-class" ? new Timeline(this.asked.timeline, this.asked.labels) : null;
  }

  /** End what goes on: no more answers come. */
  finish(): void {
    if (this.timeline) this.happened.push(...this.timeline.end());
  }

  /** Return what began and ended since the last call. */
  moments(now: number): Happening[] {
    return [...this.happened.splice(0), ...(this.timeline?.passTo(now) ?? [])];
  }

  /** When what goes on ends if no answer comes before; null if nothing does. */
  get nextEnd(): number | null {
    return this.timeline?.deadline ?? null;
  }

  /** The modalities with a window to encode, sorted. */
  get ready(): string[] {
    return [...this.windows].filter(([, ring]) => ring.ready).map(([modality]) => modality).sort();
  }

  /** Accept samples of a modality from the named sensor. */
  add(modality: string, sensor = ""): void {
    if ((this.sensors.get(modality) ?? sensor) !== sensor) {
      this.suspected.forget(modality);
      this.belief.forget(modality);
    }
    const spec = this.bundle.specs[modality];
    if (!spec) throw new SensembleError(`${modality}: the bundle has no encoder for it`);
    if (!this.windows.has(modality)) this.windows.set(modality, kindOf(spec).windows(spec));
    this.sensors.set(modality, sensor);
  }

  /** Take a modality out of the live set at once and forget its samples. */
  remove(modality: string): void {
    this.silence(modality);
    for (const noted of [this.unfamiliar, this.suspected, this.belief]) noted.forget(modality);
    this.end(modality);
  }

  /** Forget the samples of a modality; its embedding stays live. */
  end(modality: string): void {
    this.windows.delete(modality);
  }

  /** Take a modality, whose encoder failed, out of the live set; its samples stay. */
  silence(modality: string): void {
    this.embeddings.delete(modality);
  }

  push(sample: Sample): void {
    const ring = this.windows.get(sample.modality);
    if (!ring) throw new SensembleError(`${sample.modality}: a sample of a modality that is not attached`);
    ring.push(sample);
  }

  /** Return the live set at `now`, sorted, without what was reported as unfamiliar or as the suspect. */
  live(now: number): string[] {
    const near = this.near(now);
    const familiar = without([...this.unfamiliar.reported.keys()], near);
    return without([...this.suspected.reported.keys()], familiar);
  }

  /** The events of the modalities that are reported as unfamiliar, and of the suspect. */
  get faults(): SessionEvent[] {
    const of = (kind: string, text: string, noted: Debounced): SessionEvent[] => [...noted.reported].map(([modality, time]) => ({ time, kind, modality, sensor: "", text }));
    return [...of("unfamiliar", UNLIKE, this.unfamiliar), ...of("suspect", ALONE, this.suspected)];
  }

  /** Return the changes of familiarity and of the suspect since the last call. */
  changes(now: number): { kind: string; modality: string; text: string }[] {
    const unfamiliar = this.unfamiliar.changes(now).map(([modality, over]) => (over ? { kind: "familiar again", modality, text: "" } : { kind: "unfamiliar", modality, text: UNLIKE }));
    const suspect = this.suspected.changes(now).map(([modality, over]) => (over ? { kind: "agrees again", modality, text: "" } : { kind: "suspect", modality, text: ALONE }));
    return [...unfamiliar, ...suspect];
  }

  /** Return the newest window of a modality, to be encoded. */
  popWindow(modality: string): PoppedWindow | null {
    const ring = this.windows.get(modality);
    const window = ring?.pop();
    return ring && window ? { modality, ring, ...window } : null;
  }

  /** Add new embeddings to the live set and predict; embeddings of removed modalities are ignored. */
  fuse(encoded: WindowEmbedding[], now: number): Prediction | null {
    if (this.bundle.classifier !== this.asked) this.begin(); // another head: what sensors said counts no more
    const { classifier } = this;
    const current = encoded.filter(({ modality, ring }) => this.windows.get(modality) === ring);
    const fresh = [...new Map(current.map((one) => [one.modality, one])).values()];
    for (const one of fresh) {
      this.embeddings.set(one.modality, one);
      this.unfamiliar.note(one.modality, one.time, !classifier.evidence(one.modality, one.embedding).familiar);
    }
    const near = this.near(now);
    const unfamiliar = this.unfamiliar.newest(near);
    const live = without(unfamiliar, near);
    if (!fresh.length || !live.length) return null;
    const shown = near.map((modality) => this.embeddings.get(modality)!);
    const { lies } = this.belief;
    const evidence = new Map(shown.map(({ modality, embedding }) => [modality, { ...classifier.evidence(modality, embedding), familiar: !unfamiliar.includes(modality) }]));
    const whole = answer(classifier, evidence, near, lies);
    const first = this.prefixes.map((one) => near.filter((modality) => one.includes(modality)));
    this.steps = first.map((some) => (some.length ? answer(classifier, evidence, some, lies) : null));
    const opinions = new Map(near.map((modality) => [modality, answer(classifier, evidence, [modality])]));
    const suspects = this.suspects(opinions, unfamiliar, live, now);
    const trusted = without(suspects, live);
    const embeddings = this.vectors(trusted);
    if (this.timeline) {
      const asked = without(suspects, near);
      const resting = [...this.windows.keys()].filter((modality) => !this.bundle.specs[modality].hop && !near.includes(modality)); // none is due
      const ratios = new Map(asked.map((modality) => [modality, againstNone(evidence.get(modality)!)]));
      const truth = (modality: string): number => honest(lies, modality, evidence.get(modality)!.device);
      this.happened.push(...this.timeline.note(now, ratios, truth, fresh.map(({ modality }) => modality), trusted, [...asked, ...resting].sort()));
    }
    const of = <T>(entries: [string, T][]): Record<string, T> => Object.fromEntries(entries);
    return new Prediction(
      whole,
      now,
      trusted,
      of(trusted.map((modality) => [modality, now - this.embeddings.get(modality)!.time])),
      pool(embeddings),
      embeddings,
      evidence,
      opinions,
      this.bundle.audited[nameOf(trusted)] ?? null,
      of(Object.entries(lies).filter(([name]) => opinions.has(name) || !(name in this.bundle.specs))),
      unfamiliar,
      suspects.length ? nameOf(suspects) : null,
      of(fresh.map(({ modality, latency }) => [modality, latency])),
      of([...this.windows].map(([modality, ring]) => [modality, ring.dropped])),
      of([...this.windows].map(([modality, ring]) => [modality, ring.lost])),
      of(shown.flatMap(({ modality, data }) => {
        const level = kindOf(this.bundle.specs[modality]).level(data, this.bundle.specs[modality]);
        return level === null ? [] : [[modality, level]];
      })),
    );
  }

  private suspects(opinions: Map<string, Opinion>, unfamiliar: string[], live: string[], now: number): string[] {
    if (this.bundle.classifier.task === "multi-label") return []; // of several labels, none excludes another
    const familiar = live.filter((modality) => !unfamiliar.includes(modality));
    const suspects = this.belief.note(new Map(familiar.map((m) => [m, opinions.get(m)!.probabilities])), now);
    for (const modality of live) this.suspected.note(modality, now, suspects.includes(modality));
    return suspects;
  }

  private vectors(live: string[]): Map<string, Float32Array> {
    return new Map(live.map((modality) => [modality, this.embeddings.get(modality)!.embedding]));
  }

  /** Return when the first of the fresh embeddings expires; null without one. */
  nextExpiry(now: number): number | null {
    const fresh = this.fresh(now);
    return fresh.length ? Math.min(...fresh.map((one) => this.expiry(one))) : null;
  }

  private fresh(now: number): WindowEmbedding[] {
    return [...this.embeddings.values()].filter((one) => now <= this.expiry(one));
  }

  private expiry({ modality, time }: WindowEmbedding): number {
    return time + this.bundle.specs[modality].ttl;
  }

  /** Return the modalities that are live, or would be if they were familiar, sorted. */
  near(now: number): string[] {
    const { specs } = this.bundle;
    const fresh = this.fresh(now);
    const ends = fresh.filter(({ modality }) => specs[modality].hop > 0).map(({ time }) => time);
    const oldest = (ends.length ? Math.max(...ends) : 0) - SKEW;
    // A caption has no window: it holds for its time to live.
    return fresh.filter(({ modality, time }) => specs[modality].hop === 0 || time >= oldest).map(({ modality }) => modality).sort();
  }
}

/** Return the modalities without the distrusted ones, unless all are. */
function without(distrusted: string[], near: string[]): string[] {
  const rest = near.filter((modality) => !distrusted.includes(modality));
  return rest.length ? rest : near;
}
