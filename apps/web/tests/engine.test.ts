// The engine answers the scripts as Python's does, which wrote them: `tests/runtime/engine/script.py`.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Classifier } from "../src/core/classifier";
import { Engine, type Output, type View } from "../src/core/engine";
import type { PoppedWindow, Prediction } from "../src/core/live_set";
import { Sparing } from "../src/core/sparing";
import type { Media, Sample } from "../src/core/spec";
import { againstNone, honest } from "../src/core/answer";
import { Timeline } from "../src/core/timeline";

const SCRIPTS = join(import.meta.dirname, "../../../tests/runtime/engine/scripts");
const read = (name: string): any => JSON.parse(readFileSync(join(SCRIPTS, name), "utf8"));
const { specs, labels, calibration, sparing, head } = read("bundle.json");
const numbers = (name: string): Float32Array => Float32Array.from(head[name]);
const familiarity = { weight: numbers("familiar_weight"), bias: numbers("familiar_bias"), means: null, offset: null };
const bundle = { specs, audited: {}, sparing: calibration.sparing, classifier: new Classifier({ task: "multi-class", weight: numbers("weight"), bias: numbers("bias"), familiarity }, calibration, labels, specs) };

/** Give an engine one input of a script. */
function tell(engine: Engine, windows: Map<string, PoppedWindow>, [act, ...given]: any[], at: number): void {
  const [first, second, third] = given;
  if (act === "encoded") engine.encoded({ ...windows.get(first)!, embedding: new Float32Array(8).fill(8, second, second + 1), latency: 0 }, at);
  else if (act === "encoder_failed") engine.encoderFailed(first, second, at);
  else if (act === "gave") engine.gave(first, second && sample(second), at);
  else if (act === "attach") engine.attach(first, second, third, at);
  else if (act === "failed") engine.failed(first, second, third, at);
  else if (act === "wake") engine.wake(at);
  else if (act !== "advance") engine[act as "opened" | "ready" | "closed"](first, at); // or detach and retry, by name
}

function sample({ modality, time, value, cut }: { modality: string; time: number; value: number; cut: boolean }): Sample {
  const form: Record<string, () => Media> = { text: () => String(value), audio: () => new Float32Array(10).fill(value / 1000), video: () => new Uint8Array(4 * 4 * 3).fill(value) };
  return { modality, time, cut, data: form[modality]!() };
}

/** Return an output as scripts have it. */
function written(output: Output, at: number): unknown[] {
  if ("order" in output) return [output.order, output.key];
  if ("used" in output) return ["used", output.sensor, output.used.modality];
  if ("free" in output) return ["free", output.free];
  if ("encode" in output) return ["encode", output.encode.modality, near(output.encode.time)];
  if ("prediction" in output) return ["prediction", predicted(output.prediction)];
  const { time, kind, modality, sensor, text } = output.event;
  expect(time).toBe(at);
  return ["event", kind, modality, sensor, text];
}

function predicted({ live, ages, probabilities, doubt, unfamiliar, suspect, lies, dropped }: Prediction) {
  const all = (each: Record<string, number>) => Object.fromEntries(Object.entries(each).map(([modality, value]) => [modality, near(value)]));
  return { live, ages: all(ages), probabilities: Array.from(probabilities, near), doubt, unfamiliar, suspect, lies: all(lies), dropped };
}

/** Return a view as scripts have it. */
function seen({ sensors, live, prediction, faults }: View) {
  return {
    sensors: sensors.map(({ name, state, why, since, active, standby, retryAt }) => [name, state, why, near(since), active ? "active" : standby ? "standby" : "", retryAt && near(retryAt)]),
    live, answer: prediction?.live ?? null,
    faults: faults.map(({ kind, modality, sensor, time }) => [kind, modality, sensor, near(time)]),
  };
}

const near = (value: number): unknown => ({ asymmetricMatch: (other: number) => Math.abs(other - value) <= 2e-6, toString: () => `near ${value}` });

test.each(readdirSync(SCRIPTS).filter((name) => !["bundle.json", "sparing.json", "timeline.json"].includes(name)))("%s", (name) => {
  const engine = new Engine(bundle, sparing.includes(name.replace(".json", "").replaceAll("_", " ")));
  const windows = new Map<string, PoppedWindow>();
  let view = {};
  read(name).forEach((step: any, i: number) => {
    tell(engine, windows, step.in, step.at);
    const out = engine.advance(step.at);
    for (const output of out) if ("encode" in output) windows.set(output.encode.modality, output.encode);
    // What was found is the pattern: its numbers allow for other sums.
    const found = { step: i, in: step.in, out: out.map((output) => written(output, step.at)) };
    expect({ step: i, in: step.in, out: step.out }).toEqual(found);
    view = step.view ?? view;
    expect(view, `the view after step ${i}`).toEqual(seen(engine.view(step.at)));
    expect(engine.deadline() ?? Infinity, `the deadline after step ${i}`).toBeCloseTo(step.due ?? Infinity, 5);
  });
});

test("the policy of sensors that sleep", () => {
  const [{ calibration }, ...steps] = read("sparing.json");
  const policy = new Sparing(calibration, 0);
  steps.forEach(({ at, act, confidences, live, suspect, woken, needed, due }: any, i: number) => {
    const found = act === "note" ? policy.note(at, confidences, live, suspect) : act === "pass" ? policy.passTo(at) : policy.wake(at);
    expect([i, found.map(({ place, cause }) => [place, cause]), policy.needed]).toEqual([i, woken, needed]);
    expect(policy.deadline).toBeCloseTo(due, 6);
  });
});

test("what is due is done at the deadline, to the last bit", () => {
  const policy = new Sparing({ ...read("sparing.json")[0].calibration, wake: 0, hold: 1 }, 0);
  let at = 1;
  for (const gap of [0, 211.1656999133666, 300]) {
    policy.note((at += gap), [0, 0, 0], [false, false, false], false);
    expect(policy.deadline).toBeGreaterThan(at);
  }
});

test.each([0, 1])("states and moments", (place) => {
  const [{ calibration }, ...steps] = read("timeline.json")[place];
  const timeline = new Timeline(calibration, labels);
  steps.forEach(({ at, evidence, fresh, lies, sensors, near: set, ratios, happened }: any, i: number) => {
    const said = sensors.map((modality: string) => againstNone(evidence[modality]));
    expect([i, said]).toEqual([i, ratios.map((own: number[]) => own.map(near))]);
    const told = new Map<string, number[]>(sensors.map((modality: string, place: number) => [modality, said[place]]));
    const found = [...timeline.passTo(at), ...timeline.note(at, told, (modality) => honest(lies, modality), fresh, sensors, set)];
    expect([i, happened]).toEqual([i, found.map(({ kind, label, began, ended, confidence }) => [kind, label, began, ended, near(confidence)])]);
  });
});
