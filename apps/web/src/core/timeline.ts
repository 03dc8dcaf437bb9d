// What begins and what ends, out of the answers of overlapping windows: the runtime's `engine/timeline.py`, which explains it.

/** The numbers of the timeline; fields as in the runtime's `manifest.py`. */
export interface TimelineCalibration {
  evidence: number;
  usual: number;
  dwell: Record<string, number>;
  asked: number;
  sets: Record<string, { threshold: number; weights?: Record<string, number> | null }>;
}

const REST = 0.75; // seconds below the threshold after which a class has ended
const BEGINS = 0.1; // classes a second that begin, before any evidence
const MOST = 12; // the log-likelihood ratio that an answer counts for at most
const LEAST = 1e-12;
const PAUSE = 5; // seconds without an answer after which nothing is known
const LINGER = 6; // log-odds below the threshold by which a state goes on: one stumble does not end a walk
const STATE = 3; // seconds that a class lasts from which it is a state
const DEFAULT: TimelineCalibration = { evidence: 3.2, usual: 1, dwell: {}, asked: 1, sets: { "": { threshold: 1 } } };

/** A class that began, or that ended. */
export interface Happening {
  kind: "began" | "ended";
  label: string;
  began: number;
  ended: number | null;
  confidence: number;
  sensors: string[];
}

