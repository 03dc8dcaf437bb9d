// Small helpers that make and change elements. All text goes in as text: nothing here parses HTML.

/**
 * Return the element with an id, which the page has.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * Make an element with attributes and children.
 * @param {string} tag
 * @param {Record<string, string | number | boolean>} [attributes] `false` leaves one out
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
  element.append(...children);
  return element;
}

/**
 * Make an SVG element.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
export function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * Draw a symbol in lines.
 * @param {string} path on a square of 24 units
 * @returns {SVGElement}
 */
export const icon = (path) => draw("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, draw("path", { d: path }));

/**
 * Set an element's text, unless it has it: a screen reader reads only what changes.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Set an attribute, unless the element has it: each change costs the page a look at its styles.
 * @param {Element} element
 * @param {string} name
 * @param {string} value
 */
export function put(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Make a button.
 * @param {string} text
 * @param {() => void} press
 * @param {Record<string, string | number | boolean>} [attributes]
 * @returns {HTMLButtonElement}
 */
export function button(text, press, attributes = {}) {
  const made = /** @type {HTMLButtonElement} */ (make("button", { type: "button", ...attributes }, text));
  made.addEventListener("click", press);
  return made;
}

/** @param {number} share @returns {string} in per cent */
export const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

export const FEW = 20; // examples, below which a share is counted: six of six are not 100 %

/** @param {{accuracy: number, n?: number}} score @returns {string} how often it was right: in per cent, or `6 of 6` */
export const rightOf = ({ accuracy, n }) => (n !== undefined && n < FEW ? `${Math.round(accuracy * n)} of ${n}` : percent(accuracy));

/** @param {string} label @returns {string} with spaces, at which a line may break */
export const spaced = (label) => label.replace(/_+/g, " ");

/** @param {number} seconds @returns {string} minutes and seconds */
export function clock(seconds) {
  const whole = Math.max(0, seconds);
  return `${Math.floor(whole / 60)}:${(whole % 60).toFixed(1).padStart(4, "0")}`;
}
