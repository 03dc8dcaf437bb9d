// The page: a bundle is opened, and its sensors, answer and lattice are shown.

import "../../../src/sensemble_apps/web/static/page.css";
import "../../../src/sensemble_apps/web/static/lattice.css";
import "./page.css";
import { Bundle, filesAt, filesOf, type Files } from "../core/bundle";
import { byId, make, percent } from "../../../src/sensemble_apps/web/static/dom.js";
import { Lattice } from "../../../src/sensemble_apps/web/static/lattice.js";
import type { Opinion } from "../core/judge";
import { kindOf } from "../core/kinds";
import type { Prediction } from "../core/live_set";
import { Session, type Sensor, type SessionEvent } from "../core/session";
import { measured, nameOf } from "../core/subsets";
import { WorkerExecutor } from "../executors/in_worker";
import { Camera } from "../sensors/camera";
import { Microphone } from "../sensors/microphone";
import { Motion } from "../sensors/motion";
import { Captions } from "../sensors/text";
import { drawn } from "./dom";
import { Learning } from "./learn";
import { EMPTY, Recording, saveRecord } from "./record";

const WIDE = 0.2; // an interval of the audit beyond which there were too few examples
const EVENTS = 50; // that are shown
// As `console/kinds.py` has them.
const ICONS = {
  waveform: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5 11a7 7 0 0 0 14 0M12 18v3M8 21h8",
  frames: "M3 7h12a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H3zM16 11l5-3v8l-5-3",
  text: "M4 5h16v11h-9l-4 4v-4H4zM8 9h8M8 12h5",
  series: "M3 12h4l3-8 4 16 3-8h4",
};
const WORDS = {
  unfamiliar: "nothing like it was in training",
  uncalibrated: "too few people or takes to calibrate this set of sensors",
  several: "several classes come into question",
  contradiction: "two sensors contradict each other",
  weak: "too little evidence",
};

const executor = new WorkerExecutor(new Worker(new URL("../executors/worker.ts", import.meta.url), { type: "module" }));
const lattice = new Lattice(byId("lattice"), byId("set"));
let session: Session | null = null;

async function open(files: Files): Promise<Bundle | null> {
  byId("problem").textContent = "";
  try {
    const bundle = await Bundle.open(files);
    session?.close();
    show(bundle);
    return bundle;
  } catch (error) {
    byId("problem").textContent = error instanceof Error ? error.message : String(error);
    return null;
  }
}

function show(bundle: Bundle): void {
  byId("open").hidden = true;
  byId("live").hidden = false;
  const stateWords = new Map<string, string>(); // by modality, what its sensor's last event says
  const sensors = new Map<string, Sensor>();
  const learning = bundle.isLearnable ? new Learning(bundle, executor, sensors) : null;
  const recording = new Recording(bundle);
  const running = new Session(bundle, executor, (item) => {
    if ("encoded" in item) return learning?.note(item.encoded);
    if ("event" in item) {
      note(item.event, stateWords);
      recording.event(item.event);
    } else {
      answer(bundle, running, item.prediction);
      recording.prediction(item.prediction);
    }
    states(running, stateWords);
  });
  setInterval(() => recording.look(running), 250);
  void learning?.start();
  session = running;
  // What fails is tried again with its sensor, which says why.
  void drawn().then(() => bundle.modalities.forEach((modality) => void running.load(modality).catch(() => {})));
  byId("sensors").replaceChildren(...bundle.modalities.map((modality) => row(bundle, running, modality, sensors)));
  lattice.build(
    measured(bundle.modalities).map((set) => ({ subset: nameOf(set), modalities: set, ...(bundle.audited[nameOf(set)] ?? { accuracy: null }) })),
    bundle.modalities.map((modality) => ({
      modality,
      sensor: [...modality.split(".").slice(1), sensors.get(modality)!.name].join(" "),
      icon: ICONS[kindOf(bundle.specs[modality]).name],
    })),
  );
  setInterval(() => expire(bundle, running), 500);
  navigator.mediaDevices?.addEventListener("devicechange", () => void running.retry());
  Object.assign(window, { sensemble: { bundle, executor, session: running } }); // for programs and tests
}

