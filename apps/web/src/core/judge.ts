// The answer of a live set, from its embeddings: the runtime's `bundle/judge.py`, which explains it.

import { pool, probabilities, project, type Head } from "./head";
import { nameOf, nearest, WHOLE } from "./subsets";

export type Doubt = "unfamiliar" | "uncalibrated" | "several" | "contradiction" | "weak";

export interface SubsetCalibration {
  temperature: number;
  power: number;
  threshold: number;
  examples: number;
  groups: number;
}

export interface Calibration {
  alpha: number;
  floor: number;
  subsets: Record<string, SubsetCalibration>;
  familiar: Record<string, number>;
}

const UNCALIBRATED = { temperature: 1, power: 0, threshold: 0, examples: 0, groups: 0 };

/** An answer: the probabilities, the classes that come into question, and the label or why it is unsure. */
export class Opinion {
  constructor(
    readonly probabilities: Float32Array,
    /** The least probability of a candidate; 0 where every class is one. */
    readonly least: number,
    readonly labels: readonly string[],
    readonly doubt: Doubt | null,
  ) {}

  /** The labels that come into question, the most probable first. */
  get candidates(): string[] {
    return this.chosen.map((index) => this.labels[index]);
  }

  get sure(): boolean {
    return this.doubt === null;
  }

  /** The most probable label; null if unsure. */
  get label(): string | null {
    return this.sure ? this.best : null;
  }

  /** The most probable label, sure or not; null without evidence. */
  get best(): string | null {
    return this.doubt === "unfamiliar" ? null : this.labels[this.probabilities.indexOf(this.confidence)];
  }

  /** The calibrated probability of `best`. */
  get confidence(): number {
    return Math.max(...this.probabilities);
  }

  /** The places of the candidates in `labels`, the most probable first. */
  get chosen(): number[] {
    const { probabilities: p, least } = this;
    return Array.from(p.keys()).filter((i) => p[i] >= least).sort((a, b) => p[b] - p[a] || a - b);
  }
}

/** The answer of a live set, and that of each of its modalities alone. */
export interface Answer {
  whole: Opinion;
  alone: Map<string, Opinion>;
}

export class Judge {
  /** The answer where all windows are unfamiliar: every class is as probable as the others. */
  readonly noEvidence: Opinion;

  constructor(
    private readonly head: Head,
    private readonly calibration: Calibration,
    private readonly labels: readonly string[],
    private readonly modalities: readonly string[],
  ) {
    this.noEvidence = new Opinion(new Float32Array(labels.length).fill(1 / labels.length), 0, labels, "unfamiliar");
  }

  /** Return whether a window is like those that the encoder was trained on, by its embedding. */
  isFamiliar(modality: string, embedding: Float32Array): boolean {
    const least = this.calibration.familiar[modality];
    const scores = this.head.familiarity;
    if (least === undefined || scores === null) return true;
    return project(scores.weight, scores.bias, this.modalities.indexOf(modality), embedding) >= Math.fround(least);
  }

  answer(embeddings: ReadonlyMap<string, Float32Array>, unfamiliar: readonly string[] = []): Answer {
    const live = [...embeddings.keys()].sort();
    if (live.every((modality) => unfamiliar.includes(modality)))
      return { whole: this.noEvidence, alone: new Map(live.map((modality) => [modality, this.noEvidence])) };
    const measured = this.measuredAs(live);
    const alone = new Map(live.map((m) => [m, this.judge(live.length > 1 ? [m] : measured, embeddings.get(m)!)]));
    if (live.length === 1) return { whole: alone.get(live[0])!, alone };
    return { whole: this.judge(measured, pool(embeddings), [...alone.values()]), alone };
  }

  /** Return the subset whose numbers a live set takes: its own or, if it was not measured, the nearest. */
  measuredAs(live: string[]): string[] {
    const known = Object.keys(this.calibration.subsets);
    if (this.modalities.length <= WHOLE || known.includes(nameOf(live))) return live;
    return nearest(live, known.map((name) => name.split("+"))) ?? live;
  }

  private judge(measured: string[], pooled: Float32Array, alone: Opinion[] = []): Opinion {
    const { temperature, power, threshold } = this.calibration.subsets[nameOf(measured)] ?? UNCALIBRATED;
    const isClass = this.head.task === "multi-class";
    const found = probabilities(this.head, pooled, temperature, power);
    const top = Math.max(...found);
    const least = Math.fround(Math.fround(threshold) * (isClass ? top : 1));
    const candidates = found.filter((probability) => probability >= least).length;
    let doubt: Doubt | null = top < Math.fround(this.calibration.floor) ? "weak" : null;
    if (isClass && areApart(alone)) doubt = "contradiction";
    if (candidates !== 1) doubt = "several";
    if (threshold === 0) doubt = "uncalibrated";
    return new Opinion(found, least, this.labels, doubt);
  }
}

/** Return whether two opinions have no candidate in common. */
function areApart(opinions: Opinion[]): boolean {
  const sets = opinions.map((opinion) => new Set(opinion.chosen));
  return sets.some((one) => sets.some((other) => ![...one].some((index) => other.has(index))));
}
