// This browser's microphone, camera, motion and keyboard as sensors of the session.
//
// Raw sound and raw pictures of exactly the form that the encoder sees, each with a number and the time at
// which it was captured. No WebRTC: its jitter buffer and gain control would hide what health measures.

import { button, byId, icon, make, say } from "./dom.js";
import { readMotion } from "./motion.js";

/** @typedef {import("./types.js").Modality} Modality */
/** @typedef {import("./types.js").Giving} Giving */
/** @typedef {import("./socket.js").Socket<any>} Socket */
/** @typedef {(data: Uint8Array<ArrayBuffer>, captured: number) => void} Send */
/**
 * A source: the words before and after a sensor's title on its button, and whether it is a device.
 * @typedef {{ask: string, stop: [string, string], device: boolean,
 *   start: (modality: Modality, send: Send, over: (why: string) => void) => Promise<() => void>}} Source
 */

const HEADER = 16; // bytes: the sensor's number, three of nothing, the sample's number, the time
const CHUNK = 0.05; // seconds of sound in a sample
const FASTEST = 25; // pictures a second at most
const ROUNDS = 4; // exchanges of the clock at first, and one every `EVERY` milliseconds
const EVERY = 5000;
const RESUMED = 3000; // milliseconds in which sound starts, unless the browser waits for a press
const KEPT = "given"; // the modalities that this tab gives, for another page of it that is opened next
const EXACT = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** @returns {number} seconds on this browser's clock */
const now = () => performance.now() / 1000;

/** The sources of this browser, by the kind of a modality. @type {Record<string, Source>} */
const SOURCES = {
  waveform: { ask: "Give this", stop: ["Take the", " back"], device: true, start: giveSound },
  frames: { ask: "Give this", stop: ["Take the", " back"], device: true, start: givePictures },
  series: { ask: "Give this", stop: ["Take the", " back"], device: true, start: giveMotion },
  text: { ask: "Write", stop: ["Stop the", ""], device: false, start: giveText },
};
/** What this browser runs on. */
const DEVICE = matchMedia("(pointer: coarse)").matches ? "phone" : "computer";

/** @type {Source["start"]} */
async function giveSound(modality, send, over) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { ...EXACT, channelCount: 1 } });
  const context = new AudioContext({ sampleRate: modality.rate, latencyHint: "interactive" });
  await Promise.race([context.resume(), new Promise((_, refuse) => setTimeout(refuse, RESUMED, new Error("press the button")))]);
  await context.audioWorklet.addModule("capture.js");
  const size = Math.max(128, Math.round(CHUNK * modality.rate));
  const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, processorOptions: { size } });
  // The sound's clock and the page's drift apart; the least distance of the last seconds ties them.
  /** @type {number[]} */
  const apart = [];
  node.port.onmessage = (event) => {
    const { data, time } = event.data;
    apart.push(now() - time);
    if (apart.length > 100) apart.shift();
    send(new Uint8Array(data.buffer), time + Math.min(...apart));
  };
  context.createMediaStreamSource(stream).connect(node);
  watch(stream, over);
  return () => {
    stop(stream);
    context.close();
  };
}

/** @type {Source["start"]} */
async function givePictures(modality, send, over) {
  const [, , height, width] = modality.shape;
  const rate = Math.min(FASTEST, Math.max(2 * modality.rate, 8));
  const wish = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: { ideal: "environment" } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: wish });
  const video = /** @type {HTMLVideoElement} */ (make("video", { muted: true, playsinline: true }));
  video.srcObject = stream;
  await video.play();
  const canvas = new OffscreenCanvas(width, height);
  const pencil = canvas.getContext("2d", { willReadFrequently: true });
  if (!pencil) throw new Error("this browser draws no pictures");
  pencil.imageSmoothingQuality = "high";
  const timer = setInterval(() => {
    const captured = now();
    // The middle of the picture, filled: as the session's own cameras are framed.
    const scale = Math.max(width / video.videoWidth, height / video.videoHeight);
    const [w, h] = [width / scale, height / scale];
    pencil.drawImage(video, (video.videoWidth - w) / 2, (video.videoHeight - h) / 2, w, h, 0, 0, width, height);
    const pixels = pencil.getImageData(0, 0, width, height).data;
    const colours = new Uint8Array(3 * width * height);
    for (let from = 0, to = 0; from < pixels.length; from += 4) {
      colours[to++] = pixels[from];
      colours[to++] = pixels[from + 1];
      colours[to++] = pixels[from + 2];
    }
    send(colours, captured);
  }, 1000 / rate);
  watch(stream, over);
  return () => {
    clearInterval(timer);
    stop(stream);
  };
}

/** @type {Source["start"]} */
async function giveMotion({ channels, rate }, send, over) {
  return readMotion(channels, rate, ({ data, time }) => send(new Uint8Array(data.buffer), time), over);
}

/** @type {Source["start"]} */
async function giveText(modality, send) {
  const field = /** @type {HTMLInputElement} */ (make("input", { type: "text", id: "caption", maxlength: 500, autocomplete: "off" }));
  const form = make("form", { class: "caption" }, make("label", { for: "caption" }, "Caption"), field, make("button", {}, "Send"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) send(new TextEncoder().encode(field.value.trim()), now());
    field.value = "";
  });
  byId("give").after(form);
  field.focus();
  return () => form.remove();
}

