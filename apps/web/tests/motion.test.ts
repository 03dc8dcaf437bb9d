// Readings of a phone's motion become rows of a series.

import { afterEach, expect, test, vi } from "vitest";
import { MotionRows, readMotion } from "../../src/sensemble_apps/web/static/motion.js";

const reading = (timeStamp: number, x: number) => ({
  timeStamp,
  accelerationIncludingGravity: { x, y: 9.8, z: 0 },
  rotationRate: { alpha: 1, beta: 2, gamma: 180 },
});

afterEach(() => vi.unstubAllGlobals());

test("readings with jitter become rows of the spec's rate, interpolated, with a cut behind a gap", () => {
  const rows = new MotionRows(["ax", "acc_y", "gz"], 100);
  const made = [0, 16, 33, 50, 2000].map((time) => rows.add(reading(1000 + time, time)));
  const x = made.map((sample) => Array.from(sample!.data).filter((_, i) => i % 3 === 0));
  expect(x[0]).toEqual([0]);
  expect([x[1], x[2], x[3]].flat().map(Math.round)).toEqual([10, 20, 30, 40, 50]);
  expect(made.map((sample) => sample!.cut)).toEqual([true, false, false, false, true]);
  expect(made[2]!.time).toBeCloseTo(1.03);
  expect(Array.from(made[0]!.data).slice(1)).toEqual([Math.fround(9.8), Math.fround(Math.PI)]);
});

test.each([["Google Inc.", 9.8], ["", 9.8], ["Apple Computer, Inc.", -9.8]])("a phone of %s that lies on its back has 9.8 on z", async (vendor, z) => {
  const device = new EventTarget();
  vi.stubGlobal("addEventListener", device.addEventListener.bind(device));
  vi.stubGlobal("DeviceMotionEvent", {});
  vi.stubGlobal("navigator", { vendor });
  const given: number[] = [];
  await readMotion(["ax", "az", "gz"], 100, ({ data }) => given.push(...data), () => {});
  device.dispatchEvent(Object.assign(new Event("devicemotion"), { accelerationIncludingGravity: { x: 0, y: 0, z }, rotationRate: { alpha: 0, beta: 0, gamma: 180 } }));
  expect(given.map((value) => value + 0)).toEqual([0, Math.fround(9.8), Math.fround(Math.PI)]);
});

test("one sensor may begin later than the other, and not never", () => {
  const rows = new MotionRows(["ax", "gz"], 100);
  const reading = (timeStamp: number, turn: number | null): any => ({ accelerationIncludingGravity: { x: 1 }, rotationRate: { gamma: turn }, timeStamp });
  expect(rows.add(reading(1000, null))).toBeNull();
  expect(rows.add(reading(1100, 0))?.data).toEqual(Float32Array.of(1, 0));
  const never = new MotionRows(["ax", "gz"], 100);
  expect(never.add(reading(1000, null))).toBeNull();
  expect(() => never.add(reading(7000, null))).toThrow("no such motion sensor");
});

test("a channel that no phone measures is refused in one line", () => {
  expect(() => new MotionRows(["heart"], 100)).toThrow("heart: no phone measures that");
});

test("a device without the sensor loses it, and one whose person refuses does not open", async () => {
  const device = new EventTarget();
  vi.stubGlobal("addEventListener", device.addEventListener.bind(device));
  vi.stubGlobal("removeEventListener", device.removeEventListener.bind(device));
  vi.stubGlobal("DeviceMotionEvent", {});
  vi.stubGlobal("navigator", { vendor: "" });
  const [given, lost]: [number[], string[]] = [[], []];
  const stop = await readMotion(["ax"], 100, ({ data }) => given.push(...data), (why) => lost.push(why));
  const move = (x: number | null): boolean => device.dispatchEvent(Object.assign(new Event("devicemotion"), { accelerationIncludingGravity: { x } }));
  move(1);
  move(null);
  move(2);
  stop();
  expect([given, lost]).toEqual([[1], ["this device has no such motion sensor"]]);
  vi.stubGlobal("DeviceMotionEvent", { requestPermission: async () => "denied" });
  await expect(readMotion(["ax"], 100, () => {}, () => {})).rejects.toThrow("not allowed");
});
