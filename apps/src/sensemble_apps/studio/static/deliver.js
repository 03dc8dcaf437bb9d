// Where a model goes: to a phone, into a file, onto the live page.

import { button, byId, make, say } from "./dom.js";

/** @typedef {import("./studio_types.js").Phones} Phones */
/** @typedef {import("./studio_types.js").Send} Send */

const DOWNLOADS = { model: "The model, for a program", site: "A website of it, for any server", data: "The takes" };
const SHOWN = 23; // characters of the certificate's fingerprint

/**
 * Buttons of a model.
 * @param {number} run @param {boolean} ready whether phones can run it @param {boolean} live @param {Send} send @returns {HTMLElement}
 */
export function delivery(run, ready, live, send) {
  const phone = button("Send to my phone", () => send({ type: "send_to_phones", run }));
  phone.disabled = !ready;
  const files = Object.entries(DOWNLOADS).filter(([what]) => ready || what !== "site");
  const links = files.map(([what, words]) => make("li", {}, make("a", { href: `download/${what}.zip?run=${run}`, download: "" }, words)));
  const row = make("div", { class: "deliver" }, phone);
  if (live) row.append(make("a", { class: "button", href: "live/" }, "Live"));
  row.append(make("details", {}, make("summary", {}, "Download"), make("ul", {}, ...links)));
  if (!ready) row.append(make("p", { class: "hint" }, "It is being made ready for phones."));
  return row;
}

export class PhoneDialog {
  /** @param {Send} send */
  constructor(send) {
    this.dialog = /** @type {HTMLDialogElement} */ (byId("phone"));
    this.address = "";
    byId("phone-close").addEventListener("click", () => this.dialog.close());
    byId("phone-stop").addEventListener("click", () => send({ type: "stop_phones" }));
  }

  /** @param {Phones | null} phones */
  show(phones) {
    const address = phones?.address ?? "";
    if (address === this.address) return;
    this.address = address;
    if (!phones) {
      this.dialog.close();
      return;
    }
    /** @type {HTMLImageElement} */ (byId("phone-code")).src = phones.code;
    say(byId("phone-address"), phones.address);
    say(byId("phone-certificate"), phones.certificate.slice(0, SHOWN));
    if (!this.dialog.open) this.dialog.showModal();
  }
}
