// A running session on a page: its answer, every set of sensors, the sensors, the timeline and the score.
// The page in TypeScript (apps/web) also uses it.

import { button, byId, icon, make, percent, put, say, spaced } from "./dom.js";
import { DIGITS, Guide } from "./guide.js";
import { Lattice } from "./lattice.js";
import { inWords, Sensors, showPreview, trouble, UNFAMILIAR, WANTED } from "./sensors.js";
import { Timeline } from "./timeline.js";

/** @typedef {Omit<import("./types.js").Hello, "type" | "every" | "home">} Hello */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Count} Count */
/** @typedef {import("./givers.js").Givers} Givers */

const MEGABYTE = 1e6;
const BARS = 3; // of the most probable classes
const MOST = 0.99; // that is shown of an answer that is unsure
const HOLD = 1500; // milliseconds for which a live set that nothing explains must last until the light moves
const KEYS = "1234567890abcdefghijklmnopqrstuvwxyz";

export class Live {
  /**
   * @param {(message: Record<string, unknown>) => void} send what is pressed
   * @param {Givers} givers
   */
  constructor(send, givers) {
    this.send = send;
    this.givers = givers;
    this.sensors = new Sensors(byId("sensors"), send, (name) => givers.titles.get(name));
    this.lattice = new Lattice(byId("lattice"), byId("set"));
    this.timeline = new Timeline(() => this.show());
    this.guide = new Guide();
    /** Modalities that were live. @type {Set<string>} */
    this.known = new Set();
    /** The sensors that are missing, since when, and the score of then. @type {{names: string, since: number, score: Count}} */
    this.missing = { names: "", since: 0, score: total({}) };
    /** The live set that is lit. @type {string[]} */
    this.lit = [];
    /** When another one was first live. @type {number | null} */
    this.since = null;
    this.replayed = false;
    /** The folder of recordings. */
    this.recordings = "";
    /** The newest. @type {State | null} */
    this.state = null;
    /** @type {Hello["modalities"]} */
    this.modalities = [];
    /** The keys of the labels. @type {Map<string, string>} */
    this.keys = new Map();
    document.addEventListener("keydown", (event) => {
      const typing = event.target instanceof HTMLElement && event.target.closest("input:not([type=range]), select, textarea");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      const [label] = [...this.keys].find(([, key]) => key === event.key) ?? [];
      if (label !== undefined) this.press(label);
      if (event.key === "Escape") send({ type: "label", label: null });
    });
    byId("start-all").addEventListener("click", () => this.givers.devices.forEach((modality) => this.givers.ask(modality)));
  }

  /** @param {Hello} hello */
  greet({ bundle, fingerprint, subsets, modalities, labels, promise, replayed, recordings, examples }) {
    say(byId("bundle"), bundle);
    byId("bundle").title = `SHA-256 of its manifest: ${fingerprint}`;
    this.modalities = modalities;
    this.known.clear();
    this.lattice.build(subsets, modalities);
    this.timeline.restart(modalities);
    this.sensors.know(modalities);
    this.givers.offer(modalities);
    this.replayed = replayed;
    this.guide.greet({ labels, modalities, replayed, examples });
    if (recordings) byId("record").title = `Recordings go to ${recordings}`;
    this.recordings = recordings;
    byId("dots").replaceChildren(...modalities.map((modality) => make("li", {}, icon(modality.icon), make("span", { class: "title" }, modality.sensor), make("span", { class: "state" }))));
    byId("dots").classList.toggle("alike", new Set(modalities.map(({ icon }) => icon)).size < modalities.length);
    const { devices } = this.givers;
    say(byId("start-all"), devices.length > 2 ? "Use this device's sensors" : `Use this ${devices.map(({ sensor }) => sensor).reverse().join(" and ")}`);
    byId("start-all").hidden = devices.length === 0;
    this.relabel(labels, promise);
  }

