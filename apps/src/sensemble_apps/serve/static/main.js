// The live page: takes the messages of the session and shows them; sends what is pressed.

import { button, byId, icon, make, percent, say } from "./dom.js";
import { Givers } from "./give.js";
import { Lattice } from "./lattice.js";
import { showConnection, showRefusal } from "./notices.js";
import { Sensors, trouble } from "./sensors.js";
import { Socket } from "./socket.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Hello} Hello */
/** @typedef {import("./types.js").State} State */

const MEGABYTE = 1e6;
const DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const KEYS = "1234567890abcdefghijklmnopqrstuvwxyz";

/** @type {State | null} */
let state = null;
/** What does not change; null before it is known. @type {Hello | null} */
let known = null;
/** The labels by their keys. @type {Map<string, string>} */
let keys = new Map();

/** @type {Socket<Message>} */
const socket = new Socket(take, connected);
const givers = new Givers(socket);
const sensors = new Sensors(byId("sensors"), (message) => socket.send(message), (name) => givers.titles.get(name));
const lattice = new Lattice(byId("lattice"), byId("set"));
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
      show();
      if (timeline.moment === null) for (const [name, preview] of Object.entries(message.previews)) sensors.preview(name, preview);
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
  lattice.build(hello.subsets, hello.modalities);
  timeline.restart(hello.modalities);
  sensors.know(hello.modalities);
  givers.offer(hello.modalities);
  if (hello.demo) say(byId("lattice-hint"), "A replay plays, and its sensors come, go and lie by themselves. Press any button to take over.");
  byId("dots").replaceChildren(...hello.modalities.map((modality) => make("li", {}, icon(modality.icon), make("span", { class: "title" }, modality.sensor), make("span", { class: "state" }))));
  if (known !== null && known.labels.join("\n") !== hello.labels.join("\n")) location.reload(); // the studio's model has learned another class
  const again = known !== null;
  known = hello;
  if (again) return;
  if (hello.home !== null) {
    byId("tabs").hidden = false;
    byId("tabs").append(make("a", { href: hello.home }, "Studio"), make("a", { href: "./", "aria-current": "page" }, "Live page"));
  }
  const devices = givers.devices.reverse();
  say(byId("start-all"), `Use this ${devices.map(({ sensor }) => sensor).join(" and ")}`);
  byId("start-all").hidden = devices.length === 0;
  byId("start-all").addEventListener("click", () => devices.forEach((modality) => givers.ask(modality)));
  keys = keysOf(hello.labels);
  for (const [key, label] of keys) byId("labels").append(button(label, () => press(label), { "data-label": label, "aria-pressed": "false", "aria-keyshortcuts": key }));
  for (const made of byId("labels").querySelectorAll("button")) made.prepend(make("kbd", {}, made.getAttribute("aria-keyshortcuts") ?? ""));
  for (const label of hello.labels.slice(keys.size)) byId("labels").append(button(label, () => press(label), { "data-label": label, "aria-pressed": "false" }));
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLElement && event.target.closest("input[type=text], select, textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const label = keys.get(event.key);
    if (label !== undefined) press(label);
    if (event.key === "Escape") socket.send({ type: "label", label: null });
  });
  byId("record").addEventListener("click", () => socket.send({ type: "record", on: state?.recorded === null }));
}

/** @param {string[]} labels @returns {Map<string, string>} each by its own digit, a letter of its own, or a free key */
function keysOf(labels) {
  /** @type {Map<string, string>} */
  const found = new Map();
  const digit = (/** @type {string} */ label) => (/^\d$/.test(label) ? label : String(DIGITS.indexOf(label.toLowerCase())));
  const own = labels.filter((label) => digit(label) !== "-1").sort((a, b) => digit(a).localeCompare(digit(b)));
  for (const label of own) found.set(digit(label), label);
  for (const label of labels)
    if (!own.includes(label)) {
      const key = [...label.toLowerCase().replace(/[^a-z]/g, ""), ...KEYS].find((one) => !found.has(one));
      if (key) found.set(key, label);
    }
  return found;
}

/** @param {string} label */
function press(label) {
  socket.send({ type: "label", label: state?.truth === label ? null : label });
}

/** Show the newest state, or the one that is looked back at. */
function show() {
  if (!state || !known) return;
  const past = timeline.past();
  const first = state.sensors.length === 0;
  byId("live").hidden = false; // from the first state on, so that nothing jumps
  byId("start").hidden = !first;
  document.body.classList.toggle("empty", first);
  document.body.classList.toggle("mute", state.live.length === 0 && Object.keys(state.score).length === 0);
  document.body.classList.toggle("past", past !== null);
  say(byId("moment"), past ? `as it was at ${past.when}` : "");
  const troubles = past ? new Map() : troublesOf(state);
  if (past) {
    lattice.show(past.live, [], troubles, null);
    answer(past.said, past.live, {});
    for (const [name, preview] of past.previews) sensors.preview(name, preview);
  } else {
    const now = state.answer;
    lattice.show(now?.live ?? state.live, state.lattice, troubles, now);
    answer(now, now?.live ?? state.live, now?.probabilities ?? {});
  }
  dots(past?.live ?? state.answer?.live ?? state.live, troubles);
  sensors.show(state, past);
  timeline.showThen(past);
  truth(state);
  session(state);
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

/** @param {string[]} live @param {Map<string, string>} troubles */
function dots(live, troubles) {
  known?.modalities.forEach(({ modality }, index) => {
    const dot = byId("dots").children[index];
    const wrong = troubles.get(modality);
    dot.className = live.includes(modality) ? "live" : wrong && wrong !== "unplugged" ? "bad" : "";
    say(/** @type {Element} */ (dot.lastElementChild), live.includes(modality) ? "in use" : (wrong ?? (timeline.moment !== null ? "not used" : state?.sensors.some((sensor) => sensor.modality === modality) ? "waiting" : "none")));
  });
}

/**
 * @param {import("./types.js").Entry | import("./types.js").Answer | null} said
 * @param {string[]} live
 * @param {Record<string, number>} probabilities
 */
function answer(said, live, probabilities) {
  const place = byId("label");
  const [head, tail] = !said ? [live.length ? "waiting for a first window" : "nothing is live", ""] : said.label ? [said.label, ` ${percent(said.confidence ?? 0)}`] : said.best ? [`most likely ${said.best},`, ` ${percent(said.confidence ?? 0)}`] : ["unsure", ""];
  if (place.textContent !== head + tail) place.replaceChildren(head, ...(tail ? [make("small", {}, tail)] : []));
  byId("answer").classList.toggle("nothing", !said);
  byId("answer").classList.toggle("unsure", said?.label === null);
  const audited = lattice.accuracy(live);
  say(byId("evidence"), !said ? "" : said.label === null ? (said.why ?? "") : audited === null ? "not audited with these sensors" : `right ${percent(audited)} of the time with these sensors`);
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
  say(byId("truth-hint"), hint || "Press a label, or its key, while it is true: answers are then scored.");
  const table = byId("score");
  const rows = Object.entries(now.score);
  table.hidden = rows.length === 0;
  const body = /** @type {HTMLElement} */ (table.querySelector("tbody"));
  while (body.children.length > rows.length) body.lastElementChild?.remove();
  rows.forEach(([live, { right, unsure, n }], index) => {
    const row = body.children[index] ?? body.appendChild(make("tr", {}, make("th", { scope: "row" }), make("td"), make("td"), make("td"), make("td")));
    [lattice.title(live.split("+")), String(right), String(unsure), String(n), n > unsure ? percent(right / (n - unsure)) : "–"].forEach((text, cell) => say(row.children[cell], text));
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
