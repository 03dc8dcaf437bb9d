// Classes of a person's own: takes are recorded while a button is held, and a head is learned of them.

import type { Zippable } from "fflate";
import type { Bundle } from "../core/bundle";
import type { Take } from "../core/learning";
import type { WindowEmbedding } from "../core/live_set";
import type { Sensor } from "../core/session";
import type { WorkerExecutor } from "../executors/in_worker";
import { byId, make } from "../../../src/sensemble_apps/web/static/dom.js";
import { saveZip } from "./dom";
import { all, forget, keep } from "./store";

/** A take as the browser keeps it. */
interface Kept extends Take {
  id: number;
  /** The fingerprint of the bundle whose encoders made its embeddings. */
  bundle: string;
  /** Files and captions, by modality. */
  media: Record<string, RecordedMedia>;
}

type RecordedMedia = { text: string } | { name: string; data: Uint8Array<ArrayBuffer> };

const LONGEST = 100; // characters of a class's name

export class Learning {
  private takes: Kept[] = [];
  private readonly classes = new Set<string>();
  private readonly captions = new Map<string, WindowEmbedding>();
  private held: { began: number; windows: WindowEmbedding[] } | null = null; // of the take that is being recorded

  constructor(
    private readonly bundle: Bundle,
    private readonly executor: WorkerExecutor,
    private readonly sensors: ReadonlyMap<string, Sensor>,
    /** Called with each head that is learned. */
    private readonly changed: () => void,
  ) {
    byId("learn").hidden = false;
    this.untaught();
    byId("learn-purpose").after(byId("first")); // the button that gives all sensors
    byId("answer").after(byId("learn"));
    byId("new-class").onsubmit = (event) => {
      event.preventDefault();
      const field = byId("class-name") as HTMLInputElement;
      for (const name of field.value.split(",")) if (name.trim()) this.classes.add(name.trim().slice(0, LONGEST));
      field.value = "";
      this.show({}, null);
    };
    byId("save-takes").onclick = () => saveZip("takes.zip", this.dataset());
    byId("save-bundle").onclick = async () => saveZip("bundle.zip", await bundle.contents());
  }

  /** Show the takes that the browser has kept, and learn of them. */
  async start(): Promise<void> {
    this.takes = (await all<Kept>("takes")).filter(({ bundle }) => bundle === this.bundle.fingerprint);
    await this.learn();
  }

  /** Note windows and their embeddings. */
  note(encoded: WindowEmbedding[]): void {
    const { specs } = this.bundle;
    for (const one of encoded) {
      const { hop, window } = specs[one.modality];
      if (hop === 0) this.captions.set(one.modality, one);
      else if (one.time - window / 2 >= (this.held?.began ?? Infinity)) this.held!.windows.push(one); // half of it is of the take
    }
    if (this.held) byId("learned").textContent = `${this.held.windows.length} windows`;
  }

  /** Show what the camera sees while takes are recorded, which may be far from its panel. */
  see(): void {
    const view = byId("view") as HTMLVideoElement;
    const stream = [...this.sensors.values()].map((sensor) => sensor.stream).find((one) => one?.getVideoTracks().length) ?? null;
    if (view.srcObject !== stream) view.srcObject = stream;
    view.hidden = !stream;
  }

  /** Put the answers out of sight while nobody has taught it a class, and the sets of sensors while none is audited. */
  private untaught(): void {
    document.body.classList.toggle("untaught", this.bundle.manifest.labels.length < 2);
    document.body.classList.toggle("unaudited", !Object.keys(this.bundle.audited).length);
  }

  private async learn(): Promise<void> {
    for (const { label } of this.takes) if (label !== null) this.classes.add(label);
    const began = performance.now();
    const learned = await this.executor.learn(this.takes.map(({ label, windows }) => ({ label, windows })), this.bundle.manifest.embedding, this.bundle.modalities);
    if (learned) {
      this.bundle.use(learned);
      this.untaught();
      this.changed();
    }
    const seconds = ((performance.now() - began) / 1000).toFixed(2);
    byId("learned").textContent = learned ? `learned in ${seconds} s${this.takes.some(({ label }) => label === null) ? "" : ". Now record none of these twice, the place without your things: then it can say so."}` : "Hold the button of a class while the sensors see it: two takes of each of two classes are enough.";
    this.show(learned?.right ?? {}, learned?.none ?? null);
  }

