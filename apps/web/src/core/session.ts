// A bundle running on live sensors, which come and go. One encoder runs at a time; a newer window replaces an
// older one that waits.

import type { Bundle } from "./bundle";
import { Health } from "./health";
import { LiveSet, type Encoded, type Prediction } from "./live_set";
import type { InputSpec, Sample } from "./spec";
import type { Executor } from "../executors/executor";

const TURN = 0.25; // seconds between two looks at what has changed without a sample
const RETRIES = [1, 2, 4, 8, 15, 30]; // seconds until a lost sensor is tried again

/** Return the seconds to wait after a loss, when so many came before it. */
const retry = (losses: number): number => RETRIES[Math.min(losses, RETRIES.length - 1)];

/** A source of samples of one modality. */
export interface Sensor {
  readonly modality: string;
  readonly name: string;
  /** Of a camera or microphone that is open, to record it as it is. */
  readonly stream?: MediaStream | null;
  /** Start; call `give` for each sample, and `lose` once if the device is gone. */
  open(spec: InputSpec, give: (sample: Sample) => void, lose: (reason: string) => void): Promise<void>;
  close(): void;
}

/** Something that happened: the kinds and their texts are those of `docs/reference/output.md`. */
export interface SessionEvent {
  time: number;
  kind: string;
  modality: string;
  sensor: string; // empty where it concerns the modality as a whole
  text: string;
}

/** Called with each sample, each prediction, each event and the windows of each turn with their embeddings, in order. */
export type Listener = (item: { sample: Sample } | { prediction: Prediction } | { event: SessionEvent } | { encoded: Encoded[] }) => void;

type State = "opening" | "open" | "unhealthy" | "lost";

interface Attached {
  sensor: Sensor;
  state: State;
  health: Health;
  tries: number; // ever, which tells one from the next
  losses: number; // since it last worked for as long as it then waited
  openedAt: number;
  retryAt: number;
}

export class Session {
  private readonly liveSet: LiveSet;
  private readonly sensors = new Map<string, Attached>(); // by modality
  private readonly loads = new Map<string, Promise<void>>();
  private readonly loaded = new Set<string>(); // modalities
  private busy = false;
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(
    private readonly bundle: Bundle,
    private readonly executor: Executor,
    private readonly listener: Listener,
    /** In seconds, of the samples too. */
    readonly clock: () => number = () => performance.now() / 1000,
  ) {
    this.liveSet = new LiveSet(bundle);
    this.timer = setInterval(() => this.look(), 1000 * TURN);
  }

  get live(): string[] {
    return this.liveSet.live(this.clock());
  }

  /** The state of the sensor of each modality. */
  get states(): Record<string, State> {
    return Object.fromEntries([...this.sensors].map(([modality, { state }]) => [modality, state]));
  }

  /** Start a sensor, in place of the one of its modality. An event says how that went. */
  async attach(sensor: Sensor): Promise<void> {
    this.detach(sensor.modality);
    const entry: Attached = { sensor, state: "opening", health: new Health(this.spec(sensor)), tries: 0, losses: 0, openedAt: 0, retryAt: 0 };
    this.sensors.set(sensor.modality, entry);
    await this.open(entry);
  }

  /** Stop the sensor of a modality, which leaves the live set at once. */
  detach(modality: string): void {
    const entry = this.sensors.get(modality);
    if (!entry) return;
    this.sensors.delete(modality);
    entry.sensor.close();
    this.liveSet.remove(modality);
    this.emit("detached", entry.sensor);
  }

  /** Try lost sensors again now: the devices have changed. */
  async retry(): Promise<void> {
    await Promise.all([...this.sensors.values()].filter(({ state }) => state === "lost").map((entry) => this.open(entry)));
  }

  close(): void {
    clearInterval(this.timer);
    for (const modality of [...this.sensors.keys()]) this.detach(modality);
    for (const modality of this.loads.keys()) void this.executor.unload(modality);
  }

  /** Load the encoder of a modality ahead of its sensor. */
  load(modality: string): Promise<void> {
    const known = this.loads.get(modality);
    if (known) return known;
    const loading = this.bundle
      .artifact(modality)
      .then((data) => this.executor.load(modality, data, this.bundle.specs[modality], this.bundle.manifest.embedding));
    this.loads.set(modality, loading);
    loading.then(
      () => {
        this.loaded.add(modality);
        void this.step();
      },
      () => this.loads.delete(modality),
    );
    return loading;
  }

