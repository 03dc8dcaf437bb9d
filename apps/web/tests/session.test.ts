// The driver of an engine: devices, timers and encoders, which take no time. What is decided is in `engine.test.ts`.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { queryObjects } from "node:v8";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Bundle } from "../src/core/bundle";
import type { Prediction } from "../src/core/live_set";
import { Session, type Sensor } from "../src/core/session";
import { SensembleError, type InputSpec, type Sample } from "../src/core/spec";
import type { Executor } from "../src/executors/executor";
import { Captions } from "../src/sensors/text";

const folder = join(process.env["VECTORS"]!, "multi-class");
const PICTURE = new Uint8Array(12 * 16 * 3);

let now = 0;
let session: Session;
let events: string[];
let predictions: Prediction[];
let failing = false;

class Puppet implements Sensor {
  give: (sample: Sample) => void = () => {};
  lose: (reason: string) => void = () => {};
  end: () => void = () => {};
  opened = 0;
  closed = 0;
  problem = "";

  constructor(readonly modality: string, readonly name = `${modality} puppet`) {}

  async open(_: InputSpec, give: (sample: Sample) => void, lose: (reason: string) => void, end: () => void): Promise<void> {
    this.opened++;
    if (this.problem) throw new Error(this.problem);
    Object.assign(this, { give, lose, end });
  }

  close(): void {
    this.closed++;
  }

