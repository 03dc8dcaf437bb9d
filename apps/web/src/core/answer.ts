// The answer of a set of sensors: the runtime's `engine/answer.py`, which explains it.

import { believe, likeliest, RARE, strangeOf, whole } from "./belief";
import { KNOWN } from "./head";
import { opinionOf, type Classifier, type Evidence } from "./classifier";
import { Opinion, type Doubt } from "./opinion";

const NONE = -20; // the log-odds of a known scene where no sensor sees or hears anything
const ELSEWHERE = 0.1; // the probability that what happens is not before a sensor, though others witness it

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

/** Return what a timeline takes of the sensors of a subset: the probabilities of the classes if the scene shows one, and the log-odds that it does. */
export function againstNone(evidence: ReadonlyMap<string, Evidence>, subset: readonly string[], lies: Readonly<Record<string, number>>, weights?: Readonly<Record<string, number>> | null): { classes: number[]; known: number } {
  const heard = subset.filter((modality) => !evidence.get(modality)!.far || evidence.get(modality)!.familiar);
  const { classes, prior = [] } = evidence.get(subset[0])!;
  const count = classes.length;
  const before = Array.from(classes, (_, c) => prior[c] ?? 1 / count);
  const ratios = before.map((share) => count * share);
  for (const modality of heard) {
    const { classes, familiar, known, device } = evidence.get(modality)!;
    const honest = (name: string): number => 1 - (lies[name] ?? RARE);
    const witness = heard.length > 1 ? honest(modality) * (device ? honest(whole(device)) : 1) * (1 - ELSEWHERE) : 1;
    before.forEach((share, c) => {
      const ratio = (familiar ? classes[c] / share : 1) * Math.exp(known ?? 0);
      ratios[c] *= (witness * ratio + 1 - witness) ** (weights?.[modality] ?? 1);
    });
  }
  const sum = ratios.reduce((a, b) => a + b);
  return { classes: ratios.map((share) => share / sum), known: heard.length ? Math.log(sum / count) : NONE };
}
