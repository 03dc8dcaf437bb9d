// Plays the sound of a replay, which comes with its previews, once somebody asks to hear it.

import { put } from "./dom.js";

/** @typedef {import("./types.js").Preview} Preview */

const LEAD = 0.2; // seconds from a sound's arrival until it is heard: the next one may be late
const FULL = 2 ** 15; // of 16 bits

export class Hearing {
  /** @param {HTMLElement} press the button, which is shown once there is something to hear */
  constructor(press) {
    this.press = press;
    /** @type {AudioContext | null} */
    this.context = null;
    /** When what was scheduled last ends, by the context's clock. */
    this.end = 0;
    press.addEventListener("click", () => this.turn(this.context === null));
  }

  /** @param {boolean} on */
  turn(on) {
    this.context?.close();
    this.context = on ? new AudioContext() : null; // a browser lets a page sound only after a press
    this.end = 0;
    put(this.press, "aria-pressed", String(on));
  }

  /** Play what is new. @param {Record<string, Preview>} previews @param {import("./types.js").Modality[]} modalities */
  take(previews, modalities) {
    const rate = modalities.find(({ kind }) => kind === "waveform")?.rate;
    for (const { sound } of Object.values(previews)) {
      if (!sound || !rate) continue;
      this.press.hidden = false;
      const { context } = this;
      if (!context) continue;
      const bytes = Uint8Array.from(atob(sound), (character) => character.charCodeAt(0));
      const wave = Float32Array.from(new Int16Array(bytes.buffer), (value) => value / FULL).slice(-rate); // of more, the last second
      const buffer = context.createBuffer(1, wave.length, rate);
      buffer.copyToChannel(wave, 0);
      const source = context.createBufferSource();
      source.buffer = buffer;
      source.connect(context.destination);
      const now = context.currentTime;
      const at = this.end > now && this.end < now + 1 ? this.end : now + LEAD;
      source.start(at);
      this.end = at + buffer.duration;
    }
  }
}
