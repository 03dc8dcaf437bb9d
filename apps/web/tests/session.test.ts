// Sensors that come and go in a session, with encoders that take no time.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Bundle } from "../src/core/bundle";
import type { Prediction } from "../src/core/live_set";
import { Session, type Sensor, type SessionEvent } from "../src/core/session";
import type { InputSpec, Sample } from "../src/core/spec";
import type { Executor } from "../src/executors/executor";
import { Captions } from "../src/sensors/text";

const folder = join(process.env["VECTORS"]!, "multi-class");
const BLACK = new Uint8Array(12 * 16 * 3);

let now = 0;
let session: Session;
let events: string[];
let predictions: Prediction[];
let failing = false;

class Puppet implements Sensor {
  give: (sample: Sample) => void = () => {};
  lose: (reason: string) => void = () => {};
  opened = 0;
  problem = "";

  constructor(readonly modality: string, readonly name = `${modality} puppet`) {}

  async open(_: InputSpec, give: (sample: Sample) => void, lose: (reason: string) => void): Promise<void> {
    this.opened++;
    if (this.problem) throw new Error(this.problem);
    Object.assign(this, { give, lose });
  }

  close(): void {}

  picture(brightness: number): void {
    this.give({ modality: this.modality, data: BLACK.map((_, i) => brightness + (i % 2) + (now % 2)), time: now });
  }
}

const executor: Executor = {
  target: "onnx",
  load: async () => {},
  encode: async (_, window) => {
    if (failing) throw new Error("out of memory");
    return Float32Array.from({ length: 8 }, (_, i) => Math.sin(Number(window[i])));
  },
  unload: async () => {},
};

const settle = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};

/** Let time pass, with a picture of the camera every half second. */
async function pass(seconds: number, camera?: Puppet, brightness = 90): Promise<void> {
  for (const end = now + seconds; now < end; ) {
    now += 0.5;
    camera?.picture(brightness);
    vi.advanceTimersByTime(500);
    await settle();
  }
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const bundle = await Bundle.open({
    read: async (path) => (path.endsWith(".onnx") ? new TextEncoder().encode("x") : new Uint8Array(readFileSync(join(folder, path)))),
  });
  vi.spyOn(bundle, "artifact").mockResolvedValue(new Uint8Array(1)); // reading takes turns that fake time has not
  [now, failing, events, predictions] = [100, false, [], []];
  const said = (event: SessionEvent): string => `${event.kind} ${event.modality}${event.text ? `: ${event.text}` : ""}`;
  session = new Session(bundle, executor, (item) => {
    if ("event" in item) events.push(said(item.event));
    if ("prediction" in item) predictions.push(item.prediction);
  }, () => now);
});

afterEach(() => {
  session.close();
  vi.useRealTimers();
});

test("a camera is lost, is tried again, and comes back", async () => {
  const camera = new Puppet("video");
  await session.attach(camera);
  await pass(3, camera);
  expect(session.live).toEqual(["video"]);
  camera.lose("the device is gone");
  expect(session.live).toEqual([]);
  camera.problem = "in use";
  await pass(1.5);
  camera.problem = "";
  await pass(3);
  await pass(3, camera);
  expect(events.filter((event) => !event.startsWith("unfamiliar"))).toEqual([
    "attached video", "lost video: the device is gone", "lost video: in use", "recovered video",
  ]);
  expect([camera.opened, session.live]).toEqual([3, ["video"]]);
});

test("a camera that works between its losses is tried again as soon as at first", async () => {
  const camera = new Puppet("video");
  await session.attach(camera);
  for (const _ of Array(8)) {
    await pass(3, camera);
    camera.lose("the device is gone");
    await pass(1.5);
  }
  expect(camera.opened).toBe(9);
  for (const _ of Array(8)) {
    camera.lose("the device is gone");
    await pass(1.5);
  }
  expect(camera.opened).toBeLessThan(13);
});