  picture(): void {
    this.give({ modality: this.modality, data: PICTURE.map((_, i) => 90 + (i % 2) + (now % 2)), time: now });
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
async function pass(seconds: number, camera?: Puppet): Promise<void> {
  for (const end = now + seconds; now < end; ) {
    now += 0.5;
    camera?.picture();
    vi.advanceTimersByTime(500);
    await settle();
  }
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout"] });
  const bundle = await Bundle.open({
    read: async (path) => (path.endsWith(".onnx") ? new TextEncoder().encode("x") : new Uint8Array(readFileSync(join(folder, path)))),
  });
  bundle.artifact = async () => new Uint8Array(1); // reading takes turns that fake time has not
  [now, failing, events, predictions] = [100, false, [], []];
  session = new Session(bundle, executor, (item) => {
    if ("event" in item && !["live", "unfamiliar"].includes(item.event.kind) && !item.event.label) events.push(`${item.event.kind} ${item.event.modality}${item.event.text ? `: ${item.event.text}` : ""}`);
    if ("prediction" in item) predictions.push(item.prediction);
  }, () => now);
});

afterEach(() => {
  session.close();
  vi.useRealTimers();
});

const states = (): string[] => session.view().sensors.map(({ modality, state }) => `${modality} ${state}`);

test("a camera is lost, is tried again, and comes back", async () => {
  const camera = new Puppet("video");
  await session.attach(camera);
  await pass(3, camera);
  expect(session.live).toEqual(["video"]);
  const { lose } = camera;
  lose("the device is gone");
  lose("said twice");
  expect([session.live, states(), camera.closed]).toEqual([[], ["video lost"], 1]);
  camera.problem = "in use";
  await pass(0.5);
  camera.problem = "";
  await pass(1);
  await pass(3, camera);
  lose("of an opening before");
  await pass(5);
  expect(events).toEqual([
    "attached video", "lost video: the device is gone", "unavailable video: in use", "attached video",
    "unhealthy video: nothing came for 3 s", "lost video: video puppet: nothing came for 3 s; it is reopened", "attached video",
  ]);
  camera.end();
  expect([events.at(-1), states()]).toEqual(["ended video", ["video ended"]]);
});

test("a device that is plugged back is tried at once", async () => {
  const camera = new Puppet("video");
  await session.attach(camera);
  for (const _ of [1, 2, 3, 4]) {
    camera.lose("the device is gone");
    await session.retry();
  }
  expect([camera.opened, states()]).toEqual([5, ["video attached"]]);
});

test("a sensor that is detached while its device is asked for is closed when the device answers", async () => {
  const camera = new Puppet("video");
  let answer = (): void => {};
  camera.open = () => new Promise((resolve) => (answer = resolve));
  const attached = session.attach(camera);
  session.detach("video");
  expect(camera.closed).toBe(0);
  answer();
  await attached;
  expect([camera.closed, states()]).toEqual([1, ["video detached"]]);
});

test("an encoder that fails takes its own modality away and nothing else, and is tried with a later window", async () => {
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
  await pass(1, camera);
  expect([events.at(-1), session.live]).toEqual(["encoder works again text", ["text", "video"]]);
});

test("a camera fills its first window while its encoder is loaded", async () => {
  let loaded = (): void => {};
  const load = vi.spyOn(executor, "load").mockReturnValue(new Promise((resolve) => (loaded = resolve)));
  const camera = new Puppet("video");
  void session.attach(camera);
  await settle();
  await pass(3, camera);
  expect(predictions).toEqual([]);
  loaded();
  await settle();
  expect(predictions[0]!.live).toEqual(["video"]);
  load.mockRestore();
});

test("a window that waits for the encoder of another modality gives way to a newer one", async () => {
  const [audio, camera] = [new Puppet("audio"), new Puppet("video")];
  await session.attach(audio);
  await session.attach(camera);
  let encoded = (): void => {};
  const encode = vi.spyOn(executor, "encode").mockImplementation(() => new Promise((resolve) => (encoded = () => resolve(new Float32Array(8)))));
  for (let i = 0; i < 4; i++) {
    await pass(0.5, camera);
    audio.give({ modality: "audio", data: new Float32Array(50).fill(0.1), time: now });
  }
  encoded(); // the sound of the first second; pictures have gone on
  await settle();
  encoded();
  await settle();
  await pass(0.5);
  const order = encode.mock.calls.map(([modality]) => modality);
  encode.mockRestore();
  expect([order.slice(0, 2), predictions.at(-1)!.ages["video"]]).toEqual([["audio", "video"], 0.5]);
});

test("an encoder is freed with its last sensor, unless it was loaded ahead", async () => {
  const unload = vi.spyOn(executor, "unload");
  await session.load("text");
  const sensors = [new Puppet("text"), new Puppet("video"), new Puppet("video")];
  for (const sensor of sensors) await session.attach(sensor);
  session.detach("text");
  session.detach("video");
  await settle();
  expect(unload.mock.calls).toEqual([["video"]]);
  unload.mockRestore();
});

test("a sensor is attached once, and what a detached one gives late is not used", async () => {
  const [first, second] = [new Puppet("text", "first"), new Puppet("text", "second")];
  await session.attach(first);
  await expect(session.attach(first)).rejects.toThrow("already attached");
  await expect(session.attach(new Puppet("smell"))).rejects.toThrow(SensembleError);
  session.detach("text");
  await session.attach(second);
  first.give({ modality: "text", data: "number 4", time: now });
  first.lose("gone");
  await settle();
  expect([predictions, states()]).toEqual([[], ["text detached", "text attached"]]);
});

test("a caption that is written while its encoder is loaded is answered", async () => {
  now = performance.now() / 1000; // as captions have it
  const captions = new Captions("text");
  const attached = session.attach(captions);
  captions.write("number 4");
  await attached;
  await settle();
  expect(predictions.map(({ live }) => live)).toEqual([["text"]]);
});

test("10,000 plug events leave nothing behind", async () => {
  const camera = new Puppet("video");
  const plug = async (times: number): Promise<number> => {
    for (let i = 0; i < times; i++) {
      await session.attach(camera);
      session.detach("video");
    }
    expect(events).toHaveLength(2 * times);
    events = [];
    await settle();
    return queryObjects(Object, { format: "count" }) as number; // not bytes: code that is compiled meanwhile has them, too
  };
  const before = await plug(10);
  expect((await plug(5000)) - before).toBeLessThan(500); // a leak leaves 5,000
  await session.attach(camera);
  const { sensors, loads, unloads, engine } = session as unknown as Record<string, { size: number; lives: Map<string, unknown>; liveSet: { windows: Map<string, unknown> } }>;
  expect([sensors!.size, loads!.size, unloads!.size, engine!.lives.size, engine!.liveSet.windows.size]).toEqual([1, 1, 1, 1, 0]);
});
