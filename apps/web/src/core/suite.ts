// The attached sensors, the life of each, and the active one of each modality: the sensors' `supervision/suite.py`,
// which explains it. Without clock, timers, promises or devices: inputs are method calls with their time.

import { Backoff } from "./backoff";
import type { SessionEvent } from "./events";
import { GAP, ROUNDING, RunningTime } from "./clock";
import { Health } from "./health";
import { SensembleError, type InputSpec, type Sample } from "./spec";

/** What is to be done to a sensor: `open` and read it, `close` it and wait, or `end`: close it for good. */
export interface ReaderOrder {
  order: "open" | "close" | "end";
  key: number;
}

/** A sample of the active sensor of its modality. */
export interface UsedSample {
  used: Sample;
  sensor: string;
}

/** Why a sensor goes: it cannot be opened, stopped working, is over, or no encoder can take its samples. */
export type Cause = "unavailable" | "lost" | "ended" | "failed";

type EventKind = Cause | "attached" | "unhealthy" | "recovered" | "asleep" | "woken" | "detached";

/** The state of a sensor at one moment: the sensors' `supervision/sensor_view.py`. */
export interface SensorView {
  modality: string;
  name: string;
  device: string;
  state: string; // the kind of its last event; `opening` before the first
  why: string; // for that state, without the sensor's name
  since: number;
  active: boolean; // its samples are used
  standby: boolean; // another sensor of its modality is active
  retryAt: number | null; // when it is opened again
}

const GONE = 64; // sensors that left, at most, whose last state is kept

/** Seconds that a sensor may take to open, to answer a look, and to close, and what is reported then: Python's `PATIENCE`. */
const PATIENCE: Partial<Record<Life["phase"], [seconds: number, kind: EventKind, text: string]>> = {
  opening: [20, "unavailable", "its code has been opening for 20 s and does not return"],
  open: [4, "unhealthy", "its code has been reading for 4 s and does not return"],
  closing: [20, "lost", "its code has been closing for 20 s and does not return"],
};

/** An attached sensor; fields as in Python's `_Life`. */
interface Life {
  key: number;
  name: string;
  spec: InputSpec;
  phase: "opening" | "open" | "ending" | "closing" | "waiting" | "asleep";
  answered: number;
  isOverdue: boolean;
  reported: SessionEvent;
  sampled: boolean; // since it was opened
  isWaitedFor: boolean; // its first sample is, or will be
  suspected: string[]; // the faults for which it was last closed
  state: ["recovered" | "unhealthy", string];
  health: Health | null;
  began: number;
  backoff: Backoff;
  retryAt: number | null;
  isHasty: boolean; // opened again as soon as it is closed
  end: string;
  isSleeping: boolean; // not needed: its device is released once it is open
}

const WORKING = ["opening", "attached", "recovered", "asleep", "woken"];

export class Suite<Output = never> {
  protected readonly lives = new Map<number, Life>(); // in the order of attaching
  private readonly active = new Map<string, Life>(); // by modality
  private readonly gone = new Map<string, SessionEvent>(); // the last events of sensors that left, by name
  private readonly named = new Map<string, string>(); // by modality, the active sensor as it was reported
  protected now = -Infinity; // of the newest input
  protected readonly ran = new RunningTime();
  protected out: (ReaderOrder | UsedSample | { event: SessionEvent } | Output)[] = [];

  constructor(readonly specs: Readonly<Record<string, InputSpec>>) {}

  /** The sensors that left last, and the attached ones in the order of attaching. */
  get sensors(): SensorView[] {
    const gone = [...this.gone.values()].map((reported) => ({ reported, life: null }));
    return [...gone, ...[...this.lives.values()].map((life) => ({ reported: life.reported, life }))].map(({ reported, life }) => {
      const { modality, sensor: name, kind: state, text, time: since } = reported;
      const active = this.active.get(modality);
      return {
        modality, name, device: this.specs[modality]!.device ?? "", state, why: withoutName(text, name), since,
        active: life !== null && active === life, standby: life !== null && active !== undefined && active !== life, retryAt: life?.retryAt ?? null,
      };
    });
  }

  /** The modalities of the attached sensors that work. */
  protected get working(): string[] {
    return [...this.lives.values()].filter(({ reported }) => WORKING.includes(reported.kind)).map(({ spec }) => spec.modality);
  }

