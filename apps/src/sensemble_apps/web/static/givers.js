// The sensors that this browser can give, with a button for each. How they are given, a page says itself.

import { button, byId, icon, make, say } from "./dom.js";

/** @typedef {import("./types.js").Modality} Modality */

const DEVICES = ["waveform", "frames", "series"]; // kinds; text is written

export class Givers {
  constructor() {
    /** By modality. @type {Map<string, {stop: () => void}>} */
    this.given = new Map();
    /** @type {Map<string, HTMLButtonElement>} */
    this.buttons = new Map();
    /** @type {Modality[]} */
    this.modalities = [];
    /** The titles of what this browser gives, by the sensor's name. @type {Map<string, string>} */
    this.titles = new Map();
  }

  /** Give a sensor. @param {Modality} _modality */
  ask(_modality) {}

  /** @param {Modality[]} modalities */
  offer(modalities) {
    const panel = byId("give");
    panel.replaceChildren(make("span", { class: "hint" }, "Use this device's:"));
    this.buttons.clear();
    // No browser has a camera of one channel, thermal or depth.
    this.modalities = modalities.filter(({ kind, shape }) => [...DEVICES, "text"].includes(kind) && !(kind === "frames" && shape[4] === 1));
    for (const modality of this.modalities) {
      const press = () => (this.given.has(modality.modality) ? this.stop(modality.modality) : this.ask(modality));
      const made = button("", press);
      made.append(icon(modality.icon), modality.sensor);
      this.buttons.set(modality.modality, made);
      this.show(modality.modality);
      panel.append(made);
    }
    this.note(isSecureContext ? "" : "This browser gives no camera or microphone to a page without TLS.");
  }

  /** @returns {Modality[]} those that this browser's own devices can give */
  get devices() {
    return this.modalities.filter(({ kind }) => DEVICES.includes(kind));
  }

  /** Take a sensor back. @param {string} modality @param {string} [why] */
  stop(modality, why = "") {
    this.given.get(modality)?.stop();
    this.given.delete(modality);
    this.note(why);
    this.show(modality);
  }

  /** @param {string} text */
  note(text) {
    say(byId("give-note"), text);
    if (text) byId("give-note").closest("details")?.setAttribute("open", ""); // so that it is seen
  }

  /** Show whether a sensor is given. @param {string} modality */
  show(modality) {
    const shown = this.buttons.get(modality);
    const known = this.modalities.find((one) => one.modality === modality);
    if (!shown || !known) return;
    const given = this.given.has(modality);
    const [ask, stop] = DEVICES.includes(known.kind) ? ["Give this", `Take the ${known.sensor} back`] : ["Write", `Stop the ${known.sensor}`];
    shown.setAttribute("aria-label", given ? stop : `${ask} ${known.sensor}`);
    shown.setAttribute("aria-pressed", String(given));
  }
}

/**
 * Show a field for captions; the function that is returned takes it away.
 * @param {Modality} modality
 * @param {(caption: string) => void} write
 * @returns {() => void}
 */
export function captionField({ modality }, write) {
  const id = `caption-${modality}`;
  const field = /** @type {HTMLInputElement} */ (make("input", { type: "text", id, maxlength: 500, autocomplete: "off" }));
  const form = make("form", { class: "caption" }, make("label", { for: id }, "Caption"), field, make("button", {}, "Send"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) write(field.value.trim());
    field.value = "";
  });
  byId("give").after(form);
  field.focus();
  return () => form.remove();
}
