// The answer of a set of sensors: the runtime's `engine/answer.py`, which explains it.

import { believe, likeliest, RARE, STRANGE, strangeOf } from "./belief";
import { KNOWN } from "./head";
import { opinionOf, type Classifier, type Evidence } from "./classifier";
import { Opinion, type Doubt } from "./opinion";

const NONE = -20; // the log-odds of a known scene where no sensor sees or hears anything

/** An answer, and what a timeline takes of it: the probabilities of the classes if the scene shows one, the log-odds that it does, and the sensors that speak for or against it. */
export interface Fused {
  opinion: Opinion;
  classes: ArrayLike<number>;
  known: number;
  heard: string[];
}

/** Return the answer of the sensors of a subset alone, by what a window of each says; one that `lies` lacks, a sensor or a device (`whole`), lies as any does. */
export function answer(classifier: Classifier, evidence: ReadonlyMap<string, Evidence>, subset: readonly string[], lies: Readonly<Record<string, number>> = {}): Opinion {
  return fused(classifier, evidence, subset, lies).opinion;
}

/** Return the same with its parts. */
export function fused({ labels, threshold, task, redundancy }: Classifier, evidence: ReadonlyMap<string, Evidence>, subset: readonly string[], lies: Readonly<Record<string, number>> = {}): Fused {
  const familiar = subset.filter((modality) => evidence.get(modality)!.familiar);
  const live = familiar.length ? familiar : subset.filter((modality) => (evidence.get(modality)!.known ?? 0) >= -KNOWN);
  const nothing = new Float32Array(labels.length).fill(1 / labels.length);
  if (!live.length) return { opinion: new Opinion(nothing, threshold, labels, "unfamiliar"), classes: nothing, ...heardOf(evidence, subset) };
  const said = live.map((modality) => evidence.get(modality)!);
  const strange = strangeOf(subset.filter((modality) => !live.includes(modality)).map((modality) => evidence.get(modality)!));
  const { probabilities, classes } = believe(said, live.map((modality) => lies[modality] ?? RARE), redundancy, task, strange.length, lies);
  const found = Float32Array.from(probabilities);
  if (!familiar.length) return { opinion: new Opinion(found, threshold, labels, "unfamiliar"), classes: nothing, ...heardOf(evidence, subset) };
  const tops = new Set(said.map((one) => likeliest(opinionOf(one, task))));
  const unsure: Doubt = tops.size > 1 ? "disagreement" : "several";
  return { opinion: new Opinion(found, threshold, labels, found[likeliest(found)] >= threshold ? null : unsure), classes, ...heardOf(evidence, subset) };
}

function heardOf(evidence: ReadonlyMap<string, Evidence>, subset: readonly string[]): { known: number; heard: string[] } {
  const heard = subset.filter((modality) => evidence.get(modality)!.familiar || !evidence.get(modality)!.far);
  const floor = heard.length > 1 ? -STRANGE : NONE;
  const known = heard.reduce((sum, modality) => sum + Math.max(evidence.get(modality)!.known ?? 0, floor), 0);
  return { known: heard.length ? known : NONE, heard };
}