  /** The modalities of open sensors whose first sample is worth waiting for. */
  protected get starting(): string[] {
    // No sensor twice: a dead one would delay the others.
    return this.silent.map(({ spec }) => spec.modality).filter((modality) => !this.active.has(modality));
  }

  // Inputs.

  /** Add a sensor and order to open it; return its name, numbered if another one has it. */
  attach(key: number, modality: string, title: string, now: number): string {
    this.noteTime(now);
    const spec = this.specs[modality];
    if (!spec) throw new SensembleError(`${title}: the bundle has no encoder for ${modality}`);
    const taken = [...this.lives.values()].map(({ name }) => name);
    let name = title;
    for (let n = 2; taken.includes(name); n++) name = `${title} (${n})`;
    const opening = { time: this.now, kind: "opening", modality, sensor: name, text: "" };
    this.gone.delete(name);
    const life: Life = {
      key, name, spec, phase: "opening", answered: this.ran.seconds, isOverdue: false, reported: opening, sampled: false, isWaitedFor: true, suspected: [], state: ["recovered", ""],
      health: null, began: -Infinity, backoff: new Backoff(), retryAt: null, isHasty: false, end: "", isSleeping: false,
    };
    this.lives.set(key, life);
    this.order(life, "open");
    const active = this.active.get(modality);
    if (active) this.reportActive(active); // now that it is one of several
    return name;
  }

  /** Note that a sensor is open. */
  opened(key: number, now: number): void {
    this.noteTime(now);
    const life = this.lives.get(key);
    if (!life) return;
    this.noteAnswer(life);
    [life.began, life.state, life.health] = [now, ["recovered", ""], new Health(life.spec, now, life.suspected)];
  }

  /** Note that an open sensor's samples come from now on. */
  ready(key: number, now: number): void {
    this.noteTime(now);
    const life = this.lives.get(key);
    if (life?.phase !== "opening") return;
    [life.phase, life.isHasty] = ["open", false];
    this.noteAnswer(life);
    this.report(life, "attached", "");
    this.noteHealth(life, life.suspected);
    if (life.isSleeping) this.fallAsleep(life, "");
  }

  /** Take the next sample of a sensor; null where none came for a while. */
  gave(key: number, sample: Sample | null, now: number): void {
    this.noteTime(now);
    const life = this.lives.get(key);
    if (life?.phase !== "open") return;
    this.noteAnswer(life);
    try {
      this.examine(life, sample);
    } catch (error) {
      this.fail(life, "failed", textOf(error)); // whatever its samples lead to is the sensor's failure
    }
  }

  /** Note why a sensor goes. */
  failed(key: number, cause: Cause, reason: string, now: number): void {
    this.noteTime(now);
    const life = this.lives.get(key);
    if (life) this.fail(life, cause, reason);
  }

  /** Note that a sensor is closed; it is opened again after a while. */
  closed(key: number, now: number): void {
    this.noteTime(now);
    const life = this.lives.get(key);
    if (life?.phase !== "closing") return;
    if (life.reported.kind === "asleep") {
      life.phase = "asleep";
      return;
    }
    if (life.reported.kind === "woken") return this.open(life); // while it was closed
    [life.phase, life.retryAt] = ["waiting", now + life.backoff.next()];
    if (life.isHasty) this.open(life);
  }

  /** Remove a sensor, whose modality leaves the live set at once. */
  detach(name: string, now: number): void {
    this.noteTime(now);
    const life = this.called(name);
    if (!life) {
      const event = this.gone.get(name); // nobody needs to mend it any more
      if (event && event.kind !== "detached") this.gone.set(name, { ...event, time: this.now, kind: "detached", text: "" });
      return;
    }
    this.report(life, "detached", "");
    this.remove(life);
    this.leave(life);
    this.order(life, "end");
  }

  /** Open a lost sensor again now. */
  retry(name: string, now: number): void {
    this.noteTime(now);
    const life = this.called(name);
    if (!life || !["lost", "unavailable"].includes(life.reported.kind)) return;
    life.isHasty = true;
    if (life.phase === "waiting") this.open(life);
  }

