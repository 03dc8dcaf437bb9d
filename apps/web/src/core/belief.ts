// The belief of the sensors that are live, and which of them lies: the runtime's `engine/belief.py`, which explains it.

import type { Evidence } from "./classifier";
import { doubted, KNOWN, type Task } from "./head";
import { places } from "./subsets";

export const RARE = 0.02; // the probability that a sensor lies before any evidence, or that a scene changes whether it does
const SCENE = 2; // seconds that a scene lasts at least
const LIKELY = 0.5; // the probability from which a sensor is a suspect
const MARGIN = 1.5; // the excess of a score over its limit that speaks neither for a known scene nor against it
export const STRANGE = 4; // the log-odds by which a strange sensor speaks against one
const LEAST = 0.01; // of an opinion is no evidence

/** The probability of each class. */
export type Shares = ArrayLike<number>;

/** Return the answer to one input, by what its live sensors say, one at least, and how many others are strange, and its parts: the classes, if it shows one, and the log-odds that it does; the others as `fuse` takes them. */
export function believe(live: readonly Evidence[], lies: readonly number[], redundancy: number, task: Task, strange = 0): { probabilities: Shares; classes: Shares } {
  const classes = fuse(live.map((one) => one.classes), lies, redundancy, task, live[0].prior);
  const excess = live.flatMap(({ known, limit }) => (known === null ? [] : known - Math.max(limit + MARGIN, -KNOWN)));
  if (!excess.length) return { probabilities: classes, classes };
  const known = live.length > 1 || strange ? total(excess) - STRANGE * strange : live[0].known!;
  return { probabilities: doubted(classes, known, task), classes };
}

/** Return which of the unfamiliar sensors speak against a known scene, by whether each is far and its device: a far one does if an earlier one is far, but none of its own device. */
export function strangeOf<T extends { far: boolean; device: string }>(unfamiliar: readonly T[]): T[] {
  const broken = new Set<string | number>();
  return unfamiliar.filter(({ far, device }, row) => !far || (!broken.has(device || row) && broken.add(device || row).size > 1));
}

/** Return the probabilities of one input, by the calibrated opinion of each of its sensors, one at least, and the probability that each lies, if each shows a class; of classes that are alike before, unless a prior is given. */
export function fuse(opinions: readonly Shares[], lies: readonly number[], redundancy: number, task: Task, prior: readonly number[] = []): ArrayLike<number> {
  const n = opinions.length;
  const trusted = (p: Shares, row: number, power: number, before: readonly number[] = []): number[] => likelihoods(p, power, before).map((value) => Math.log((1 - lies[row]) * value + lies[row]));
  if (task === "multi-label")
    return Array.from(opinions[0], (_, c) => {
      const logs = opinions.map((p, row) => trusted([p[c], 1 - p[c]], row, n ** -redundancy));
      return 1 / (1 + Math.exp(total(logs.map(([yes, no]) => no - yes))));
    });
  // As calibrated, as far as it is not suspected more than any.
  const alone = (row: number): number[] => {
    const suspected = Math.max(lies[row] - RARE, 0) / (1 - RARE);
    return Array.from(opinions[row], (p) => p + suspected * (1 / opinions[row].length - p));
  };
  if (n === 1) return alone(0);
  const bySize = new Map<number, number[][]>();
  const believed = (part: number[]): number[] => {
    const size = part.length;
    if (size === 1) return alone(part[0]);
    if (!bySize.has(size)) bySize.set(size, opinions.map((p, row) => trusted(p, row, size ** -redundancy, prior)));
    const logs = bySize.get(size)!;
    const sums = logs[0].map((_, c) => total(part.map((row) => logs[row][c])) + Math.log(prior[c] ?? 1));
    const most = Math.max(...sums);
    const odds = sums.map((sum) => Math.exp(sum - most));
    const whole = total(odds);
    return odds.map((share) => share / whole);
  };
  const tops = opinions.map(likeliest);
  let [best, surest]: [number[], number] = [[], 0];
  for (const part of places(n).reverse()) {
    const own = believed(part);
    const top = likeliest(own);
    const agreed = tops.every((other, row) => other === top || part.includes(row));
    if (agreed && own[top] > surest) [best, surest] = [own, own[top]];
  }
  return best;
}

