// The classes, each a film strip of its takes: what the model says of it now, and how right it is.

import { button, byId, make, percent, say } from "./dom.js";
import { showPicture, showWave } from "./sensors.js";
import { BACKGROUND, UNLABELLED } from "./stage.js";

/** @typedef {import("./studio_types.js").Bounds} Bounds */
/** @typedef {import("./studio_types.js").Answer} Answer */
/** @typedef {import("./studio_types.js").Project} Project */
/** @typedef {import("./studio_types.js").Take} Take */
/** @typedef {import("./studio_types.js").Send} Send */
/** @typedef {import("./types.js").Preview} Preview */
/** @typedef {{place: HTMLDetailsElement, count: HTMLElement, right: HTMLElement, now: HTMLMeterElement, strip: HTMLElement, rename: HTMLElement, remove: HTMLButtonElement | null}} Strip */

/** @param {number} count @param {string} noun @returns {string} such as `2 takes` */
export const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** @param {Take} take @returns {boolean} whether it judges models, and none learns from it */
const isHeld = ({ split }) => split === "eval";
/** @param {Take} take @returns {string} */
const groupOf = (take) => take.label ?? (take.background ? BACKGROUND : UNLABELLED);

export class Classes {
  /** @param {Send} send */
  constructor(send) {
    this.send = send;
    this.name = /** @type {HTMLInputElement} */ (byId("class-name"));
    /** By title. @type {Map<string, Strip>} */
    this.strips = new Map();
    /** By number. @type {Map<number, HTMLButtonElement>} */
    this.takes = new Map();
    /** Takes whose thumbnails are not loaded yet. @type {number[]} */
    this.waiting = [];
    this.loading = false;
    /** The take that the buttons act on. @type {number | null} */
    this.chosen = null;
    /** @type {Project["classes"]} */
    this.classes = [];
    byId("add-class").addEventListener("submit", (event) => {
      event.preventDefault();
      send({ type: "add_classes", names: this.name.value });
      this.name.value = "";
    });
    this.move = /** @type {HTMLSelectElement} */ (byId("move-take"));
    this.move.addEventListener("change", () => this.moveTo(this.move.value));
    byId("delete-take").addEventListener("click", () => this.delete());
    byId("classes").addEventListener("keydown", (event) => this.key(event));
  }

  /** @param {Bounds} bounds */
  bound(bounds) {
    this.name.maxLength = bounds.classes * (bounds.name + 1);
  }

  /** @param {Project} project */
  show(project) {
    this.classes = project.classes;
    const titles = project.classes.map(({ name }) => name);
    for (const title of [BACKGROUND, UNLABELLED]) if (project.takes.some((take) => groupOf(take) === title)) titles.push(title);
    const strips = titles.map((title) => this.strips.get(title) ?? this.strip(title));
    this.strips = new Map(titles.map((title, index) => [title, strips[index]]));
    arrange(byId("classes"), strips.map(({ place }) => place));
    const there = new Set(project.takes.map(({ number }) => number));
    for (const number of this.takes.keys()) if (!there.has(number)) this.takes.delete(number);
    for (const [title, strip] of this.strips) {
      const own = project.takes.filter((take) => groupOf(take) === title);
      const known = project.classes.find(({ name }) => name === title);
      say(strip.count, counted(own.length, "take"));
      const right = title === BACKGROUND ? project.none : known?.right;
      const held = own.filter(isHeld).length;
      say(strip.right, [right ? `${right[0]} of ${right[1]} right` : "", held ? `${held} kept aside` : ""].filter(Boolean).join(", "));
      strip.right.title = "The share of takes that a model gets right without having learned from them. Takes kept aside (dashed) test the robust model.";
      if (strip.remove) strip.remove.disabled = own.length > 0;
      arrange(strip.strip, own.map((take) => /** @type {HTMLElement} */ (this.take(take).parentElement)));
    }
    byId("hardest-takes").hidden = project.hardest.length === 0;
    byId("hardest").replaceChildren(...project.hardest.map((one) => this.hard(one)));
    if (this.chosen !== null && !there.has(this.chosen)) this.choose(null);
    byId("take-keys").hidden = project.takes.length === 0;
    this.load();
  }

  /** @param {string} title @returns {Strip} */
  strip(title) {
    const heads = { count: make("span", { class: "hint" }), right: make("span", { class: "right" }), now: /** @type {HTMLMeterElement} */ (make("meter", { min: 0, max: 1, "aria-label": `How much the model says ${title} now` })) };
    const rename = make("p", { class: "row" });
    const strip = make("ul", { class: "strip", "aria-label": `Takes of ${title}` });
    const place = /** @type {HTMLDetailsElement} */ (make("details", { class: "class", open: true }, make("summary", {}, make("strong", {}, title), heads.count, heads.right, heads.now), make("div", { class: "body" }, strip, rename)));
    let remove = null;
    if (title !== BACKGROUND && title !== UNLABELLED) {
      remove = button("Remove", () => this.send({ type: "remove_class", name: title }), { "aria-label": `Remove ${title}` });
      rename.append(button("Rename", () => this.rename(rename, title), { "aria-label": `Rename ${title}` }), remove);
    }
    return { place, ...heads, strip, rename, remove };
  }

