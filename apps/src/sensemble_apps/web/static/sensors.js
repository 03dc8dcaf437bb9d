// The sensors, each as a card: its newest samples, its state, its answer alone, and its buttons.

import { button, draw, icon, make, percent, put, say, spaced } from "./dom.js";

/** @typedef {import("./types.js").Modality} Modality */
/** @typedef {import("./types.js").Sensor} Sensor */
/** @typedef {import("./types.js").Opinion} Opinion */
/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {Pick<import("./types.js").State, "sensors" | "live" | "lattice"> & {answer?: Answer | null}} Shown */
/** @typedef {import("./types.js").Preview} Preview */
/** @typedef {{time: number, live: string[], sensors: Map<string, string>}} Past */

const FLOOR = -60; // dB of full scale at which the meter is empty
const LISTED = 4; // of five, the severity of a condition that a list offers
const MINUTE = 60; // seconds
const CALM = 1000; // milliseconds between two previews where less motion is wanted
const motion = matchMedia("(prefers-reduced-motion: reduce)");

export const UNFAMILIAR = "unfamiliar";
/** What is wrong with a modality as a whole, by the kind of the event that said it. @type {Record<string, string>} */
const NOTED = { suspect: "at odds with the others", unfamiliar: UNFAMILIAR, "encoder failed": "its encoder fails" };
/** A sensor that is not there, by the kind of its last event. @type {Record<string, string>} */
const AWAY = { asleep: "asleep", detached: "unplugged", ended: "at its end", failed: "failed", lost: "lost", unavailable: "not there" };

/** What is away because somebody, or the session, wants it so: no reason for alarm. */
export const WANTED = ["asleep", "unplugged"];

/** @param {Sensor} sensor @param {Shown} state @returns {string} what is wrong with it, in a few words; empty if nothing is */
export function trouble(sensor, { answer, live }) {
  if (sensor.kind in AWAY) return AWAY[sensor.kind];
  if (sensor.kind === "unhealthy" || sensor.kind === "doubtful") return sensor.reason.replace(/^(the \w+|it) is /, "");
  if (!sensor.active) return "";
  const strange = answer?.unfamiliar.includes(sensor.modality) && !live.includes(sensor.modality);
  return NOTED[strange ? "unfamiliar" : sensor.noted] ?? "";
}

/** Say what is wrong with a sensor, by its kind. @param {string} wrong @param {Modality | undefined} modality @returns {string} */
export const inWords = (wrong, modality) => (wrong === UNFAMILIAR ? (modality?.none ?? wrong) : wrong);

/** @param {Sensor} sensor @param {Shown} state @param {boolean} live @param {Modality | undefined} modality @returns {string} */
function stateOf(sensor, state, live, modality) {
  const wrong = inWords(trouble(sensor, state), modality);
  if (live) return wrong ? `in use, but ${wrong}` : "in use";
  if (sensor.kind in AWAY) return wrong;
  if (wrong) return `${wrong}: not used`;
  if (!sensor.active) return "standby";
  if (modality?.kind === "text") return "no caption";
  return sensor.kind === "opening" ? "is being opened" : `waiting for a ${modality?.noun ?? "sample"}`;
}

/** @param {string} title @param {number} slept seconds @param {number} lately seconds @returns {string[]} a sentence, if it slept */
function sleepOf(title, slept, lately) {
  const [unit, words] = lately < 2 * MINUTE ? [1, "seconds"] : [MINUTE, "minutes"];
  return slept < unit ? [] : [`${title} slept ${Math.round(slept / unit)} of the last ${Math.round(lately / unit)} ${words}.`];
}

/** @param {Opinion} said @returns {string} */
const alone = (said) => spaced(said.label ? `alone: ${said.label}, ${percent(said.confidence)}` : `alone: ${said.words.replace(": ", ", ")}`);

/**
 * The parts of a card that change.
 * @typedef {{card: HTMLElement, picture: HTMLElement, title: HTMLInputElement, state: HTMLElement, says: HTMLElement,
 *   plug: HTMLButtonElement, staged: HTMLButtonElement[], condition: HTMLSelectElement}} Card
 */

export class Sensors {
  /**
   * @param {HTMLElement} place
   * @param {(message: Record<string, unknown>) => void} send
   * @param {(name: string) => string | undefined} [own] returns the title of a sensor that this browser gives
   */
  constructor(place, send, own = () => undefined) {
    this.place = place;
    this.send = send;
    this.own = own;
    /** @type {Map<string, Card>} */
    this.cards = new Map();
    /** By name. @type {Map<string, Modality>} */
    this.modalities = new Map();
    /** The button of each device, whose sensors come and go together. @type {Map<string, HTMLButtonElement>} */
    this.devices = new Map();
    this.wake = button("Wake all", () => this.send({ type: "wake" }));
    this.slept = make("span", { class: "hint" });
    this.bar = make("p", { class: "buttons devices" });
  }

