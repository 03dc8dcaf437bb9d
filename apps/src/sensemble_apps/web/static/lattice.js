// The lattice: every set of sensors as a node, from all of them down to none. The live one is lit, and when a
// sensor comes or goes the light moves along an edge.

import { draw, icon, make, percent, rightOf, say, spaced } from "./dom.js";
import { inWords, WANTED } from "./sensors.js";

/** @typedef {import("./types.js").Modality} Modality */
/** @typedef {import("./types.js").Subset} Subset */
/** @typedef {Pick<import("./types.js").Opinion, "subset" | "label" | "best" | "confidence" | "words">} Opinion */
/** @typedef {Pick<import("./types.js").Answer, "audited">} Answer */
/** @typedef {{set: string[], cell: HTMLElement, node: HTMLElement, says: HTMLElement, score: Subset, x: number, y: number}} Node the middle of `node` */
/** @typedef {Map<string, string>} Troubles what is wrong, by modality */

const STEP = 450; // milliseconds in which the light moves along an edge
const LOW = [0.5, 0.7, 0.8, 0.9, 0.95]; // the lower ends of intervals at which the colour changes
const ROOM = { wide: 150, mid: 76, small: 36 }; // pixels of a row for each of its nodes
const FEW = 3; // modalities whose symbols have room beside each other
const HALF = 5; // pixels of a letter of a chip, halved and generous
const motion = matchMedia("(prefers-reduced-motion: reduce)");

/** @param {DOMRect} a @param {DOMRect} b @returns {boolean} */
const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
/** @param {Subset} score @returns {string | null} how often it was right in the audit; null if it was not audited */
const right = ({ accuracy, n }) => (accuracy === null ? null : rightOf({ accuracy, n }));
/** @param {string[]} set @returns {string} */
const key = (set) => [...set].sort().join("+");

