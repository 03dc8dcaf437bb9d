// The takes by class, each with what its sensors gave, and what is missing of them.

import { counted, lasting } from "./classes.js";
import { button, byId, make, say } from "./dom.js";
import { BACKGROUND, UNLABELLED } from "./recorder.js";
import { showPicture, showWave } from "./sensors.js";

/** @typedef {import("./studio_types.js").Project} Project */
/** @typedef {import("./studio_types.js").Take} Take */
/** @typedef {import("./studio_types.js").Send} Send */
/** @typedef {import("./types.js").Preview} Preview */

/** The use of a take by its split. @type {Record<string, string>} */
const USES = { pretrain: "learned from without a label", train: "learned from", calibrate: "held out: calibrate", eval: "held out: eval" };
const SURE = 4000; // milliseconds for which a second press deletes

/** @param {Take} take @returns {string} */
const groupOf = (take) => take.label ?? (take.background ? BACKGROUND : UNLABELLED);

export class Takes {
  /** @param {Send} send */
  constructor(send) {
    this.send = send;
    /** By number. @type {Map<number, HTMLElement>} */
    this.cards = new Map();
    /** Takes whose thumbnails are not loaded yet. @type {number[]} */
    this.waiting = [];
    this.loading = false;
    byId("hold-out").addEventListener("click", () => send({ type: "hold_out" }));
  }

  /** @param {Project} project */
  show(project) {
    const there = new Set(project.takes.map((take) => take.number));
    for (const number of this.cards.keys()) if (!there.has(number)) this.cards.delete(number);
    /** @type {Map<string, Take[]>} */
    const groups = new Map();
    for (const take of project.takes) groups.set(groupOf(take), [...(groups.get(groupOf(take)) ?? []), take]);
    const order = [...project.classes.map(({ name }) => name), BACKGROUND, UNLABELLED];
    const made = order.filter((name) => groups.has(name)).map((name) => this.group(name, groups.get(name) ?? []));
    if (!made.length) made.push(make("p", { class: "hint" }, "No takes yet."));
    byId("takes").replaceChildren(...made);
    this.load();
    this.missing(project);
  }

  /** @param {string} name @param {Take[]} takes @returns {HTMLElement} */
  group(name, takes) {
    const seconds = takes.reduce((sum, take) => sum + take.seconds, 0);
    const list = make("ul", { class: "takes" }, ...takes.map((take) => this.card(take)));
    return make("div", { class: "group" }, make("h3", {}, name, make("span", { class: "hint" }, ` ${counted(takes.length, "take")}, ${lasting(seconds)}`)), list);
  }

  /** @param {Take} take @returns {HTMLElement} */
  card(take) {
    let card = this.cards.get(take.number);
    if (!card) {
      card = make("li", {}, make("div", { class: "thumbs" }), make("p", {}), this.deletion(take));
      this.cards.set(take.number, card);
      this.waiting.push(take.number);
    }
    const held = take.proposed === take.split ? USES[take.split] : `to be held out: ${take.proposed}`;
    say(/** @type {Element} */ (card.querySelector("p")), `Take ${take.number}, ${take.seconds} s of ${take.modalities.join(" and ") || "nothing"}; ${held}`);
    card.classList.toggle("held", take.proposed !== "train" && take.proposed !== "pretrain");
    return card;
  }

  /** Make a button that deletes at a second press. @param {Take} take @returns {HTMLButtonElement} */
  deletion(take) {
    const made = button("Delete", () => {
      if (made.classList.contains("sure")) this.send({ type: "delete_take", number: take.number });
      else setTimeout(() => ask(false), SURE);
      ask(true);
    });
    const ask = (/** @type {boolean} */ sure) => {
      made.classList.toggle("sure", sure);
      say(made, sure ? "Really delete" : "Delete");
      made.setAttribute("aria-label", `${sure ? "Really delete" : "Delete"} take ${take.number}`);
    };
    ask(false);
    return made;
  }

  /** Load thumbnails one after another: the newest take is the first. */
  async load() {
    if (this.loading) return;
    this.loading = true;
    for (let number = this.waiting.pop(); number !== undefined; number = this.waiting.pop()) {
      const place = this.cards.get(number)?.querySelector(".thumbs");
      if (!place) continue;
      const answer = await fetch(`api/takes/${number}`).catch(() => null);
      if (!answer) {
        this.waiting.push(number); // the server is away; the next project says that it is back
        break;
      }
      if (!answer.ok) continue;
      /** @type {Record<string, Preview>} */
      const previews = await answer.json();
      for (const [modality, preview] of Object.entries(previews)) {
        const thumb = place.appendChild(make("div", { class: "thumb" }));
        if (preview.picture !== undefined) showPicture(thumb, preview.picture, `${modality} in the middle of take ${number}`);
        if (preview.wave !== undefined) showWave(thumb, preview.wave, preview.level ?? null);
      }
    }
    this.loading = false;
  }

  /** @param {Project} project */
  missing(project) {
    const lines = [...project.missing];
    if (project.classes.filter(({ takes }) => takes > 0).length < 2) lines.unshift("A model needs takes of two classes or more.");
    if (!lines.length) lines.push("Nothing: there is enough of everything.");
    byId("missing").replaceChildren(...lines.map((line) => make("li", {}, line)));
    const table = byId("shares");
    table.hidden = project.shares.length === 0;
    const rows = project.shares.map(({ name, train, calibrate, eval: judged }) => make("tr", {}, make("th", { scope: "row" }, name), ...[train, calibrate, judged].map((count) => make("td", {}, String(count)))));
    table.querySelector("tbody")?.replaceChildren(...rows);
    const possible = project.shares.some((share) => share.eval > 0);
    /** @type {HTMLButtonElement} */ (byId("hold-out")).disabled = !possible || project.divided;
    say(byId("divided"), project.divided ? "They are held out." : possible ? "" : "Record two takes or more of each class first.");
  }
}