  /** Put a form in the place of the buttons of a class. @param {HTMLElement} row @param {string} name */
  rename(row, name) {
    const field = /** @type {HTMLInputElement} */ (make("input", { type: "text", "aria-label": `New name of ${name}`, required: true, autocomplete: "off", value: name }));
    const form = make("form", { class: "row" }, field, make("button", {}, "Rename"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send({ type: "rename_class", name, new: field.value });
    });
    const before = [...row.childNodes];
    form.append(button("Keep the name", () => row.replaceChildren(...before)));
    row.replaceChildren(form);
    field.select();
  }

  /** @param {Take} take @returns {HTMLButtonElement} */
  take(take) {
    let made = this.takes.get(take.number);
    if (!made) {
      made = button("", () => this.choose(take.number), { class: "take", tabindex: -1, "data-number": take.number });
      make("li", {}, made);
      this.takes.set(take.number, made);
      this.waiting.push(take.number);
    }
    const held = isHeld(take);
    made.classList.toggle("held", held);
    made.setAttribute("aria-label", `Take ${take.number}, ${take.seconds} s of ${take.modalities.join(" and ") || "nothing"}${held ? ", kept aside for the test" : ""}`);
    return made;
  }

  /** @param {Project["hardest"][number]} one @returns {HTMLElement} a line that chooses the take in its strip */
  hard({ number, label, best, share }) {
    const words = `Take ${number} of ${label}: ${best === label ? `${label} by ${percent(share)} only` : `taken for ${best}`}`;
    const choose = () => {
      this.choose(number);
      this.takes.get(number)?.focus();
    };
    return make("li", {}, button(words, choose));
  }

  /** Choose the take that the buttons act on. @param {number | null} number */
  choose(number) {
    this.chosen = number;
    this.ask(false);
    byId("take-actions").hidden = number === null;
    for (const [each, made] of this.takes) made.setAttribute("aria-pressed", String(each === number));
    const made = number === null ? null : this.takes.get(number);
    const strip = made?.closest(".class");
    if (!made || !strip) return;
    made.closest(".strip")?.after(byId("take-actions"));
    say(byId("take-name"), `Take ${number}`);
    const title = strip.querySelector("strong")?.textContent ?? "";
    this.move.replaceChildren(...[...this.classes.map(({ name }) => name), BACKGROUND].map((name) => make("option", { value: name, selected: name === title }, name)));
  }

  /** @param {boolean} really whether the next press deletes */
  ask(really) {
    byId("delete-take").classList.toggle("sure", really);
    say(byId("delete-take"), really ? "Really delete" : "Delete");
  }

  delete() {
    if (byId("delete-take").classList.contains("sure")) this.send({ type: "delete_take", number: this.chosen });
    else this.ask(true);
  }

  /** @param {string} title */
  moveTo(title) {
    const where = title === BACKGROUND ? { class: null, background: true } : { class: title };
    this.send({ type: "move_take", number: this.chosen, ...where });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const made = event.target instanceof HTMLElement ? event.target.closest(".take") : null;
    if (!(made instanceof HTMLButtonElement)) return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const title = this.classes[Number(event.key) - 1]?.name;
    if (step) {
      const row = [...(made.closest(".strip")?.querySelectorAll("button") ?? [])];
      row[row.indexOf(made) + step]?.focus();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      if (this.chosen !== Number(made.dataset.number)) this.choose(Number(made.dataset.number));
      this.delete();
    } else if (event.key === "Escape") this.choose(null);
    else if (event.key.length === 1 && title !== undefined) {
      this.choose(Number(made.dataset.number));
      this.moveTo(title);
    } else return;
    event.preventDefault();
  }

  /** Show how probable each class is now. @param {Answer | null} answer */
  now(answer) {
    for (const [title, { now, place }] of this.strips) {
      const share = answer?.probabilities[title];
      now.hidden = share === undefined;
      now.value = share ?? 0;
      place.classList.toggle("now", answer !== null && (answer.none ? title === BACKGROUND : answer.best === title));
    }
  }

  /** Load thumbnails one after another: the newest take is the first. */
  async load() {
    if (this.loading) return;
    this.loading = true;
    for (let number = this.waiting.pop(); number !== undefined; number = this.waiting.pop()) {
      const place = this.takes.get(number);
      if (!place) continue;
      const answer = await fetch(`api/takes/${number}`).catch(() => null);
      if (!answer) {
        this.waiting.push(number); // the server is away; the next project says that it is back
        break;
      }
      if (!answer.ok) continue;
      /** @type {Record<string, Preview>} */
      const previews = await answer.json();
      for (const preview of Object.values(previews)) {
        if (preview.picture !== undefined) showPicture(place, preview.picture, "");
        if (preview.wave !== undefined) showWave(place, preview.wave, preview.level ?? null);
      }
    }
    this.loading = false;
  }
}

/** Make the children of a place these, without touching those that stay. @param {HTMLElement} place @param {HTMLElement[]} wanted */
function arrange(place, wanted) {
  for (const child of [...place.children]) if (!wanted.includes(/** @type {HTMLElement} */ (child))) child.remove();
  wanted.forEach((child, index) => {
    if (place.children[index] !== child) place.insertBefore(child, place.children[index] ?? null);
  });
  // One take of a strip is reached by the tabulator; arrow keys reach the others.
  place.querySelectorAll(":scope > li > .take").forEach((take, index) => take.setAttribute("tabindex", index === 0 ? "0" : "-1"));
}