export class Lattice {
  /**
   * @param {HTMLElement} place
   * @param {HTMLElement} words where a set is described
   */
  constructor(place, words) {
    this.place = place;
    this.words = words;
    /** By the set's name; the empty set has an empty one. @type {Map<string, Node>} */
    this.nodes = new Map();
    /** By modality. @type {Map<string, Modality>} */
    this.modalities = new Map();
    /** The live set that is shown; null before the first. @type {string[] | null} */
    this.shown = null;
    /** The one before it; empty if none was. @type {string[]} */
    this.before = [];
    /** The set that is looked at; null for the live one. @type {string | null} */
    this.looked = null;
    /** The set that was added because it is live; null if it is drawn anyway. @type {string | null} */
    this.inserted = null;
    /** @type {Troubles} */
    this.troubles = new Map();
    /** @type {Map<string, Opinion>} */
    this.said = new Map();
    this.edges = draw("svg", { "aria-hidden": "true" });
    new ResizeObserver(() => this.layOut()).observe(place);
    place.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.look(this.nearest(event)));
    place.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.look(null));
    place.addEventListener("click", (event) => this.look(this.nearest(event)));
    place.addEventListener("keydown", (event) => this.press(event));
    place.addEventListener("blur", () => this.look(null));
  }

  /** @param {Subset[]} subsets @param {Modality[]} modalities */
  build(subsets, modalities) {
    this.modalities = new Map(modalities.map((modality) => [modality.modality, modality]));
    this.nodes.clear();
    this.inserted = null;
    this.place.replaceChildren(this.edges);
    this.before = [];
    this.shown = null;
    const sizes = [...new Set([0, ...subsets.map((subset) => subset.modalities.length)])].sort((a, b) => b - a);
    const nil = { subset: "", modalities: [], accuracy: null };
    for (const size of sizes) {
      const row = make("ul", { "data-size": size, "aria-label": size === 1 ? "One sensor" : `${size || "No"} sensors` });
      for (const subset of size ? subsets : [nil]) if (subset.modalities.length === size) row.append(this.add(subset));
      this.place.append(row);
    }
  }

  /** The live set that is shown. */
  get live() {
    return this.shown ?? [];
  }

  /** @param {string[]} set @returns {string | null} how often it was right in the audit; null if it was not audited */
  right(set) {
    const score = this.nodes.get(key(set))?.score;
    return score ? right(score) : null;
  }

  /** @param {Subset} score @returns {HTMLElement} */
  add(score) {
    const set = score.modalities;
    const lost = [...this.modalities.keys()].filter((modality) => !set.includes(modality));
    const few = lost.length === 1 && set.length > FEW; // then the one that is lost says it shorter
    const says = make("span", { class: "says" });
    const step = LOW.filter((low) => (score.low ?? 0) >= low).length;
    const parts = set.length
      ? [
          make("span", { class: few ? "icons lost" : "icons" }, ...(few ? lost : set).map((modality) => icon(this.modalities.get(modality)?.icon ?? ""))),
          make("span", { class: "names" }, this.title(set)),
          make("b", {}, right(score) ?? "–"),
          says,
        ]
      : ["none"];
    const node = make("div", { class: `node q${step}` }, ...parts);
    const cell = make("li", { class: set.length ? "" : "nil" }, node);
    this.nodes.set(score.subset, { set, cell, node, says, score, x: 0, y: 0 });
    return cell;
  }

  /** @param {string[]} set @returns {string} */
  title(set) {
    return set.map((modality) => this.modalities.get(modality)?.sensor ?? modality).join(" + ") || "no sensor";
  }

  /** Give each row the room that it has, and draw the edges. */
  layOut() {
    const rows = [...this.place.querySelectorAll("ul")];
    const tightest = this.place.clientWidth / Math.max(...rows.map((row) => row.children.length));
    for (const row of rows) {
      const each = row.clientWidth / row.children.length;
      row.dataset.room = tightest > ROOM.wide ? "wide" : each > ROOM.mid ? "mid" : each > ROOM.small ? "small" : "dot";
    }
    const all = this.place.getBoundingClientRect();
    for (const found of this.nodes.values()) {
      const box = found.node.getBoundingClientRect();
      [found.x, found.y] = [box.x + box.width / 2 - all.x, box.y + box.height / 2 - all.y];
    }
    this.edges.replaceChildren();
    for (const [name, from] of this.nodes)
      for (const modality of from.set) {
        const lower = key(from.set.filter((other) => other !== modality));
        const to = this.nodes.get(lower);
        if (to) this.edges.append(draw("line", { "data-edge": `${name}>${lower}`, x1: from.x, y1: from.y, x2: to.x, y2: to.y }));
      }
    this.mark();
  }

  /**
   * @param {string[]} live
   * @param {Opinion[]} opinions of its subsets
   * @param {Troubles} troubles of modalities that are not live, or not to be trusted
   * @param {Answer | null} answer whose live set may be none that was drawn
   */
  show(live, opinions, troubles, answer) {
    this.said = new Map(opinions.map((opinion) => [opinion.subset, opinion]));
    if (!this.place.querySelector("[data-room]")) this.layOut(); // now, so that nothing jumps
    const name = key(live);
    if (this.inserted !== name) this.remove();
    if (!this.nodes.has(name) && this.nodes.size) this.insert(name, live, answer);
    for (const [subset, { set, cell, says }] of this.nodes) {
      const opinion = this.said.get(subset);
      cell.classList.toggle("lit", subset === name);
      if (subset === name) cell.setAttribute("aria-current", "true");
      else cell.removeAttribute("aria-current");
      cell.classList.toggle("within", set.length > 0 && set.every((modality) => live.includes(modality)));
      say(says, opinion ? spaced(opinion.label ?? (opinion.best ? `${opinion.best}?` : "unsure")) : "");
    }
    const moved = this.shown === null || name !== key(this.shown);
    const changed = moved || JSON.stringify([...troubles]) !== JSON.stringify([...this.troubles]);
    this.troubles = troubles;
    if (moved) {
      if (this.shown) this.travel(this.shown, live);
      this.before = this.shown ?? [];
      this.shown = live;
    }
    if (changed) requestAnimationFrame(() => this.mark()); // once the rest of the page is laid out
    this.tell();
  }

  /** Add the live set to a lattice that is too large to be drawn whole. @param {string} name @param {string[]} live @param {Answer | null} answer */
  insert(name, live, answer) {
    const row = [...this.place.querySelectorAll("ul")].find((one) => Number(one.dataset.size) <= live.length);
    const cell = this.add({ subset: name, modalities: live, accuracy: null, ...answer?.audited });
    const own = make("ul", { "data-size": live.length, "aria-label": `${live.length} sensors` }, cell);
    if (Number(row?.dataset.size) === live.length) row?.append(cell);
    else this.place.insertBefore(own, row ?? null);
    this.inserted = name;
    this.layOut();
  }

  /** Remove the set that was inserted. */
  remove() {
    if (this.inserted === null) return;
    const cell = this.nodes.get(this.inserted)?.cell;
    const row = cell?.parentElement;
    (row?.children.length === 1 ? row : cell)?.remove();
    this.nodes.delete(this.inserted);
    if (this.looked === this.inserted) this.looked = null;
    this.inserted = null;
    this.layOut();
  }

  /** Move the light from one set to another. @param {string[]} from @param {string[]} to */
  travel(from, to) {
    if (motion.matches) return;
    const way = [from];
    for (const lost of from.filter((modality) => !to.includes(modality))) way.push(way[way.length - 1].filter((one) => one !== lost));
    for (const found of to.filter((modality) => !from.includes(modality))) way.push([...way[way.length - 1], found]);
    const frames = way.flatMap((set) => {
      const at = this.nodes.get(key(set));
      return at ? [{ transform: `translate(${at.x}px, ${at.y}px)` }] : [];
    });
    const light = draw("circle", { r: 8 });
    this.edges.append(light);
    light.animate(frames, { duration: STEP * Math.max(1, frames.length - 1), easing: "ease-in-out" }).finished.finally(() => light.remove());
  }

  /** Mark the edges of what went last, and of sensors that something is wrong with. */
  mark() {
    for (const chip of this.place.querySelectorAll(".chip")) chip.remove();
    const { before, live } = this;
    for (const line of this.edges.querySelectorAll("line")) line.setAttribute("class", line.dataset.edge?.split(">").includes(key(live)) ? "near" : "");
    const news = [...this.troubles].sort(([one]) => (before.includes(one) ? -1 : 1));
    for (const [modality, wrong] of news) this.markOne(modality, wrong === "unplugged" ? "" : inWords(wrong, this.modalities.get(modality)), WANTED.includes(wrong) ? "last" : "bad");
    const [larger, smaller] = before.length > live.length ? [before, live] : [live, before];
    const [moved, ...more] = larger.filter((modality) => !smaller.includes(modality));
    const isEdge = before.length > 0 && more.length === 0 && larger.length === smaller.length + 1;
    if (isEdge && !this.troubles.has(moved)) this.markOne(moved, larger === live ? "back" : "", "last");
  }

  /** Mark the edge between the live set with a modality and without it. @param {string} modality @param {string} words @param {string} kind */
  markOne(modality, words, kind) {
    const lower = this.live.filter((one) => one !== modality);
    const upper = [...lower, modality];
    const line = this.edges.querySelector(`[data-edge="${key(upper)}>${key(lower)}"]`);
    if (!line) return;
    line.setAttribute("class", kind);
    this.edges.append(line); // above the others
    const [high, low] = [this.right(upper), this.right(lower)];
    const [first, last] = words === "back" ? [low, high] : [high, low];
    const change = first === null || last === null ? "" : ` ${first.replace("\u00a0%", "")} → ${last}`;
    if (!words && !change) return;
    const title = this.title([modality]);
    const text = `${title}${words ? ` ${words}` : ""}${change && ":"}${change}`;
    const [x1, y1, x2, y2] = ["x1", "y1", "x2", "y2"].map((name) => Number(line.getAttribute(name)));
    const room = Math.min(HALF * text.length, this.place.clientWidth / 2);
    const x = Math.min(Math.max((x1 + x2) / 2, room), this.place.clientWidth - room);
    const chip = make("div", { class: `chip ${kind}` }, text);
    Object.assign(chip.style, { left: `${x}px`, top: `${(y1 + y2) / 2}px` });
    this.place.append(chip);
    const box = chip.getBoundingClientRect();
    const covers = [...this.place.querySelectorAll(".chip")].some((other) => other !== chip && overlap(box, other.getBoundingClientRect()));
    if (covers) chip.remove(); // the mark on the edge stays
  }

  /** @param {MouseEvent} event @returns {string | null} the set whose node is nearest */
  nearest(event) {
    const all = this.place.getBoundingClientRect();
    let [found, least] = [/** @type {string | null} */ (null), Infinity];
    for (const [name, { x, y }] of this.nodes) {
      const far = Math.hypot(x - event.clientX + all.x, y - event.clientY + all.y);
      if (far < least) [found, least] = [name, far];
    }
    return found;
  }

  /** Look at a set; null for the live one. @param {string | null} name */
  look(name) {
    this.looked = name;
    this.words.setAttribute("aria-live", name === null ? "off" : "polite"); // the answer is read anyway
    for (const [subset, { cell }] of this.nodes) cell.classList.toggle("looked", subset === name);
    this.tell();
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const way = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (way === undefined) return;
    event.preventDefault();
    const names = [...this.nodes.keys()];
    const at = names.indexOf(this.looked ?? key(this.live));
    this.look(names[Math.min(Math.max(at + way, 0), names.length - 1)]);
  }

  /** Describe the set that is looked at, or the live one. */
  tell() {
    const name = this.looked ?? key(this.live);
    const found = this.nodes.get(name);
    if (!found) return;
    const { low, high, accuracy, n } = found.score;
    const range = low !== undefined && high !== undefined ? ` (${Math.round(100 * low)} to ${percent(high)} by ${n} examples)` : "";
    const often = accuracy === null ? "" : rightOf({ accuracy, n });
    const audit = accuracy === null ? "not audited" : often.endsWith("%") ? `right ${often} of the time${range}` : `right in ${often} examples: too few to say how often`;
    const said = this.looked === null ? undefined : this.said.get(name);
    const now = said ? `; says ${said.label ? `${said.label}, ${percent(said.confidence)}` : said.words}` : "";
    const words = `: ${found.set.length ? audit : "no answer"}${now}`;
    if (this.words.textContent !== this.title(found.set) + words) this.words.replaceChildren(make("strong", {}, this.title(found.set)), words);
  }
}
