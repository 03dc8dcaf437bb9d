// This browser's microphone, camera, motion and keyboard as sensors of the session.
//
// Raw sound and raw pictures of exactly the form that the encoder sees, each with a number and the time at
// which it was captured.

import { openCamera, openMicrophone } from "./devices.js";
import { captionField, Givers } from "./givers.js";
import { readMotion } from "./motion.js";

/** @typedef {import("./types.js").Modality} Modality */
/** @typedef {import("./types.js").Giving} Giving */
/** @typedef {import("./socket.js").Socket<any>} Socket */
/** @typedef {import("./devices.js").Give} Send */
/** @typedef {(modality: Modality, send: Send, over: (why: string) => void) => Promise<() => void>} Source */

const HEADER = 16; // bytes: the sensor's number, three of nothing, the sample's number, the time
const ROUNDS = 4; // exchanges of the clock at first, and one every `EVERY` milliseconds
const EVERY = 5000;
const KEPT = "given"; // the modalities that this tab gives, for another page of it that is opened next

/** @returns {number} seconds on this browser's clock */
const now = () => performance.now() / 1000;

/** What this browser gives, by the kind of a modality; each returns how to end it. @type {Record<string, Source>} */
const SOURCES = {
  waveform: async (modality, send, over) => (await openMicrophone(modality, "capture.js", send, over)).close,
  frames: async (modality, send, over) => (await openCamera(modality, send, over)).close,
  series: ({ channels, rate }, send, over) => readMotion(channels, rate, ({ data, time }) => send(data, time), over),
  text: async (modality, send) => captionField(modality, (caption) => send(new TextEncoder().encode(caption), now())),
};
/** What this browser runs on. */
const DEVICE = matchMedia("(pointer: coarse)").matches ? "phone" : "computer";

/** @returns {string[]} the modalities that this tab gave before */
function kept() {
  return JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
}

/** Gives sensors to the session of the server. */
export class RemoteGivers extends Givers {
  /** @param {Socket} socket */
  constructor(socket) {
    super();
    this.socket = socket;
    /** Modalities that were asked for. @type {Map<string, Modality>} */
    this.asked = new Map();
    /** Modalities given by sensors that were unplugged. @type {Set<string>} */
    this.unplugged = new Set();
    /** By the name of a given sensor, the function that opens its device, or releases it while the session lets it sleep. @type {Map<string, (isNeeded: boolean) => void>} */
    this.needs = new Map();
    this.leaving = false;
    addEventListener("pagehide", () => (this.leaving = true));
    setInterval(() => this.given.size && this.exchange(), EVERY);
  }

  /** @override @param {Modality[]} modalities */
  offer(modalities) {
    super.offer(modalities);
    const wanted = (/** @type {string} */ name) => kept().includes(name) && !this.given.has(name) && !this.asked.has(name); // a page is greeted again with another head
    for (const modality of this.modalities) if (wanted(modality.modality)) this.ask(modality);
  }

  /** @override @param {Modality} modality */
  ask(modality) {
    for (let round = 0; round < ROUNDS; round++) setTimeout(() => this.exchange(), 50 * round);
    this.asked.set(modality.modality, modality);
    this.socket.send({ type: "give", modality: modality.modality, device: DEVICE });
  }

  /** @param {Giving} giving */
  start({ id, modality: name, sensor }) {
    const modality = this.asked.get(name);
    const source = modality && SOURCES[modality.kind];
    if (!modality || !source) return;
    this.asked.delete(name);
    let number = 0;
    /** How to release the device; null while it is not open. @type {(() => void) | null} */
    let release = null;
    let [isNeeded, turn] = [true, Promise.resolve()];
    const settle = async () => {
      if (isNeeded && !release) release = await source(modality, send, (why) => this.stop(name, why));
      else if (!isNeeded) [release] = [null, release?.()];
    };
    const need = (/** @type {boolean} */ needed) => {
      if (isNeeded === needed) return;
      isNeeded = needed;
      turn = turn.then(settle).catch(fail); // in turn: one that is still being opened is released after that
    };
    const fail = (/** @type {unknown} */ error) => {
      const isDenied = error instanceof DOMException && error.name === "NotAllowedError";
      const why = isDenied ? "this browser does not allow it; allow it beside the address, and press again" : error instanceof Error ? error.message : String(error);
      this.stop(name, `The ${modality.sensor} cannot be given: ${why}`);
    };
    const stop = () => {
      need(false);
      this.needs.delete(sensor);
      this.socket.send({ type: "stop", id });
    };
    this.given.set(name, { stop });
    this.needs.set(sensor, need);
    this.titles.set(sensor, `${modality.sensor} of this ${DEVICE}`);
    const most = 4 * modality.shape.reduce((product, size) => product * size, 1) + 65536;
    /** @type {Send} */
    const send = ({ buffer, byteOffset, byteLength }, captured) => {
      const data = new Uint8Array(buffer, byteOffset, byteLength);
      const message = new Uint8Array(HEADER + data.length);
      const view = new DataView(message.buffer);
      view.setUint8(0, id);
      view.setUint32(4, number++, true); // also of one that is not sent: the gap says how many are lost
      view.setFloat64(8, captured, true);
      message.set(data, HEADER);
      this.socket.sendSample(message.buffer, most);
    };
    this.show(name);
    this.keep();
    turn = settle().catch(fail);
  }

  /** @override @param {string} modality @param {string} [why] */
  stop(modality, why = "") {
    if (!this.given.has(modality)) return;
    super.stop(modality, why);
    this.keep();
  }

  /** Stop what is given, for the connection is lost; `offer` gives it again, because it is still kept. */
  lose() {
    this.asked.clear();
    for (const modality of [...this.given.keys()]) super.stop(modality, "The connection was lost; it is given again once it is back.");
  }

  /** Note which of the given sensors are unplugged, and which sleep. @param {{ name: string, modality: string, kind: string, plugged: boolean }[]} sensors */
  attend(sensors) {
    for (const { name, kind } of sensors) this.needs.get(name)?.(kind !== "asleep");
    const away = sensors.filter((sensor) => !sensor.plugged && this.titles.has(sensor.name));
    this.unplugged = new Set(away.map((sensor) => sensor.modality));
    this.keep();
  }

  /** Remember what is given, or about to be, and plugged in, so that the next page of this tab gives it again. */
  keep() {
    const names = [...this.given.keys(), ...this.asked.keys()].filter((modality) => !this.unplugged.has(modality));
    if (!this.leaving) sessionStorage.setItem(KEPT, JSON.stringify(names));
  }

  exchange() {
    this.socket.send({ type: "clock", sent: now() });
  }

  /** @param {import("./types.js").Clock} clock */
  clocked(clock) {
    this.socket.send({ type: "clocked", sent: clock.sent, answered: clock.answered, received: now() });
  }
}
