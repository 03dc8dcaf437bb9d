// The runs: a training in progress, its curves, and the models that are done.

import { counted, lasting } from "./classes.js";
import { button, byId, draw, make, percent, say } from "./dom.js";

/** @typedef {import("./studio_types.js").Curve} Curve */
/** @typedef {import("./studio_types.js").Instant} Instant */
/** @typedef {import("./studio_types.js").Project} Project */
/** @typedef {import("./studio_types.js").Run} Run */
/** @typedef {import("./studio_types.js").Training} Training */
/** @typedef {import("./studio_types.js").Send} Send */

const WIDTH = 200; // of a curve, in its own units
const HEIGHT = 80;

export class Runs {
  /** @param {Send} send */
  constructor(send) {
    this.send = send;
    /** @type {Project | null} */
    this.project = null;
    /** @type {Training | null} */
    this.training = null;
    /** The run whose live page was asked for. @type {number | null} */
    this.opening = null;
    byId("train").addEventListener("click", () => send({ type: "train", run: null }));
    byId("estimate-time").addEventListener("click", () => send({ type: "estimate" }));
    byId("cancel").addEventListener("click", () => send({ type: "cancel" }));
  }

  /** @param {Project} project */
  know(project) {
    this.project = project;
    const ready = project.divided && project.classes.filter(({ takes }) => takes > 0).length > 1;
    const known = project.estimate === null ? "" : ` Training takes about ${lasting(project.estimate)} here, and exporting the model comes on top.`;
    const time = project.estimating ? " The time is being estimated." : known;
    byId("estimate-time").hidden = !ready || project.estimating || project.estimate !== null;
    say(byId("estimate"), (ready ? "The takes of all classes are learned from, on all sensors." : "Record takes of two classes or more, and hold some out, first.") + time);
    byId("train").dataset.ready = String(ready);
    say(byId("train"), project.instant?.done ? "Make it robust" : "Train a model");
    say(byId("instant"), project.instant ? ofInstant(project.instant) : "");
    this.list(project);
    const newest = project.runs[0];
    if (newest) this.showCurves(newest.curves);
    if (this.opening !== null && project.live === this.opening) location.href = "live/";
  }

  /** @param {Training | null} training */
  show(training) {
    const was = this.training?.status;
    this.training = training;
    const running = training?.status === "running";
    const start = /** @type {HTMLButtonElement} */ (byId("train"));
    start.disabled = running || start.dataset.ready !== "true";
    byId("cancel").hidden = !running;
    byId("training").hidden = training === null;
    if (was !== training?.status && this.project) this.list(this.project);
    if (!training) return;
    const bar = /** @type {HTMLProgressElement} */ (byId("training-bar"));
    if (training.left === null) bar.removeAttribute("value");
    else bar.value = training.status === "done" ? 1 : training.elapsed / Math.max(1e-6, training.elapsed + training.left);
    say(byId("training-words"), words(training));
  }

  /** @param {Curve[]} curves */
  showCurves(curves) {
    byId("curves").replaceChildren(...curves.filter(({ points }) => points.length > 1).map(curve));
  }

  /** @param {Project} project */
  list(project) {
    const busy = this.training?.status === "running";
    const made = project.runs.map((run) => this.run(run, project.live === run.number, busy));
    if (project.instant?.done) made.unshift(this.instant(project.live === 0, busy));
    if (!made.length) made.push(make("p", { class: "hint" }, "No model yet."));
    byId("runs").replaceChildren(...made);
  }

  /** @param {boolean} live @param {boolean} busy @returns {HTMLElement} */
  instant(live, busy) {
    const act = button("Open the live page with the instant model", () => this.open(0));
    act.disabled = busy;
    const title = make("h3", {}, "Instant model", make("span", { class: "hint" }, live ? " is live" : ""));
    return make("article", { class: "run" }, title, make("p", {}, act));
  }