  private async open(entry: Attached): Promise<void> {
    const { sensor } = entry;
    const { modality, name } = sensor;
    const isCurrent = (): boolean => this.sensors.get(modality) === entry;
    const opened = (entry.tries += 1);
    entry.state = "opening";
    try {
      entry.health = new Health(this.spec(sensor));
      this.liveSet.add(modality, name);
      const lose = (reason: string): void => {
        if (isCurrent() && entry.tries === opened) this.lose(entry, reason);
      };
      const opens = (): Promise<void> => sensor.open(this.spec(sensor), (sample) => isCurrent() && this.receive(entry, sample), lose);
      const loading = this.load(modality);
      // A first window is on its way while the encoder is loaded; a caption would grow old meanwhile.
      const opening = this.spec(sensor).hop > 0 ? opens() : loading.then(opens);
      const problem = (await Promise.allSettled([loading, opening])).find(({ status }) => status === "rejected");
      if (!isCurrent()) return sensor.close();
      if (this.states[modality] === "lost" || entry.tries !== opened) return; // its device went meanwhile
      if (problem) throw (problem as PromiseRejectedResult).reason;
      // What the first sample shows may come before this.
      if (entry.state === "opening") entry.state = "open";
      entry.openedAt = this.clock();
      this.emit(opened > 1 ? "recovered" : "attached", sensor);
      entry.health.began(this.clock());
    } catch (error) {
      if (isCurrent()) this.lose(entry, error instanceof Error ? error.message : String(error));
    }
  }

  private lose(entry: Attached, reason: string): void {
    const { modality } = entry.sensor;
    entry.state = "lost";
    entry.retryAt = this.clock() + retry(entry.losses++);
    entry.sensor.close();
    this.liveSet.remove(modality);
    this.emit("lost", entry.sensor, reason);
  }

  private receive(entry: Attached, sample: Sample): void {
    if (entry.state === "lost") return;
    if (entry.state === "open" && this.clock() - entry.openedAt > retry(entry.losses)) entry.losses = 0;
    this.listener({ sample });
    this.judgeHealth(entry, entry.health.examine(sample));
    if (entry.state === "unhealthy") return;
    try {
      this.liveSet.push(sample);
    } catch (error) {
      return this.lose(entry, String(error));
    }
    void this.step();
  }

  private judgeHealth(entry: Attached, problem: string | null): void {
    const { modality, name } = entry.sensor;
    if (problem !== null && entry.state === "open") {
      entry.state = "unhealthy";
      this.liveSet.remove(modality);
      this.emit("unhealthy", entry.sensor, problem);
    } else if (problem === null && entry.state === "unhealthy") {
      entry.state = "open";
      this.liveSet.add(modality, name);
      this.emit("recovered", entry.sensor);
    }
  }

  private async step(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      for (let ready; (ready = this.liveSet.ready.filter((modality) => this.loaded.has(modality))).length; ) {
        const encoded: Encoded[] = [];
        for (const modality of ready) {
          const made = await this.encode(modality);
          if (made) encoded.push(made);
        }
        this.listener({ encoded });
        const prediction = this.liveSet.fuse(encoded, this.clock());
        if (prediction) this.listener({ prediction });
      }
    } finally {
      this.busy = false;
    }
  }

  private async encode(modality: string): Promise<Encoded | null> {
    const taken = this.liveSet.take(modality);
    if (!taken) return null;
    const began = this.clock();
    try {
      const window = typeof taken.data === "string" ? this.bundle.tokenize(taken.data) : taken.data;
      return { ...taken, embedding: await this.executor.encode(modality, window), latency: this.clock() - began };
    } catch (error) {
      this.liveSet.silence(modality);
      this.emit("encoder failed", { modality, name: "" }, error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  private look(): void {
    const now = this.clock();
    for (const { kind, modality, text } of this.liveSet.changes(now)) this.emit(kind, { modality, name: "" }, text);
    for (const entry of this.sensors.values()) {
      const silent = entry.state === "open" ? entry.health.stalled(now) : null;
      if (silent) this.lose(entry, silent);
      else if (entry.state === "lost" && now >= entry.retryAt) void this.open(entry);
    }
  }

  private spec({ modality }: Sensor): InputSpec {
    return this.bundle.specs[modality];
  }

  private emit(kind: string, { modality, name }: Pick<Sensor, "modality" | "name">, text = ""): void {
    this.listener({ event: { time: this.clock(), kind, modality, sensor: name, text } });
  }
}
