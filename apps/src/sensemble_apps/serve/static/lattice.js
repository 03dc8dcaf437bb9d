// The lattice of subsets: one row for each size, from all sensors down to one.

import { make, percent, say } from "./dom.js";

/** @typedef {import("./types.js").Subset} Subset */
/** @typedef {import("./types.js").Opinion} Opinion */

export class Lattice {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    /** By the subset's name. @type {Map<string, {cell: HTMLElement, says: HTMLElement}>} */
    this.cells = new Map();
  }

  /** @param {Subset[]} subsets */
  build(subsets) {
    this.place.replaceChildren();
    this.cells.clear();
    const largest = Math.max(...subsets.map(({ modalities }) => modalities.length));
    for (let size = largest; size > 0; size--) {
      const row = make("ul", { "aria-label": size === 1 ? "One modality" : `${size} modalities` });
      for (const subset of subsets.filter(({ modalities }) => modalities.length === size)) row.append(this.cell(subset));
      this.place.append(row);
    }
  }

  /** @param {Subset} subset @returns {HTMLElement} */
  cell(subset) {
    const says = make("span", { class: "says" }, "–");
    const range = subset.low !== undefined && subset.high !== undefined ? ` (${Math.round(100 * subset.low)} to ${Math.round(100 * subset.high)})` : "";
    const accuracy = subset.accuracy === null ? "not audited" : `right ${percent(subset.accuracy)}${range}`;
    const bar = make("meter", { min: 0, max: 1, value: subset.accuracy ?? 0, "aria-hidden": "true" });
    const cell = make("li", {}, make("strong", {}, subset.modalities.join(" + ")), says, make("span", { class: "audited" }, accuracy), bar);
    this.cells.set(subset.subset, { cell, says });
    return cell;
  }

  /**
   * @param {string[]} live
   * @param {Opinion[]} opinions of its subsets
   */
  show(live, opinions) {
    const said = new Map(opinions.map((opinion) => [opinion.subset, opinion]));
    const name = [...live].sort().join("+");
    for (const [subset, { cell, says }] of this.cells) {
      const opinion = said.get(subset);
      const current = subset === name;
      cell.classList.toggle("live", current);
      if (current) cell.setAttribute("aria-current", "true");
      else cell.removeAttribute("aria-current");
      cell.classList.toggle("within", subset.split("+").every((modality) => live.includes(modality)));
      cell.classList.toggle("unsure", opinion?.label === null);
      say(says, opinion ? `${opinion.label ?? (opinion.best ? `unsure, ${opinion.best}?` : "unsure")} ${percent(opinion.confidence)}` : "–");
    }
  }
}
