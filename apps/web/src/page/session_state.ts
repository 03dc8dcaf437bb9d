// The newest state of a session, as the live page is told it: `live_page/session_state.py`.

import type { Modality, Preview, State } from "../../../src/sensemble_apps/web/static/types.js";
import { answer } from "../core/answer";
import type { Bundle } from "../core/bundle";
import { promise } from "../core/classifier";
import type { View } from "../core/engine";
import { FAULTS, type SessionEvent } from "../core/events";
import { kindOf } from "../core/kinds";
import type { Prediction } from "../core/live_set";
import type { Opinion } from "../core/opinion";
import type { Listener, Sensor, Session } from "../core/session";
import type { Sample } from "../core/spec";
import { measured, nameOf } from "../core/subsets";
import { previewOf } from "./previews";

const TOP = 5; // labels with their probabilities
const OPEN = 0.75; // the share of the classes from which those that an answer leaves open say nothing
const NAMED = 3; // so many candidates beside the likeliest are counted, not named
const SENSORS: Record<string, string> = { audio: "microphone", video: "camera", text: "captions", imu: "motion" };
// As `console/kinds.py` has them.
const ICONS = {
  waveform: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5 11a7 7 0 0 0 14 0M12 18v3M8 21h8",
  frames: "M3 7h12a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H3zM16 11l5-3v8l-5-3",
  text: "M4 5h16v11h-9l-4 4v-4H4zM8 9h8M8 12h5",
  series: "M3 12h4l3-8 4 16 3-8h4",
};
const NONE = { waveform: "hears nothing it knows", frames: "sees nothing it knows", text: "say nothing it knows", series: "feels nothing it knows" };
const NOBODY: ReadonlyMap<string, Opinion> = new Map();
const NOUNS = { waveform: "sound", frames: "picture", text: "caption", series: "measurement" };

export function describe({ specs }: Bundle): Modality[] {
  return Object.values(specs).map((spec) => {
    const { modality, kind, shape, rate, hop, channels } = spec;
    const [first, ...rest] = modality.split(".");
    const { name } = kindOf(spec);
    const sensor = [...rest, SENSORS[first] ?? first].join(" ");
    return { modality, kind, sensor, device: "", icon: ICONS[name], noun: NOUNS[name], none: NONE[name], shape, rate, hop, channels: channels.map((one) => one.name), conditions: [] };
  });
}

export class SessionState {
  private readonly titles = new Map<string, string>();
  private readonly samples = new Map<string, Sample[]>(); // that are drawn next
  private readonly fresh = new Set<string>(); // modalities with one that is not drawn yet
  private drawn: Prediction | null = null; // whose lattice it is
  private lattice: State["lattice"] = [];
  private truth: string | null = null;
  private score: State["score"] = {};
  private timeline: State["timeline"] = [];
  private shown = ""; // the last answer of the timeline
  private entries = 0;
  private readonly modalities: Modality[];

  constructor(
    private readonly bundle: Bundle,
    private readonly session: Session,
    /** Those that are there, plugged in or not, by modality. */
    private readonly sensors: ReadonlyMap<string, Sensor>,
    private readonly executors: Readonly<Record<string, string>>,
  ) {
    this.modalities = describe(bundle);
  }

  hello() {
    const { audited, fingerprint, manifest, modalities } = this.bundle;
    const subsets = measured(modalities).map((set) => ({ subset: nameOf(set), modalities: set, ...(audited[nameOf(set)] ?? { accuracy: null }) }));
    return { bundle: String(manifest.provenance["dataset"] ?? ""), fingerprint, labels: manifest.labels, modalities: this.modalities, subsets, promise: promise(manifest.calibration), replayed: false, recordings: "", examples: {} };
  }

  /** Note what a session says. */
  note(item: Parameters<Listener>[0]): void {
    if ("sample" in item) this.sampled(item.sample);
    else if ("event" in item) this.happened(item.event);
    else if ("prediction" in item) this.predicted(item.prediction);
  }

  /** Do what is pressed. */
  act(message: Record<string, unknown>): void {
    const modality = this.modalities.find(({ sensor }) => sensor === message["sensor"])?.modality ?? "";
    const sensor = this.sensors.get(modality);
    if (message["type"] === "label") this.truth = message["label"] as string | null;
    if (message["type"] === "rename") this.titles.set(modality, String(message["title"]));
    if (message["type"] === "wake") this.session.wake();
    if (message["type"] === "unplug") this.session.detach(modality);
    if (message["type"] === "plug" && sensor) void this.session.attach(sensor);
  }

  /** Return the state, with what is new since the last call. */
  state(): State {
    const view = this.session.view();
    const { time, live, prediction, latencies } = view;
    if (this.shown && !live.length) {
      this.enter({ kind: "live", time, live });
      this.shown = "";
    }
    if (prediction !== this.drawn) [this.drawn, this.lattice] = [prediction, prediction ? this.opinions(prediction) : []];
    const { timeline, lattice } = this;
    this.timeline = [];
    const previews: Record<string, Preview> = {};
    for (const { modality, sensor, kind, rate, shape } of this.modalities) {
      if (this.fresh.delete(modality) && this.sensors.has(modality)) previews[sensor] = previewOf(this.samples.get(modality)!, kind, rate, shape);
    }
    return {
      type: "state", version: 0, time, live, previews, timeline, lattice,
      sensors: this.modalities.filter(({ modality }) => this.sensors.has(modality)).map((one) => this.sensor(one, view)),
      answer: prediction && this.answer(prediction, time),
      latencies, dropped: prediction?.dropped ?? {}, lost: prediction?.lost ?? {},
      truth: this.truth, played: [], demo: "", score: this.score, executors: this.executors, recorded: null, recording_failed: "",
    };
  }

