// Records takes: what they show, how long, the countdown, and how much is left.

import { byId, make, say } from "./dom.js";

/** @typedef {import("./studio_types.js").Bounds} Bounds */
/** @typedef {import("./studio_types.js").Project} Project */
/** @typedef {import("./studio_types.js").State} State */
/** @typedef {import("./studio_types.js").Send} Send */

export const BACKGROUND = "Nothing of these";
export const UNLABELLED = "Unlabelled";

export class Recorder {
  /** @param {Send} send */
  constructor(send) {
    this.seconds = /** @type {HTMLInputElement} */ (byId("seconds"));
    this.button = /** @type {HTMLButtonElement} */ (byId("record"));
    /** The choices, each with the message that records it. @type {[string, Record<string, unknown>][]} */
    this.choices = [];
    /** The title that somebody chose; before that, the first class is. @type {string | undefined} */
    this.chosen = undefined;
    byId("shown").addEventListener("change", () => (this.chosen = this.choices[this.checked()][0]));
    this.button.addEventListener("click", () => {
      if (this.seconds.reportValidity()) send({ type: "record", seconds: this.seconds.valueAsNumber, ...this.choices[this.checked()][1] });
    });
    byId("stop-take").addEventListener("click", () => send({ type: "stop_take" }));
  }

  /** @returns {number} the place of the choice */
  checked() {
    return Number(/** @type {HTMLInputElement | null} */ (document.querySelector("#shown input:checked"))?.value ?? 0);
  }

  /** @param {Bounds} bounds */
  bound(bounds) {
    this.seconds.min = String(bounds.shortest);
    this.seconds.max = String(bounds.longest);
  }

  /** Offer what a take may show; the choice stays. @param {Project} project */
  offer(project) {
    /** @type {[string, Record<string, unknown>][]} */
    const choices = project.classes.map(({ name }) => [name, { class: name }]);
    choices.push([BACKGROUND, { class: null, background: true }], [UNLABELLED, { class: null }]);
    if (JSON.stringify(choices) === JSON.stringify(this.choices)) return;
    this.choices = choices;
    const at = Math.max(0, choices.findIndex(([title]) => title === this.chosen));
    const made = choices.map(([title], index) => make("label", {}, make("input", { type: "radio", name: "shown", value: index, checked: index === at }), title));
    byId("shown").replaceChildren(...made);
  }

  /** @param {State} state @param {boolean} sensed whether a sensor gives something */
  show(state, sensed) {
    const taking = state.take;
    const busy = taking !== null;
    this.button.disabled = busy || !sensed || state.training?.status === "running";
    if (byId("taking").hidden === busy) byId("taking").hidden = !busy;
    say(byId("failure"), state.failure);
    if (!taking) return;
    const counting = taking.phase === "countdown";
    byId("taking").classList.toggle("recording", !counting);
    say(byId("taking-title"), `${taking.title}, ${taking.seconds} s`);
    say(byId("countdown"), counting ? String(Math.ceil(taking.left)) : "Recording");
    const bar = /** @type {HTMLProgressElement} */ (byId("taking-bar"));
    bar.value = counting ? 0 : 1 - taking.left / taking.seconds;
  }
}
