// Ring buffers that turn samples into an encoder's windows, one a hop: the runtime's `kinds/windows.py`.

import { SensembleError, type InputSpec, type Media, type Sample, type Window } from "./spec";

export const STEP = 0.2; // seconds that a sample may be before the last one
const WAITING = 16; // captions that wait for a slow encoder
const OVERSAMPLING = 4; // frames kept for each one that a window needs

/** The samples of one modality, and the windows that they complete. */
export abstract class WindowRing {
  /** Windows never taken, because a newer one was complete. */
  dropped = 0;
  lost = 0;
  protected time = -Infinity; // of the newest sample
  private untaken = 0;
  private saved: Window | null = null;

  constructor(protected readonly spec: InputSpec) {}

  get ready(): boolean {
    return this.untaken > 0;
  }

  /** The time at which the next window will end if samples keep their pace; null if unknown. */
  get due(): number | null {
    return null;
  }

  /** The time at which the newest complete window ends. */
  get end(): number {
    return this.saved?.time ?? this.endTime();
  }

  /** Add a sample; no window spans a cut, a step back of more than `STEP`, or a gap longer than window and hop. */
  push(sample: Sample): void {
    if (!Number.isFinite(sample.time)) throw new SensembleError(`${sample.modality}: its time is ${sample.time}`);
    const begin = sample.time - this.seconds(sample);
    const gap = begin - this.time > Math.max(this.spec.window, this.spec.hop);
    if (sample.cut || sample.time < this.time - STEP || gap) {
      if (this.ready) this.saved ??= this.newest();
      this.empty();
      this.time = sample.time;
    }
    this.time = Math.max(this.time, sample.time);
    this.lost += sample.lost ?? 0;
    const completed = this.append(sample.data);
    if (completed) {
      this.untaken += completed;
      this.saved = null;
    }
  }

  /** Return the newest complete window that was not taken; older ones are dropped. */
  pop(): Window | null {
    if (!this.ready) return null;
    const window = this.saved ?? this.newest();
    this.dropped += this.untaken - 1;
    this.untaken = 0;
    this.saved = null;
    return window;
  }

  /** Check a sample's form and return how long it lasts. */
  protected abstract seconds(sample: Sample): number;
  protected abstract empty(): void;
  /** Add a checked sample and return how many windows it completes. */
  protected abstract append(data: Media): number;
  protected abstract newest(): Window;

  protected endTime(): number {
    return this.time;
  }
}

/** Windows of S steps of `width` numbers each: sound, of which a step has one, and series. */
export class SteadyRing extends WindowRing {
  private readonly size: number;
  private readonly hop: number;
  private readonly width: number;
  private readonly ring: Float32Array;
  private count = 0;
  private last = 0; // the end of the newest window, counted in steps as `count` is

  constructor(spec: InputSpec, private readonly most: number) {
    super(spec);
    this.size = spec.shape[1];
    this.width = spec.shape[2] ?? 1;
    this.hop = Math.max(1, roundEven(spec.hop * spec.rate));
    this.ring = new Float32Array((this.size + this.hop) * this.width);
    this.empty();
  }

  protected seconds({ modality, data }: Sample): number {
    if (!(data instanceof Float32Array) || data.length % this.width) throw new SensembleError(`${modality}: not float32 in rows of ${this.width}`);
    if (!data.every((value) => Math.abs(value) <= this.most)) throw new SensembleError(`${modality}: holds NaN, infinity or absurd numbers`);
    return data.length / this.width / this.spec.rate;
  }

  protected empty(): void {
    this.count = 0;
    this.last = this.size - this.hop;
  }

  protected append(data: Media): number {
    const rows = data as Float32Array;
    this.count += rows.length / this.width;
    const tail = rows.subarray(Math.max(0, rows.length - this.ring.length));
    const at = (this.count * this.width - tail.length) % this.ring.length;
    const first = this.ring.length - at;
    this.ring.set(tail.subarray(0, first), at);
    this.ring.set(tail.subarray(first), 0);
    const completed = Math.max(0, Math.floor((this.count - this.last) / this.hop));
    this.last += completed * this.hop;
    return completed;
  }

  protected newest(): Window {
    const at = ((this.last - this.size) * this.width) % this.ring.length;
    const data = new Float32Array(this.size * this.width);
    const head = this.ring.subarray(at, at + data.length);
    data.set(head);
    data.set(this.ring.subarray(0, data.length - head.length), head.length);
    return { data, time: this.endTime() };
  }

