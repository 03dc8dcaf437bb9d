// The answer of a set of sensors: the runtime's `engine/answer.py`, which explains it.

import { believe, likeliest, RARE, strangeOf, whole } from "./belief";
import { KNOWN } from "./head";
import { opinionOf, type Classifier, type Evidence } from "./classifier";
import { Opinion, type Doubt } from "./opinion";

const NONE = -20; // the log-odds of a known scene in a window that shows nothing

/** Return the answer of the sensors of a subset alone, by what a window of each says; one that `lies` lacks, a sensor or a device (`whole`), lies as any does. */
export function answer({ labels, threshold, task, redundancy }: Classifier, evidence: ReadonlyMap<string, Evidence>, subset: readonly string[], lies: Readonly<Record<string, number>> = {}): Opinion {
  const familiar = subset.filter((modality) => evidence.get(modality)!.familiar);
  const live = familiar.length ? familiar : subset.filter((modality) => (evidence.get(modality)!.known ?? 0) >= -KNOWN);
  if (!live.length) return new Opinion(new Float32Array(labels.length).fill(1 / labels.length), threshold, labels, "unfamiliar");
  const said = live.map((modality) => evidence.get(modality)!);
  const strange = strangeOf(subset.filter((modality) => !live.includes(modality)).map((modality) => evidence.get(modality)!));
  const found = Float32Array.from(believe(said, live.map((modality) => lies[modality] ?? RARE), redundancy, task, strange.length, lies));
  if (!familiar.length) return new Opinion(found, threshold, labels, "unfamiliar");
  const tops = new Set(said.map((one) => likeliest(opinionOf(one, task))));
  const unsure: Doubt = tops.size > 1 ? "disagreement" : "several";
  return new Opinion(found, threshold, labels, found[likeliest(found)] >= threshold ? null : unsure);
}

/** Return what a window of a sensor says to a timeline: the log-likelihood ratio of each class against no class. */
export function againstNone({ classes, familiar, far, known, prior = [] }: Evidence): number[] {
  const own = known ?? 0;
  return Array.from(classes, (share, c) => (familiar ? Math.log(Math.max(share, 1e-9) / (prior[c] ?? 1 / classes.length)) + own : far ? NONE : own));
}

/** Return the probability that neither a sensor nor its device lies. */
export function honest(lies: Readonly<Record<string, number>>, modality: string, device?: string | null): number {
  return (1 - (lies[modality] ?? RARE)) * (device ? 1 - (lies[whole(device)] ?? RARE) : 1);
}
