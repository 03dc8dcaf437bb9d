// What every page says of its connection, and of what the server refuses.

import { byId, say } from "./dom.js";

const SHOWN = 8000; // milliseconds for which a refusal is shown, unless it is pressed
let timer = 0;

/** @param {boolean} isConnected @param {string} why it is lost */
export function showConnection(isConnected, why) {
  document.body.classList.toggle("lost", !isConnected);
  say(byId("connection"), isConnected ? "connected" : `not connected: ${why}`);
}

/** @param {string} reason */
export function showRefusal(reason) {
  const note = byId("refused");
  note.hidden = false;
  say(note, reason);
  const hide = () => (note.hidden = true);
  clearTimeout(timer);
  timer = setTimeout(hide, SHOWN);
  note.onclick = hide;
}