test("a device that is plugged back is tried at once", async () => {
  const camera = new Puppet("video");
  await session.attach(camera);
  for (const _ of [1, 2, 3, 4]) {
    camera.lose("the device is gone");
    await session.retry();
  }
  expect([camera.opened, session.states]).toEqual([5, { video: "open" }]);
});

test("a camera that gives nothing is reopened, and one that shows black is not used", async () => {
  const camera = new Puppet("video");
  await session.attach(camera);
  await pass(3, camera);
  await pass(4);
  expect(events).toContain("lost video: nothing came for 3 s");
  await pass(4, camera);
  await pass(4, camera, 0);
  expect([events.at(-1), session.live]).toEqual(["unhealthy video: the picture is black", []]);
  await pass(2, camera);
  expect([events.includes("recovered video"), session.live]).toEqual([true, ["video"]]);
});

test("an encoder that fails takes its own modality away and nothing else", async () => {
  const [camera, captions] = [new Puppet("video"), new Puppet("text")];
  await session.attach(camera);
  await session.attach(captions);
  await pass(3, camera);
  failing = true;
  captions.give({ modality: "text", data: "number 4", time: now });
  await settle();
  expect([events.at(-1), session.live]).toEqual(["encoder failed text: out of memory", ["video"]]);
  failing = false;
  captions.give({ modality: "text", data: "number 4", time: now });
  await settle();
  expect(predictions.at(-1)!.live).toEqual(["text", "video"]);
});

test("a camera fills its first window while its encoder is loaded, and may be lost meanwhile", async () => {
  let loaded = (): void => {};
  const load = vi.spyOn(executor, "load").mockReturnValue(new Promise((resolve) => (loaded = resolve)));
  const camera = new Puppet("video");
  void session.attach(camera);
  await settle();
  await pass(3, camera);
  camera.lose("the device is gone");
  await pass(1);
  await pass(3, camera);
  expect([events, predictions]).toEqual([["lost video: the device is gone"], []]);
  loaded();
  await settle();
  expect([events.at(-1), predictions.map(({ live }) => live)]).toEqual(["recovered video", [["video"]]]);
  load.mockRestore();
});

test("samples that are late, of a sensor that was replaced, are not used", async () => {
  const [first, second] = [new Puppet("text", "first"), new Puppet("text", "second")];
  await session.attach(first);
  await session.attach(second);
  first.give({ modality: "text", data: "number 4", time: now });
  first.lose("gone");
  await settle();
  expect([predictions, session.states]).toEqual([[], { text: "open" }]);
});

test("a caption that is written while its encoder is loaded is answered", async () => {
  const captions = new Captions("text");
  const attached = session.attach(captions);
  captions.write("number 4");
  now = performance.now() / 1000;
  await attached;
  await settle();
  expect(predictions.map(({ live }) => live)).toEqual([["text"]]);
});

test("10,000 plug events leave nothing behind, and the heap does not grow", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const camera = new Puppet("video");
  const plug = async (times: number): Promise<number> => {
    for (let i = 0; i < times; i++) {
      await session.attach(camera);
      session.detach("video");
    }
    expect(events).toHaveLength(2 * times);
    events = [];
    collect();
    return process.memoryUsage().heapUsed;
  };
  // A leak grows in every round; code that is compiled meanwhile, in one.
  const sizes = [await plug(500)];
  for (let round = 0; round < 5; round++) sizes.push(await plug(1000));
  expect(Math.min(...sizes.slice(1).map((size, i) => size - sizes[i]!))).toBeLessThan(20_000); // bytes: ten a plug event
  await session.attach(camera);
  const { sensors, loads, liveSet } = session as unknown as { sensors: Map<string, unknown>; loads: Map<string, unknown>; liveSet: { windows: Map<string, unknown> } };
  expect([sensors.size, loads.size, liveSet.windows.size]).toEqual([1, 1, 1]);
});
