// The trial: what a sensor is worth here, by the same scenes with and without it, as `sensemble trial` runs it.

import { button, byId, clock, make, say, spaced } from "./dom.js";

/** @typedef {import("./types.js").Hello} Hello */
/** @typedef {import("./types.js").State} State */
/** @typedef {NonNullable<State["trial"]>} Trial */

const EXAMPLES = 200; // of a replay, at most by default

export class TrialPanel {
  /**
   * @param {(message: Record<string, unknown>) => void} send
   * @param {() => boolean} given returns whether this browser gives a sensor
   */
  constructor(send, given) {
    this.send = send;
    this.given = given;
    /** @type {Hello["modalities"]} */
    this.modalities = [];
    /** The modalities that the list of changes is of. */
    this.listed = "";
    this.replayed = 0; // examples
    this.begin = button("Start the trial", () => this.start(), { class: "primary", id: "trial-start" });
    byId("trial-form").append(this.begin);
    byId("trial-stop").addEventListener("click", () => send({ type: "trial" }));
    byId("trial-form").addEventListener("input", () => this.plan());
  }

  /** @param {Hello} hello @param {string[]} labels in the order of the page's buttons */
  greet({ modalities, trial }, labels) {
    this.modalities = modalities;
    this.listed = "";
    this.replayed = trial.examples;
    field("seconds").min = String(trial.least);
    field("examples").max = String(trial.examples);
    field("examples").value = String(Math.min(EXAMPLES, trial.examples));
    byId("trial-labels").replaceChildren(
      ...labels.map((label) => {
        const made = button(spaced(label), () => this.choose(made), { "data-label": label, "aria-pressed": "false" });
        return made;
      }),
    );
  }

  /** @param {HTMLButtonElement} label */
  choose(label) {
    label.ariaPressed = String(label.ariaPressed !== "true");
    this.plan();
  }

  /** @returns {string[]} the classes that are shown; none where the replay shows its own */
  get shown() {
    return this.isShown ? [...byId("trial-labels").querySelectorAll("[aria-pressed=true]")].map((one) => /** @type {HTMLElement} */ (one).dataset.label ?? "") : [];
  }

  /** True if a person shows things to the sensors, and no replay. */
  get isShown() {
    return this.replayed === 0 || this.given();
  }

  start() {
    const [kind, arm] = /** @type {HTMLSelectElement} */ (byId("trial-change")).value.split("|");
    const own = this.isShown ? { labels: this.shown, seconds: field("seconds").valueAsNumber, repeat: field("repeat").valueAsNumber } : { labels: [], examples: field("examples").valueAsNumber };
    this.send({ type: "trial", [kind]: arm, ...own });
  }

  /** Say how long the trial takes, and whether it can begin. */
  plan() {
    const periods = 2 * this.shown.length * field("repeat").valueAsNumber;
    const length = clock(periods * field("seconds").valueAsNumber).replace(/\.\d$/, "");
    const isValid = [...byId("trial-form").querySelectorAll("input")].every((one) => !one.checkVisibility() || one.validity.valid);
    this.begin.disabled = !isValid || (this.isShown && periods === 0);
    if (!this.isShown) say(byId("trial-plan"), "Every example is played with and without the change, as fast as this computer can.");
    else if (this.begin.disabled) say(byId("trial-plan"), "Choose what you will show, one class or several.");
    else say(byId("trial-plan"), `${periods} periods, ${length} in all. In each, show what this page says, and do not look at its sensors: they show which period has the change. The first five seconds of a period do not count.`);
  }

  /** @param {State} state */
  take(state) {
    byId("trial-panel").hidden = state.sensors.length === 0;
    const there = this.modalities.filter(({ modality }) => state.sensors.some((one) => one.modality === modality && one.plugged));
    const isRunning = state.trial?.period !== undefined;
    const listed = there.map(({ modality }) => modality).join();
    if (listed !== this.listed && !isRunning) {
      this.listed = listed;
      byId("trial-change").replaceChildren(...changes(there));
    }
    byId("trial-form").hidden = isRunning;
    byId("trial-classes").hidden = !this.isShown;
    for (const [name, hidden] of /** @type {[string, boolean][]} */ ([["seconds", !this.isShown], ["repeat", !this.isShown], ["examples", this.isShown]]))
      /** @type {HTMLElement} */ (field(name).parentElement).hidden = hidden;
    this.plan();
    byId("trial-now").hidden = !isRunning;
    if (state.trial && isRunning) now(state.trial, state.time);
    const isOver = state.trial?.verdict !== undefined || state.trial?.failed !== undefined;
    byId("trial-result").hidden = !isOver;
    if (state.trial && isOver) result(state.trial);
  }
}