  /** Let the sensors of some modalities sleep, and wake those of all others; both say why, by modality. */
  spare(asleep: Readonly<Record<string, string>>, woken: Readonly<Record<string, string>>): void {
    for (const life of this.lives.values()) {
      const { modality } = life.spec;
      if (life.isSleeping === Object.hasOwn(asleep, modality)) continue;
      life.isSleeping = !life.isSleeping;
      if (life.isSleeping && life.phase === "open") this.fallAsleep(life, asleep[modality]);
      if (life.isSleeping || life.reported.kind !== "asleep") continue;
      this.report(life, "woken", woken[modality] ?? "");
      if (life.phase === "asleep") this.open(life);
    }
  }

  /** Wait no longer for the first samples of `modalities`. */
  protected stopWaiting(modalities: readonly string[]): void {
    for (const life of this.silent) life.isWaitedFor &&= !modalities.includes(life.spec.modality);
  }

  // Outputs.

  /** Let time pass up to `now`; return, in order, all that follows since the last call. */
  advance(now: number): typeof this.out {
    this.noteTime(now);
    this.doWhatIsDue();
    const { out } = this;
    this.out = [];
    return out;
  }

  /** Return the time at which to call `advance` if no input comes before; null for never. */
  deadline(): number | null {
    const lives = [...this.lives.values()];
    const awaited = lives.filter((life) => this.isAwaited(life)).map((life) => this.now + Math.min(this.patience(life), GAP));
    return earliest([...lives.map(({ retryAt }) => retryAt), ...awaited]);
  }

  // What an engine adds.

  /** Use a sample of an active sensor; throw if it is not of the spec's form. */
  protected push(sensor: string, used: Sample): void {
    this.out.push({ used, sensor });
  }

  /** Return whether samples of a modality are not in a prediction yet. */
  protected isPending(_modality: string): boolean {
    return false;
  }

  /** Note that no active sensor of a modality is left; `isNeeded`: another one is attached. */
  protected modalityLeft(_modality: string, _isEnded: boolean, _isNeeded: boolean): void {}

  protected emit(kind: string, modality = "", text = "", sensor = "", more: Partial<SessionEvent> = {}): SessionEvent {
    const event = { time: this.now, kind, modality, sensor, text, ...more };
    this.out.push({ event });
    return event;
  }

  protected noteTime(now: number): void {
    this.now = Math.max(this.now, now); // so that events are in the order of their times
    this.ran.look(this.now);
  }

  /** Retry sensors, end those whose last window was answered, and report code that does not return. */
  protected doWhatIsDue(): void {
    for (const life of [...this.lives.values()]) {
      if (this.isAwaited(life) && this.patience(life) <= ROUNDING) {
        life.isOverdue = true;
        const [, kind, text] = PATIENCE[life.phase]!;
        if (kind === "unhealthy") this.noteHealth(life, [text]);
        else this.report(life, kind, `${life.name}: ${text}`);
      } else if (life.retryAt !== null && life.retryAt <= this.now) this.open(life);
      else if (life.phase === "ending" && !this.awaits(life)) this.close(life, "ended", life.end);
    }
  }

  /** Return whether a sensor's code is called now, and was not reported to be overdue. */
  private isAwaited({ phase, isOverdue }: Life): boolean {
    return phase in PATIENCE && !isOverdue;
  }

  /** Return the seconds after which a sensor's code is overdue. */
  private patience({ phase, answered }: Life): number {
    return PATIENCE[phase]![0] - (this.ran.seconds - answered);
  }

  /** Note that a sensor's code has returned, or is called. */
  private noteAnswer(life: Life): void {
    [life.answered, life.isOverdue] = [this.ran.seconds, false];
  }

  /** Return whether the last window of an active sensor is still to be answered. */
  private awaits(life: Life): boolean {
    return this.active.get(life.spec.modality) === life && this.isPending(life.spec.modality);
  }

  private examine(life: Life, sample: Sample | null): void {
    const health = life.health!;
    if (sample && this.now - life.began > life.backoff.delay) life.backoff.reset(); // one that works for a shorter time has not recovered
    const wrong = health.check(sample, this.now);
    this.noteHealth(life, wrong);
    if (health.mustReopen) {
      life.suspected = health.stalled ? [] : wrong; // one sample clears a stall
      return this.close(life, "lost", `${life.name}: ${wrong.join("; ")}; it is reopened`);
    }
    if (!wrong.length) life.suspected = [];
    if (sample && !wrong.length) this.use(life, sample);
  }

