// The core replays what the Python runtime did.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { answer } from "../src/core/answer";
import { Belief, fuse, strangeOf } from "../src/core/belief";
import { Bundle, type Files } from "../src/core/bundle";
import { fit } from "../../src/sensemble_apps/web/static/framing.js";
import { promise } from "../src/core/classifier";
import { kindOf } from "../src/core/kinds";
import { loadHead, saveHead } from "../src/core/head";
import { learn, type Take } from "../src/core/learning";
import { LiveSet, type Prediction, type PoppedWindow } from "../src/core/live_set";
import type { Opinion } from "../src/core/opinion";
import type { InputSpec, Media, Sample } from "../src/core/spec";

const LEARNED = 2e-3; // the recipe minimizes with float32
const DIGITS = 2e-6; // float32 numbers, of sums in another order
const NEAR = 2e-4; // the same where 1 less a probability is raised to a power

export const filesIn = (folder: string): Files => ({
  read: async (path) => new Uint8Array(await readFile(join(folder, path))),
});

function data(spec: InputSpec, given: number[] | string): Media {
  if (typeof given === "string") return given;
  if (kindOf(spec).dtype === "float32") return Float32Array.from(given);
  return new Uint8Array(spec.shape.slice(2).reduce((product, side) => product * side, 1)).fill(given[0]);
}

function numbers(window: ArrayLike<number | bigint>): Float32Array {
  return Float32Array.from({ length: 8 }, (_, i) => Math.sin(Number(window[Math.floor((i * window.length) / 8)])));
}

const close = (found: Iterable<number>, wanted: number[], digits = DIGITS): void => {
  const off = [...found].map((value, i) => Math.abs(value - wanted[i]));
  expect(off.length).toBe(wanted.length);
  expect(Math.max(...off)).toBeLessThanOrEqual(digits);
};

function same(found: Opinion, wanted: any, digits = DIGITS): void {
  close(found.probabilities, wanted.probabilities, digits);
  expect(found.doubt).toEqual(wanted.doubt);
  close(found.chosen.map((i) => found.probabilities[i]), wanted.candidates.map((i: number) => wanted.probabilities[i]), 2 * digits); // of two as good as equal, either
}

