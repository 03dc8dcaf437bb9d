// The models: the instant one and those that were trained, and the next step, which is always in sight.

import { counted } from "./classes.js";
import { delivery } from "./deliver.js";
import { button, byId, FEW, make, percent, rightOf, say } from "./dom.js";

/** @typedef {import("./studio_types.js").Project} Project */
/** @typedef {import("./studio_types.js").Score} Score */
/** @typedef {import("./studio_types.js").Training} Training */
/** @typedef {import("./studio_types.js").Send} Send */
/** @typedef {import("./studio_types.js").State} State */
/** @typedef {import("./studio_types.js").Taking} Taking */
/** @typedef {{words: string, act?: string, press?: () => void, share?: number | null, ends?: boolean}} Step the share is null where nobody knows it; `ends`: the press ends something */

const ENOUGH = 2; // takes of a class for an instant model
const NEARLY = 5; // seconds that are left and not counted down
const GOOD = 5; // takes of a class, from which a model is worth training

/** What a stage does, by its first word. @type {Record<string, string>} */
const STAGES = {
  starting: "It begins",
  waiting: "An earlier studio still trains",
  decode: "It reads the takes",
  embed: "It looks and listens",
  pretrain: "The sensors learn from each other",
  specialist: "Each sensor learns by itself",
  temperatures: "It learns how sure it may be",
  subset: "All sets of sensors learn together",
  balance: "It learns how sure it may be",
  evaluate: "It is tested with takes kept aside",
  degrade: "It looks and listens in bad conditions",
  lower: "It is made ready to run anywhere",
  measure: "It is compared with what was trained",
};
const OTHER = "It is at work";

