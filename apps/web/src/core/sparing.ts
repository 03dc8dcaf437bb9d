// Sparing: which sensors are needed now; the others sleep, their devices released. The runtime's `engine/sparing.py`, which explains it.

/** The numbers of sparing; fields as in the runtime's `manifest.py`. */
export interface SparingCalibration {
  order: string[][];
  wake: number;
  hold: number;
  threshold: number;
}

const CHECK = 300; // seconds of sleep after which a sensor is tried
const SETTLING = 10; // seconds that a woken sensor has for its first answer, before it counts as silent
export const EMPTY = 30; // seconds in which nothing is known, after which that wakes nobody
const ASKED = 60; // seconds that all sensors stay on when one asks for it

export type Cause = "unsure" | "unknown" | "silent" | "suspect" | "check" | "asked";

/** A place of the order that was asleep and is needed, and why. */
export interface Waking {
  place: number;
  cause: Cause;
}

/** Return the modalities of the first place, of the first two, and so on. */
export const prefixes = (order: readonly string[][]): string[][] => order.map((_, place) => order.slice(0, place + 1).flat().sort());

/** Decides how many places of the order are needed, from the first on. */
export class Sparing {
  readonly order: string[][];
  needed: number;
  private readonly wakeBelow: number;
  private readonly hold: number;
  private readonly until: number[];
  private readonly woken: number[]; // when each was woken last
  private readonly slept: number[]; // since when each sleeps
  private readonly settled: boolean[]; // whether it answered since then
  private readonly unknown: number[]; // since when those before it know nothing
  private isSuspected = false;

  constructor({ order, wake, hold }: SparingCalibration, now: number) {
    [this.order, this.wakeBelow, this.hold, this.needed] = [order, wake, hold, order.length];
    this.until = order.map((_, place) => (place ? now + hold : Infinity));
    this.woken = order.map(() => now);
    this.slept = order.map(() => Infinity);
    this.settled = order.map(() => false);
    this.unknown = order.map(() => Infinity);
  }

  /** Take the answers of one moment by the first place, the first two, ...; return what they wake. `live` is null where no sensor works. */
  note(time: number, confidences: readonly number[], live: readonly (boolean | null)[], isSuspect = false): Waking[] {
    for (let place = 0; place < this.needed; place++) {
      if (!live[place] || this.settled[place]) continue;
      this.settled[place] = true;
      this.until[place] = Math.max(this.until[place], time + this.hold);
    }
    const found = this.passTo(time);
    let isHeard = false;
    for (let place = 1; place < this.until.length; place++) {
      const before = place - 1;
      if (live[before] === false && time < this.settles(before)) break;
      isHeard = live[before] ?? isHeard; // without a sensor, those before it answer
      const isUnknown = isHeard && !confidences[before];
      this.unknown[place] = isUnknown ? Math.min(this.unknown[place], time) : Infinity;
      if (isHeard && (confidences[before] >= this.wakeBelow || time - this.unknown[place] >= EMPTY)) break;
      found.push(...this.need(place, time, this.hold, isUnknown ? "unknown" : isHeard ? "unsure" : "silent"));
    }
    if (isSuspect && !this.isSuspected) found.push(...this.need(this.until.length - 1, time, this.hold, "suspect"));
    this.isSuspected = isSuspect;
    return found;
  }

  /** Let time pass: send to sleep what is not needed any more; return what must be tried. */
  passTo(time: number): Waking[] {
    const needed = Math.max(...this.until.map((_, place) => (this.over(place) > time ? place + 1 : 0)));
    for (let place = needed; place < this.needed; place++) this.slept[place] = time;
    this.needed = Math.min(needed, this.needed);
    const found: Waking[] = [];
    for (let place = this.needed; place < this.until.length; place++) if (time >= this.slept[place] + CHECK) found.push(...this.need(place, time, this.hold, "check"));
    return found;
  }

  /** Wake all sensors for `ASKED` seconds. */
  wake(time: number): Waking[] {
    return [...this.passTo(time), ...this.need(this.until.length - 1, time, ASKED, "asked")];
  }

  /** The time at which to call `passTo` if no answer comes before. */
  get deadline(): number {
    return Math.min(this.over(this.needed - 1), ...this.slept.slice(this.needed).map((since) => since + CHECK));
  }

  /** Return until when a woken place may be without an answer. */
  private settles(place: number): number {
    return this.settled[place] ? -Infinity : this.woken[place] + SETTLING;
  }

  /** Return until when a place stays on: not before it and the first had time for an answer. */
  private over(place: number): number {
    return Math.max(this.until[place], this.settles(place), this.settles(0));
  }

  /** Keep the places up to one on, and wake those that sleep. */
  private need(place: number, time: number, seconds: number, cause: Cause): Waking[] {
    this.until[place] = Math.max(this.until[place], time + seconds);
    const woken: Waking[] = [];
    for (; this.needed <= place; this.needed++) {
      [this.woken[this.needed], this.settled[this.needed]] = [time, false];
      woken.push({ place: this.needed, cause });
    }
    return woken;
  }
}