/** Draws a sensor's row: its button, its state and its newest samples. */
function row(bundle: Bundle, running: Session, modality: string, sensors: Map<string, Sensor>): HTMLElement {
  const kind = kindOf(bundle.specs[modality]).name;
  const state = make("span", { class: "state" }, "not given");
  const item = make("li", { "data-modality": modality });
  let sensor: Sensor;
  if (kind === "frames") sensor = new Camera(modality);
  else if (kind === "waveform") sensor = new Microphone(modality);
  else if (kind === "series") sensor = new Motion(modality);
  else sensor = new Captions(modality);
  sensors.set(modality, sensor);
  const press = make("button", { type: "button", "aria-pressed": "false" }, `Give ${sensor.name}`);
  press.onclick = () => {
    const given = press.getAttribute("aria-pressed") === "true";
    press.setAttribute("aria-pressed", String(!given));
    press.textContent = `${given ? "Give" : "Take back"} ${sensor.name}`;
    if (given) running.detach(modality);
    else void running.attach(sensor);
  };
  item.append(make("strong", {}, modality), press, state);
  if (sensor instanceof Camera) item.append(sensor.video);
  if (sensor instanceof Captions) item.append(captionForm(sensor));
  return item;
}

function captionForm(captions: Captions): HTMLElement {
  const id = `caption-${captions.modality}`;
  const field = make("input", { id, type: "text", maxlength: "500", autocomplete: "off" }) as HTMLInputElement;
  const form = make("form", {}, make("label", { for: id }, "Caption"), field, make("button", {}, "Send"));
  form.onsubmit = (event) => {
    event.preventDefault();
    if (field.value.trim()) captions.write(field.value.trim());
    field.value = "";
  };
  return form;
}

function states(running: Session, stateWords: Map<string, string>): void {
  for (const item of byId("sensors").children as HTMLCollectionOf<HTMLElement>) {
    const modality = item.dataset["modality"]!;
    const state = running.states[modality];
    item.classList.toggle("bad", state === "lost" || state === "unhealthy");
    item.querySelector(".state")!.textContent = state ? (stateWords.get(modality) ?? state) : "not given";
  }
}

function note(event: SessionEvent, stateWords: Map<string, string>): void {
  const words = {
    attached: "live",
    detached: "not given",
    recovered: "live again",
    lost: `lost: ${"reason" in event ? event.reason : ""}`,
    unhealthy: `not used: ${"reason" in event ? event.reason : ""}`,
    failed: `its encoder failed: ${"reason" in event ? event.reason : ""}`,
    unfamiliar: "over" in event && event.over ? "familiar again" : "unfamiliar: left out",
    suspect: "over" in event && event.over ? "agrees again" : "contradicts the others: left out",
  }[event.type];
  stateWords.set(event.modality, words);
  const list = byId("events");
  list.prepend(make("li", {}, `${new Date().toLocaleTimeString()} ${event.modality}: ${words}`));
  while (list.children.length > EVENTS) list.lastChild!.remove();
}

/** Write an answer: its label, or why it is unsure. */
function words({ label, doubt, best, candidates }: Opinion): string {
  const perhaps = doubt === "uncalibrated" ? `perhaps ${best}, ` : "";
  return label ?? `${perhaps}unsure: ${doubt === "several" ? candidates.slice(0, 3).join(", ") : WORDS[doubt!]}`;
}

