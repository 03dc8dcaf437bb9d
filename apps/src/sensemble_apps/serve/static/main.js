// The live page: takes the messages of the session and shows them; sends what is pressed.

import { button, byId, make, percent, say } from "./dom.js";
import { Givers } from "./give.js";
import { Lattice } from "./lattice.js";
import { showConnection, showRefusal } from "./notices.js";
import { Sensors } from "./sensors.js";
import { Socket } from "./socket.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Hello} Hello */
/** @typedef {import("./types.js").State} State */

const MEGABYTE = 1e6;
const KEYS = "1234567890abcdefghijklmnopqrstuvwxyz";

/** @type {State | null} */
let state = null;
let known = false; // whether the bundle is shown

/** @type {Socket<Message>} */
const socket = new Socket(take, connected);
const sensors = new Sensors(byId("sensors"), (message) => socket.send(message));
const lattice = new Lattice(byId("lattice"));
const givers = new Givers(socket);
const timeline = new Timeline(show);

/** @param {Message} message */
function take(message) {
  switch (message.type) {
    case "hello":
      greet(message);
      break;
    case "state":
      state = message;
      timeline.add(message);
      for (const [name, preview] of Object.entries(message.previews)) sensors.preview(name, preview);
      show();
      break;
    case "giving":
      givers.start(message);
      break;
    case "clock":
      givers.clocked(message);
      break;
    case "refused":
      showRefusal(message.reason);
  }
}

/** @param {boolean} isConnected @param {string} why */
function connected(isConnected, why) {
  showConnection(isConnected, why);
  if (!isConnected) givers.lose();
}

/** @param {Hello} hello */
function greet(hello) {
  say(byId("bundle"), hello.bundle);
  byId("bundle").title = `SHA-256 of its manifest: ${hello.fingerprint}`;
  lattice.build(hello.subsets);
  timeline.restart(hello.modalities.map((modality) => modality.modality));
  sensors.know(hello.modalities);
  givers.offer(hello.modalities);
  if (known) return;
  known = true;
  if (hello.home !== null) {
    byId("tabs").hidden = false;
    byId("tabs").append(make("a", { href: hello.home }, "Studio"), make("a", { href: "./", "aria-current": "page" }, "Live page"));
  }
  const labels = byId("labels");
  hello.labels.forEach((label, index) => {
    const key = KEYS[index];
    const made = button(label, () => press(label), { "data-label": label, "aria-pressed": "false" });
    if (key) {
      made.setAttribute("aria-keyshortcuts", key);
      made.prepend(make("kbd", {}, key));
    }
    labels.append(made);
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLElement && event.target.closest("input[type=text], select, textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const label = hello.labels[KEYS.indexOf(event.key)];
    if (event.key.length === 1 && label !== undefined) press(label);
    if (event.key === "Escape") socket.send({ type: "label", label: null });
  });
  byId("record").addEventListener("click", () => socket.send({ type: "record", on: state?.recorded === null }));
}

/** @param {string} label */
function press(label) {
  socket.send({ type: "label", label: state?.truth === label ? null : label });
}

/** Show the newest state, or the one that is looked back at. */
function show() {
  if (!state) return;
  const past = timeline.past();
  document.body.classList.toggle("past", past !== null);
  say(byId("moment"), past ? `as it was at ${past.when}` : "");
  if (past) {
    answer(past.words, past.label === null, past.confidence, past.live, {});
    lattice.show(past.live, []);
  } else {
    const now = state.answer;
    answer(now?.words, now?.label === null, now?.confidence ?? 0, now?.live ?? state.live, now?.probabilities ?? {});
    lattice.show(state.live, state.lattice);
  }
  sensors.show(state, past);
  truth(state);
  session(state);
}

/**
 * @param {string | undefined} words undefined where nothing is said
 * @param {boolean} unsure
 * @param {number} confidence
 * @param {string[]} live
 * @param {Record<string, number>} probabilities
 */
function answer(words, unsure, confidence, live, probabilities) {
  const nothing = live.length ? "waiting for a first window" : "nothing is live";
  say(byId("label"), words ?? nothing);
  byId("answer").classList.toggle("nothing", words === undefined);
  byId("answer").classList.toggle("unsure", unsure);
  say(byId("evidence"), words === undefined ? "" : `${percent(confidence)} confident, from ${live.join(", ")}`);
  const list = byId("classes");
  const classes = Object.entries(probabilities);
  while (list.children.length > classes.length) list.lastElementChild?.remove();
  classes.forEach(([name, share], index) => {
    const row = /** @type {HTMLElement} */ (list.children[index] ?? list.appendChild(make("li", {}, make("span"), make("meter", { min: 0, max: 1, "aria-hidden": "true" }), make("output"))));
    const [title, bar, number] = /** @type {HTMLElement[]} */ ([...row.children]);
    say(title, name);
    /** @type {HTMLMeterElement} */ (bar).value = share;
    say(number, percent(share));
    row.classList.toggle("true", name === state?.truth || Boolean(state?.played.includes(name)));
  });
}

/** @param {State} now */
function truth(now) {
  for (const made of byId("labels").querySelectorAll("button"))
    made.setAttribute("aria-pressed", String(made.dataset.label === now.truth));
  const hint = now.truth !== null ? `Scored as ${now.truth}; Escape ends it.` : now.played.length ? `The replay plays ${now.played.join(", ")}.` : "";
  say(byId("truth-hint"), hint || "Press a label, or its key, while it is true: the answers are scored by live set.");
  const table = byId("score");
  const rows = Object.entries(now.score);
  table.hidden = rows.length === 0;
  const body = /** @type {HTMLElement} */ (table.querySelector("tbody"));
  while (body.children.length > rows.length) body.lastElementChild?.remove();
  rows.forEach(([live, { right, unsure, n }], index) => {
    const row = body.children[index] ?? body.appendChild(make("tr", {}, make("th", { scope: "row" }), make("td"), make("td"), make("td"), make("td")));
    [live.replaceAll("+", " + "), String(right), String(unsure), String(n), percent(right / n)].forEach((text, cell) => say(row.children[cell], text));
  });
}

/** @param {State} now */
function session(now) {
  const sum = (/** @type {Record<string, number>} */ counts) => Object.values(counts).reduce((total, count) => total + count, 0);
  const slow = Object.entries(now.latencies).map(([modality, seconds]) => `${modality} ${(1000 * seconds).toFixed(1)} ms`);
  /** @type {[string, string][]} */
  const numbers = [
    ["From capture to answer", now.answer ? `${Math.round(1000 * now.answer.age)} ms` : "–"],
    ["Encoding", slow.join(", ") || "–"],
    ["Windows dropped for newer ones", String(sum(now.dropped))],
    ["Samples lost", String(sum(now.lost))],
    ["Processor", `${percent(now.process.cpu)} of a core`],
    ["Memory", `${Math.round(now.process.memory / MEGABYTE)} MB`],
    ["Viewers", String(now.viewers)],
  ];
  const list = byId("numbers");
  if (!list.children.length) for (const [title] of numbers) list.append(make("div", {}, make("dt", {}, title), make("dd")));
  numbers.forEach(([, value], index) => say(/** @type {Element} */ (list.children[index].lastElementChild), value));
  const on = now.recorded !== null;
  byId("record").setAttribute("aria-pressed", String(on));
  say(byId("record"), on ? "Stop recording" : "Record");
  say(byId("recorded"), on ? `recording: ${now.recorded} segments on the disk` : now.recording_failed && `The recording has failed: ${now.recording_failed}`);
}
