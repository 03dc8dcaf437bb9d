// The studio: takes the messages of the server and shows them; sends what is pressed.

import { Classes } from "./classes.js";
import { PhoneDialog } from "./deliver.js";
import { byId, say } from "./dom.js";
import { RemoteGivers } from "./give.js";
import { Models } from "./models.js";
import { showConnection, showRefusal } from "./notices.js";
import { Sensors } from "./sensors.js";
import { Socket } from "./socket.js";
import { Stage } from "./stage.js";

/** @typedef {import("./studio_types.js").Message} Message */
/** @typedef {import("./studio_types.js").Project} Project */
/** @typedef {import("./studio_types.js").State} State */

const GOOD = ["attached", "recovered", "doubtful"]; // states in which a sensor gives samples

/** Names of the sensors that gave something. @type {Set<string>} */
const sensed = new Set();
/** @type {Project | null} */
let project = null;
let status = ""; // of the training
let row = false; // whether takes are recorded in a row
/** @type {Socket<Message>} */
const socket = new Socket(take, connected);
/** @param {Record<string, unknown>} message */
const send = (message) => socket.send(message);
const givers = new RemoteGivers(socket);
const sensors = new Sensors(byId("sensors"), send, (name) => givers.titles.get(name));
const stage = new Stage(send);
const classes = new Classes(send);
const phone = new PhoneDialog(send);
const models = new Models(send, {
  give: () => givers.devices.forEach((modality) => givers.given.has(modality.modality) || givers.ask(modality)),
  name: () => byId("class-name").focus(),
  record: (title) => {
    stage.choose(title);
    byId("hold").focus();
    byId("stage").scrollIntoView();
  },
});

/** @param {Message} message */
function take(message) {
  switch (message.type) {
    case "hello":
      say(byId("folder"), message.folder);
      classes.bound(message.bounds);
      stage.bound(message.bounds, message.modalities);
      models.sensors = stage.sensors;
      sensors.know(message.modalities.map((modality) => ({ ...modality, conditions: [] })));
      givers.offer(message.modalities);
      break;
    case "state":
      givers.attend(message.sensors);
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
  for (const name of Object.keys(state.previews)) sensed.add(name);
  sensors.show({ sensors: state.sensors, live: good.map((sensor) => sensor.modality), lattice: [] }, null);
  for (const [name, preview] of Object.entries(state.previews)) sensors.preview(name, preview);
  const given = good.some((sensor) => sensed.has(sensor.name));
  if (state.project) {
    // Once it is recorded, what a sensor gives is on the stage.
    if (!project?.takes.length && state.project.takes.length) /** @type {HTMLDetailsElement} */ (byId("sensors-panel")).open = false;
    project = state.project;
    classes.show(project);
    stage.offer(project);
    phone.show(project.phones);
    byId("live-tab").hidden = project.live === null;
    byId("between").hidden = !project.between;
  }
  stage.preview(state.previews);
  stage.show(state, given);
  classes.now(state.answer);
  if (!project) return;
  if (state.project || status !== state.training?.status) models.list(project, state.training);
  status = state.training?.status ?? "";
  models.next(project, state, given);
  if (row && !state.take) {
    const least = project.classes.reduce((few, one) => (one.takes < few.takes ? one : few));
    stage.choose(least.name); // so that the next row is of what lacks takes
  }
  row = (state.take?.count ?? 1) > 1;
}

/** @param {boolean} isConnected @param {string} why */
function connected(isConnected, why) {
  showConnection(isConnected, why);
  if (!isConnected) givers.lose();
}