  /** Offer other labels to score by, and say what is promised of answers. @param {string[]} labels @param {string} promise */
  relabel(labels, promise) {
    say(byId("promise"), `${promise[0].toUpperCase()}${promise.slice(1).replace(/ \(.*/, "")}.`); // the rest is in its title
    byId("promise").title = promise;
    this.guide.relabel(labels);
    this.keys = keysOf(labels);
    byId("labels").replaceChildren(
      ...[...new Set([...this.keys.keys(), ...labels])].map((label) => {
        const key = this.keys.get(label);
        const made = button(label, () => this.press(label), { "data-label": label, "aria-pressed": "false", "aria-keyshortcuts": key ?? false });
        if (key) made.prepend(make("kbd", {}, key));
        return made;
      }),
    );
  }

  /** @param {string} label */
  press(label) {
    this.send({ type: "label", label: this.state?.truth === label ? null : label });
  }

  /** @param {State} state */
  take(state) {
    this.state = state;
    this.timeline.add(state);
    this.show();
    if (this.timeline.moment === null) this.preview(Object.entries(state.previews));
  }

  /** Show the newest state, or the one that is looked back at. */
  show() {
    const { state } = this;
    if (!state) return;
    const past = this.timeline.past();
    const first = state.sensors.length === 0;
    byId("live").hidden = false; // from the first state on, so that nothing jumps
    document.body.classList.toggle("empty", first);
    document.body.classList.toggle("mute", state.live.length === 0 && Object.keys(state.score).length === 0);
    document.body.classList.toggle("past", !!past);
    say(byId("moment"), past ? `as it was at ${past.when}` : "");
    const troubles = past ? new Map() : troublesOf(state);
    const now = state.answer;
    const live = past?.live ?? this.steady(now?.live ?? state.live, troubles);
    if (past || !this.since) this.lattice.show(live, past ? [] : state.lattice, troubles, past ? null : now);
    this.guide.show(state, !this.replayed || this.givers.given.size > 0);
    byId("demo").hidden = !state.demo;
    say(byId("demo"), state.demo ? `A demo plays recordings. Now: ${state.demo}. Press any button to take over.` : "");
    this.answer(state, past ? past.said : now, live, past || !now?.best ? {} : now.probabilities); // without evidence all are equal
    this.dots(state, live, troubles);
    this.without(state, past ? this.modalities.map(({ modality }) => modality) : live);
    const { seen } = this;
    const picture = byId("picture");
    if (seen) {
      byId("scene").classList.toggle("grey", !live.includes(seen.modality));
      picture.hidden = !past && seen.kind === "asleep"; // before its first picture it is dark, so that nothing jumps
      if (picture.hidden || (!past && !seen.plugged)) picture.replaceChildren(); // an old picture contradicts the word
      put(picture, "data-empty", seen.plugged ? "" : `${this.sensors.titleOf(seen)} unplugged`);
    }
    this.preview(past?.previews ?? []);
    this.sensors.show(state, past, (sensor) => this.timeline.slept(sensor));
    this.timeline.showThen(past);
    this.truth(state);
    session(state);
  }

  /** The sensor whose picture is the stage: the camera that is used, or the first. */
  get seen() {
    const cameras = this.state?.sensors.filter(({ modality }) => this.modalities.find((one) => one.modality === modality)?.kind === "frames") ?? [];
    return cameras.find(({ active, plugged }) => active && plugged) ?? cameras[0];
  }

  /** Show the newest samples on the cards, and the camera's on the stage. @param {Iterable<[string, import("./types.js").Preview]>} previews */
  preview(previews) {
    for (const [name, preview] of previews) {
      this.sensors.preview(name, preview);
      if (name === this.seen?.name && preview.picture) showPreview(byId("picture"), "the camera", preview);
    }
  }

