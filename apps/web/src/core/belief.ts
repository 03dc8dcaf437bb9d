// The belief of the sensors that are live, and which of them lies: the runtime's `engine/belief.py`, which explains it.

import type { Evidence } from "./classifier";
import { doubted, KNOWN, type Task } from "./head";
import { places } from "./subsets";

export const RARE = 0.02; // the probability that a sensor lies before any evidence, or that a scene changes whether it does
const SCENE = 2; // seconds that a scene lasts at least
const LIKELY = 0.5; // the probability from which a sensor is a suspect
const MARGIN = 1.5; // the excess of a score over its limit that speaks neither for a known scene nor against it
const STRANGE = 4; // the log-odds by which a strange sensor speaks against one
const LEAST = 0.01; // of an opinion is no evidence

/** The probability of each class. */
export type Shares = ArrayLike<number>;

/** A device: the rows of its sensors, and the probability that it lies as a whole. */
export interface Witness {
  rows: readonly number[];
  lies: number;
}

/** Return the name of a device among modalities; no modality has it. */
export const whole = (device: string): string => `device ${device}`;

/** Return the rows of the sensors of each device, by the device of each sensor, "" without one. */
function carried(devices: readonly string[]): Map<string, number[]> {
  const found = new Map<string, number[]>();
  devices.forEach((device, row) => device && found.set(device, [...(found.get(device) ?? []), row]));
  return found;
}

/** Return the answer to one input, by what its live sensors say, one at least, and how many others are strange; `devices` has the probability that each lies, if not `RARE`; the others as `fuse` takes them. */
export function believe(live: readonly Evidence[], lies: readonly number[], redundancy: number, task: Task, strange = 0, devices: Readonly<Record<string, number>> = {}): Shares {
  const witnesses = [...carried(live.map((one) => one.device))].map(([device, rows]) => ({ rows, lies: devices[whole(device)] ?? RARE }));
  const classes = fuse(live.map((one) => one.classes), lies, redundancy, task, live[0].prior, witnesses);
  const excess = live.flatMap(({ known, limit }) => (known === null ? [] : known - Math.max(limit + MARGIN, -KNOWN)));
  if (!excess.length) return classes;
  const known = live.length > 1 || strange ? total(excess) - STRANGE * strange : live[0].known!;
  return doubted(classes, known, task);
}

/** Return which of the unfamiliar sensors speak against a known scene, by whether each is far and its device: a far one does if an earlier one is far, but none of its own device. */
export function strangeOf<T extends { far: boolean; device: string }>(unfamiliar: readonly T[]): T[] {
  const broken = new Set<string | number>();
  return unfamiliar.filter(({ far, device }, row) => !far || (!broken.has(device || row) && broken.add(device || row).size > 1));
}

