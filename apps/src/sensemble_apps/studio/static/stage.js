// The stage: what the camera sees, what the model says of it, and the recording of takes.

import { byId, make, percent, say, spaced } from "./dom.js";
import { showPicture, showWave } from "./sensors.js";

/** @typedef {import("./studio_types.js").Bounds} Bounds */
/** @typedef {import("./studio_types.js").Modality} Modality */
/** @typedef {import("./studio_types.js").Project} Project */
/** @typedef {import("./studio_types.js").State} State */
/** @typedef {import("./studio_types.js").Send} Send */

export const BACKGROUND = "None of these";
export const UNLABELLED = "Anything, unlabelled";
const HIGH = 880; // Hz of the beep before a take
const LOW = 440; // and after the last one

export class Stage {
  /** @param {Send} send */
  constructor(send) {
    this.send = send;
    this.seconds = /** @type {HTMLInputElement} */ (byId("seconds"));
    this.count = /** @type {HTMLInputElement} */ (byId("count"));
    this.hold = /** @type {HTMLButtonElement} */ (byId("hold"));
    this.record = /** @type {HTMLButtonElement} */ (byId("record"));
    /** The longest take, in seconds. */
    this.longest = 1;
    /** The choices, each with the fields that it sets on a take. @type {[string, Record<string, unknown>][]} */
    this.choices = [];
    /** The title of the choice; empty before there is a class. */
    this.chosen = "";
    this.held = false;
    /** Words for the sensors, by modality. @type {Map<string, string>} */
    this.sensors = new Map();
    /** The last beep, by what it was for. */
    this.beeped = "";
    /** @type {AudioContext | null} */
    this.sound = null;
    byId("shown").addEventListener("change", (event) => (this.chosen = /** @type {HTMLInputElement} */ (event.target).value));
    byId("row").addEventListener("submit", (event) => {
      event.preventDefault();
      this.start({ seconds: this.seconds.valueAsNumber, count: this.count.valueAsNumber });
    });
    this.hold.addEventListener("pointerdown", () => this.press());
    for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, () => this.release());
    this.hold.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press on a phone
    addEventListener("keydown", (event) => {
      const target = event.target instanceof HTMLElement ? event.target : document.body;
      if (event.key !== " " || (target !== this.hold && target.closest("a, button, input, select, summary"))) return;
      event.preventDefault();
      if (!event.repeat) this.press();
    });
    addEventListener("keyup", (event) => event.key === " " && this.release());
  }

  press() {
    if (this.hold.disabled) return;
    this.held = true;
    this.start({ seconds: this.longest, now: true });
  }

  release() {
    if (this.held) this.send({ type: "stop_take" });
    this.held = false;
  }

  /** @param {Record<string, unknown>} how */
  start(how) {
    this.sound ??= new AudioContext(); // which a browser allows at a press
    const choice = this.choices.find(([title]) => title === this.chosen);
    if (choice) this.send({ type: "record", ...how, ...choice[1] });
  }

  /** @param {Bounds} bounds @param {Modality[]} modalities */
  bound(bounds, modalities) {
    this.sensors = new Map(modalities.map(({ modality, sensor }) => [modality, sensor]));
    this.longest = bounds.longest;
    this.seconds.min = String(bounds.shortest);
    this.seconds.max = String(bounds.longest);
    this.count.max = String(bounds.row);
  }

  /** Offer what a take may show; a class that is new is chosen. @param {Project} project */
  offer(project) {
    /** @type {[string, Record<string, unknown>][]} */
    const choices = project.classes.map(({ name }) => [name, { class: name }]);
    if (choices.length) choices.push([BACKGROUND, { class: null, background: true }], [UNLABELLED, { class: null }]);
    if (JSON.stringify(choices) === JSON.stringify(this.choices)) return;
    const known = this.choices.map(([title]) => title);
    const added = project.classes.find(({ name }) => known.length && !known.includes(name));
    this.choices = choices;
    if (added) this.chosen = added.name;
    if (!choices.some(([title]) => title === this.chosen)) this.chosen = choices[0]?.[0] ?? "";
    byId("shown").replaceChildren(...choices.map(([title]) => make("label", {}, make("input", { type: "radio", name: "shown", value: title }), title)));
    this.choose(this.chosen);
  }

  /** @param {string} title */
  choose(title) {
    this.chosen = title;
    for (const input of byId("shown").querySelectorAll("input")) input.checked = input.value === title;
  }

  /** @param {State} state @param {boolean} sensed whether a sensor gives something */
  show(state, sensed) {
    const taking = state.take;
    const stopped = taking !== null || !sensed || !this.chosen || state.training?.status === "running";
    this.hold.disabled = stopped && !this.held;
    this.record.disabled = stopped;
    byId("over").hidden = taking === null;
    byId("screen").classList.toggle("recording", taking?.phase === "recording");
    say(byId("failure"), state.failure);
    this.answer(state);
    if (!taking) {
      if (this.beeped) this.beep(LOW, "");
      return;
    }
    const counting = taking.phase === "countdown";
    say(byId("taking"), taking.title + (taking.count > 1 ? `, ${taking.number} of ${taking.count}` : ""));
    say(byId("countdown"), counting ? String(Math.max(1, Math.ceil(taking.left))) : "Recording");
    /** @type {HTMLProgressElement} */ (byId("taking-bar")).value = counting ? 0 : 1 - taking.left / taking.seconds;
    // While nothing is recorded, so that no take has a beep in it.
    if (counting && taking.left > 0.3) this.beep(HIGH, `${taking.number} ${Math.ceil(taking.left)}`);
  }

  /** @param {number} pitch @param {string} reason for which it beeps once */
  beep(pitch, reason) {
    if (reason === this.beeped) return;
    this.beeped = reason;
    if (!this.sound) return;
    const at = this.sound.currentTime;
    const tone = new OscillatorNode(this.sound, { frequency: pitch });
    const gain = new GainNode(this.sound, { gain: 0.2 });
    gain.gain.setTargetAtTime(0, at + 0.05, 0.01);
    tone.connect(gain).connect(this.sound.destination);
    tone.start(at);
    tone.stop(at + 0.12);
  }

  /** @param {State} state */
  answer({ answer }) {
    byId("answer").hidden = answer === null;
    if (!answer) return;
    byId("answer").classList.toggle("unsure", answer.label === null);
    say(byId("label"), answer.none ? BACKGROUND : spaced(answer.words));
    const by = `by ${answer.live.map((modality) => this.sensors.get(modality) ?? modality).join(" and ")}`;
    say(byId("evidence"), answer.label === null ? by : `${percent(answer.confidence)}, ${by}`);
  }

  /** Show the newest samples of all sensors. @param {State["previews"]} previews */
  preview(previews) {
    const view = byId("view");
    for (const preview of Object.values(previews)) {
      if (preview.picture === undefined && preview.wave === undefined) continue;
      view.querySelector(".hint")?.remove();
      if (preview.picture !== undefined) showPicture(view, preview.picture, "What the camera sees");
      if (preview.wave !== undefined) {
        const place = view.querySelector(".wave") ?? view.appendChild(make("div", { class: "wave" }));
        showWave(/** @type {HTMLElement} */ (place), preview.wave, preview.level ?? null);
      }
    }
  }
}
