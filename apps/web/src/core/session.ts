// A bundle running on live sensors, which come and go: the timers, promises and devices around an `Engine`, which
// decides. One encoder runs at a time.

import type { Bundle } from "./bundle";
import { Engine, type Output, type View } from "./engine";
import type { SessionEvent } from "./events";
import type { WindowEmbedding, PoppedWindow, Prediction } from "./live_set";
import { SensembleError, type InputSpec, type Sample } from "./spec";
import { textOf } from "./suite";
import type { Executor } from "../executors/executor";

const TURN = 0.25; // seconds without a sample after which the engine is told so

/** A source of samples of one modality. */
export interface Sensor {
  readonly modality: string;
  readonly name: string;
  /** Of a camera or microphone that is open, to record it as it is. */
  readonly stream?: MediaStream | null;
  /** Start; call `give` for each sample, `lose` once if the device is gone, and `end` once if there is no more to come. */
  open(spec: InputSpec, give: (sample: Sample) => void, lose: (reason: string) => void, end: () => void): Promise<void>;
  close(): void;
}

/** Called with each sample that is used, each prediction, each event and each window with its embedding, in order. */
export type Listener = (item: { sample: Sample } | { prediction: Prediction } | { event: SessionEvent } | { encoded: WindowEmbedding[] }) => void;

interface Attached {
  sensor: Sensor;
  key: number;
  name: string;
  tries: number; // by which what an earlier opening says is known
  isReady: boolean;
  isSilent: boolean; // since the last look
  opening: Promise<void> | null; // that the device has not answered yet
  settled: Promise<void>; // with its first encoder, too
}

export class Session {
  private readonly engine: Engine;
  private readonly sensors = new Map<number, Attached>(); // by key
  private readonly loads = new Map<string, Promise<void>>(); // of encoders, by modality
  private readonly unloads = new Map<string, Promise<void>>();
  private readonly kept = new Set<string>(); // modalities whose encoders were loaded ahead
  private outputs: Output[] = [];
  private isHandling = false;
  private isClosed = false;
  private turn: Promise<unknown> = Promise.resolve(); // of the encoders
  private keys = 0;
  private due: number | null = null;
  private alarm: ReturnType<typeof setTimeout> | undefined;
  private readonly looks: ReturnType<typeof setInterval>;

  constructor(
    private readonly bundle: Bundle,
    private readonly executor: Executor,
    private readonly listener: Listener,
    /** In seconds, of the samples too. */
    readonly clock: () => number = () => performance.now() / 1000,
    /** Whether sensors sleep while they are not needed, where the bundle says how. */
    spares = false,
  ) {
    this.engine = new Engine(bundle, spares);
    this.looks = setInterval(() => this.look(), 1000 * TURN);
  }

  get live(): string[] {
    return this.isClosed ? [] : this.engine.live(this.clock());
  }

  /** Return the state of each sensor, the newest answer, and the faults: all of this moment. */
  view(): View {
    return this.engine.view(this.clock());
  }

  /** Start a sensor; of several of one modality, the one attached last that works is used. An event says how that went. */
  async attach(sensor: Sensor): Promise<void> {
    const key = this.keys++;
    const entry: Attached = { sensor, key, name: "", tries: 0, isReady: false, isSilent: true, opening: null, settled: Promise.resolve() };
    if ([...this.sensors.values()].some((other) => other.sensor === sensor)) throw new SensembleError(`${sensor.name}: already attached; detach it first`);
    this.tell((now) => {
      entry.name = this.engine.attach(key, sensor.modality, sensor.name, now);
      this.sensors.set(key, entry);
    });
    await entry.settled;
  }

  /** Stop the sensors of a modality, which leaves the live set at once. */
  detach(modality: string): void {
    for (const { name, sensor } of [...this.sensors.values()]) if (sensor.modality === modality) this.tell((now) => this.engine.detach(name, now));
  }

  /** Try lost sensors again now: the devices have changed. */
  async retry(): Promise<void> {
    for (const { name } of [...this.sensors.values()]) this.tell((now) => this.engine.retry(name, now));
    await Promise.all([...this.sensors.values()].map(({ settled }) => settled));
  }

  /** Let sensors sleep from now on, or no more. */
  spare(spares: boolean): void {
    this.tell((now) => this.engine.spareSensors(spares, now));
  }

  /** Wake all sensors that sleep, for a minute. */
  wake(): void {
    this.tell((now) => this.engine.wake(now));
  }

  close(): void {
    for (const { sensor } of [...this.sensors.values()]) this.detach(sensor.modality);
    this.isClosed = true;
    clearInterval(this.looks);
    clearTimeout(this.alarm);
    this.kept.clear();
    for (const modality of [...this.loads.keys()]) this.free(modality);
  }

  /** Load the encoder of a modality ahead of its sensor, and keep it. */
  load(modality: string): Promise<void> {
    this.kept.add(modality);
    return this.encoder(modality);
  }