  private use(life: Life, sample: Sample): void {
    const { modality } = life.spec;
    [life.sampled, life.isWaitedFor] = [true, true];
    const sampled = [...this.lives.values()].filter((other) => other.spec.modality === modality && other.sampled);
    if (sampled.at(-1) !== life) return;
    if (this.active.get(modality) === life) return this.push(life.name, sample);
    this.active.set(modality, life);
    this.reportActive(life);
    this.push(life.name, { ...sample, cut: true });
  }

  private noteHealth(life: Life, wrong: readonly string[]): void {
    const before = life.state;
    life.state = [wrong.length ? "unhealthy" : "recovered", wrong.join("; ")];
    if (life.state.join() === before.join()) return;
    this.report(life, ...life.state);
    if (wrong.length) this.leave(life);
  }

  private fail(life: Life, cause: Cause, reason: string): void {
    if (life.phase === "ending") return; // it cannot be closed; nobody opens it again
    if (cause === "ended" && this.awaits(life)) [life.phase, life.end] = ["ending", reason];
    else this.close(life, cause, reason);
  }

  /** Report why a sensor goes, and close it, for good or until it is tried again. */
  private close(life: Life, cause: Cause, reason: string): void {
    this.report(life, cause, reason); // before it leaves: the cause comes first
    this.leave(life, cause === "ended");
    life.health = null;
    if (cause === "ended" || cause === "failed") {
      this.remove(life);
      return this.order(life, "end");
    }
    life.phase = "closing";
    this.noteAnswer(life);
    this.order(life, "close");
  }

  private fallAsleep(life: Life, reason: string): void {
    this.report(life, "asleep", reason);
    this.leave(life, false, true);
    [life.health, life.phase] = [null, "closing"];
    this.noteAnswer(life);
    this.order(life, "close");
  }

  private open(life: Life): void {
    if (life.isHasty) life.backoff.reset();
    [life.phase, life.retryAt, life.isHasty] = ["opening", null, false];
    this.noteAnswer(life);
    this.order(life, "open");
  }

  private leave(life: Life, isEnded = false, stays = false): void {
    const { modality } = life.spec;
    life.sampled = false;
    const wasActive = this.active.get(modality) === life;
    if (wasActive) this.active.delete(modality);
    // The last embedding of an ended source holds until it expires, as do those of others when a sensor that was
    // never active leaves.
    if (!this.active.has(modality)) this.modalityLeft(modality, isEnded || !wasActive, stays || this.hasOther(life));
  }

  private remove({ key, name, reported }: Life): void {
    this.lives.delete(key);
    this.gone.set(name, reported);
    if (this.gone.size > GONE) this.gone.delete(this.gone.keys().next().value!);
  }

  private get silent(): Life[] {
    // Captions come at any time.
    return [...this.lives.values()].filter(({ reported, sampled, isWaitedFor, spec }) => reported.kind === "attached" && !sampled && isWaitedFor && spec.hop > 0);
  }

  private called(name: string): Life | undefined {
    return [...this.lives.values()].find((life) => life.name === name);
  }

  private hasOther(life: Life): boolean {
    return [...this.lives.values()].some((other) => other !== life && other.spec.modality === life.spec.modality);
  }

  private order({ key }: Life, order: ReaderOrder["order"]): void {
    this.out.push({ order, key });
  }

  private report(life: Life, kind: EventKind, reason: string): void {
    if (life.reported.kind === kind && life.reported.text === reason) return;
    life.reported = this.emit(kind, life.spec.modality, reason, life.name);
  }

  /** Report the active sensor, unless that is known, or it has always been the only one. */
  private reportActive(life: Life): void {
    const { modality } = life.spec;
    const known = this.named.get(modality);
    if (known === life.name || (known === undefined && !this.hasOther(life))) return;
    this.named.set(modality, life.name);
    this.emit("active", modality, "", life.name);
  }
}

/** Return the earliest of some times; null without one. */
export function earliest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length ? Math.min(...known) : null;
}

const withoutName = (text: string, name: string): string => (text.startsWith(`${name}: `) ? text.slice(name.length + 2) : text);

export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