describe.each(["multi-class", "multi-label"])("%s", async (task) => {
  const folder = join(process.env["VECTORS"]!, task);
  const { inputs, expected } = JSON.parse(readFileSync(join(folder, "vectors.json"), "utf8"));
  const bundle = await Bundle.open(filesIn(folder));

  test("what is promised of sure answers", () => {
    const { calibration } = bundle.manifest;
    expect(promise(calibration)).toBe(expected.promise);
    expect(promise({ ...calibration, groups: 0, threshold: 2 })).toContain("; none is sure");
  });

  test("token ids", () => {
    const found = inputs.captions.map((caption: string) => Array.from(bundle.tokenize(caption), Number));
    const wrong = inputs.captions.filter((_: string, i: number) => found[i].join() !== expected.ids[i].join());
    expect(wrong).toEqual([]);
  });

  test("a picture in the size that an encoder takes", () => {
    const rgba = inputs.picture.flatMap((value: number, i: number) => (i % 3 === 2 ? [value, 255] : [value]));
    close(fit(rgba, [37, 61], [12, 16]), expected.picture, 1); // OpenCV rounds its weights
  });

  test("windows of streams with jitter, cuts, losses, gaps and steps back", () => {
    inputs.rings.forEach(({ spec, steps }: any, which: number) => {
      const ring = kindOf(spec).windows(spec);
      const windows: unknown[] = [];
      for (const step of steps) {
        if (step) {
          ring.push({ ...step, modality: spec.modality, data: data(spec, step.data) } as Sample);
          continue;
        }
        const window = ring.pop();
        const bytes = window && (typeof window.data === "string" ? window.data : new Uint8Array(window.data.buffer));
        windows.push(window && { time: window.time, data: createHash("sha256").update(bytes!).digest("hex") });
      }
      expect({ windows, dropped: ring.dropped, lost: ring.lost }).toEqual(expected.rings[which]);
    });
  });

  test("calibration, candidates, doubts and familiarity", () => {
    inputs.embeddings.forEach(({ live, lies }: any, i: number) => {
      const evidence = new Map(Object.entries<number[]>(live).map(([m, x]) => [m, bundle.classifier.evidence(m, Float32Array.from(x))]));
      const { sets, familiar, far } = expected.answers[i];
      expect(Object.fromEntries([...evidence].map(([m, one]) => [m, one.far]))).toEqual(far);
      expect(Object.fromEntries([...evidence].map(([m, one]) => [m, one.familiar]))).toEqual(familiar);
      for (const [set, wanted] of Object.entries(sets)) same(answer(bundle.classifier, evidence, set.split("+"), lies), wanted, task === "multi-label" ? NEAR : DIGITS);
    });
  });

  test("which sensors are strange, of devices that break", () => {
    const found = inputs.breaks.map(({ far, devices }: any) => strangeOf(Object.keys(far).map((name) => ({ name, far: far[name], device: devices[name] }))).map(({ name }: any) => name));
    expect(found).toEqual(expected.strange);
  });

  test("what one to four sensors say together, and seven", () => {
    inputs.fused.forEach(({ opinions, lies, redundancy, prior, devices }: any, i: number) => close(Array.from(fuse(opinions, lies, redundancy, bundle.head.task, prior, devices)), expected.fused[i]));
  });

  test("a head that is learned of takes", () => {
    const takes: Take[] = inputs.takes.takes.map(({ label, windows }: any) => ({
      label,
      windows: Object.fromEntries(Object.entries<number[][]>(windows).map(([m, rows]) => [m, rows.map((row) => Float32Array.from(row))])),
    }));
    const { labels, right, none, head, calibration } = learn(takes, inputs.takes.size, bundle.modalities)!;
    const wanted = expected.learned;
    expect({ labels, right, none }).toEqual({ labels: wanted.labels, right: wanted.right, none: wanted.none });
    close(head.weight, wanted.weight, LEARNED * Math.max(...wanted.weight));
    close(head.familiarity!.weight, wanted.familiar_weight, LEARNED * Math.max(...wanted.familiar_weight));
    expect(Object.keys(calibration.familiar)).toEqual(Object.keys(wanted.familiar));
    for (const [modality, least] of Object.entries(calibration.familiar)) close([least], [wanted.familiar[modality]], LEARNED * 10);
    const saved = loadHead(saveHead(head), "multi-class", labels.length, inputs.takes.size, bundle.modalities.length);
    expect(saved).toEqual(head);
    expect(learn(takes.filter(({ label }) => label !== null), inputs.takes.size, bundle.modalities)!.head.familiarity).toBeNull();
    expect(Object.keys(calibration.modalities).sort()).toEqual(Object.keys(wanted.modalities).sort());
    for (const [modality, { temperature, ...rest }] of Object.entries(calibration.modalities)) {
      expect(wanted.modalities[modality]).toMatchObject(rest);
      close([temperature], [wanted.modalities[modality].temperature], LEARNED);
    }
    expect(calibration).toMatchObject(wanted.fitted["audio+text+video"]);
    const [without, fitted] = [takes.map(({ label, windows: { text, ...windows } }) => ({ label, windows })), wanted.fitted["audio+video"]];
    const found = learn(without, inputs.takes.size, bundle.modalities)!.calibration;
    close([found.threshold, found.redundancy, found.groups], [fitted.threshold, fitted.redundancy, fitted.groups], LEARNED);
    expect(learn(takes.slice(0, 5), inputs.takes.size, bundle.modalities)).not.toBeNull(); // two takes of each of two classes
    expect(learn(takes.slice(0, 4), inputs.takes.size, bundle.modalities)).toBeNull();
  });

  test("the suspect, and how likely each sensor lies", () => {
    const { devices, moments } = inputs.turns;
    const cases = [[new Belief(bundle.modalities), inputs.moments, expected.beliefs], [new Belief(Object.keys(devices), (m) => devices[m]), moments, expected.turns]] as const;
    for (const [belief, given, wanted] of cases)
      given.forEach(({ now, opinions, forget }: any, i: number) => {
        if (forget) belief.forget(forget);
        const { suspect, lies } = wanted[i];
        expect(belief.note(new Map(Object.entries<number[]>(opinions)), now).join("+") || null).toEqual(suspect);
        expect(Object.keys(belief.lies)).toEqual(Object.keys(lies));
        close(Object.values(belief.lies), Object.values(lies));
      });
  });

  test("predictions of sensors that come and go", () => {
    const live = new LiveSet(bundle);
    let held: PoppedWindow[] = [];
    inputs.stream.forEach((event: any, i: number) => {
      const { modality, time, late, sensor } = event;
      if (event.data === null) live.remove(modality);
      else {
        live.add(modality, sensor);
        live.push({ modality, time, data: data(bundle.specs[modality], event.data) });
      }
      held.push(...live.ready.map((ready) => live.popWindow(ready)!));
      let made: Prediction | null = null;
      if (!late) {
        made = live.fuse(held.map((taken) => ({ ...taken, embedding: numbers(typeof taken.data === "string" ? bundle.tokenize(taken.data) : taken.data), latency: 0 })), time);
        held = [];
      }
      const wanted = expected.stream[i];
      expect(live.changes(time).map(({ modality, kind }) => [modality, kind.endsWith("again")])).toEqual(wanted.changes);
      expect(live.live(time)).toEqual(wanted.live);
      expect(made === null).toBe(wanted.prediction === null);
      if (!made) return;
      const { prediction } = wanted;
      same(made, prediction);
      close(made.pooled, prediction.pooled);
      for (const [modality, opinion] of made.opinions) same(opinion, prediction.opinions[modality]);
      for (const [modality, level] of Object.entries(made.levels)) close([level], [prediction.levels[modality]], 1e-4);
      close(Object.values(made.lies), Object.values(prediction.lies));
      const { live: names, ages, unfamiliar, suspect, dropped, lost } = made;
      expect({ names, ages, unfamiliar, suspect, dropped, lost }).toEqual({
        names: prediction.live, ages: prediction.ages, unfamiliar: prediction.unfamiliar,
        suspect: prediction.suspect, dropped: prediction.dropped, lost: prediction.lost,
      });
      expect(Object.keys(made.levels).sort()).toEqual(Object.keys(prediction.levels).sort());
    });
  });
});