  /** Say for how long sensors are missing that were there, and how right it was since. @param {State} state @param {string[]} live */
  without({ time, score, answer }, live) {
    for (const modality of live) this.known.add(modality);
    const gone = this.modalities.filter(({ modality }) => this.known.has(modality) && !live.includes(modality));
    const names = gone.map(({ sensor }) => sensor).join(" and ");
    if (names !== this.missing.names) this.missing = { names, since: time, score: total(score) };
    const [now, then] = [total(score), this.missing.score];
    const [right, n] = [now.right - then.right, now.n - then.n];
    const scored = n > 0 ? `, ${right === n ? "still " : ""}right ${right} of ${n}` : "";
    say(byId("without"), names && live.length && !answer?.none ? `${Math.round(time - this.missing.since)} s without ${names}${scored}` : "");
  }

  /**
   * Return the live set to light. A sensor that is left out for a moment, such as captions, does not move the light.
   * @param {string[]} live
   * @param {Map<string, string>} troubles
   */
  steady(live, troubles) {
    const isExplained = this.lit.every((one) => live.includes(one) || (troubles.has(one) && troubles.get(one) !== UNFAMILIAR));
    if (!isExplained && this.since === null) setTimeout(() => this.show(), HOLD);
    this.since = isExplained ? null : (this.since ?? performance.now());
    if (this.since === null || performance.now() - this.since >= HOLD) [this.lit, this.since] = [live, null];
    return this.lit;
  }

  /** @param {State} state @param {string[]} live @param {Map<string, string>} troubles */
  dots(state, live, troubles) {
    this.modalities.forEach(({ modality }, index) => {
      const dot = byId("dots").children[index];
      const [used, wrong] = [live.includes(modality), troubles.get(modality)];
      const there = state.sensors.some((sensor) => sensor.modality === modality);
      dot.className = used ? "live" : wrong && !WANTED.includes(wrong) ? "bad" : "";
      const absent = this.timeline.moment !== null ? "not used" : there ? "waiting" : "not there";
      say(/** @type {Element} */ (dot.lastElementChild), used ? "in use" : wrong ? inWords(wrong, this.modalities[index]) : absent);
    });
  }

  /**
   * @param {State} state
   * @param {import("./types.js").Entry | import("./types.js").Answer | null} said
   * @param {string[]} live
   * @param {Record<string, number>} probabilities
   */
  answer(state, said, live, probabilities) {
    const place = byId("label");
    const audited = this.lattice.right(live);
    let [head, tail, below] = [live.length ? "waiting for a first window" : "nothing is live", "", ""];
    const [who, either] = (said?.why ?? "").split(" disagree: "); // the headline stays short: what moves is read again
    if (said) head = said.none ? "none of these" : spaced(either ? `unsure: ${either}` : (said.words ?? ""));
    if (said?.label) tail = ` ${percent(said.confidence ?? 0)}`;
    if (said?.best) below = audited === null ? "Not audited with these sensors." : `Right ${audited.endsWith("%") ? `${audited} of the time` : `in ${audited} examples`} with these sensors.`;
    if (place.textContent !== head + tail) place.replaceChildren(head, make("small", {}, tail));
    say(byId("evidence"), either ? `${who} disagree` : said?.none && said.best ? `most like ${spaced(said.best)}` : "");
    say(byId("audited"), below);
    byId("answer").classList.toggle("nothing", !said);
    byId("answer").classList.toggle("unsure", said?.label === null);
    const list = byId("classes");
    const classes = Object.entries(probabilities).slice(0, BARS);
    while (list.children.length > classes.length) list.lastElementChild?.remove();
    classes.forEach(([name, share], index) => {
      const row = /** @type {HTMLElement} */ (list.children[index] ?? list.appendChild(make("li", {}, make("span"), make("meter", { min: 0, max: 1, "aria-hidden": "true" }), make("output"))));
      const [title, bar, number] = /** @type {HTMLElement[]} */ ([...row.children]);
      say(title, spaced(name));
      /** @type {HTMLMeterElement} */ (bar).value = share;
      say(number, percent(said?.label ? share : Math.min(share, MOST)));
      row.classList.toggle("true", name === state.truth || state.played.includes(name));
    });
  }