/** Return the probabilities of one input, by the calibrated opinion of each of its sensors, one at least, and the probability that each lies, and each device, if each shows a class; of classes that are alike before, unless a prior is given. */
export function fuse(opinions: readonly Shares[], lies: readonly number[], redundancy: number, task: Task, prior: readonly number[] = [], witnesses: readonly Witness[] = []): ArrayLike<number> {
  const n = opinions.length;
  const trusted = (p: Shares, row: number, power: number, before: readonly number[] = []): number[] => likelihoods(p, power, before).map((value) => Math.log((1 - lies[row]) * value + lies[row]));
  if (task === "multi-label")
    return Array.from(opinions[0], (_, c) => {
      const logs = opinions.map((p, row) => trusted([p[c], 1 - p[c]], row, n ** -redundancy));
      const [yes, no] = joined(logs, Array.from(logs.keys()), witnesses);
      return 1 / (1 + Math.exp(no - yes));
    });
  // As calibrated, as far as it is not suspected more than any.
  const alone = (row: number): number[] => {
    const device = witnesses.find(({ rows }) => rows.includes(row));
    const own = excess(lies[row]);
    const suspected = own + excess(device?.lies ?? RARE) * (1 - own);
    return Array.from(opinions[row], (p) => p + suspected * (1 / opinions[row].length - p));
  };
  if (n === 1) return alone(0);
  const bySize = new Map<number, number[][]>();
  const believed = (part: number[]): number[] => {
    const size = part.length;
    if (size === 1) return alone(part[0]);
    if (!bySize.has(size)) bySize.set(size, opinions.map((p, row) => trusted(p, row, size ** -redundancy, prior)));
    const sums = joined(bySize.get(size)!, part, witnesses, prior).map((sum, c) => sum + Math.log(prior[c] ?? 1));
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

/** Return the log-likelihoods of a part of the sensors, of which those of a device are one. */
function joined(logs: readonly number[][], part: readonly number[], witnesses: readonly Witness[], prior: readonly number[] = []): number[] {
  const sumsOf = (rows: readonly number[]): number[] => logs[0].map((_, c) => total(rows.map((row) => logs[row][c])));
  return witnesses.reduce((sums, { rows, lies }) => {
    const some = rows.filter((row) => part.includes(row));
    const chance = chanceOf(lies, some.length, part.length);
    if (!(chance > 0)) return sums;
    const own = sumsOf(some);
    const mixed = witness(own, chance, prior);
    return sums.map((sum, c) => sum - own[c] + mixed[c]);
  }, sumsOf(part));
}

const excess = (lies: number): number => Math.max(lies - RARE, 0) / (1 - RARE);

/** Return the probability that a device lies, `some` of whose sensors are live, of `every` live ones. */
function chanceOf(lies: number, some: number, every: number): number {
  if (!some) return 0;
  return 1 < some && some < every ? lies : excess(lies);
}

/** Return the log-likelihoods of a device that may lie as a whole, by those of its sensors. */
function witness(own: readonly number[], chance: number, prior: readonly number[] = []): number[] {
  const most = Math.max(...own);
  const shares = own.map((log) => Math.exp(log - most));
  const mean = total(shares.map((share, c) => share * (prior[c] ?? 1 / own.length)));
  return shares.map((share) => Math.log(((1 - chance) * share) / mean + chance));
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
  private readonly devices: Map<string, Witness>; // those of two modalities or more
  private scene: number[][] | null = null; // the likelihoods of its moment in which most agreed
  private agreement = -Infinity;
  private readonly first = new Map<string, number[]>(); // their logarithms when each was first live in it
  private began = -Infinity;

  /** The device of each modality is "" without one; of two modalities or more, it may lie as a whole. */
  constructor(private readonly modalities: readonly string[], deviceOf: (modality: string) => string = () => "") {
    this.chances = modalities.map(() => RARE);
    this.devices = new Map([...carried(modalities.map(deviceOf))].flatMap(([device, rows]) => (rows.length > 1 ? [[device, { rows, lies: RARE }] as const] : [])));
  }

  /** The probability that each modality lies, and each device (`whole`), by the scenes before this one. */
  get lies(): Record<string, number> {
    const each = this.modalities.map((modality, row) => [modality, this.chances[row]] as const);
    return Object.fromEntries([...each, ...[...this.devices].map(([device, { lies }]) => [whole(device), lies] as const)]);
  }

  /** Note the opinions of one moment; return the suspects: a sensor, or those of a device. */
  note(opinions: ReadonlyMap<string, Shares>, now: number): string[] {
    const [first] = opinions.values();
    if (!first) return [];
    const none = Array.from(first, () => 1); // absent: no evidence
    const said = this.modalities.map((modality) => (opinions.has(modality) ? likelihoods(opinions.get(modality)!) : none));
    const logs = said.map((row) => row.map(Math.log));
    const sums = none.map((_, c) => total(logs.map((row) => row[c])));
    const most = Math.max(...sums);
    const agreement = most + Math.log(total(sums.map((sum) => Math.exp(sum - most))));
    const live = new Map(this.modalities.flatMap((modality, row) => (opinions.has(modality) ? [[modality, logs[row]] as const] : [])));
    if (now - this.began >= SCENE && this.isOver(live)) {
      if (this.scene) {
        const { lies, turned } = this.posterior(this.scene);
        const next = (chance: number): number => (1 - RARE) * chance + RARE * RARE;
        this.chances = lies.map(next);
        for (const [device, chance] of turned) this.devices.set(device, { ...this.devices.get(device)!, lies: next(chance) });
      }
      [this.scene, this.agreement, this.began] = [said, agreement, now];
      this.first.clear();
    } else if (agreement > this.agreement) {
      [this.scene, this.agreement] = [said, agreement]; // sensors that lag behind disagree for a while
    }
    for (const [modality, row] of live) if (!this.first.has(modality)) this.first.set(modality, row);
    const { lying, turned } = this.posterior(said);
    const rows = Array.from(this.modalities.keys()).filter((row) => opinions.has(this.modalities[row]) && lying[row] > LIKELY);
    const isOne = [...turned].some(([device, chance]) => chance > LIKELY && rows.every((row) => this.devices.get(device)!.rows.includes(row)));
    return rows.length === 1 || isOne ? rows.map((row) => this.modalities[row]) : []; // two that contradict each other are both suspect
  }

  /** Return whether those that were live say something else, all together or without one or a device: one that only comes or goes begins no scene. */
  private isOver(live: ReadonlyMap<string, number[]>): boolean {
    const both = [...live.keys()].filter((modality) => this.first.has(modality));
    const parts = [...both.keys()].map((place) => [place]);
    for (const { rows } of this.devices.values()) parts.push([...both.keys()].filter((place) => rows.includes(this.modalities.indexOf(both[place]))));
    return !both.length || tops(both.map((m) => live.get(m)!), parts) !== tops(both.map((m) => this.first.get(m)!), parts);
  }

  /** Forget what was noted of a modality, whose sensor left, and of a device without another. */
  forget(modality: string): void {
    const row = this.modalities.indexOf(modality);
    this.chances[row] = RARE;
    this.first.delete(modality);
    for (const [device, { rows }] of this.devices) if (!rows.some((one) => this.first.has(this.modalities[one]))) this.devices.set(device, { rows, lies: RARE });
    if (this.scene) this.scene[row] = this.scene[row].map(() => 1);
  }

  /** Return who lies by the likelihoods of a moment and the probabilities before it: each modality by itself, by itself or with its device, and each device. */
  private posterior(said: readonly number[][]): { lies: number[]; lying: number[]; turned: Map<string, number> } {
    const live = said.map((row) => row.some((value) => value !== 1));
    const isLive = (row: number): boolean => live[row];
    const logs = said.map((row, m) => row.map((value) => Math.log((1 - this.chances[m]) * value + this.chances[m])));
    let sums = logs[0].map((_, c) => total(logs.map((row) => row[c])));
    const joint = [...this.devices].flatMap(([device, { rows, lies }]) => {
      const [some, every] = [rows.filter(isLive).length, live.filter(Boolean).length];
      const chance = chanceOf(lies, some, every);
      if (!(chance > 0)) return [];
      const own = sums.map((_, c) => total(rows.map((row) => logs[row][c])));
      const mixed = witness(own, chance);
      sums = sums.map((sum, c) => sum - own[c] + mixed[c]);
      return [{ device, rows, chance, own, mixed, isWhole: 1 < some && some < every }];
    });
    const largest = Math.max(...sums); // keeps the exponentials from overflowing
    const mean = (numbers: readonly number[]): number => total(numbers) / numbers.length;
    const everybody = mean(sums.map((sum) => Math.exp(sum - largest)));
    const lies = logs.map((row, m) => (this.chances[m] * mean(row.map((value, c) => Math.exp(sums[c] - value - largest)))) / everybody);
    const lying = [...lies];
    const turned = new Map([...this.devices].map(([device, one]) => [device, one.lies]));
    for (const { device, rows, chance, own, mixed, isWhole } of joint) {
      const others = sums.map((sum, c) => Math.exp(sum - mixed[c] - largest));
      const isTurned = (chance * mean(others)) / everybody;
      const most = Math.max(...own);
      const average = mean(own.map((log) => Math.exp(log - most)));
      for (const row of rows) {
        const rest = own.map((log, c) => Math.exp(log - logs[row][c] - most) / average);
        const honest = (this.chances[row] * (1 - chance) * mean(rest.map((value, c) => value * others[c]))) / everybody;
        lying[row] = isTurned + honest;
        lies[row] = honest + this.chances[row] * mean(rest) * isTurned;
      }
      turned.set(device, isWhole ? isTurned : RARE + (1 - RARE) * isTurned);
    }
    return { lies, lying, turned };
  }
}

/** Return the likeliest class by all log-likelihoods, and by all but each of some parts. */
function tops(logs: readonly number[][], parts: readonly number[][]): string {
  const every = logs[0].map((_, c) => total(logs.map((row) => row[c])));
  return [every, ...parts.map((part) => every.map((sum, c) => sum - total(part.map((row) => logs[row][c]))))].map(likeliest).join();
}

const total = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0);

/** Return the place of the largest number, the first of several. */
export function likeliest(shares: Shares): number {
  let found = 0;
  for (let i = 1; i < shares.length; i++) if (shares[i] > shares[found]) found = i;
  return found;
}
