// The page: a bundle is opened, and its sensors, answer and lattice are shown.

import "./page.css";
import { Bundle, filesAt, filesOf, type Files } from "../core/bundle";
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
import { byId, drawn, make, percent } from "./dom";
import { Learning } from "./learn";
import { EMPTY, Recording, saveRecord } from "./record";

const WIDE = 0.2; // an interval of the audit beyond which there were too few examples
const EVENTS = 50; // that are shown
const WORDS = {
  unfamiliar: "nothing like it was in training",
  uncalibrated: "too few people or takes to calibrate this set of sensors",
  several: "several classes come into question",
  contradiction: "two sensors contradict each other",
  weak: "too little evidence",
};

const executor = new WorkerExecutor(new Worker(new URL("../executors/worker.ts", import.meta.url), { type: "module" }));
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
      answer(bundle, item.prediction);
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
  lattice(bundle, null);
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

function answer(bundle: Bundle, prediction: Prediction): void {
  const { live, label, doubt, confidence, audited, nearest } = prediction;
  const place = byId("label");
  place.classList.toggle("unsure", doubt !== null);
  const perhaps = doubt === "uncalibrated" ? `perhaps ${prediction.best}, ` : "";
  if (bundle.manifest.labels.length === 1) place.textContent = bundle.manifest.labels[0]; // nothing is learned yet
  else place.textContent = label ?? `${perhaps}unsure: ${doubt === "several" ? prediction.candidates.slice(0, 3).join(", ") : WORDS[doubt!]}`;
  place.dataset["best"] = prediction.best ?? "";
  const right = audited && audited.high - audited.low <= WIDE ? `; right in ${percent(audited.accuracy)} of the audit${nearest ? ` of ${nearest.join(", ")}, the nearest that was measured` : ""}` : "";
  byId("evidence").textContent = `${percent(confidence)} from ${live.join(", ")}${right}`;
  const order = Array.from(prediction.probabilities.keys()).sort((a, b) => prediction.probabilities[b] - prediction.probabilities[a]);
  byId("classes").replaceChildren(
    ...order.slice(0, 5).map((index) => {
      const name = bundle.manifest.labels[index];
      const value = prediction.probabilities[index];
      return make("li", {}, make("span", {}, name), make("progress", { max: "1", value: String(value), "aria-label": name }), make("span", {}, percent(value)));
    }),
  );
  lattice(bundle, prediction);
}

/** Show what every measured set of the sensors says, and the live set. */
function lattice(bundle: Bundle, prediction: Prediction | null): void {
  const live = prediction?.live ?? [];
  const sets = new Map([...measured(bundle.modalities), ...(live.length ? [live] : [])].map((set) => [nameOf(set), set]));
  const rows = new Map<number, HTMLElement>();
  for (const [name, set] of sets) {
    const within = prediction && set.every((modality) => prediction.embeddings.has(modality));
    const said: Opinion | null = within ? bundle.judge.answer(new Map(set.map((m) => [m, prediction.embeddings.get(m)!])), prediction.unfamiliar).whole : null;
    const score = bundle.audited[name];
    const node = make("li", {}, make("strong", {}, set.join(" + ")), ` ${said ? `${said.best ?? "?"} ${percent(said.confidence)}` : ""} `, score ? `(audit ${percent(score.accuracy)})` : "");
    node.classList.toggle("within", within === true);
    node.classList.toggle("lit", name === nameOf(live));
    const level = rows.get(set.length) ?? make("ul");
    level.append(node);
    rows.set(set.length, level);
  }
  byId("lattice").replaceChildren(...[...rows].sort(([a], [b]) => b - a).map(([, level]) => level));
}

/** Say so when nothing is live any more. */
function expire(bundle: Bundle, running: Session): void {
  if (running.live.length || byId("label").textContent === "no sensor is live") return;
  if (!byId("evidence").textContent) return;
  byId("label").textContent = "no sensor is live";
  byId("evidence").textContent = "";
  byId("classes").replaceChildren();
  lattice(bundle, null);
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