  override get due(): number | null {
    return this.time === -Infinity ? null : this.time + (this.last + this.hop - this.count) / this.spec.rate;
  }

  protected override endTime(): number {
    return this.time - (this.count - this.last) / this.spec.rate;
  }
}

/** Windows of T frames, those nearest to steps of 1/rate that end at the newest frame. */
export class FramesRing extends WindowRing {
  private readonly step: number;
  private readonly offsets: number[];
  private readonly frames: Uint8Array[];
  private readonly times: number[];
  private slot = -1; // of the newest frame
  private next = NaN; // when the next window is due

  constructor(spec: InputSpec) {
    super(spec);
    const count = spec.shape[1];
    const slots = OVERSAMPLING * count + 3;
    this.step = 1 / spec.rate;
    this.offsets = Array.from({ length: count }, (_, i) => (i - (count - 1)) * this.step);
    this.frames = Array.from({ length: slots }, () => new Uint8Array(0));
    this.times = new Array<number>(slots).fill(-Infinity);
  }

  protected seconds({ modality, data }: Sample): number {
    const bytes = this.spec.shape.slice(2).reduce((product, side) => product * side, 1);
    if (!(data instanceof Uint8Array) || data.length !== bytes) throw new SensembleError(`${modality}: not a picture of ${bytes} bytes`);
    return 0;
  }

  protected empty(): void {
    this.times.fill(-Infinity);
    this.slot = -1;
    this.next = NaN;
  }

  override get due(): number | null {
    if (this.slot < 0) return null;
    return Number.isNaN(this.next) ? Math.min(...this.times.filter(Number.isFinite)) - this.offsets[0] : this.next;
  }

  protected append(data: Media): number {
    // A frame too close to the one before is only kept while it is the newest.
    const spacing = this.times.at(this.slot)! - this.times.at(this.slot - 1)!;
    if (!(spacing < this.step / OVERSAMPLING)) this.slot = (this.slot + 1) % this.times.length;
    this.times[this.slot] = this.time;
    this.frames[this.slot] = (data as Uint8Array).slice();
    const kept = this.times.filter(Number.isFinite);
    const first = Math.min(...kept);
    if (first > this.time + this.offsets[0] + this.step / 2) return 0;
    const { hop } = this.spec;
    if (Number.isNaN(this.next)) {
      this.next = this.time + hop;
      return 1;
    }
    // The frame nearest to when a window is due ends it. Hops count from the first: jitter never adds up.
    const early = Math.min((this.time - first) / (kept.length - 1), hop) / 2;
    if (this.time + early < this.next) return 0;
    this.next += (Math.floor((this.time + early - this.next) / hop) + 1) * hop;
    return 1;
  }

  protected newest(): Window {
    const byTime = this.times.map((_, slot) => slot).sort((a, b) => (this.times[a] === this.times[b] ? a - b : this.times[a] - this.times[b]));
    const size = this.frames[this.slot].length;
    const data = new Uint8Array(size * this.offsets.length);
    this.offsets.forEach((offset, place) => {
      const wanted = this.time + offset;
      let best = byTime[0];
      for (const slot of byTime) {
        if (Math.abs(this.times[slot] - wanted) < Math.abs(this.times[best] - wanted)) best = slot;
      }
      data.set(this.frames[best], place * size);
    });
    return { data, time: this.time };
  }
}

/** Windows of one caption each. The newest ones wait: two lines at once are two windows. */
export class TextRing extends WindowRing {
  private readonly waiting: Window[] = [];

  override get ready(): boolean {
    return this.waiting.length > 0;
  }

  override get end(): number {
    return this.waiting[0]?.time ?? this.time;
  }

  override pop(): Window | null {
    return this.waiting.shift() ?? null;
  }

  protected seconds({ modality, data }: Sample): number {
    if (typeof data !== "string") throw new SensembleError(`${modality}: not a caption`);
    return 0;
  }

  protected empty(): void {} // no window spans two captions

  protected append(data: Media): number {
    if (this.waiting.length === WAITING) {
      this.waiting.shift();
      this.dropped++;
    }
    this.waiting.push({ data, time: this.time });
    return 1;
  }

  protected newest(): Window {
    return this.waiting.at(-1)!;
  }
}

/** Round halves to the even neighbour, as Python does. */
export function roundEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}