  /** @param {Modality[]} modalities */
  know(modalities) {
    this.modalities = new Map(modalities.map((modality) => [modality.modality, modality]));
    this.cards.clear();
    const names = new Set(modalities.map(({ device }) => device).filter(Boolean));
    this.devices = new Map([...names].map((name) => [name, button("", () => this.send({ type: this.devices.get(name)?.dataset.act, sensor: name }))]));
    this.bar.replaceChildren(...this.devices.values(), this.wake, this.slept);
    this.place.replaceChildren(this.bar);
  }

  /**
   * @param {Shown} state
   * @param {Past | null} past what is shown instead of the present
   * @param {(sensor: Sensor) => [number, number]} [slept] returns the seconds that a sensor slept lately, and of how many
   */
  show(state, past, slept = () => [0, 0]) {
    const names = new Set(state.sensors.map((sensor) => sensor.name));
    for (const [name, { card }] of this.cards)
      if (!names.has(name)) {
        card.remove();
        this.cards.delete(name);
      }
    for (const sensor of state.sensors) this.showOne(sensor, state, past);
    this.wake.hidden = !state.sensors.some(({ kind }) => kind === "asleep");
    say(this.slept, state.sensors.flatMap((sensor) => sleepOf(this.titleOf(sensor), ...slept(sensor))).join(" "));
    for (const [device, plug] of this.devices) {
      const own = state.sensors.filter((sensor) => this.modalities.get(sensor.modality)?.device === device);
      const plugged = own.some((sensor) => sensor.plugged);
      const words = device.replace(/[._-]+/g, " ");
      say(plug, plugged ? `Unplug the ${words}` : `Plug the ${words} back`);
      put(plug, "data-act", plugged ? "unplug" : "plug");
      plug.hidden = own.length < 2;
    }
  }

  /** @param {Sensor} sensor @param {Shown} state @param {Past | null} past */
  showOne(sensor, state, past) {
    const parts = this.cards.get(sensor.name) ?? this.add(sensor);
    const live = (past ? past.live : state.live).includes(sensor.modality) && sensor.active && (past !== null || sensor.plugged);
    const words = past ? (live ? "in use" : (past.sensors.get(sensor.name) ?? "not there yet")) : stateOf(sensor, state, live, this.modalities.get(sensor.modality));
    parts.card.classList.toggle("live", live);
    parts.card.classList.toggle("fault", !past && (sensor.fault || (sensor.active && sensor.noted in NOTED)));
    say(parts.state, words);
    put(parts.state, "title", past ? "" : sensor.note || sensor.state);
    const title = this.titleOf(sensor);
    if (document.activeElement !== parts.title && parts.title.value !== title) parts.title.value = title;
    const said = past ? undefined : state.lattice.find((opinion) => opinion.subset === sensor.modality);
    say(parts.says, live && said ? alone(said) : "");
    say(parts.plug, sensor.plugged ? "Unplug" : "Plug back");
    put(parts.plug, "data-act", sensor.plugged ? "unplug" : "plug");
    const condition = sensor.condition ? `${sensor.condition.condition}:${sensor.condition.severity}` : "";
    const stage = parts.staged.find(({ dataset }) => dataset.condition === condition);
    for (const made of parts.staged) put(made, "aria-pressed", String(made === stage));
    const listed = stage ? "" : condition;
    if (document.activeElement !== parts.condition && parts.condition.value !== listed) parts.condition.value = listed;
    parts.card.classList.toggle("degraded", listed !== "");
    if ((!sensor.plugged || sensor.kind === "asleep") && !past) parts.picture.replaceChildren();
    put(parts.plug, "aria-label", `${sensor.plugged ? "Unplug" : "Plug back"} ${title}`);
  }

  /** @param {Sensor} sensor @returns {string} */
  titleOf({ title, name }) {
    return title || this.own(name) || name;
  }

  /** @param {Sensor} sensor @returns {Card} */
  add(sensor) {
    const modality = this.modalities.get(sensor.modality);
    const picture = make("div", { class: "preview" });
    const state = make("p", { class: "state" });
    const says = make("p", { class: "says" });
    const plug = button("", () => this.send({ type: plug.dataset.act, sensor: sensor.name }));
    const condition = this.conditions(sensor);
    const staged = this.staged(sensor);
    const title = /** @type {HTMLInputElement} */ (make("input", { class: "title", type: "text", maxlength: 60, "aria-label": `Title of ${sensor.name}`, spellcheck: "false" }));
    title.addEventListener("change", () => this.send({ type: "rename", sensor: sensor.name, title: title.value.trim() }));
    title.addEventListener("keydown", (event) => event.key === "Enter" && title.blur());
    const heading = make("div", { class: "heading" }, ...(modality ? [icon(modality.icon)] : []), title);
    const card = make("article", { class: "card", "data-modality": sensor.modality, "aria-label": sensor.name }, picture, heading, state, says, make("p", { class: "buttons" }, plug));
    if (staged.length) card.append(make("div", { class: "conditions", role: "group", "aria-label": `Try ${sensor.name} in bad conditions` }, ...staged, condition));
    const parts = { card, picture, title, state, says, plug, staged, condition };
    this.cards.set(sensor.name, parts);
    this.place.insertBefore(card, this.bar); // which comes last, so that cards are counted from the first
    return parts;
  }