  /** Give the engine an input, and do what follows. */
  private tell(input: (now: number) => void = () => {}): void {
    if (this.isClosed) return;
    const now = this.clock();
    input(now);
    this.outputs.push(...this.engine.advance(now));
    if (this.isHandling) return; // what follows is done after what went before
    this.isHandling = true;
    try {
      for (let output; (output = this.outputs.shift()); ) this.handle(output);
    } finally {
      this.isHandling = false;
    }
    const due = this.engine.deadline();
    if (due === this.due) return;
    this.due = due;
    clearTimeout(this.alarm);
    if (due !== null) this.alarm = setTimeout(() => this.ring(), 1000 * (due - this.clock()));
  }

  private ring(): void {
    this.due = null; // a timer may be early, and is set again
    this.tell();
  }

  private handle(output: Output): void {
    if ("used" in output) this.listener({ sample: output.used });
    else if ("encode" in output) void this.encode(output.encode);
    else if ("free" in output) this.free(output.free);
    else if ("order" in output) {
      const entry = this.sensors.get(output.key)!;
      if (output.order === "open") entry.settled = this.open(entry);
      else this.shut(entry, output.order === "end");
    } else this.listener(output);
  }

  // Sensors.

  private async open(entry: Attached): Promise<void> {
    const { sensor, key } = entry;
    const spec = this.bundle.specs[sensor.modality];
    const tries = (entry.tries += 1);
    const current = (input: (now: number) => void): void => {
      if (entry.tries === tries) this.tell(input);
    };
    const ready = (now: number): void => {
      if (entry.isReady) return;
      entry.isReady = true;
      this.engine.opened(key, now);
      this.engine.ready(key, now);
    };
    const give = (sample: Sample): void =>
      current((now) => {
        ready(now); // a device may give its first sample before it says that it is open
        entry.isSilent = false;
        this.engine.gave(key, sample, now);
      });
    const lose = (reason: string): void => current((now) => this.engine.failed(key, "lost", reason, now));
    const end = (): void => current((now) => this.engine.failed(key, "ended", "", now));
    const opens = async (): Promise<void> => sensor.open(spec, give, lose, end);
    const loading = this.encoder(sensor.modality);
    // A first window is on its way while the encoder is loaded; a caption would grow old meanwhile.
    const opening = (spec.hop > 0 ? opens() : loading.then(opens)).then(() => {
      entry.opening = null;
      current(ready);
    });
    entry.opening = opening;
    const problem = (await Promise.allSettled([loading, opening])).find(({ status }) => status === "rejected");
    if (entry.opening === opening) entry.opening = null;
    if (problem) current((now) => this.engine.failed(key, "unavailable", textOf((problem as PromiseRejectedResult).reason), now));
  }

  /** Close a sensor, as soon as its device has answered. */
  private shut(entry: Attached, isOver: boolean): void {
    const { key, sensor, opening } = entry;
    entry.tries++;
    entry.isReady = false;
    if (isOver) this.sensors.delete(key);
    const close = (): void => {
      sensor.close();
      if (!isOver) this.tell((now) => this.engine.closed(key, now));
    };
    if (opening) void opening.catch(() => {}).then(close);
    else close();
  }

  private look(): void {
    for (const entry of [...this.sensors.values()]) {
      if (entry.isSilent) this.tell((now) => this.engine.gave(entry.key, null, now));
      entry.isSilent = true;
    }
  }

  // Encoders.

  private encoder(modality: string): Promise<void> {
    if (this.isClosed) return Promise.reject(new SensembleError("the session is closed"));
    const known = this.loads.get(modality);
    if (known) return known;
    const loading = Promise.resolve(this.unloads.get(modality))
      .then(() => this.bundle.artifact(modality))
      .then((data) => this.executor.load(modality, data, this.bundle.specs[modality], this.bundle.manifest.embedding));
    this.loads.set(modality, loading);
    loading.catch(() => this.loads.get(modality) === loading && this.loads.delete(modality));
    return loading;
  }

  private free(modality: string): void {
    const loading = this.loads.get(modality);
    if (!loading || this.kept.has(modality)) return;
    this.loads.delete(modality);
    this.unloads.set(modality, loading.then(() => this.executor.unload(modality)).catch(() => {}));
  }

  private async encode(window: PoppedWindow): Promise<void> {
    const { modality } = window;
    this.engine.queued(modality);
    let encoded: WindowEmbedding;
    try {
      await this.encoder(modality);
      const embedding = this.turn.then(() => this.embed(window));
      this.turn = embedding.catch(() => {});
      encoded = await embedding;
    } catch (error) {
      return this.tell((now) => this.engine.encoderFailed(modality, textOf(error), now));
    }
    if (!this.isClosed) this.listener({ encoded: [encoded] });
    this.tell((now) => this.engine.encoded(encoded, now));
  }

  private async embed(ordered: PoppedWindow): Promise<WindowEmbedding> {
    await this.encoder(ordered.modality); // it may have been freed meanwhile
    const window = this.engine.renewed(ordered);
    const { modality, data } = window;
    const began = this.clock();
    const embedding = await this.executor.encode(modality, typeof data === "string" ? this.bundle.tokenize(data) : data);
    return { ...window, embedding, latency: this.clock() - began };
  }
}
