// The timeline: what was live when, what was answered, events; and a look back at any moment, with its pictures.

import { byId, button, clock, draw, make, percent, say, spaced } from "./dom.js";
import { showPreview } from "./sensors.js";

/** @typedef {import("./types.js").Entry} Entry */
/** @typedef {import("./types.js").Modality} Modality */
/** @typedef {import("./types.js").Preview} Preview */
/** @typedef {import("./types.js").State} State */
/**
 * @typedef {{when: string, time: number, live: string[], said: Entry | null, sensors: Map<string, string>,
 *   previews: Map<string, Preview>}} Past
 */

const KEPT = 4000; // entries
const FILM = 600; // previews of a sensor
const SHOWN = 60; // events in the list
const NAME = 7.5; // pixels of a letter of a modality's name
const WHAT = "what happened";
const LANE = 18;
const SAID = 40; // pixels of what began and ended, and of the answers below
const BLOCK = 16; // of the former
const LETTER = 8; // and as much between two
const LASTING = 3; // seconds from which it is said how long something lasted
const [LEAST, MOST] = [20, 60]; // seconds that the strip shows
const REDRAW = 500; // milliseconds
const HOUR = 3600; // seconds

export class Timeline {
  /** @param {() => void} changed called when another moment is looked at */
  constructor(changed) {
    this.changed = changed;
    /** @type {Entry[]} */
    this.entries = [];
    /** What each sensor showed with the answer of a time, the oldest first. @type {Map<string, {time: number, preview: Preview}[]>} */
    this.film = new Map();
    /** @type {Modality[]} */
    this.modalities = [];
    this.time = 0;
    this.drawn = 0;
    /** Pixels for the names of the modalities. */
    this.names = 0;
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
    new ResizeObserver(() => this.draw()).observe(byId("strip"));
    byId("strip").addEventListener("click", (event) => {
      const box = byId("strip").getBoundingClientRect();
      const [begin, span] = this.range();
      this.look(Math.max(begin, begin + (span * (event.clientX - box.x - this.names)) / (box.width - this.names)));
    });
  }

  /** @param {Modality[]} modalities */
  restart(modalities) {
    this.modalities = modalities;
    this.entries = [];
    this.film.clear();
    byId("events").replaceChildren();
    this.look(null);
  }

  /** @param {number | null} moment */
  look(moment) {
    this.moment = moment;
    this.back.hidden = moment === null;
    const words = moment === null ? "now" : clock(moment);
    say(byId("scrub-time"), words);
    this.scrub.setAttribute("aria-valuetext", words);
    this.scrub.value = moment === null ? this.scrub.max : String(moment);
    this.draw();
    this.changed();
  }

  /** @param {State} state */
  add(state) {
    this.time = state.time;
    this.entries.push(...state.timeline);
    if (this.entries.length > KEPT) this.entries.splice(0, this.entries.length - KEPT);
    const time = state.answer?.time ?? state.time;
    for (const [name, preview] of Object.entries(state.previews)) {
      const film = this.film.get(name) ?? [];
      if (film[film.length - 1]?.time === time) film.pop(); // the last picture of an answer's window stands for it
      film.push({ time, preview });
      this.film.set(name, film.slice(-FILM));
    }
    this.list(state.timeline);
    if (performance.now() - this.drawn > REDRAW || state.timeline.length) this.draw();
  }

  /**
   * Return the seconds that a sensor slept in the last hour, and the length of that time: less if the first entry is younger.
   * @param {import("./types.js").Sensor} sensor
   * @returns {[number, number]}
   */
  slept({ name, kind }) {
    const begin = Math.max(this.time - HOUR, this.entries[0]?.time ?? this.time);
    let [slept, since] = [0, begin]; // one whose first entry says that it woke up slept before
    for (const entry of this.entries) {
      if (entry.sensor !== name) continue;
      if (entry.kind === "woken") slept += Math.max(0, entry.time - Math.max(since, begin));
      if (entry.kind === "asleep") since = entry.time;
    }
    return [slept + (kind === "asleep" ? this.time - Math.max(since, begin) : 0), this.time - begin];
  }