/** @param {number} seconds @returns {string} such as `1 min 20 s` */
export function lasting(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export class Models {
  /** @param {Send} send @param {{give: () => void, name: () => void, record: (title: string) => void}} acts */
  constructor(send, acts) {
    this.send = send;
    this.acts = acts;
    /** Words for the sensors, by modality. @type {Map<string, string>} */
    this.sensors = new Map();
    /** What the button does. @type {(() => void) | undefined} */
    this.press = undefined;
    /** What the list shows, as JSON. */
    this.listed = "";
    byId("next-step").addEventListener("click", () => this.press?.());
  }

  /** @param {Project} project @param {Training | null} training */
  list(project, training) {
    const busy = training?.status === "running";
    const listed = JSON.stringify([project.runs, project.instant, project.live, busy && training.run]);
    if (listed === this.listed) return; // one who reads or opens it is not disturbed
    this.listed = listed;
    /** @param {Element} one @returns {string} what it belongs to, and what it says */
    const named = (one) => `${one.closest("article")?.querySelector("h3")?.firstChild?.textContent} ${one.querySelector("summary")?.textContent}`;
    const open = [...byId("models").querySelectorAll("details[open]")].map(named);
    const made = project.runs.map((run) => {
      const current = training?.run === run.number && busy;
      const state = run.done ? "" : current ? " is being trained" : " is not finished";
      const row = this.model(`Robust model ${run.number}${state}`, run.number, project.live === run.number, run.done, run.scores?.sets ?? [], run.scores?.warnings);
      if (run.done) row.append(delivery(run.number, run.phone, project.live === run.number, this.send));
      if (!run.done && !current) {
        const go = button(`Go on training model ${run.number}`, () => this.send({ type: "train", run: run.number }));
        go.disabled = busy;
        row.append(go);
      }
      return row;
    });
    if (project.instant?.done) {
      const row = this.model("Instant model", 0, project.live === 0, true, project.instant.sets);
      if (project.instant.mistaken) row.append(make("p", {}, strangers(project.instant.mistaken)));
      row.append(delivery(0, project.instant.phone, project.live === 0, this.send));
      made.push(row);
    }
    if (project.runs[0]?.done && !busy) made[0].append(button("Train it again with all takes", () => this.send({ type: "train", run: null })));
    byId("models-panel").hidden = made.length === 0;
    byId("models").replaceChildren(...made);
    for (const one of byId("models").querySelectorAll("details")) one.open = open.includes(named(one));
  }

  /** @param {string} title @param {number} run @param {boolean} live @param {boolean} done @param {Score[]} sets @param {string[]} [warnings] @returns {HTMLElement} */
  model(title, run, live, done, sets, warnings = []) {
    const row = make("article", { class: "model" }, make("h3", {}, title, live ? make("span", { class: "live" }, " answers now") : ""));
    if (sets.length) row.append(make("p", {}, `Right on the pieces of takes ${run ? "kept aside" : "that it has not learned from"}: ${rightOf(sets[sets.length - 1])}.`), scores(sets, this.sensors, warnings));
    if (done && !live) row.append(button(`Let ${run ? `model ${run}` : "the instant model"} answer`, () => this.send({ type: "open_live", run })));
    return row;
  }

  /** @param {Project} project @param {State} state @param {boolean} sensed */
  next(project, { take, training }, sensed) {
    const { words, act, press, share, ends } = take ? this.recording(take) : this.step(project, training, sensed);
    this.press = press;
    say(byId("next-words"), [words, project.instant?.trouble].filter(Boolean).join(" "));
    byId("next-step").hidden = act === undefined;
    if (act) say(byId("next-step"), act);
    byId("next-step").classList.toggle("primary", !ends);
    const bar = /** @type {HTMLProgressElement} */ (byId("next-bar"));
    bar.hidden = share === undefined;
    if (share === null) bar.removeAttribute("value");
    else if (share !== undefined) bar.value = share;
  }

  /** @param {Taking} take @returns {Step} */
  recording({ title, number, count }) {
    return { words: `${title}${count > 1 ? `: take ${number} of ${count}` : ""}`, act: "Stop", press: () => this.send({ type: "stop_take" }), ends: true };
  }

  /** @param {Project} project @param {Training | null} training @param {boolean} sensed @returns {Step} */
  step(project, training, sensed) {
    if (training?.status === "running") return { words: inWords(training), act: "Cancel the training", press: () => this.send({ type: "cancel" }), share: training.share, ends: true };
    if (!sensed) return { words: "First, let it see and hear you.", act: "Use this camera and microphone", press: this.acts.give };
    const { classes, instant } = project;
    if (classes.length < 2) return { words: classes.length ? "Name a second class." : "Name two classes or more.", act: classes.length ? "Name it" : "Name them", press: this.acts.name };
    const poor = classes.find(({ takes }) => takes < ENOUGH);
    if (poor) return { words: `Show it ${poor.name}: record ${counted(ENOUGH - poor.takes, "take")} or more.`, act: `Show ${poor.name}`, press: () => this.acts.record(poor.name) };
    if (training?.status === "failed") return { words: `The training failed: ${training.reason || "no reason was given"}.`, act: "Try again", press: () => this.send({ type: "train", run: training.run }) };
    const robust = project.runs.find(({ done }) => done);
    if (robust && training?.status === "done" && project.live !== robust.number) return { words: `The robust model is there: it was trained in ${lasting(training.elapsed)}.`, act: "Let it answer", press: () => this.send({ type: "open_live", run: robust.number }) };
    if (instant?.fitting && !instant.done) return preparing(instant.lowered);
    if (instant && !instant.done && instant.reason) return { words: `There is no instant model: ${instant.reason}.` };
    if (instant && !instant.done) return { words: "There is no instant model." };
    const few = classes.find(({ takes }) => takes < GOOD);
    const learning = instant?.fitting ? " It is learning the newest take." : "";
    if (few) return { words: `It answers. ${GOOD} to 20 takes of each make it reliable: ${few.name} has ${few.takes}.${learning}`, act: `Show ${few.name}`, press: () => this.acts.record(few.name) };
    if (project.sensors < 2) return { words: `It answers. A second sensor makes it robust.${learning}` };
    if (robust?.phone && project.live === robust.number) return { words: "The robust model answers. Unplug a sensor, and it goes on. It is also ready for your phone.", act: "Send to my phone", press: () => this.send({ type: "send_to_phones", run: robust.number }) };
    if (robust && project.live === robust.number) return { words: "The robust model answers. Unplug a sensor, and it goes on.", act: "See it live", press: () => location.assign("live/") };
    const words = instant ? `It answers. Made robust, it also answers with each sensor alone.${learning}` : "There are enough takes.";
    return { words, act: instant ? "Make it robust" : "Train a model", press: () => this.send({ type: "train", run: null }) };
  }
}

/** @param {number | null} lowered @returns {Step} */
function preparing(lowered) {
  if (lowered !== null && lowered < 1) return { words: "The encoders are made ready for this machine, once.", share: lowered };
  return { words: "It is learning from your takes.", share: null };
}

/** @param {Training} training @returns {string} */
function inWords({ stage, done, total, left }) {
  const count = total ? `, ${done} of ${total}` : "";
  const lasts = left === null ? "" : left < NEARLY ? "; nearly done" : `; about ${lasting(left)} left`;
  return `${STAGES[stage.split(" ")[0]] ?? OTHER}${count}${lasts}`;
}

/** @param {[number, number]} mistaken @returns {string} */
function strangers([taken, n]) {
  return `Pieces of an unknown thing that would be taken for one of these: ${rightOf({ accuracy: taken / n, n })} (each class left out in turn).`;
}

/**
 * Show how right each set of sensors is; an interval of few takes says nothing, and is left out.
 * @param {Score[]} sets @param {Map<string, string>} words for their sensors, by modality @param {string[]} warnings @returns {HTMLElement}
 */
function scores(sets, words, warnings) {
  const many = sets.some(({ n }) => n >= FEW);
  const rows = sets.map(({ subset, accuracy, low, high, n }) => make("tr", {}, make("th", { scope: "row" }, subset.split("+").map((modality) => words.get(modality) ?? modality).join(" + ")), make("td", {}, rightOf({ accuracy, n })), ...(many ? [make("td", {}, n < FEW ? "" : `${percent(low)} to ${percent(high)}`)] : [])));
  const heads = ["sensors", "right", ...(many ? ["95 % interval"] : [])].map((title) => make("th", { scope: "col" }, title));
  const notes = warnings.map((line) => make("p", { class: "hint" }, line));
  return make("details", {}, make("summary", {}, "By sensor"), make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows)), ...notes);
}
