// The answer of a set of sensors: the runtime's `engine/answer.py`, which explains it.

import { believe, likeliest, RARE, strangeOf } from "./belief";
import { opinionOf, type Classifier, type Evidence } from "./classifier";
import { Opinion, type Doubt } from "./opinion";

/** Return the answer of the sensors of a subset alone, by what a window of each says; one that `lies` lacks lies as any does. */
export function answer({ labels, threshold, task, redundancy }: Classifier, evidence: ReadonlyMap<string, Evidence>, subset: readonly string[], lies: Readonly<Record<string, number>> = {}): Opinion {
  const live = subset.filter((modality) => evidence.get(modality)!.familiar);
  if (!live.length) return new Opinion(new Float32Array(labels.length).fill(1 / labels.length), threshold, labels, "unfamiliar");
  const said = live.map((modality) => evidence.get(modality)!);
  const strange = strangeOf(subset.filter((modality) => !live.includes(modality)).map((modality) => evidence.get(modality)!));
  const found = Float32Array.from(believe(said, live.map((modality) => lies[modality] ?? RARE), redundancy, task, strange.length));
  const tops = new Set(said.map((one) => likeliest(opinionOf(one, task))));
  const unsure: Doubt = tops.size > 1 ? "disagreement" : "several";
  return new Opinion(found, threshold, labels, found[likeliest(found)] >= threshold ? null : unsure);
}
