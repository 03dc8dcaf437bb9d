// The timeline: what was live when, answers, faults and recoveries; and a look back at any moment of it.

import { byId, clock, draw, make, say } from "./dom.js";

/** @typedef {import("./types.js").Entry} Entry */
/** @typedef {import("./types.js").State} State */
/**
 * @typedef {{when: string, time: number, live: string[], words: string | undefined, label: string | null | undefined,
 *   confidence: number,
 *   sensors: Map<string, string>}} Past
 */

const KEPT = 4000; // entries
const SHOWN = 60; // events in the list
const NAMES = 64; // pixels for the names of the modalities
const LANE = 18;
const LETTER = 8;
const LEAST = 20; // seconds that the strip shows at least
const REDRAW = 500; // milliseconds

export class Timeline {
  /** @param {() => void} changed called when another moment is looked at */
  constructor(changed) {
    this.changed = changed;
    /** @type {Entry[]} */
    this.entries = [];
    /** @type {string[]} */
    this.modalities = [];
    this.time = 0;
    this.drawn = 0;
    /** The moment that is looked at; null for now. @type {number | null} */
    this.moment = null;
    this.scrub = /** @type {HTMLInputElement} */ (byId("scrub"));
    this.back = /** @type {HTMLButtonElement} */ (byId("now"));
    this.scrub.addEventListener("input", () => {
      const at = Number(this.scrub.value);
      this.look(at >= Number(this.scrub.max) ? null : at);
    });
    this.back.addEventListener("click", () => {
      this.look(null);
      this.scrub.focus();
    });
  }

  /** @param {string[]} modalities */
  restart(modalities) {
    this.modalities = modalities;
    this.entries = [];
    byId("events").replaceChildren();
    this.look(null);
  }

  /** @param {number | null} moment */
  look(moment) {
    this.moment = moment;
    this.back.disabled = moment === null;
    const words = moment === null ? "now" : clock(moment);
    say(byId("scrub-time"), words);
    this.scrub.setAttribute("aria-valuetext", words);
    if (moment === null) this.scrub.value = this.scrub.max;
    this.draw();
    this.changed();
  }

  /** @param {State} state */
  add(state) {
    this.time = state.time;
    this.entries.push(...state.timeline);
    if (this.entries.length > KEPT) this.entries.splice(0, this.entries.length - KEPT);
    this.list(state.timeline);
    const first = this.entries[0]?.time ?? 0;
    this.scrub.min = String(first);
    this.scrub.max = String(Math.max(state.time, first + 1));
    if (this.moment === null) this.scrub.value = this.scrub.max;
    if (performance.now() - this.drawn > REDRAW || state.timeline.length) this.draw();
  }

  /** @returns {Past | null} the state at the moment that is looked at; null for now */
  past() {
    const time = this.moment;
    if (time === null) return null;
    /** @type {Past} */
    const past = { when: clock(time), time, live: [], words: undefined, label: undefined, confidence: 0, sensors: new Map() };
    for (const entry of this.entries) {
      if (entry.time > time) break;
      if (entry.live) past.live = entry.live;
      if (entry.kind === "answer") {
        past.words = entry.words;
        past.label = entry.label;
        past.confidence = entry.confidence ?? 0;
      }
      if (entry.kind === "live") past.words = past.label = undefined;
      if (entry.kind === "event" && entry.name && entry.what !== "active") past.sensors.set(entry.name, entry.text ?? "");
    }
    return past;
  }

  /** @param {Entry[]} entries */
  list(entries) {
    const list = byId("events");
    for (const entry of entries) {
      if (entry.kind !== "event") continue;
      list.prepend(make("li", { class: entry.fault ? "fault" : "calm" }, make("time", {}, clock(entry.time)), ` ${entry.text}`));
    }
    while (list.children.length > SHOWN) list.lastElementChild?.remove();
  }

  /** Draw which modalities were live, what was answered, and where the faults were. */
  draw() {
    this.drawn = performance.now();
    const first = this.entries[0]?.time ?? 0;
    const span = Math.max(LEAST, this.time - first);
    const begin = this.time - span;
    const place = byId("strip");
    const width = Math.max(100, place.clientWidth - NAMES);
    const x = (/** @type {number} */ time) => (width * (Math.max(time, begin) - begin)) / span;
    const height = LANE * (this.modalities.length + 1);
    const strip = draw("svg", { viewBox: `${-NAMES} 0 ${width + NAMES} ${height}`, "aria-hidden": "true" });
    this.modalities.forEach((modality, lane) => {
      strip.append(draw("text", { x: -NAMES, y: LANE * lane + 13 }, modality));
      for (const [from, to] of this.spans((entry) => entry.live?.includes(modality)))
        strip.append(draw("rect", { class: `lane lane-${lane % 4}`, x: x(from), width: Math.max(0.5, x(to) - x(from)), y: LANE * lane + 2, height: LANE - 6, rx: 2 }));
    });
    const foot = LANE * this.modalities.length;
    let free = -1; // where the next answer may be written
    for (const entry of this.entries) {
      if (entry.time < begin) continue;
      if (entry.kind === "answer") {
        const label = entry.label ?? "unsure";
        const at = Math.min(x(entry.time), width - LETTER * label.length); // the newest is not cut off
        if (at > free) {
          strip.append(draw("text", { class: entry.label === null ? "unsure" : "answer", x: at, y: foot + 13 }, label));
          free = at + LETTER * (label.length + 1);
        }
      }
      const lane = this.modalities.indexOf(entry.modality ?? "");
      if (entry.fault && lane >= 0) strip.append(draw("circle", { class: "fault", cx: x(entry.time), cy: LANE * lane + LANE / 2, r: 3.5 }, draw("title", {}, entry.text ?? "")));
    }
    if (this.moment !== null) strip.append(draw("line", { class: "moment", x1: x(this.moment), x2: x(this.moment), y1: 0, y2: height }));
    place.replaceChildren(strip);
  }

  /**
   * Return the spans of time in which something held, by the entries that say what is live.
   * @param {(entry: Entry) => boolean | undefined} holds
   * @returns {[number, number][]}
   */
  spans(holds) {
    /** @type {[number, number][]} */
    const spans = [];
    let since = null;
    for (const entry of this.entries) {
      if (!entry.live) continue;
      if (holds(entry)) since ??= entry.time;
      else if (since !== null) {
        spans.push([since, entry.time]);
        since = null;
      }
    }
    if (since !== null) spans.push([since, this.time]);
    return spans;
  }
}
