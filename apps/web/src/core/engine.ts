// The engine: all that decides in a session, without clock, timers, promises or devices. It is the runtime's
// `engine/engine.py`, which explains it, without budgets, files that are played and sensors that teach each other.
// Inputs with their times in; orders, predictions and events out: equal inputs give equal outputs.

import { Backoff } from "./backoff";
import { GAP, ROUNDING } from "./clock";
import { FAULTS, type SessionEvent } from "./events";
import { LiveSet, type Answering, type WindowEmbedding, type PoppedWindow, type Prediction } from "./live_set";
import type { Opinion } from "./opinion";
import type { Sample } from "./spec";
import { EMPTY, Sparing, type Cause, type Waking } from "./sparing";
import { earliest, Suite, type ReaderOrder, type SensorView, type UsedSample } from "./suite";
import { happeningWords } from "./timeline";

/** Seconds that a complete window waits for others that are due, and an encoded one for those that are being encoded. */
const ALIGN = 0.01;

/** Seconds in which this page ran, after which an encoder does not return. */
const ENCODING = 10;
/** Seconds after which the policy of sensors that sleep is asked, if nothing is live. */
const UNANSWERED = 1;
const CAUSES: Record<Cause, string> = {
  unsure: "unsure",
  unknown: "the others know nothing of this",
  silent: "the others give nothing",
  suspect: "one sensor contradicts the others",
  check: "tried after a long sleep",
  asked: "asked for",
};

const HUNG = `it has been encoding for ${ENCODING} s and does not return`;

/** What follows from inputs: orders to a driver, samples that are used, and what is said. */
export type Output = ReaderOrder | UsedSample | { encode: PoppedWindow } | { free: string } | { event: SessionEvent } | { prediction: Prediction };

/** A session at one moment: the runtime's `engine/view.py`. */
export interface View {
  time: number;
  sensors: SensorView[]; // the attached ones, after those that left last
  live: string[];
  prediction: Prediction | null; // the newest; null while nothing is live
  faults: SessionEvent[]; // that last, the oldest first
  latencies: Readonly<Record<string, number>>; // seconds of the last encodings, by modality
}

/** The whole state of a session: its sensors, and what is made of their samples. */
export class Engine extends Suite<Output> {
  private readonly liveSet: LiveSet;
  private readonly aligning = new Map<string, number>(); // until when a complete window waits for others
  private readonly inEncoders = new Map<string, number>(); // the ends of windows in their encoders
  private readonly overdue = new Map<string, number>(); // the seconds that this page must run to call an encoder overdue
  private readonly unpooled = new Map<string, { window: WindowEmbedding; until: number }>(); // and until when it waits for others
  private readonly backoffs = new Map<string, Backoff>(); // of encoders that failed last
  private readonly resting = new Map<string, number>(); // until when a failed encoder is left alone
  private readonly failures = new Map<string, SessionEvent>(); // of encoders, as they were reported
  private prediction: Prediction | null = null; // the newest
  private readonly latencies: Record<string, number> = {}; // of the last encodings
  private reported = ""; // the live set
  private expiry: number | null = null; // after which the first embedding is too old
  private sparing: Sparing | null = null; // from the first sensor on
  private asked = -Infinity; // when the policy was asked last
  private readonly waking = new Map<string, number>(); // when each sensor that has not answered since was woken
  private readonly took = new Map<string, string>(); // how long each took from its waking to its first answer, in words

  constructor(
    private readonly bundle: Answering,
    private spares = false,
  ) {
    super(bundle.specs);
    this.liveSet = new LiveSet(bundle, spares);
  }

  /** Return the live set at `now`, sorted: that of the newest answer, without what left since. */
  live(now: number): string[] {
    const live = this.liveSet.live(now);
    const own = live.filter((modality) => this.prediction?.live.includes(modality) ?? true);
    return own.length ? own : live;
  }

