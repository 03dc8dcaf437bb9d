// The live page: takes the messages of the session and shows them; sends what is pressed.

import { button, byId, icon, make, percent, put, say } from "./dom.js";
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
const BARS = 3; // of the most probable classes
const DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const KEYS = "1234567890abcdefghijklmnopqrstuvwxyz";

/** @type {State | null} */
let state = null;
/** What does not change; null before it is known. @type {Hello | null} */
let known = null;
/** The keys of the labels. @type {Map<string, string>} */
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
  for (const label of new Set([...keys.keys(), ...hello.labels])) {
    const key = keys.get(label);
    const made = button(label, () => press(label), { "data-label": label, "aria-pressed": "false", "aria-keyshortcuts": key ?? false });
    if (key) made.prepend(make("kbd", {}, key));
    byId("labels").append(made);
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLElement && event.target.closest("input[type=text], select, textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const [label] = [...keys].find(([, key]) => key === event.key) ?? [];
    if (label !== undefined) press(label);
    if (event.key === "Escape") socket.send({ type: "label", label: null });
  });
  byId("record").addEventListener("click", () => socket.send({ type: "record", on: state?.recorded === null }));
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
  const now = state.answer;
  const live = past?.live ?? now?.live ?? state.live;
  lattice.show(live, past ? [] : state.lattice, troubles, past ? null : now);
  answer(past ? past.said : now, live, past ? {} : (now?.probabilities ?? {}));
  dots(live, troubles);
  for (const [name, preview] of past?.previews ?? []) sensors.preview(name, preview);
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
    const [used, wrong] = [live.includes(modality), troubles.get(modality)];
    const there = state?.sensors.some((sensor) => sensor.modality === modality);
    dot.className = used ? "live" : wrong && wrong !== "unplugged" ? "bad" : "";
    const absent = timeline.moment !== null ? "not used" : there ? "waiting" : "not there";
    say(/** @type {Element} */ (dot.lastElementChild), used ? "in use" : (wrong ?? absent));
  });
}

/**
 * @param {import("./types.js").Entry | import("./types.js").Answer | null} said
 * @param {string[]} live
 * @param {Record<string, number>} probabilities
 */
function answer(said, live, probabilities) {
  const place = byId("label");
  const [sure, audited] = [` ${percent(said?.confidence ?? 0)}`, lattice.accuracy(live)];
  let [head, tail, below] = [live.length ? "waiting for a first window" : "nothing is live", "", ""];
  const nearest = said && "nearest" in said && said.audited ? `; the nearest audited set, ${lattice.title(said.nearest?.split("+") ?? [])}, is right ${percent(said.audited.accuracy)} of the time` : "";
  if (said?.label) [head, tail, below] = [said.label, sure, audited === null ? `not audited with these sensors${nearest}` : `right ${percent(audited)} of the time with these sensors`];
  else if (said) [head, tail, below] = [said.best ? `most likely ${said.best},` : "unsure", said.best ? sure : "", said.why ?? ""];
  if (place.textContent !== head + tail) place.replaceChildren(head, make("small", {}, tail));
  say(byId("evidence"), below);
  byId("answer").classList.toggle("nothing", !said);
  byId("answer").classList.toggle("unsure", said?.label === null);
  const list = byId("classes");
  const classes = Object.entries(probabilities).slice(0, BARS);
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
  put(byId("record"), "aria-pressed", String(on));
  say(byId("record"), on ? "Stop recording" : "Record");
  say(byId("recorded"), on ? `${now.recorded} segments on the disk` : now.recording_failed && `The recording has failed: ${now.recording_failed}`);
}