  private sensor({ modality, sensor }: Modality, { sensors, faults, time }: View): State["sensors"][number] {
    const { state, why, since } = sensors.filter((one) => one.modality === modality).at(-1) ?? { state: "opening", why: "", since: time };
    const note = faults.filter((one) => one.modality === modality && !one.sensor).at(-1);
    return {
      name: sensor, title: this.titles.get(modality) ?? "", modality, kind: state, reason: why, since, state: state === "opening" ? "is being opened" : inWords(state, why),
      note: note ? inWords(note.kind, note.text) : "", noted: note?.kind ?? "", plugged: state !== "detached", fault: FAULTS.includes(state), active: true, condition: null,
    };
  }

  private answer(prediction: Prediction, now: number): NonNullable<State["answer"]> {
    const { audited, live, ages, unfamiliar, suspect, probabilities, labels, time } = prediction;
    const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]).slice(0, TOP);
    const shares = Object.fromEntries(order.map((i) => [labels[i], probabilities[i]]));
    const age = now - time + Math.min(...Object.values(ages));
    return { ...this.verdictOf(prediction), live, time, age, ages, audited, unfamiliar, suspect, probabilities: shares };
  }

  private sampled(sample: Sample): void {
    const known = this.samples.get(sample.modality) ?? [];
    known.push(sample);
    this.samples.set(sample.modality, known);
    this.fresh.add(sample.modality);
  }

  private happened(event: SessionEvent): void {
    const { kind, modality, text } = event;
    if (kind === "live") return; // answers name their live set
    if (event.label) return this.enter({ ...event, words: `${event.label.replace(/_+/g, " ")}, by ${this.named(event.sensors ?? [])}`, fault: false });
    const { sensor } = this.modalities.find((one) => one.modality === modality)!;
    if (kind === "detached") this.fresh.delete(modality);
    const words = kind === "unfamiliar" ? NONE[kindOf(this.bundle.specs[modality]).name] : inWords(kind, text);
    this.enter({ ...event, sensor, words: `${this.titles.get(modality) || sensor} ${words}`, fault: FAULTS.includes(kind) });
  }

  private predicted(prediction: Prediction): void {
    const { live, label, best, doubt, sure } = prediction;
    if (this.truth !== null) {
      const { right, unsure, n } = this.score[nameOf(live)] ?? { right: 0, unsure: 0, n: 0 };
      this.score = { ...this.score, [nameOf(live)]: { right: right + Number(label === this.truth), unsure: unsure + Number(!sure), n: n + 1 } };
    }
    const right = this.truth !== null && sure ? label === this.truth : null;
    const shown = JSON.stringify([live, best, doubt, right]);
    if (shown !== this.shown) this.enter({ kind: "answer", time: this.session.clock(), live, right, ...this.verdictOf(prediction) });
    this.shown = shown;
  }

  /** Return the answer of each drawn subset of a prediction's live set. */
  private opinions({ evidence, lies }: Prediction): State["lattice"] {
    return measured([...evidence.keys()]).map((set) => ({ subset: nameOf(set), ...this.verdict(answer(this.bundle.classifier, evidence, set, lies)) }));
  }

  private enter(entry: Omit<State["timeline"][number], "number">): void {
    this.timeline.push({ number: ++this.entries, ...entry });
  }

  private verdictOf(prediction: Prediction) {
    return this.verdict(prediction, prediction.unfamiliar.length > 0, prediction.opinions);
  }

  /** Write an answer: its label, or why it is unsure; `console/wording.py`. */
  private verdict(said: Opinion, strange = false, opinions: ReadonlyMap<string, Opinion> = NOBODY) {
    const { label, best, confidence, doubt, candidates, labels } = said;
    const none = doubt === "unfamiliar" || (doubt !== null && strange && candidates.length > OPEN * labels.length);
    const why = doubt ? this.why(said, none, opinions) : "";
    const known = labels.length > 1 ? best : null; // one label: encoders that nobody has taught a class
    return { label, best: known, confidence, doubt, none, words: label ?? `unsure: ${why}`, why };
  }

  private why({ best, doubt, candidates: [first, ...others] }: Opinion, none: boolean, opinions: ReadonlyMap<string, Opinion>): string {
    if (none) return `nothing it has learned${best === null ? "" : `, most like ${best}`}`;
    const rest = others.length < NAMED ? others : [`${others.length} others`];
    const either = rest.length ? `${[first, ...rest.slice(0, -1)].join(", ")} or ${rest.at(-1)}` : first;
    if (doubt === "several") return either;
    const bests = new Map([...opinions].flatMap(([m, { best }]) => (best === null ? [] : [[this.modalities.find(({ modality }) => modality === m)!.sensor, best]])));
    const apart = new Set(bests.values()).size > 1 ? [...bests.keys()].sort() : ["the sensors"];
    return `${joined(apart)} disagree: ${either}`;
  }

  private named(modalities: string[]): string {
    return joined(modalities.map((one) => this.modalities.find(({ modality }) => modality === one)!.sensor));
  }
}

const joined = (words: string[]): string => (words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : (words[0] ?? ""));

function inWords(kind: string, text: string): string {
  const words = kind === "detached" ? "unplugged" : kind;
  return text ? `${words}: ${text}` : words;
}
