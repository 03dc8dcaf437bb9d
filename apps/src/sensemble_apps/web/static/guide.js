// What a page knows, and what to do: its classes, the first steps, each ticked once it happened, and what the
// sensors expect while no answer is sure.

import { byId, make, say, spaced } from "./dom.js";
import { showPreview, trouble } from "./sensors.js";

/** @typedef {import("./types.js").Modality} Modality */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Preview} Preview */
/** @typedef {(state: State) => boolean} Happens */
/** @typedef {Pick<import("./types.js").Hello, "labels" | "modalities" | "replayed" | "examples">} Known */

export const DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const PATIENCE = 3; // seconds without a sure answer
const MOST = 24; // classes that are shown
const NAMED = 3; // classes of a step

/** How a class is shown to a kind of sensor: of digits, and of others. @type {Record<string, [string, string]>} */
const ACTS = { frames: ["Write a digit", "Show it"], waveform: ["Say it", "Let it hear"], series: ["Move", "Move"], text: ["Type it", "Write of"] };
/** What a kind of sensor expects. @type {Record<string, [string, string]>} */
const EXPECTS = {
  frames: ["one digit, written or printed, from a quarter of the picture's height up", "pictures such as this one"],
  waveform: ["one digit, spoken in English", "sound such as this one"],
  series: ["movements such as this one", "movements such as this one"],
  text: ["a few English words about a digit", "captions such as this one"],
};

export class Guide {
  constructor() {
    /** @type {Known} */
    this.known = { labels: [], modalities: [], replayed: false, examples: {} };
    /** Whether all classes are digits. */
    this.digits = false;
    /** @type {{row: HTMLElement, words: () => string, happens: Happens}[]} */
    this.steps = [];
    /** By class. @type {Map<string, HTMLElement>} */
    this.chips = new Map();
    this.none = make("li", { class: "none" }, "none of these");
    /** The time from which no answer was sure. @type {number | null} */
    this.since = null;
  }

  /** @param {Known} known */
  greet(known) {
    this.known = known;
    const own = known.modalities;
    const steps = [...own.filter(({ kind }) => kind === "frames"), ...own.filter(({ kind }) => kind !== "frames" && kind !== "text")];
    const kinds = (steps.length ? steps : own).filter((one, index, all) => one.kind in ACTS && all.findIndex(({ kind }) => kind === one.kind) === index);
    const either = () => (this.digits ? "" : ` ${listed([...this.chips.keys()])}`);
    /** @type {[() => string, Happens][]} */
    const all = kinds.map(({ modality, kind }) => [() => ACTS[kind][this.digits ? 0 : 1] + (kind === "series" ? ":" : "") + either(), (state) => this.told(state, modality, kind)]);
    const camera = own.find(({ kind }) => kind === "frames");
    // A hand before the lens is unfamiliar, as anything is before a digit was seen.
    if (camera) all.push([() => "Cover the lens", (state) => this.steps[0].row.classList.contains("done") && state.sensors.some((one) => one.modality === camera.modality && one.plugged && one.kind !== "asleep" && (one.condition?.condition === "occlusion" || trouble(one, state) !== ""))]);
    if (own.length > 1) all.push([() => "Unplug a sensor", (state) => state.live.length > 0 && state.sensors.some(({ kind }) => kind === "detached")]);
    this.steps = all.map(([words, happens]) => ({ row: make("li"), words, happens }));
    byId("steps").replaceChildren(...this.steps.map(({ row }) => row));
    this.relabel(known.labels);
  }

  /** @param {string[]} labels */
  relabel(labels) {
    this.digits = labels.length > 0 && labels.every((label) => DIGITS.includes(label));
    const order = this.digits ? [...labels].sort((a, b) => DIGITS.indexOf(a) - DIGITS.indexOf(b)) : labels;
    this.chips = new Map(order.slice(0, MOST).map((label) => [label, make("li", {}, spaced(label))]));
    for (const [label, chip] of this.chips) {
      const shown = Object.values(this.known.examples[label] ?? {}).find(({ picture }) => picture !== undefined);
      if (shown) chip.prepend(box(label, shown));
    }
    for (const { row, words } of this.steps) say(row, words());
    const more = order.length - this.chips.size;
    byId("known").replaceChildren(...this.chips.values(), ...(more > 0 ? [make("li", {}, `and ${more} more`)] : []), this.none);
  }

  /** Return whether a sensor was told a class: alone, or with others of its kind. @param {State} state @param {string} modality @param {string} kind */
  told({ answer, lattice }, modality, kind) {
    return kind === "series" ? Boolean(answer?.label) : lattice.some(({ subset, label }) => subset === modality && label !== null);
  }

  /** @param {State} state @param {boolean} own whether the sensors are the viewer's, not a replay's */
  show(state, own) {
    const first = state.sensors.length === 0;
    byId("first").hidden = !first && (own || !state.demo);
    byId("steps").hidden = !own;
    if (own) for (const { row, happens } of this.steps) if (happens(state)) row.classList.add("done");
    const isDone = this.steps.length > 0 && this.steps.every(({ row }) => row.classList.contains("done"));
    say(byId("purpose"), !own ? "What it knows" : isDone ? "You have seen it: it answers with what is left." : "Try it");
    for (const [label, chip] of this.chips) chip.classList.toggle("now", state.answer?.label === label);
    this.none.classList.toggle("now", state.answer?.none === true);
    this.since = state.answer?.label === null ? (this.since ?? state.time) : null;
    this.expect(state, this.since !== null && state.time - this.since >= PATIENCE);
  }

  /** Show what the live sensors expect, with an example. @param {State} state @param {boolean} wanted */
  expect(state, wanted) {
    const place = byId("expects");
    const known = (/** @type {string} */ modality) => this.digits || Object.values(this.known.examples).some((own) => own[modality]);
    const here = this.known.modalities.filter(({ modality }) => known(modality) && state.sensors.some((sensor) => sensor.modality === modality && sensor.plugged));
    const shown = wanted && here.length > 0;
    if (place.hidden !== shown) return;
    place.hidden = !shown;
    if (!shown) return;
    place.replaceChildren(
      make("p", {}, "It is sure of none of this. It expects:"),
      ...here.map(({ modality, kind, sensor }) => {
        const [label, preview] = Object.entries(this.known.examples).map(([name, own]) => /** @type {const} */ ([name, own[modality]])).find(([, one]) => one) ?? ["", undefined];
        const words = (EXPECTS[kind] ?? ["what it was trained on", "what it was trained on"])[this.digits ? 0 : 1];
        return make("figure", {}, ...(preview ? [box(label, preview)] : []), make("figcaption", {}, make("strong", {}, sensor), `: ${words}${label ? ` (${spaced(label)})` : ""}`));
      }),
    );
  }
}

/** @param {string} label @param {Preview} preview @returns {HTMLElement} */
function box(label, preview) {
  const place = make("div", { class: "preview" });
  showPreview(place, label, preview);
  return place;
}

/** @param {string[]} labels @returns {string} such as `cup or phone` */
function listed(labels) {
  const [last, ...rest] = labels.slice(0, NAMED).map(spaced).reverse();
  return rest.length ? `${rest.reverse().join(", ")} or ${last}` : last;
}