  /** @returns {Past | null} the state at the moment that is looked at; null for now */
  past() {
    const time = this.moment;
    if (time === null) return null;
    /** @type {Past} */
    const past = { when: clock(time), time, live: [], said: null, sensors: new Map(), previews: new Map() };
    for (const entry of this.entries) {
      if (entry.time > time) break;
      if (entry.live) past.live = entry.live;
      if (entry.kind === "answer") past.said = entry;
      if (entry.kind === "live") past.said = null;
      if (entry.sensor && entry.kind !== "active") past.sensors.set(entry.sensor, entry.words ?? "");
    }
    for (const [name, film] of this.film) {
      const shown = film.filter((one) => one.time <= time).pop();
      if (shown) past.previews.set(name, shown.preview);
    }
    return past;
  }

  /** Show the pictures and the answer of a moment. @param {Past | null} past */
  showThen(past) {
    const place = byId("then");
    place.hidden = past === null;
    if (!past || place.dataset.moment === String(past.time)) return;
    place.dataset.moment = String(past.time);
    const words = past.said ? (past.said.label ? `${past.said.label}, ${percent(past.said.confidence ?? 0)}` : past.said.words) : "no answer";
    const right = { true: " · right", false: " · wrong", null: "", undefined: "" }[String(past.said?.right)];
    place.replaceChildren(make("p", {}, make("strong", {}, past.when), ` ${words}${right}`));
    for (const [name, preview] of past.previews) {
      const box = make("div", { class: "preview" });
      showPreview(box, name, preview);
      place.append(box);
    }
  }

  /** @param {Entry[]} entries */
  list(entries) {
    const list = byId("events");
    for (const entry of entries) {
      if (entry.fault === undefined) continue; // no event
      if (entry.kind === "ended" && typeof entry.began === "number") {
        // Its line is there since it began.
        const line = list.querySelector(`[data-began="${entry.began}"]`);
        const seconds = (entry.ended ?? entry.began) - entry.began;
        if (line && seconds >= LASTING) line.append(`, for ${seconds.toFixed(0)} s`);
        continue;
      }
      const time = entry.began ?? entry.time;
      const shown = button("", () => this.look(entry.time), typeof entry.began === "number" ? { "data-began": String(entry.began) } : {});
      shown.append(make("time", { title: clock(time) }, new Date(Date.now() - 1000 * (this.time - time)).toLocaleTimeString("en-GB")), ` ${entry.words}`);
      list.prepend(make("li", { class: entry.fault ? "fault" : typeof entry.began === "number" ? "happened" : "calm" }, shown));
    }
    while (list.children.length > SHOWN) list.lastElementChild?.remove();
  }

  /** @returns {[number, number]} the beginning of the strip, and its length in seconds: around the moment that is looked at */
  range() {
    const first = this.entries[0]?.time ?? 0;
    const span = Math.min(MOST, Math.max(LEAST, this.time - first));
    const end = this.moment === null ? this.time : Math.min(this.time, Math.max(first + span, this.moment + span / 2));
    return [end - span, span];
  }