/** @param {string} name @returns {HTMLInputElement} */
const field = (name) => /** @type {HTMLInputElement} */ (byId(`trial-${name}`));

/** @param {Hello["modalities"]} there @returns {HTMLElement[]} the changes that can be tried, as options */
function changes(there) {
  const devices = [...new Set(there.map(({ device }) => device).filter((device) => there.filter((one) => one.device === device).length > 1))].filter(Boolean);
  const pulled = [...devices.map((device) => make("option", { value: `unplug|${device}` }, `without the ${device.replace(/[._-]+/g, " ")}`)), ...there.map(({ modality, sensor }) => make("option", { value: `unplug|${modality}` }, `without the ${sensor}`))];
  const degraded = there.map(({ modality, sensor, conditions }) =>
    make("optgroup", { label: sensor }, ...conditions.map(({ name, effects, staged }) => {
      const severity = staged?.severity ?? 3;
      return make("option", { value: `condition|${modality}=${name}:${severity}` }, `${sensor}: ${name} (${effects[severity - 1]})`);
    })));
  return [make("optgroup", { label: "Unplugged" }, ...pulled), ...degraded];
}

/** @param {Trial} trial @param {number} time */
function now({ period = 1, periods = 1, show, seconds, began = 0, share = 0 }, time) {
  const passed = seconds ? Math.min(1, Math.max(0, time - began) / seconds) : share;
  say(byId("trial-show"), show ? `Show “${spaced(show)}”` : "The replay's examples are played");
  /** @type {HTMLProgressElement} */ (byId("trial-progress")).value = (period - 1 + passed) / periods;
  say(byId("trial-period"), `Period ${period} of ${periods}${seconds ? `, ${Math.ceil(seconds * (1 - passed))} s` : ""}`);
}

/** @param {Trial} trial */
function result(trial) {
  const place = byId("trial-result");
  const key = JSON.stringify(trial);
  if (place.dataset.shown === key) return;
  place.dataset.shown = key;
  const { failed, verdict = "", arm = "", sensors, scenes = 0, groups = 0, lost, gained, shares = [], records = "" } = trial;
  if (failed !== undefined) {
    place.replaceChildren(make("p", {}, `The trial ended without a result: ${failed}.`));
    return;
  }
  const head = ["of the answers", "A: all sensors", `B: ${arm}`, "B less A, points"].map((title) => make("th", { scope: "col" }, title));
  const rows = shares.map(([title, before, after, change]) => {
    const [points, interval] = change.split(/ (?=\()/);
    const cells = [`${before}\u00a0%`, `${after}\u00a0%`].map((cell) => make("td", {}, cell));
    return make("tr", {}, make("th", { scope: "row" }, title), ...cells, make("td", {}, `${points} `, make("span", {}, interval)));
  });
  const flips = `${arm[0].toUpperCase()}${arm.slice(1)}, ${count(lost, "right answer")} became wrong and ${count(gained, "wrong answer")} right.`;
  place.replaceChildren(
    make("h3", {}, `${verdict[0].toUpperCase()}${verdict.slice(1)}.`),
    make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)),
    make("p", {}, flips),
    make("p", { class: "hint" }, `A: ${sensors}. ${scenes} scenes${groups < scenes ? ` in ${count(groups, "group")}` : ""}, each seen by both; in brackets: the 95\u00a0% interval. `, make("a", { href: "trial.html", target: "_blank" }, "The whole comparison"), ". Its records are in ", make("span", { title: records }, records.split("/").slice(-2).join("/")), "."),
  );
}

/** @param {number | undefined} number @param {string} what @returns {string} */
const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