  /** @param {State} now */
  truth(now) {
    for (const made of byId("labels").querySelectorAll("button"))
      put(made, "aria-pressed", String(made.dataset.label === now.truth));
    const hint = now.truth !== null ? `Scored as ${now.truth}; Escape ends it.` : now.played.length ? `The replay plays ${now.played.join(", ")}.` : "";
    say(byId("truth-hint"), hint || "Press a label, or its key, while it is true: answers are then scored.");
    const table = byId("score");
    const rows = Object.entries(now.score);
    table.hidden = rows.length === 0;
    const body = /** @type {HTMLElement} */ (table.querySelector("tbody"));
    while (body.children.length > rows.length) body.lastElementChild?.remove();
    rows.forEach(([live, { right, unsure, n }], index) => {
      const row = body.children[index] ?? body.appendChild(make("tr", {}, make("th", { scope: "row" }), make("td"), make("td"), make("td"), make("td")));
      [this.lattice.title(live.split("+")), String(right), String(unsure), String(n), n > unsure ? percent(right / (n - unsure)) : "–"].forEach((text, cell) => say(row.children[cell], text));
    });
  }
}

/** @param {State["score"]} score @returns {Count} that of all live sets */
function total(score) {
  const all = { right: 0, unsure: 0, n: 0 };
  for (const one of Object.values(score)) {
    all.right += one.right;
    all.unsure += one.unsure;
    all.n += one.n;
  }
  return all;
}

/** @param {string[]} labels @returns {Map<string, string>} for each its own digit, a letter of its own, or a free key */
function keysOf(labels) {
  /** @type {Map<string, string>} */
  const found = new Map();
  const digit = (/** @type {string} */ label) => (/^\d$/.test(label) ? Number(label) : DIGITS.indexOf(label.toLowerCase()));
  const own = labels.filter((label) => digit(label) >= 0).sort((a, b) => digit(a) - digit(b));
  for (const label of new Set([...own, ...labels])) {
    const wishes = own.includes(label) ? String(digit(label)) : label.toLowerCase().replace(/[^a-z]/g, "") + KEYS;
    const key = [...wishes].find((one) => ![...found.values()].includes(one));
    if (key) found.set(label, key);
  }
  return found;
}

/** @param {State} now @returns {Map<string, string>} what is wrong with each modality's active sensor, in a few words */
function troublesOf(now) {
  const found = new Map();
  for (const sensor of now.sensors) {
    const wrong = trouble(sensor, now);
    const other = now.sensors.some((one) => one !== sensor && one.modality === sensor.modality && !trouble(one, now));
    if (wrong && !other) found.set(sensor.modality, wrong);
  }
  return found;
}

/** @param {State} now */
function session(now) {
  const sum = (/** @type {Record<string, number>} */ counts) => Object.values(counts).reduce((total, count) => total + count, 0);
  const slow = Object.entries(now.latencies).map(([modality, seconds]) => `${modality} ${(1000 * seconds).toFixed(1)} ms${now.executors ? ` by ${now.executors[modality]}` : ""}`);
  /** @type {[string, string][]} */
  const numbers = [
    ["From capture to answer", now.answer ? `${Math.round(1000 * now.answer.age)} ms` : "–"],
    ["Encoding", slow.join(", ") || "–"],
    ["Windows dropped for newer ones", String(sum(now.dropped))],
    ["Samples lost", String(sum(now.lost))],
  ];
  if (now.process) numbers.push(["Processor", `${percent(now.process.cpu)} of a core`], ["Memory", `${Math.round(now.process.memory / MEGABYTE)} MB`], ["Viewers", String(now.viewers)]);
  const list = byId("numbers");
  if (!list.children.length) for (const [title] of numbers) list.append(make("div", {}, make("dt", {}, title), make("dd")));
  numbers.forEach(([, value], index) => say(/** @type {Element} */ (list.children[index].lastElementChild), value));
}