  /**
   * Make a button for each condition that is shown by a picture.
   * @param {Sensor} sensor
   * @returns {HTMLButtonElement[]}
   */
  staged({ name, modality }) {
    return (this.modalities.get(modality)?.conditions ?? []).flatMap(({ name: condition, effects, staged }) => {
      if (!staged) return [];
      const { severity, word, icon: path } = staged;
      const press = () => this.send({ type: "condition", sensor: name, condition: made.ariaPressed === "true" ? null : condition, severity });
      const made = button(word, press, { "data-condition": `${condition}:${severity}`, "aria-pressed": "false", title: `${condition}: ${effects[severity - 1]}` });
      made.prepend(icon(path));
      return [made];
    });
  }

  /**
   * Make the list of the conditions that have no button, each in its fourth severity.
   * @param {Sensor} sensor
   * @returns {HTMLSelectElement}
   */
  conditions(sensor) {
    const list = /** @type {HTMLSelectElement} */ (make("select", { "aria-label": `Condition of ${sensor.name}` }, make("option", { value: "" }, "more")));
    for (const { name, effects, staged } of this.modalities.get(sensor.modality)?.conditions ?? [])
      if (!staged) list.append(make("option", { value: `${name}:${LISTED}` }, `${name}: ${effects[LISTED - 1]}`));
    list.addEventListener("change", () => {
      const [name, severity] = list.value.split(":");
      this.send({ type: "condition", sensor: sensor.name, condition: name || null, severity: Number(severity ?? 1) });
    });
    list.hidden = list.options.length === 1;
    return list;
  }

  /** @param {string} name @param {Preview} preview */
  preview(name, preview) {
    const place = this.cards.get(name)?.picture;
    if (!place || (motion.matches && performance.now() < Number(place.dataset.until ?? 0))) return;
    place.dataset.until = String(performance.now() + CALM);
    showPreview(place, name, preview);
  }
}

/** @param {HTMLElement} place @param {string} name of the sensor @param {Preview} preview */
export function showPreview(place, name, preview) {
  if (preview.picture !== undefined) showPicture(place, preview.picture, `What ${name} sees`);
  if (preview.wave !== undefined) showWave(place, preview.wave, preview.level ?? null);
  if (preview.plot !== undefined) showPlot(place, preview.plot);
  if (preview.caption !== undefined) place.replaceChildren(make("q", {}, preview.caption));
}

/** @param {HTMLElement} place @param {string} url @param {string} alt */
export function showPicture(place, url, alt) {
  const picture = place.querySelector("img") ?? place.appendChild(make("img", { alt }));
  picture.setAttribute("src", url);
}

/** @param {HTMLElement} place @param {[number, number][]} wave @param {number | null} level */
export function showWave(place, wave, level) {
  const upper = wave.map(([, high], index) => `${index},${-high}`);
  const lower = wave.map(([low], index) => `${index},${-low + 1}`).reverse();
  const shape = `M${upper.join("L")}L${lower.join("L")}Z`;
  let path = place.querySelector("path");
  if (!path) {
    const size = { viewBox: `0 -100 ${wave.length - 1} 201`, preserveAspectRatio: "none", role: "img", "aria-label": "Outline of the last second of sound" };
    place.append(draw("svg", size, draw("path", {})), make("meter", { min: 0, max: 1, "aria-label": "Level" }), make("output", {}));
    path = /** @type {SVGPathElement} */ (place.querySelector("path"));
  }
  path.setAttribute("d", shape);
  const meter = /** @type {HTMLMeterElement} */ (place.querySelector("meter"));
  meter.value = level === null ? 0 : Math.max(0, 1 - level / FLOOR);
  say(/** @type {Element} */ (place.querySelector("output")), level === null ? "silent" : `${Math.round(level)} dB`);
}

/** @param {HTMLElement} place @param {number[][]} plot a line of points from -100 to 100 for each channel */
export function showPlot(place, plot) {
  const row = 2.2 * 100;
  const lines = plot.map((points, channel) => `M${points.map((y, x) => `${(x / (points.length - 1 || 1)) * 96},${channel * row - y}`).join("L")}`);
  const path = place.querySelector("path") ?? draw("path", { fill: "none", stroke: "currentColor", "vector-effect": "non-scaling-stroke" });
  if (!place.contains(path)) {
    const size = { viewBox: `0 -110 96 ${plot.length * row}`, preserveAspectRatio: "none", role: "img", "aria-label": "A line for each channel, over the last seconds" };
    place.replaceChildren(draw("svg", size, path));
  }
  path.setAttribute("d", lines.join(""));
}