  private show(right: Record<string, [number, number]>, none: [number, number] | null): void {
    (byId("save-takes") as HTMLButtonElement).disabled = !this.takes.length;
    (byId("save-bundle") as HTMLButtonElement).disabled = !this.bundle.manifest.labels.some((label) => this.classes.has(label));
    byId("class-list").replaceChildren(
      ...[...this.classes, ...(this.classes.size ? [null] : [])].map((label) => {
        const own = this.takes.filter((take) => take.label === label);
        const hold = make("button", { type: "button", class: "hold" }, `Hold to record ${label ?? "none of these"}`);
        this.holding(hold, label);
        const last = make("button", { type: "button" }, "Delete the last");
        last.onclick = () => void this.drop(own.at(-1));
        const found = label === null ? none : right[label];
        const score = found ? `, ${found[0]} of ${found[1]} right` : "";
        return make("li", {}, hold, make("span", { class: "state", title: "The takes that are answered right by what has not learned from them" }, `${own.length} take${own.length === 1 ? "" : "s"}${score}`), ...(own.length ? [last] : []));
      }),
    );
  }

  private async drop(take: Kept | undefined): Promise<void> {
    if (!take) return;
    this.takes = this.takes.filter((other) => other !== take);
    await forget("takes", take.id);
    await this.learn();
  }

  private holding(button: HTMLElement, label: string | null): void {
    let finish: (() => Promise<void>) | null = null;
    const begin = (): void => void (finish ??= this.record(label, button));
    const end = (): void => {
      void finish?.();
      finish = null;
    };
    button.onpointerdown = begin;
    button.onpointerup = button.onpointerleave = button.onpointercancel = button.onblur = end;
    button.onkeydown = ({ key, repeat }) => void (key === " " && !repeat && begin());
    button.onkeyup = end;
  }

  /** Begin a take; the function that is returned ends it. */
  private record(label: string | null, button: HTMLElement): () => Promise<void> {
    button.setAttribute("aria-pressed", "true");
    const held = { began: performance.now() / 1000, windows: [] as WindowEmbedding[] };
    this.held = held;
    const media = recorded(this.sensors);
    return async () => {
      button.setAttribute("aria-pressed", "false");
      if (this.held === held) this.held = null;
      const now = performance.now() / 1000;
      const { specs } = this.bundle;
      const windows: Take["windows"] = {};
      const files = await media();
      for (const { modality, embedding } of held.windows) (windows[modality] ??= []).push(embedding);
      for (const [modality, { time, embedding, data }] of this.captions)
        if (now <= time + specs[modality].ttl) {
          windows[modality] = [embedding];
          files[modality] = { text: data as string };
        }
      if (!Object.keys(windows).length) {
        byId("learned").textContent = "Nothing was recorded: give a sensor, and hold the button for two seconds or more.";
        return;
      }
      const take = { bundle: this.bundle.fingerprint, label, windows, media: files };
      this.takes.push({ ...take, id: await keep("takes", take) });
      await this.learn();
    };
  }

  /** The takes in our data format. */
  private dataset(): Zippable {
    const found: Zippable = {};
    const lines = this.takes.map(({ id, label, media }) => {
      const line: Record<string, unknown> = { id: `take-${id}`, split: "train", ...(label === null ? { background: true } : { labels: [label] }), group: `take-${id}` };
      for (const [modality, one] of Object.entries(media)) {
        if ("text" in one) line[modality] = one.text;
        else found[(line[modality] = `take-${id}.${one.name}`) as string] = one.data;
      }
      return JSON.stringify(line);
    });
    found["index.jsonl"] = new TextEncoder().encode(`${lines.join("\n")}\n`);
    return found;
  }
}

/** Record the cameras and microphones that are open; the function that is returned ends it and gives a file of each. */
function recorded(sensors: ReadonlyMap<string, Sensor>): () => Promise<Record<string, RecordedMedia>> {
  const recorders = [...sensors].flatMap(([modality, { stream }]) => {
    if (!stream) return [];
    const recorder = new MediaRecorder(stream);
    const parts: Blob[] = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.start();
    return [{ modality, recorder, parts }];
  });
  return async () => {
    const files: Record<string, RecordedMedia> = {};
    for (const { modality, recorder, parts } of recorders) {
      const over = new Promise((resolve) => (recorder.onstop = resolve));
      if (recorder.state !== "inactive") recorder.stop(); // one whose track ended has stopped
      else recorder.onstop?.(new Event("stop"));
      await over;
      const extension = recorder.mimeType.includes("mp4") ? "mp4" : "webm";
      files[modality] = { name: `${modality}.${extension}`, data: new Uint8Array(await new Blob(parts).arrayBuffer()) };
    }
    return files;
  };
}