function answer(bundle: Bundle, running: Session, prediction: Prediction): void {
  const { live, doubt, confidence, audited, nearest } = prediction;
  const place = byId("label");
  place.classList.toggle("unsure", doubt !== null);
  place.textContent = bundle.manifest.labels.length === 1 ? bundle.manifest.labels[0] : words(prediction); // of one, nothing is learned yet
  place.dataset["best"] = prediction.best ?? "";
  const right = audited && audited.high - audited.low <= WIDE ? `; right in ${percent(audited.accuracy)} of the audit${nearest ? ` of ${nearest.join(", ")}, the nearest that was measured` : ""}` : "";
  byId("evidence").textContent = `${percent(confidence)} from ${live.join(", ")}${right}`;
  const order = Array.from(prediction.probabilities.keys()).sort((a, b) => prediction.probabilities[b] - prediction.probabilities[a]);
  byId("classes").replaceChildren(
    ...order.slice(0, 5).map((index) => {
      const name = bundle.manifest.labels[index];
      const value = prediction.probabilities[index];
      return make("li", {}, make("span", {}, name), make("meter", { min: 0, max: 1, value, "aria-label": name }), make("span", {}, percent(value)));
    }),
  );
  sets(bundle, running, prediction);
}

/** Show what every set of the live sensors says. */
function sets(bundle: Bundle, running: Session, prediction: Prediction | null): void {
  const unfamiliar = prediction?.doubt === "unfamiliar" ? prediction.unfamiliar : [];
  const opinions = measured(prediction?.live ?? []).map((set) => {
    const { whole } = bundle.judge.answer(new Map(set.map((m) => [m, prediction!.embeddings.get(m)!])), unfamiliar);
    return { subset: nameOf(set), label: whole.label, best: whole.best, confidence: whole.confidence, words: words(whole) };
  });
  const troubles = Object.entries(running.states).filter(([, state]) => state === "lost" || state === "unhealthy");
  const { audited = null, nearest = null } = prediction ?? {};
  lattice.show(prediction?.live ?? [], opinions, new Map(troubles), { audited, ...(nearest && { nearest: nameOf(nearest) }) });
}

/** Say so when nothing is live any more. */
function expire(bundle: Bundle, running: Session): void {
  if (running.live.length || byId("label").textContent === "no sensor is live") return;
  if (!byId("evidence").textContent) return;
  byId("label").textContent = "no sensor is live";
  byId("evidence").textContent = "";
  byId("classes").replaceChildren();
  sets(bundle, running, null);
}

async function begin(): Promise<void> {
  byId("address").onsubmit = (event) => {
    event.preventDefault();
    void open(filesAt((byId("url") as HTMLInputElement).value));
  };
  byId("folder").onchange = (event) => void open(filesOf((event.target as HTMLInputElement).files ?? []));
  byId("save-record").onclick = () => void saveRecord().catch((error: unknown) => (byId("offline").textContent = `the record is not saved: ${String(error)}`));
  // What is read from here on is kept.
  const isKept = "serviceWorker" in navigator && import.meta.env.PROD && (await serviceWorker());
  // A site that `sensemble web` wrote has its bundle beside the page.
  const address = new URL("bundle", location.href).href;
  const there = await fetch(`${address}/manifest.json`).catch(() => null);
  const bundle = there?.ok && there.headers.get("content-type")?.includes("json") ? await open(filesAt(address)) : null;
  if (!isKept) return;
  await drawn();
  await fetch(EMPTY);
  for (const modality of bundle?.modalities ?? []) await session!.load(modality);
  byId("offline").textContent = "works offline";
}

/** Start the service worker; return whether it keeps what this page reads. */
async function serviceWorker(): Promise<boolean> {
  try {
    const { active, installing, waiting } = await navigator.serviceWorker.register("./sw.js");
    const worker = (active ?? installing ?? waiting)!;
    while (!["activated", "redundant"].includes(worker.state)) await new Promise((resolve) => worker.addEventListener("statechange", resolve, { once: true }));
    return navigator.serviceWorker.controller !== null;
  } catch (error) {
    byId("offline").textContent = `not offline: ${String(error)}`; // such as a certificate that is not trusted
    return false;
  }
}

void begin();