/** Return how much more probable a window is under each class than without knowing it. */
function likelihoods(opinion: Shares, power = 1, prior: readonly number[] = []): number[] {
  const before = (c: number): number => prior[c] ?? 1 / opinion.length;
  const ratios = Array.from(opinion, (p, c) => (p / before(c)) ** power);
  const whole = total(ratios.map((ratio, c) => before(c) * ratio));
  return ratios.map((ratio) => ((1 - LEAST) * ratio) / whole + LEAST);
}

/** The probability that each modality lies, learned from scene to scene. Times are given. */
export class Belief {
  private chances: number[]; // when the scene began
  private scene: number[][] | null = null; // the likelihoods of its moment in which most agreed
  private agreement = -Infinity;
  private readonly first = new Map<string, number[]>(); // their logarithms when each was first live in it
  private began = -Infinity;

  constructor(private readonly modalities: readonly string[]) {
    this.chances = modalities.map(() => RARE);
  }

  /** The probability that each modality lies, by the scenes before this one. */
  get lies(): Record<string, number> {
    return Object.fromEntries(this.modalities.map((modality, row) => [modality, this.chances[row]]));
  }

  /** Note the opinions of one moment; return the suspect, if one sensor alone is likely to lie. */
  note(opinions: ReadonlyMap<string, Shares>, now: number): string | null {
    const [first] = opinions.values();
    if (!first) return null;
    const none = Array.from(first, () => 1); // absent: no evidence
    const said = this.modalities.map((modality) => (opinions.has(modality) ? likelihoods(opinions.get(modality)!) : none));
    const logs = said.map((row) => row.map(Math.log));
    const sums = none.map((_, c) => total(logs.map((row) => row[c])));
    const most = Math.max(...sums);
    const agreement = most + Math.log(total(sums.map((sum) => Math.exp(sum - most))));
    const live = new Map(this.modalities.flatMap((modality, row) => (opinions.has(modality) ? [[modality, logs[row]] as const] : [])));
    if (now - this.began >= SCENE && this.isOver(live)) {
      if (this.scene) this.chances = this.posterior(this.scene).map((chance) => (1 - RARE) * chance + RARE * RARE);
      [this.scene, this.agreement, this.began] = [said, agreement, now];
      this.first.clear();
    } else if (agreement > this.agreement) {
      [this.scene, this.agreement] = [said, agreement]; // sensors that lag behind disagree for a while
    }
    for (const [modality, row] of live) if (!this.first.has(modality)) this.first.set(modality, row);
    const chances = this.posterior(said);
    const suspects = this.modalities.filter((modality, row) => opinions.has(modality) && chances[row] > LIKELY);
    return suspects.length === 1 ? suspects[0] : null; // two that contradict each other are both suspect
  }

  /** Return whether those that were live say something else, all together or without one: one that only comes or goes begins no scene. */
  private isOver(live: ReadonlyMap<string, number[]>): boolean {
    const both = [...live.keys()].filter((modality) => this.first.has(modality));
    return !both.length || tops(both.map((m) => live.get(m)!)) !== tops(both.map((m) => this.first.get(m)!));
  }

  /** Forget what was noted of a modality, whose sensor left. */
  forget(modality: string): void {
    const row = this.modalities.indexOf(modality);
    this.chances[row] = RARE;
    this.first.delete(modality);
    if (this.scene) this.scene[row] = this.scene[row].map(() => 1);
  }

  /** Return the probability that each modality lies, by its likelihoods and those before. */
  private posterior(said: readonly number[][]): number[] {
    const logs = said.map((row, m) => row.map((value) => Math.log((1 - this.chances[m]) * value + this.chances[m])));
    const whole = logs[0].map((_, c) => total(logs.map((row) => row[c])));
    const largest = Math.max(...whole); // keeps the exponentials from overflowing
    const everybody = total(whole.map((sum) => Math.exp(sum - largest)));
    return logs.map((row, m) => (this.chances[m] * total(row.map((value, c) => Math.exp(whole[c] - value - largest)))) / everybody);
  }
}

/** Return the likeliest class by all, and by all but each, of log-likelihoods. */
function tops(logs: readonly number[][]): string {
  const whole = logs[0].map((_, c) => total(logs.map((row) => row[c])));
  return [whole, ...logs.map((row) => row.map((value, c) => whole[c] - value))].map(likeliest).join();
}

const total = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0);

/** Return the place of the largest number, the first of several. */
export function likeliest(shares: Shares): number {
  let found = 0;
  for (let i = 1; i < shares.length; i++) if (shares[i] > shares[found]) found = i;
  return found;
}