  /** Return the session at `now`, after `advance(now)`. */
  view(now: number): View {
    const { sensors } = this;
    const { faults, windows } = this.liveSet;
    const live = this.live(now);
    const own = sensors.filter(({ state }) => FAULTS.includes(state)).map(({ since, state, modality, name, why }) => ({ time: since, kind: state, modality, sensor: name, text: why }));
    const ofModalities = [...faults, ...this.failures.values()].filter(({ modality }) => windows.has(modality));
    return { time: now, sensors, live, prediction: live.length ? this.prediction : null, faults: [...own, ...ofModalities].sort((a, b) => a.time - b.time), latencies: { ...this.latencies } };
  }

  // Inputs, beside those of a suite.

  /** Add a sensor, as a suite does; the first begins the policy by which sensors sleep. */
  override attach(key: number, modality: string, title: string, now: number): string {
    if (!this.sparing) this.beginSparing(now);
    return super.attach(key, modality, title, now);
  }

  /** Let sensors sleep from now on, or no more. */
  spareSensors(spares: boolean, now: number): void {
    this.noteTime(now);
    this.spares = spares;
    this.liveSet.spare(spares);
    this.beginSparing(now);
  }

  /** Wake all sensors that sleep, for a while. */
  wake(now: number): void {
    this.noteTime(now);
    if (this.sparing) this.obey(this.sparing.wake(this.now));
  }

  /** Take an embedding. */
  encoded(window: WindowEmbedding, now: number): void {
    this.noteTime(now);
    const { modality } = window;
    this.inEncoders.delete(modality);
    this.overdue.delete(modality);
    this.backoffs.delete(modality);
    if (this.failures.delete(modality)) this.emit("encoder works again", modality);
    this.unpooled.set(modality, { window, until: now + ALIGN });
    if (!this.liveSet.windows.has(modality)) this.out.push({ free: modality }); // its sensor left, and this window may have loaded it again
  }

  /** Hold no time against an encoder that is being loaded, or waits for another; `renewed` says that it begins. */
  queued(modality: string): void {
    this.overdue.delete(modality);
  }

  /** Return the newest complete window in place of one that waited for its encoder, which would be old; captions hold. */
  renewed(window: PoppedWindow): PoppedWindow {
    const { modality, ring } = window;
    this.overdue.set(modality, this.ran.seconds + ENCODING);
    if (this.specs[modality].hop === 0 || this.liveSet.windows.get(modality) !== ring || !ring.ready) return window;
    const newest = this.liveSet.popWindow(modality)!;
    ring.dropped++;
    this.inEncoders.set(modality, newest.time);
    return newest;
  }

  /** Note that a window could not be encoded; a later one is tried. */
  encoderFailed(modality: string, reason: string, now: number): void {
    this.noteTime(now);
    this.inEncoders.delete(modality);
    this.overdue.delete(modality);
    const backoff = this.backoffs.get(modality) ?? new Backoff();
    this.backoffs.set(modality, backoff);
    this.resting.set(modality, now + backoff.next());
    this.silence(modality, reason);
    this.out.push({ free: modality });
    this.noteLiveSet();
  }

  // Outputs.

  override deadline(): number | null {
    const turns = this.liveSet.ready.filter((modality) => !this.aligning.has(modality) && !this.isAtWork(modality)).map((modality) => this.turn(modality));
    const waits = [...this.overdue.values()].map((end) => this.now + Math.min(end - this.ran.seconds, GAP));
    return earliest([...waits, ...this.aligning.values(), ...[...this.unpooled.values()].map(({ until }) => until), ...turns, super.deadline(), this.liveSet.nextEnd, this.expiry && this.expiry * (1 + Number.EPSILON), this.sparing && this.nextSpare]);
  }

  // What a suite asks.

  protected override push(sensor: string, sample: Sample): void {
    this.liveSet.add(sample.modality, sensor);
    this.liveSet.push(sample);
    super.push(sensor, sample);
  }

  protected override isPending(modality: string): boolean {
    return this.isAtWork(modality) || (this.liveSet.windows.get(modality)?.ready ?? false);
  }

