// The classes of the project: added, renamed, and removed while they have no takes.

import { button, byId, make } from "./dom.js";

/** @typedef {import("./studio_types.js").Bounds} Bounds */
/** @typedef {import("./studio_types.js").Project} Project */
/** @typedef {import("./studio_types.js").Send} Send */

/** @param {number} count @param {string} noun @returns {string} such as `2 takes` */
export const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** @param {number} seconds @returns {string} such as `1 min 20 s` */
export function lasting(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export class Classes {
  /** @param {Send} send */
  constructor(send) {
    this.send = send;
    this.name = /** @type {HTMLInputElement} */ (byId("class-name"));
    byId("add-class").addEventListener("submit", (event) => {
      event.preventDefault();
      send({ type: "add_class", name: this.name.value });
      this.name.value = "";
    });
  }

  /** @param {Bounds} bounds */
  bound(bounds) {
    this.name.maxLength = bounds.name;
  }

  /** @param {Project} project */
  show(project) {
    const rows = project.classes.map(({ name, takes, seconds }) => {
      const remove = button("Remove", () => this.send({ type: "remove_class", name }), { "aria-label": `Remove ${name}` });
      remove.disabled = takes > 0;
      const row = make("li", { class: "row" }, make("strong", {}, name), make("span", { class: "hint grow" }, `${counted(takes, "take")}, ${lasting(seconds)}`));
      row.append(button("Rename", () => this.rename(row, name), { "aria-label": `Rename ${name}` }), remove);
      return row;
    });
    byId("class-list").replaceChildren(...rows);
  }

  /** Put a form in the place of a class. @param {HTMLElement} row @param {string} name */
  rename(row, name) {
    const field = /** @type {HTMLInputElement} */ (make("input", { type: "text", "aria-label": `New name of ${name}`, maxlength: this.name.maxLength, required: true, autocomplete: "off" }));
    field.value = name;
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
}
