// The studio: takes the messages of the server and shows them; sends what is pressed.

import { Classes } from "./classes.js";
import { byId, say } from "./dom.js";
import { Givers } from "./give.js";
import { showConnection, showRefusal } from "./notices.js";
import { Recorder } from "./recorder.js";
import { Runs } from "./runs.js";
import { Sensors } from "./sensors.js";
import { Socket } from "./socket.js";
import { Takes } from "./takes.js";

/** @typedef {import("./studio_types.js").Message} Message */
/** @typedef {import("./studio_types.js").Project} Project */
/** @typedef {import("./studio_types.js").State} State */

const GOOD = ["attached", "recovered", "doubtful"]; // states in which a sensor gives samples

/** Names of the sensors that gave something. @type {Set<string>} */
const sensed = new Set();
/** @type {Socket<Message>} */
const socket = new Socket(take, connected);
/** @param {Record<string, unknown>} message */
const send = (message) => socket.send(message);
const classes = new Classes(send);
const sensors = new Sensors(byId("sensors"), send);
const givers = new Givers(socket);
const recorder = new Recorder(send);
const takes = new Takes(send);
const runs = new Runs(send);

/** @param {Message} message */
function take(message) {
  switch (message.type) {
    case "hello":
      say(byId("folder"), message.folder);
      classes.bound(message.bounds);
      recorder.bound(message.bounds);
      sensors.know(message.modalities.map((modality) => ({ ...modality, conditions: [] })));
      givers.offer(message.modalities);
      break;
    case "state":
      show(message);
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

/** @param {State} state */
function show(state) {
  const good = state.sensors.filter((sensor) => GOOD.includes(sensor.kind));
  const live = good.map((sensor) => sensor.modality);
  for (const name of Object.keys(state.previews)) sensed.add(name);
  sensors.show({ sensors: state.sensors, live, lattice: [] }, null);
  for (const [name, preview] of Object.entries(state.previews)) sensors.preview(name, preview);
  if (state.project) showProject(state.project);
  if (state.curves) runs.showCurves(state.curves);
  recorder.show(state, good.some((sensor) => sensed.has(sensor.name)));
  runs.show(state.training);
}

/** @param {Project} project */
function showProject(project) {
  classes.show(project);
  recorder.offer(project);
  takes.show(project);
  runs.know(project);
  byId("live-tab").hidden = project.live === null;
}

/** @param {boolean} isConnected @param {string} why */
function connected(isConnected, why) {
  showConnection(isConnected, why);
  if (!isConnected) givers.lose();
}
