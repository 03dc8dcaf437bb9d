// What a window of one modality says about the classes, and whether it is familiar: the runtime's `bundle/classifier.py`.

import type { InputSpec } from "./spec";
import type { SparingCalibration } from "./sparing";
import type { TimelineCalibration } from "./timeline";
import { calibrated, doubted, familiar, isFar, logits, type Head, type Task } from "./head";

export interface ModalityCalibration {
  temperature: number;
  power: number;
  examples: number;
  groups: number;
}

/** What the belief needs; fields as in the runtime's `manifest.py`. */
export interface Calibration {
  risk: number;
  threshold: number;
  groups: number;
  redundancy: number;
  modalities: Record<string, ModalityCalibration>;
  familiar: Record<string, number>;
  timeline?: TimelineCalibration | null;
  sparing?: SparingCalibration | null;
  prior?: number[] | null;
}

/** What a window of one modality says. */
export interface Evidence {
  /** The calibrated probabilities of the classes, if the window shows one. */
  classes: ArrayLike<number>;
  /** The log-odds that it does, by familiarity; null where nothing tells. */
  known: number | null;
  /** The log-odds from which a window is familiar. */
  limit: number;
  /** An unfamiliar window has no opinion. */
  familiar: boolean;
  /** Whether the window is as of a covered or broken sensor. */
  far: boolean;
  /** The sensor's device, which breaks as a whole; "": it breaks by itself. */
  device: string;
  /** The probabilities of the classes before any sensor, which `classes` hold; none: all are alike. */
  prior?: readonly number[];
}

/** Return the probabilities by one window alone: `doubted` by the log-odds. */
export const opinionOf = ({ classes, known }: Evidence, task: Task): ArrayLike<number> => (known === null ? classes : doubted(classes, known, task));

/** What is promised of sure answers, in words. */
export function promise({ risk, threshold, groups }: Calibration): string {
  const share = `${Number((100 * risk).toPrecision(6))} %`;
  const sure = threshold <= 1 ? `sure from ${Math.floor(1000 * threshold) / 10} % on` : "none is sure";
  const needed = Math.ceil(Number((1 / risk).toFixed(9))) - 1;
  if (groups >= needed) return `promised: at most ${share} of a new person's answers are sure and wrong (from ${groups} people, the groups of the data; ${sure})`;
  return `not promised for new people: ${groups} of the ${needed} needed (a group of the data is one, takes of one sitting are one, files without a group are none; ${sure})`;
}

export class Classifier {
  readonly task: Task;
  /** The confidence from which an answer is sure. */
  readonly threshold: number;
  /** How far sensors repeat each other, from 0 to 1. */
  readonly redundancy: number;
  /** The numbers of the timeline; null if nothing was fitted. */
  readonly timeline: TimelineCalibration | null;
  private readonly modalities: readonly string[];

  constructor(
    private readonly head: Head,
    private readonly calibration: Calibration,
    readonly labels: readonly string[],
    private readonly specs: Readonly<Record<string, InputSpec>>,
  ) {
    this.modalities = Object.keys(specs).sort();
    this.task = head.task;
    ({ threshold: this.threshold, redundancy: this.redundancy } = calibration);
    this.timeline = calibration.timeline ?? null;
  }

  /** Return the same with another confidence from which an answer is sure. */
  sureFrom(threshold: number): Classifier {
    return new Classifier(this.head, { ...this.calibration, threshold }, this.labels, this.specs);
  }

  /** Return what a window says, by its embedding. */
  evidence(modality: string, embedding: Float32Array): Evidence {
    const { temperature, power } = this.calibration.modalities[modality] ?? { temperature: 1, power: 0 };
    const known = this.score(modality, embedding);
    const limit = this.calibration.familiar[modality] ?? 0;
    return {
      classes: calibrated(logits(this.head, embedding), temperature, power, this.task),
      known,
      limit,
      familiar: known === null || known >= Math.fround(limit),
      far: known !== null && isFar(this.head.familiarity!, this.modalities.indexOf(modality), embedding, limit),
      device: this.specs[modality].device,
      prior: this.calibration.prior ?? [],
    };
  }

  private score(modality: string, embedding: Float32Array): number | null {
    const scores = this.head.familiarity;
    if (scores === null || !Object.hasOwn(this.calibration.familiar, modality)) return null;
    return familiar(scores, this.modalities.indexOf(modality), embedding);
  }
}