  protected override modalityLeft(modality: string, isEnded: boolean, isNeeded: boolean): void {
    if (isEnded) this.liveSet.end(modality);
    else this.liveSet.remove(modality);
    this.aligning.delete(modality);
    this.waking.delete(modality);
    if (!isNeeded) this.out.push({ free: modality });
    this.noteLiveSet();
  }

  protected override doWhatIsDue(): void {
    if (this.now >= this.nextSpare) this.noteAnswers();
    for (let isGoing = true; isGoing; ) {
      super.doWhatIsDue();
      const hasBegun = this.begin();
      isGoing = this.predict() || hasBegun;
    }
    for (const [modality, end] of [...this.overdue]) {
      if (this.ran.seconds < end - ROUNDING) continue;
      this.overdue.delete(modality);
      this.silence(modality, HUNG);
      this.noteLiveSet();
    }
    if (this.expiry !== null && this.now > this.expiry) this.noteLiveSet();
    this.noteMoments();
  }

  // Turns.

  private isAtWork(modality: string): boolean {
    return this.inEncoders.has(modality) || this.unpooled.has(modality);
  }

  /** Return the time from which the complete window of a modality is encoded. */
  private turn(modality: string): number {
    return this.resting.get(modality) ?? -Infinity;
  }

  /** Order to encode the windows whose turn it is; return whether there was one. */
  private begin(): boolean {
    let hasBegun = false;
    for (const modality of this.liveSet.ready) {
      if (this.isAtWork(modality)) continue;
      if (this.turn(modality) > this.now) {
        this.aligning.delete(modality);
        continue;
      }
      const starting = this.starting.filter((other) => !this.liveSet.ready.includes(other));
      if (starting.length || this.isExpected(modality)) {
        const until = this.aligning.get(modality) ?? this.now + ALIGN;
        this.aligning.set(modality, until);
        if (this.now < until) continue;
        this.stopWaiting(starting);
      }
      this.aligning.delete(modality);
      const window = this.liveSet.popWindow(modality)!;
      this.inEncoders.set(modality, window.time);
      this.overdue.set(modality, this.ran.seconds + ENCODING);
      this.out.push({ encode: window });
      hasBegun = true;
    }
    return hasBegun;
  }

  /** Return whether another modality's window that ends with this one is about to be complete. */
  private isExpected(modality: string): boolean {
    const { windows } = this.liveSet;
    const { end } = windows.get(modality)!;
    return this.working.some((other) => {
      const ring = windows.get(other);
      return ring && !this.isAtWork(other) && !ring.ready && ring.due !== null && isNear(ring.due, end);
    });
  }

  /** Predict from the embeddings that wait for no others; return whether there was one. */
  private predict(): boolean {
    let hasMade = false;
    for (const [modality, { window, until }] of [...this.unpooled]) {
      if (!this.unpooled.has(modality) || (this.now < until && this.hasCompanion(window))) continue;
      this.fuse(window.time);
      hasMade = true;
    }
    return hasMade;
  }

  /** Return whether another window that ends with this one waits for its encoder, or is in it. */
  private hasCompanion(window: WindowEmbedding): boolean {
    const waiting = this.liveSet.ready.filter((modality) => this.turn(modality) <= this.now);
    const ends = new Map([...waiting.map((modality): [string, number] => [modality, this.liveSet.windows.get(modality)!.end]), ...this.inEncoders]);
    return [...ends].some(([modality, end]) => modality !== window.modality && isNear(end, window.time));
  }

  private fuse(end: number): void {
    const together = [...this.unpooled.values()].map(({ window }) => window).filter(({ time }) => isNear(time, end));
    for (const { modality } of together) this.unpooled.delete(modality);
    const prediction = this.liveSet.fuse(together, this.now);
    this.noteLiveSet();
    if (prediction) {
      this.prediction = prediction;
      Object.assign(this.latencies, prediction.latencies);
      this.out.push({ prediction });
      this.noteAnswers();
    }
    this.noteMoments();
  }