/** Write it in a line. */
export function happeningWords({ label, began, ended, confidence, sensors }: Happening): string {
  const over = ended === null ? "" : ` after ${(ended - began).toFixed(1)} s`;
  return `${label}, ${Math.min(Math.round(100 * confidence), 99)} %, ${sensors.join("+")}${over}`;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** The probability of each class, from window to window of a sensor; the rest is that of none. */
class Filter {
  private time = -Infinity; // of the newest window
  private each: number[];

  constructor(
    private readonly evidence: number,
    private readonly dwell: readonly number[],
    private readonly rest: readonly number[],
  ) {
    this.each = dwell.map(() => 0);
  }

  /** Take a window: the log-likelihood ratio of each class against none. */
  note(time: number, ratios: readonly number[]): void {
    let elapsed = time - this.time;
    if (elapsed > PAUSE) [this.each, elapsed] = [this.dwell.map(() => 0), 1 / this.evidence];
    const weight = Math.min(1, this.evidence * elapsed);
    const before = this.passed(elapsed);
    const grown = before.map((share, c) => share * Math.exp(weight * Math.max(-MOST, Math.min(MOST, ratios[c]))));
    const whole = 1 - sum(before) + sum(grown);
    [this.time, this.each] = [time, grown.map((share) => share / whole)];
  }

  /** Return what the windows so far say at a time: the logarithm of each class against none, over what it is without evidence. */
  now(time: number): number[] {
    const each = this.passed(time - this.time);
    const none = 1 - sum(each);
    return each.map((share, c) => Math.log((share + LEAST) / (none + LEAST) / this.rest[c]));
  }

  private passed(elapsed: number): number[] {
    const begins = ((1 - sum(this.each)) * (1 - Math.exp(-elapsed * BEGINS))) / this.each.length;
    return this.each.map((share, c) => share * Math.exp(-elapsed / this.dwell[c]) + begins);
  }
}

/** Return the log-odds that each class is going on, by what is said against none and the odds at rest. */
function goingOn(said: readonly number[], rest: readonly number[]): number[] {
  const shares = said.map((own, c) => Math.exp(own) * rest[c]);
  const all = 1 + sum(shares);
  return shares.map((share) => Math.log((share / all + LEAST) / (1 - share / all + LEAST)));
}

type ByModality = ReadonlyMap<string, readonly number[]>;

/** Tells what begins and what ends; times are given, and rise. */
export class Timeline {
  private readonly dwell: number[];
  private readonly rest: number[]; // the odds of each class against none, without evidence
  private readonly isShared: boolean; // whether there are states: then all sensors share one filter
  private readonly filters = new Map<string, Filter>(); // by sensor
  private answered = -Infinity; // when the newest answer came
  private last = -Infinity; // when the odds were last above the threshold
  private since = new Map<string, number>(); // when the log-odds of a state came within `LINGER` of the threshold
  private going: Happening | null = null;
  readonly calibration: TimelineCalibration;

  constructor(calibration: TimelineCalibration | null, private readonly labels: readonly string[]) {
    this.calibration = calibration ?? DEFAULT;
    this.dwell = labels.map((label) => this.calibration.dwell[label] ?? this.calibration.usual);
    this.rest = this.dwell.map((dwell) => (BEGINS * dwell) / labels.length);
    this.isShared = this.dwell.some((dwell) => dwell >= STATE);
  }

  /**
   * Take an answer.
   *
   * `ratios` has `againstNone` of the newest window of each sensor that counts. `honest` gives the probability that a sensor does not lie.
   * `fresh` names the sensors whose window is new. `sensors` are those that the answer names. The weights and the threshold are those of
   * `set`. It includes sensors that say nothing just now.
   */
  note(time: number, ratios: ByModality, honest: (modality: string) => number, fresh: readonly string[], sensors: string[], set: readonly string[]): Happening[] {
    const { evidence, sets } = this.calibration;
    const { threshold, weights } = sets[set.join("+")] ?? { threshold: Math.max(...Object.values(sets).map((one) => one.threshold)) };
    const product = (said: ByModality): number[] =>
      this.rest.map((_, c) => sum([...said].map(([modality, own]) => {
        const truth = set.length > 1 ? honest(modality) : 1; // a lone sensor does not lie
        return (weights?.[modality] ?? 1) * Math.log(Math.exp(own[c]) * truth + 1 - truth);
      })));
    const said = new Map<string, number[]>();
    for (const [modality, own] of this.isShared ? new Map([["", product(ratios)]]) : ratios) {
      const isNew = this.isShared || fresh.includes(modality);
      if (isNew && !this.filters.has(modality)) this.filters.set(modality, new Filter(evidence, this.dwell, this.rest));
      const filter = this.filters.get(modality);
      if (isNew) filter!.note(time, own);
      if (filter) said.set(modality, filter.now(time));
    }
    const odds = goingOn(said.get("") ?? product(said), this.rest);
    const elapsed = time - this.answered;
    const isRested = time - this.last > Math.max(REST, 1.5 * elapsed);
    this.answered = time;
    const best = odds.indexOf(Math.max(...odds));
    if (elapsed > PAUSE) this.since.clear();
    const near = this.labels.filter((_, c) => this.dwell[c] >= STATE && odds[c] >= threshold - LINGER);
    this.since = new Map(near.map((label) => [label, this.since.get(label) ?? time]));
    if (odds[best] < threshold) {
      const lingers = this.going && this.since.has(this.going.label);
      if (lingers) this.last = time;
      return !lingers && isRested ? this.end() : [];
    }
    const confidence = 1 / (1 + Math.exp(-odds[best]));
    const happened = this.going && (this.going.label !== this.labels[best] || isRested) ? this.end() : [];
    const began = Math.max(this.since.get(this.labels[best]) ?? time, this.last);
    this.last = time;
    if (!this.going) happened.push((this.going = { kind: "began", label: this.labels[best], began, ended: null, confidence, sensors }));
    else if (confidence > this.going.confidence) this.going = { ...this.going, confidence };
    return happened;
  }

  /** When what goes on ends if no answer comes before; null if nothing does. */
  get deadline(): number | null {
    return this.going && this.answered + PAUSE;
  }

  /** End what has had no answer for too long. */
  passTo(time: number): Happening[] {
    return time - this.answered >= PAUSE ? this.end() : [];
  }

  /** End what goes on: no more answers come. */
  end(): Happening[] {
    const ended: Happening[] = this.going ? [{ ...this.going, kind: "ended", ended: this.last }] : [];
    this.going = null;
    return ended;
  }
}