  /** Draw which modalities were live, what was answered, right or wrong, and where the faults were. */
  draw() {
    this.drawn = performance.now();
    const first = this.entries[0]?.time ?? 0;
    this.scrub.min = String(first);
    this.scrub.max = String(Math.max(this.time, first + 1));
    if (this.moment === null) this.scrub.value = this.scrub.max;
    const [begin, span] = this.range();
    const place = byId("strip");
    this.names = NAME * Math.max(WHAT.length, ...this.modalities.map(({ sensor }) => sensor.length));
    const width = Math.max(100, place.clientWidth - this.names);
    const x = (/** @type {number} */ time) => (width * Math.min(span, Math.max(time - begin, 0))) / span;
    const foot = LANE * this.modalities.length;
    const height = foot + SAID + 4;
    const strip = draw("svg", { viewBox: `${-this.names} 0 ${width + this.names} ${height}`, "aria-hidden": "true" });
    this.modalities.forEach(({ modality, sensor }, lane) => {
      strip.append(draw("text", { x: -this.names, y: LANE * lane + 13 }, sensor));
      for (const [from, to] of this.spans(modality))
        if (to > begin) strip.append(draw("rect", { class: `lane lane-${lane % 4}`, x: x(from), width: Math.max(0.5, x(to) - x(from)), y: LANE * lane + 3, height: LANE - 8, rx: 3 }));
    });
    const happened = this.happened();
    strip.append(draw("text", { x: -this.names, y: foot + 14 }, happened.length ? WHAT : "answer"));
    for (const { label, from, to, words } of happened) {
      if (to < begin) continue;
      const wide = Math.max(3, x(to) - x(from));
      const block = draw("g", { class: "happened" }, draw("rect", { x: x(from), width: wide, y: foot + 2, height: BLOCK - 2, rx: 3 }), draw("title", {}, words));
      if (wide > LETTER * label.length) block.append(draw("text", { x: x(from) + 4, y: foot + 13 }, label));
      strip.append(block);
    }
    const said = this.entries.filter((entry) => entry.fault === undefined);
    said.forEach((entry, index) => {
      const [from, to] = [x(entry.time), x(said[index + 1]?.time ?? this.time)];
      if (entry.kind !== "answer" || to === from) return;
      const kind = entry.label === null ? "unsure" : { true: "right", false: "wrong" }[String(entry.right)] ?? "";
      const tall = (SAID - BLOCK - 2) * (entry.confidence ?? 0);
      const block = draw("g", { class: `said ${kind}` }, draw("rect", { x: from + 0.5, width: Math.max(0.5, to - from - 1), y: height - tall, height: tall, rx: 1 }), draw("title", {}, `${entry.words} ${kind}`));
      const label = entry.label ?? `${entry.best ?? ""}?`;
      if (!happened.length && to - from > LETTER * (label.length + 1)) block.append(draw("text", { x: from + 1, y: foot + 14 }, label));
      strip.append(block);
    });
    for (const entry of this.entries) {
      const lane = this.modalities.findIndex(({ modality }) => modality === entry.modality);
      if (entry.fault && lane >= 0 && entry.time >= begin) strip.append(draw("circle", { class: "fault", cx: x(entry.time), cy: LANE * lane + LANE / 2, r: 4 }, draw("title", {}, entry.words ?? "")));
    }
    if (this.moment !== null) strip.append(draw("line", { class: "moment", x1: x(this.moment), x2: x(this.moment), y1: 0, y2: height }));
    place.replaceChildren(strip);
  }

  /** @returns {{label: string, from: number, to: number, words: string}[]} what began, with its end, or now */
  happened() {
    const ends = new Map(this.entries.map((entry) => [entry.kind === "ended" ? entry.began : null, entry.ended]));
    const began = this.entries.filter((entry) => entry.kind === "began" && typeof entry.began === "number");
    return began.map(({ label, began: from = 0, words = "" }) => ({ label: spaced(label ?? ""), from, to: ends.get(from) ?? this.time, words }));
  }

  /**
   * Return the spans of time in which a modality was live.
   * @param {string} modality
   * @returns {[number, number][]}
   */
  spans(modality) {
    /** @type {[number, number][]} */
    const spans = [];
    let since = null;
    for (const entry of this.entries) {
      if (!entry.live) continue;
      if (entry.live.includes(modality)) since ??= entry.time;
      else if (since !== null) {
        spans.push([since, entry.time]);
        since = null;
      }
    }
    if (since !== null) spans.push([since, this.time]);
    return spans;
  }
}