  /** @param {Run} run @param {boolean} live @param {boolean} busy @returns {HTMLElement} */
  run(run, live, busy) {
    const current = this.training?.run === run.number && busy;
    const title = make("h3", {}, `Model ${run.number}`, make("span", { class: "hint" }, run.done ? (live ? " is live" : "") : current ? " is being trained" : " is not finished"));
    const made = make("article", { class: "run" }, title);
    if (run.scores) made.append(scores(run.scores));
    if (!current) {
      const press = run.done ? () => this.open(run.number) : () => this.send({ type: "train", run: run.number });
      const act = button(run.done ? `Open the live page with model ${run.number}` : `Go on training model ${run.number}`, press);
      act.disabled = busy;
      made.append(make("p", {}, act));
    }
    return made;
  }

  /** @param {number} number */
  open(number) {
    if (this.project?.live === number) location.href = "live/";
    this.opening = number;
    this.send({ type: "open_live", run: number });
  }
}

/** What the instant model is worth, the set of most sensors first. @param {Instant} found @returns {string} */
function ofInstant({ fitting, reason, sets }) {
  if (reason) return `No instant model: ${reason}.`;
  const said = sets.map(({ subset, accuracy, low, high }) => `${subset.replaceAll("+", " + ")} ${percent(accuracy)} (${percent(low)} to ${percent(high)})`).reverse();
  const state = fitting ? " It is learning the newest take." : "";
  return said.length ? `The instant model is right about takes that it did not learn from: ${said.join(", ")}.${state}` : fitting ? "The instant model is being made." : "Two takes of two classes make an instant model.";
}

/** @param {Training} training @returns {string} */
function words(training) {
  switch (training.status) {
    case "done":
      return `Model ${training.run} is trained and exported; that took ${lasting(training.elapsed)}.`;
    case "cancelled":
      return `The training of model ${training.run} was cancelled; it can go on.`;
    case "failed":
      return `The training of model ${training.run} failed: ${training.reason || "it said nothing"}.`;
    default:
      return `${training.stage}${training.total ? ` ${training.done} of ${training.total}` : ""}${training.left === null ? "" : `, about ${lasting(training.left)} left`}`;
  }
}

/** @param {NonNullable<Run["scores"]>} found @returns {HTMLElement} */
function scores(found) {
  const rows = found.sets.map(({ subset, accuracy, low, high, n }) => make("tr", {}, make("th", { scope: "row" }, subset.replaceAll("+", " + ")), make("td", {}, percent(accuracy)), make("td", {}, `${percent(low)} to ${percent(high)}`), make("td", {}, String(n))));
  const heads = ["sensors", "right", "95 % interval", "of"].map((title) => make("th", { scope: "col" }, title));
  const table = make("table", {}, make("caption", {}, `On the takes held out (${counted(found.sets.length, "set")} of sensors)`), make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
  return make("div", {}, table, ...found.warnings.map((line) => make("p", { class: "warning" }, line)));
}

/** Draw the loss of a stage, from 0 to its greatest. @param {Curve} shown @returns {HTMLElement} */
function curve({ stage, points }) {
  const most = Math.max(...points.map(([, loss]) => loss), 1e-9);
  const last = points[points.length - 1];
  const [first] = points[0];
  const line = points.map(([step, loss]) => `${((WIDTH * (step - first)) / Math.max(1, last[0] - first)).toFixed(1)},${(HEIGHT - (HEIGHT * Math.max(0, loss)) / most).toFixed(1)}`);
  const text = `${stage}: loss ${points[0][1].toPrecision(3)} to ${last[1].toPrecision(3)} in ${last[0]} steps`;
  const picture = draw("svg", { viewBox: `0 -2 ${WIDTH} ${HEIGHT + 4}`, preserveAspectRatio: "none", "aria-hidden": "true" }, draw("polyline", { points: line.join(" ") }));
  return make("figure", {}, picture, make("figcaption", {}, text));
}