/** @param {MediaStream} stream @param {(why: string) => void} over */
function watch(stream, over) {
  for (const track of stream.getTracks()) track.onended = () => over("the device is gone");
}

/** @param {MediaStream} stream */
function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** @returns {string[]} the modalities that this tab gave before */
function kept() {
  return JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
}

/** The sensors that this browser gives, with a button for each modality. */
export class Givers {
  /** @param {Socket} socket */
  constructor(socket) {
    this.socket = socket;
    /** By modality. @type {Map<string, {id: number, number: number, stop: () => void}>} */
    this.given = new Map();
    /** Modalities that were asked for. @type {Map<string, Modality>} */
    this.asked = new Map();
    /** @type {Map<string, HTMLButtonElement>} */
    this.buttons = new Map();
    /** @type {Modality[]} */
    this.modalities = [];
    /** The titles of what this browser gives, by the sensor's name. @type {Map<string, string>} */
    this.titles = new Map();
    this.leaving = false;
    addEventListener("pagehide", () => (this.leaving = true));
    setInterval(() => this.given.size && this.exchange(), EVERY);
  }

  /** @param {Modality[]} modalities */
  offer(modalities) {
    const panel = byId("give");
    panel.replaceChildren(make("span", { class: "hint" }, "From this browser:"));
    this.buttons.clear();
    // No browser has a camera of one channel, thermal or depth.
    this.modalities = modalities.filter(({ kind, shape }) => kind in SOURCES && !(kind === "frames" && shape[4] === 1));
    for (const modality of this.modalities) {
      const press = () => (this.given.has(modality.modality) ? this.stop(modality.modality) : this.ask(modality));
      const made = button("", press);
      made.append(icon(modality.icon), modality.sensor);
      this.buttons.set(modality.modality, made);
      this.show(modality, false);
      panel.append(made);
      if (kept().includes(modality.modality)) this.ask(modality);
    }
    this.note(isSecureContext ? "" : "This browser gives no camera or microphone to a page without TLS.");
  }

  /** @returns {Modality[]} those that this browser's own devices can give */
  get devices() {
    return this.modalities.filter(({ kind }) => SOURCES[kind].device);
  }

  /** @param {Modality} modality */
  ask(modality) {
    for (let round = 0; round < ROUNDS; round++) setTimeout(() => this.exchange(), 50 * round);
    this.asked.set(modality.modality, modality);
    this.socket.send({ type: "give", modality: modality.modality, device: DEVICE });
  }

  /** @param {Giving} giving */
  async start(giving) {
    const modality = this.asked.get(giving.modality);
    const source = modality && SOURCES[modality.kind];
    if (!modality || !source) return;
    this.asked.delete(giving.modality);
    const entry = { id: giving.id, number: 0, stop: () => {} };
    this.given.set(giving.modality, entry);
    this.titles.set(giving.sensor, `this ${DEVICE}'s ${modality.sensor}`);
    const most = 4 * modality.shape.reduce((product, size) => product * size, 1) + 65536;
    /** @type {Send} */
    const send = (data, captured) => {
      const message = new Uint8Array(HEADER + data.length);
      const view = new DataView(message.buffer);
      view.setUint8(0, entry.id);
      view.setUint32(4, entry.number++, true); // also of one that is not sent: the gap says how many are lost
      view.setFloat64(8, captured, true);
      message.set(data, HEADER);
      this.socket.sendSample(message.buffer, most);
    };
    this.show(modality, true);
    this.keep();
    try {
      entry.stop = await source.start(modality, send, (why) => this.stop(giving.modality, why));
      if (this.given.get(giving.modality) !== entry) entry.stop(); // taken back, or lost, meanwhile
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.stop(giving.modality, `The ${modality.sensor} cannot be given: ${why}`);
    }
  }

  /** @param {string} modality @param {string} [why] */
  stop(modality, why = "") {
    const entry = this.given.get(modality);
    if (!entry) return;
    this.given.delete(modality);
    this.keep();
    entry.stop();
    this.socket.send({ type: "stop", id: entry.id });
    this.note(why);
    for (const known of this.modalities) if (known.modality === modality) this.show(known, false);
  }

  /** Forget what was given, for the connection is lost. */
  lose() {
    for (const modality of [...this.given.keys()]) this.stop(modality, "The connection was lost; give it again.");
  }

  /** Remember what is given, so that the next page of this tab gives it, too. */
  keep() {
    if (!this.leaving) sessionStorage.setItem(KEPT, JSON.stringify([...this.given.keys()]));
  }

  exchange() {
    this.socket.send({ type: "clock", sent: now() });
  }

  /** @param {import("./types.js").Clock} clock */
  clocked(clock) {
    this.socket.send({ type: "clocked", sent: clock.sent, answered: clock.answered, received: now() });
  }

  /** @param {string} text */
  note(text) {
    say(byId("give-note"), text);
  }

  /** @param {Modality} modality @param {boolean} given */
  show(modality, given) {
    const shown = this.buttons.get(modality.modality);
    if (!shown) return;
    const { ask, stop } = SOURCES[modality.kind];
    shown.setAttribute("aria-label", given ? `${stop[0]} ${modality.sensor}${stop[1]}` : `${ask} ${modality.sensor}`);
    shown.setAttribute("aria-pressed", String(given));
  }
}
