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
const HOLD = 2; // seconds for which the threshold of a set counts on when it changes: its evidence is in the filter
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

/** Tells what begins and what ends; times are given, and rise. */
export class Timeline {
  private readonly dwell: number[];
  private each: number[]; // the probability of each class now
  private none = 1;
  private answered = -Infinity; // when the newest answer came
  private last = -Infinity; // when the odds were last above the threshold
  private since = new Map<string, number>(); // when the log-odds of a state came within `LINGER` of the threshold
  private going: Happening | null = null;
  private held: [number, number][] = []; // when, and the threshold of the set
  readonly calibration: TimelineCalibration;

  constructor(calibration: TimelineCalibration | null, private readonly labels: readonly string[]) {
    this.calibration = calibration ?? DEFAULT;
    this.dwell = labels.map((label) => this.calibration.dwell[label] ?? this.calibration.usual);
    this.each = labels.map(() => 0);
  }

  /** Take an answer: its probabilities if the scene shows a class, the log-odds that it does, the sensors that it names, and the set whose threshold counts: those that hear nothing just now are of it. */
  note(time: number, classes: ArrayLike<number>, known: number, sensors: string[], present = sensors): Happening[] {
    const { sets } = this.calibration;
    const own = sets[present.join("+")] ?? { threshold: Math.max(...Object.values(sets).map((one) => one.threshold)) };
    this.held = [...this.held.filter(([at]) => time - at <= HOLD), [time, own.threshold]];
    const threshold = Math.max(...this.held.map(([, one]) => one));
    const elapsed = time - this.answered;
    const isRested = time - this.last > Math.max(REST, 1.5 * elapsed);
    this.answered = time;
    const odds = this.filter(elapsed, classes, known);
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

  private filter(elapsed: number, classes: ArrayLike<number>, known: number): number[] {
    const { evidence } = this.calibration;
    const count = this.labels.length;
    let seconds = elapsed;
    if (!(elapsed >= 0 && elapsed <= PAUSE)) [this.none, this.each, seconds] = [1, this.labels.map(() => 0), 1 / evidence];
    const stay = this.dwell.map((dwell) => Math.exp(-seconds / dwell));
    const begin = 1 - Math.exp(-seconds * BEGINS);
    const weight = Math.min(1, evidence * seconds);
    const none = this.none * (1 - begin) + this.each.reduce((sum, share, c) => sum + (1 - stay[c]) * share, 0);
    const each = this.each.map((share, c) => {
      const ratio = Math.log(Math.max(count * classes[c], LEAST)) + known;
      return (share * stay[c] + (this.none * begin) / count) * Math.exp(weight * Math.max(-MOST, Math.min(MOST, ratio)));
    });
    const whole = none + each.reduce((sum, share) => sum + share, 0);
    this.none = none / whole;
    this.each = each.map((share) => share / whole);
    return this.each.map((share) => Math.log(share + LEAST) - Math.log(1 - share + LEAST));
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