  // Sparing.

  private beginSparing(now: number): void {
    const calibration = this.spares ? this.bundle.sparing : null;
    [this.sparing, this.asked] = [calibration && new Sparing(calibration, now), now];
    this.spare({}, {});
  }

  /** The time at which the policy is asked, if no answer comes before; infinite without one. */
  private get nextSpare(): number {
    if (!this.sparing) return Infinity;
    const { deadline } = this.sparing;
    return this.liveSet.near(this.now).length ? deadline : Math.min(deadline, this.asked + UNANSWERED);
  }

  /** Ask the policy which sensors are needed, by the newest answers. */
  private noteAnswers(): void {
    if (!this.sparing) return;
    const live = this.liveSet.near(this.now);
    this.asked = this.now;
    for (const [modality, since] of this.waking) {
      if (!live.includes(modality)) continue;
      this.waking.delete(modality);
      this.took.set(modality, `; its first answer took ${(this.now - since).toFixed(1)} s`);
    }
    const { order } = this.sparing;
    const confidences = order.map((_, place) => {
      const step = live.length ? this.liveSet.steps[place] : null;
      return step && step.doubt !== "unfamiliar" ? step.confidence : 0;
    });
    const working = this.working.filter((modality) => !this.failures.has(modality));
    const areLive = order.map((place) => {
      const steady = place.filter((modality) => this.specs[modality].hop > 0);
      const among = (some: string[]): boolean => steady.some((modality) => some.includes(modality));
      return !steady.length || among(live) || (among(working) ? false : null);
    });
    const isSuspect = this.liveSet.faults.some(({ kind }) => kind === "suspect");
    this.obey(this.sparing.note(this.now, confidences, areLive, isSuspect));
  }

  /** Let the sensors sleep that the policy needs no more, and wake those that it needs. */
  private obey(woken: readonly Waking[]): void {
    const { order, needed } = this.sparing!;
    const reasons: Record<string, string> = {};
    for (const { place, cause } of woken) {
      const said = cause === "unsure" ? `unsure between ${likeliestTwo(this.liveSet.steps[place - 1]!).join(" and ")}` : CAUSES[cause];
      for (const modality of order[place]) {
        reasons[modality] = said;
        if (this.working.includes(modality)) this.waking.set(modality, this.now);
      }
    }
    const why = this.liveSet.steps[needed - 1]?.doubt === "unfamiliar" ? `the others have known nothing for ${EMPTY} s` : "the others are sure enough";
    this.spare(Object.fromEntries(order.slice(needed).flat().map((modality) => [modality, why + (this.took.get(modality) ?? "")])), reasons);
  }

  /** Report what began and ended. */
  private noteMoments(): void {
    for (const happening of this.liveSet.moments(this.now)) {
      const { kind, ...rest } = happening;
      this.emit(kind, "", happeningWords(happening), "", rest);
    }
  }

  /** Take a modality out of the live set, as its encoder failed; a retry reports only what is new. */
  private silence(modality: string, reason: string): void {
    if (this.failures.get(modality)?.text !== reason) this.failures.set(modality, this.emit("encoder failed", modality, reason));
    this.liveSet.silence(modality);
  }

  /** Report changes of the live set and of familiarity. */
  private noteLiveSet(): void {
    for (const { kind, modality, text } of this.liveSet.changes(this.now)) this.emit(kind, modality, text);
    const live = this.liveSet.live(this.now).join("+");
    if (live !== this.reported) this.emit("live", "", (this.reported = live));
    this.expiry = this.liveSet.nextExpiry(this.now);
  }
}

function likeliestTwo({ probabilities, labels }: Opinion): string[] {
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[a] - probabilities[b] || a - b);
  return order.slice(-2).reverse().map((index) => labels[index]);
}

const isNear = (one: number, other: number): boolean => Math.abs(one - other) <= ALIGN;
