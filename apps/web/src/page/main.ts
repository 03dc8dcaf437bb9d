// The page: a bundle is opened, and its session is shown by what the live page shows.

import "../../../src/sensemble_apps/web/static/page.css";
import "../../../src/sensemble_apps/web/static/lattice.css";
import "../../../src/sensemble_apps/web/static/live.css";
import "./page.css";
import { button, byId, make } from "../../../src/sensemble_apps/web/static/dom.js";
import { captionField, Givers } from "../../../src/sensemble_apps/web/static/givers.js";
import { Live } from "../../../src/sensemble_apps/web/static/live.js";
import type { Modality } from "../../../src/sensemble_apps/web/static/types.js";
import { answer } from "../core/answer";
import { Bundle, filesAt, filesOf, type Files } from "../core/bundle";
import { promise } from "../core/classifier";
import { Session, type Sensor } from "../core/session";
import { WorkerExecutor } from "../executors/in_worker";
import { QuickerExecutor } from "../executors/webgpu";
import { Camera, Microphone, Motion } from "../sensors/devices";
import { Captions } from "../sensors/text";
import { SessionState } from "./session_state";
import { drawn } from "./dom";
import { Learning } from "./learn";
import { EMPTY, Recording, saveRecord } from "./record";

const EVERY = 100; // milliseconds between two states that are shown

const worker = new WorkerExecutor(new Worker(new URL("../executors/worker.ts", import.meta.url), { type: "module" }));
let session: Session;
let kept: SessionState;
/** Those that are given, by modality. */
const sensors = new Map<string, Sensor>();

class OwnGivers extends Givers {
  override ask(modality: Modality): void {
    const sensor = sensorOf(modality);
    sensors.set(modality.modality, sensor);
    const takeAway = sensor instanceof Captions ? captionField(modality, (caption) => sensor.write(caption)) : (): void => {};
    const stop = (): void => {
      sensors.delete(modality.modality);
      session.detach(modality.modality);
      takeAway();
    };
    this.given.set(modality.modality, { stop });
    this.show(modality.modality);
    void session.attach(sensor);
  }
}

function sensorOf({ modality, kind }: Modality): Sensor {
  if (kind === "frames") return new Camera(modality);
  if (kind === "waveform") return new Microphone(modality);
  return kind === "series" ? new Motion(modality) : new Captions(modality);
}

const givers = new OwnGivers();
const live = new Live((message) => kept.act(message), givers);

async function open(files: Files): Promise<Bundle | null> {
  byId("problem").textContent = "";
  try {
    const bundle = await Bundle.open(files);
    show(bundle);
    return bundle;
  } catch (error) {
    byId("problem").textContent = error instanceof Error ? error.message : String(error);
    return null;
  }
}

function show(bundle: Bundle): void {
  byId("open").hidden = true;
  const best = (modality: string, embedding: Float32Array): string | null => answer(bundle.classifier, new Map([[modality, bundle.classifier.evidence(modality, embedding)]]), [modality]).best;
  const executor = new QuickerExecutor(
    worker,
    (modality, one, other) => best(modality, one) === best(modality, other),
    () => new WorkerExecutor(new Worker(new URL("../executors/gpu_worker.ts", import.meta.url), { type: "module" })),
  );
  const learning = bundle.isLearnable ? new Learning(bundle, worker, sensors, () => live.relabel(bundle.manifest.labels, promise(bundle.manifest.calibration))) : null;
  const recording = new Recording(bundle);
  session = new Session(bundle, executor, (item) => {
    kept.note(item);
    if ("encoded" in item) learning?.note(item.encoded);
    if ("event" in item) recording.event(item.event);
    if ("prediction" in item) recording.prediction(item.prediction);
    // A sensor that cannot be had says why beside its button.
    if ("event" in item && ["lost", "unavailable"].includes(item.event.kind)) givers.note(`${item.event.modality}: ${item.event.text}`);
  });
  kept = new SessionState(bundle, session, sensors, executor.runs);
  live.greet(kept.hello());
  if (bundle.sparing) byId("sensors").after(sleepButton(session));
  live.take(kept.state());
  setInterval(() => {
    live.take(kept.state());
    learning?.see();
  }, EVERY);
  void learning?.start();
  // What fails is tried again with its sensor, which says why.
  void drawn().then(() => bundle.modalities.forEach((modality) => void session.load(modality).catch(() => {})));
  navigator.mediaDevices?.addEventListener("devicechange", () => void session.retry());
  for (const name of ["camera", "microphone"] as PermissionName[])
    void navigator.permissions?.query({ name }).then((permission) => permission.addEventListener("change", () => void session.retry())).catch(() => {}); // not every browser knows these
  Object.assign(window, { sensemble: { bundle, executor, sensors, session } }); // for programs and tests
}

/** Make a button that lets sensors sleep while they are not needed. */
function sleepButton(session: Session): HTMLElement {
  const spare = (spares: boolean): void => {
    sleep.setAttribute("aria-pressed", String(spares));
    session.spare(spares);
  };
  const sleep = button("Let sensors sleep", () => spare(sleep.getAttribute("aria-pressed") !== "true"), { "aria-pressed": "false", title: "Cameras and others are off while the rest is sure" });
  if (location.hash === "#sparing") spare(true); // as `serve --phone --sparing` asks for
  return make("p", { class: "buttons" }, sleep);
}

async function begin(): Promise<void> {
  byId("address").onsubmit = (event) => {
    event.preventDefault();
    void open(filesAt((byId("url") as HTMLInputElement).value));
  };
  byId("folder").onchange = (event) => void open(filesOf((event.target as HTMLInputElement).files ?? []));
  byId("record").textContent = "Save the record";
  byId("record").onclick = () => void saveRecord().catch((error: unknown) => (byId("recorded").textContent = `not saved: ${String(error)}`));
  // What is read from here on is kept.
  const isKept = "serviceWorker" in navigator && import.meta.env.PROD && (await serviceWorker());
  // A site that `sensemble web` wrote has its bundle beside the page.
  const address = new URL("bundle", location.href).href;
  const there = await fetch(`${address}/manifest.json`).catch(() => null);
  const bundle = there?.ok && there.headers.get("content-type")?.includes("json") ? await open(filesAt(address)) : null;
  if (!isKept) return;
  await drawn();
  await fetch(EMPTY);
  for (const modality of bundle?.modalities ?? []) await session.load(modality);
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
    byId("offline").textContent = "not kept offline";
    byId("offline").title = String(error);
    // So a browser says that it does not trust the server's certificate.
    byId("unkept").hidden = !(error instanceof DOMException && error.name === "SecurityError");
    return false;
  }
}

void begin();
