// The live page: takes the messages of the session and shows them; sends what is pressed.

import { byId, make, put, say } from "./dom.js";
import { RemoteGivers } from "./give.js";
import { Hearing } from "./hear.js";
import { Live } from "./live.js";
import { showConnection, showRefusal } from "./notices.js";
import { Socket } from "./socket.js";

/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").State} State */

/** @type {Socket<Message>} */
const socket = new Socket(take, connected);
const givers = new RemoteGivers(socket);
const live = new Live((message) => socket.send(message), givers);
const hearing = new Hearing(byId("hear"));
byId("record").addEventListener("click", () => socket.send({ type: "record", on: live.state?.recorded === null }));

/** @param {Message} message */
function take(message) {
  switch (message.type) {
    case "hello":
      live.greet(message);
      byId("tabs").hidden = message.home === null;
      if (message.home !== null) byId("tabs").replaceChildren(make("a", { href: message.home }, "Studio"), make("a", { href: "./", "aria-current": "page" }, "Live page"));
      break;
    case "state":
      givers.attend(message.sensors);
      live.take(message);
      hearing.take(message.previews, live.modalities);
      recording(message);
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

/** @param {State} now */
function recording({ recorded, recording_failed }) {
  const on = recorded !== null;
  put(byId("record"), "aria-pressed", String(on));
  say(byId("record"), on ? "Stop recording" : "Record");
  say(byId("recorded"), recording_failed ? `The recording has failed: ${recording_failed}` : on ? `${recorded} segments to ${live.recordings.split("/").slice(-2).join("/")}` : "");
}

/** @param {boolean} isConnected @param {string} why */
function connected(isConnected, why) {
  showConnection(isConnected, why);
  if (!isConnected) givers.lose();
}
