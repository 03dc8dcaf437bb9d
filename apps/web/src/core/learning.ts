// The instant head: a linear classifier for each sensor on features of frozen encoders, fitted to a few takes. The
// recipe's `instant.py` and the runtime's `calibration.py`, which explain it, for one class a take.

import { fuse, RARE } from "./belief";
import type { Calibration } from "./classifier";
import { calibrated, type Head } from "./head";
import { measured } from "./subsets";

const DECAY = 1e-2; // weight of the squared weights, next to the mean loss
const FOLDS = 10;
const STEPS = 100; // of a fit
const KEPT = 10; // steps of which L-BFGS remembers the curvature
const LEAST = 30; // examples below which no temperature is fitted
const RISK = 0.05; // the share of a new person's answers that may be sure and wrong
const CONFIDENT = 0.9; // the confidence from which answers are sure: one person promises nothing about others
const REDUNDANT = 0.5; // the redundancy where too few examples tell
const UNFAMILIAR = 0.02; // share of known windows that count as unfamiliar, one at least
const UNFAMILIAR_OF_ONE = 0.05; // the same of any one take, at most
const [SHRINK, ALIKE] = [2, 4]; // takes that say that a temperature is 1, and that it is that of the others

/** What a person recorded of a class, in one go. */
export interface Take {
  /** Null if it shows none of the classes. */
  label: string | null;
  /** The embeddings of its windows, in order, by modality. */
  windows: Record<string, Float32Array[]>;
}

export interface Learned {
  labels: string[];
  head: Head;
  calibration: Calibration;
  /** By class: how many of its takes are answered right by classifiers that were fitted without them, and all of them. */
  right: Record<string, [number, number]>;
  /** The same of takes that show none of the classes; null for fewer than two. */
  none: [number, number] | null;
}

/** A linear classifier of one sensor's features; weights, bias and logits are over its temperature. */
export interface LinearFit {
  weight: number[][];
  bias: number[];
  temperature: number;
  /** What classifiers say of each example that were fitted without its fold. */
  leftOut: number[][];
}

/**
 * Fit a head to takes; null while no sensor has two takes of each of two classes.
 *
 * `sensors` are all modalities of the bundle, sorted. The encoders put their features at a place of their own in the embedding, each with a 1 behind them.
 */
export function learn(takes: readonly Take[], size: number, sensors: readonly string[]): Learned | null {
  const several = (having: readonly Take[]): string[] =>
    [...new Set(having.flatMap(({ label }) => label ?? []))].filter((label) => having.filter((take) => take.label === label).length > 1).sort();
  const labels = several(takes);
  const known = takes.filter((take): take is Take & { label: string } => labels.includes(take.label ?? ""));
  const having = (modality: string): Take[] => known.filter(({ windows }) => windows[modality]?.length);
  const modalities = [...new Set(known.flatMap(({ windows }) => Object.keys(windows)))].filter((m) => several(having(m)).length > 1).sort();
  if (!modalities.length) return null;
  // The windows of one number in a take are an example; a sensor with fewer, such as a caption, repeats its last.
  const examples = known.flatMap(({ label, windows }, group) => {
    const own = modalities.filter((m) => windows[m]?.length);
    return Array.from({ length: Math.max(0, ...own.map((m) => windows[m].length)) }, (_, i) => ({
      group,
      truth: labels.indexOf(label),
      embeddings: new Map(own.map((m) => [m, windows[m][Math.min(i, windows[m].length - 1)]])),
    }));
  });
  const dealt = new Map<string, number>();
  const folds = known.map(({ label }) => {
    dealt.set(label, (dealt.get(label) ?? -1) + 1);
    return dealt.get(label)! % FOLDS;
  });
  const weight = new Float32Array(labels.length * size);
  const leftOut: ByRow = new Map();
  const scores = new Float32Array(sensors.length * size);
  const familiar: Record<string, number> = {};
  const strange = takes.filter(({ label }) => label === null);
  // Of each window of these takes: whether a sensor finds it unfamiliar, and what the others say.
  const unlike = strange.map(({ windows }) =>
    Array.from({ length: Math.max(0, ...modalities.map((m) => windows[m]?.length ?? 0)) }, () => ({ unfamiliar: false, said: labels.map(() => 0) })),
  );
  for (const modality of modalities) {
    const rows = Array.from(examples.keys()).filter((row) => examples[row].embeddings.has(modality));
    const found = rows.map((row) => examples[row].embeddings.get(modality)!);
    const used = Array.from({ length: size }, (_, i) => i).filter((i) => found.some((embedding) => embedding[i] !== 0));
    const [first, one] = [used[0], used.at(-1)!];
    const features = found.map((embedding) => embedding.subarray(first, one));
    const fitted = fitLinear(features, rows.map((row) => examples[row].truth), rows.map((row) => folds[examples[row].group]), labels.length);
    fitted.weight.forEach((slopes, c) => weight.set([...slopes, fitted.bias[c]], c * size + first));
    leftOut.set(modality, new Map(rows.map((row, i) => [row, fitted.leftOut[i]])));
    const others = strange.flatMap(({ windows }, take) => (windows[modality] ?? []).map((embedding, i) => ({ take, i, own: embedding.subarray(first, one) })));
    if (!others.length) continue;
    const other = others.map(({ own }) => own);
    const truths = [...features.map(() => 0), ...other.map(() => 1)];
    const isAlone = new Set(others.map(({ take }) => take)).size === 1;
    const every = [...rows.map((row) => folds[examples[row].group]), ...others.map(({ take }) => (isAlone ? -1 : take % FOLDS))];
    const { weight: slopes, bias, leftOut: said } = fitLinear([...features, ...other], truths, every, 2);
    scores.set([...slopes[0].map((value, i) => value - slopes[1][i]), bias[0] - bias[1]], sensors.indexOf(modality) * size + first);
    const own = new Map(rows.map((row, i) => [row, Math.fround(said[i][0] - said[i][1])]));
    const limit = (familiar[modality] = familiarLimit(rows.map((row) => ({ score: own.get(row)!, group: examples[row].group }))));
    others.forEach(({ take, i, own }, n) => {
      const window = unlike[take][i];
      const away = isAlone ? 0 : said[rows.length + n][0] - said[rows.length + n][1];
      if (away < limit) window.unfamiliar = true;
      else window.said = window.said.map((sum, c) => sum + dot(fitted.weight[c], own) + fitted.bias[c]);
    });
  }
  const calibration = calibrate(leftOut, examples.map(({ truth }) => truth), examples.map(({ group }) => group));
  const right: Learned["right"] = Object.fromEntries(labels.map((label) => [label, [0, 0]]));
  known.forEach(({ label }, group) => {
    const rows = Array.from(examples.keys()).filter((row) => examples[row].group === group);
    const sums = labels.map(() => 0);
    for (const row of rows) {
      const logs = logShares(labels.map((_, c) => modalities.reduce((sum, m) => sum + (leftOut.get(m)!.get(row)?.[c] ?? 0), 0)));
      logs.forEach((value, c) => (sums[c] += value));
    }
    right[label][1]++;
    if (labels[sums.indexOf(Math.max(...sums))] === label) right[label][0]++;
  });
  const familiarity = Object.keys(familiar).length
    ? { weight: scores, bias: new Float32Array(sensors.length), means: null, offset: null }
    : null;
  const head: Head = { task: "multi-class", weight, bias: new Float32Array(labels.length), familiarity };
  const isNone = unlike.map((windows) => windows.filter(({ unfamiliar, said }) => unfamiliar && Math.exp(Math.max(...logShares(said))) < CONFIDENT).length > windows.length / 2);
  const none: Learned["none"] = strange.length > 1 ? [isNone.filter(Boolean).length, strange.length] : null;
  return { labels, head, calibration: { ...calibration, familiar }, right, none };
}

/** Fit a linear classifier to features [N, F] of one sensor, and its temperature to the examples left out; those of a negative fold never are. */
export function fitLinear(features: readonly ArrayLike<number>[], truth: readonly number[], folds: readonly number[], classes: number): LinearFit {
  const size = features[0].length;
  const mean = Float64Array.from({ length: size }, (_, i) => features.reduce((sum, row) => sum + row[i], 0) / features.length);
  // The weights lie in the span of the features, which has few dimensions where takes are few.
  const basis: Float64Array[] = [];
  const x = features.map((row) => {
    const rest = Float64Array.from(row).map((value, i) => value - mean[i]);
    const whole = length(rest);
    const along = basis.map((axis) => {
      const share = dot(axis, rest);
      rest.forEach((value, i) => (rest[i] = value - share * axis[i]));
      return share;
    });
    const left = length(rest);
    if (left > 1e-6 * whole) {
      basis.push(rest.map((value) => value / left));
      along.push(left);
    }
    return along;
  });
  for (const row of x) while (row.length < basis.length) row.push(0);
  const rowsOf = (wanted: (fold: number) => boolean): number[] => Array.from(x.keys()).filter((row) => wanted(folds[row]));
  const fit = (rows: number[]): Linear => classifier(rows.map((row) => x[row]), rows.map((row) => truth[row]), size, classes);
  const logits: number[][] = [];
  for (const fold of new Set(folds.filter((fold) => fold >= 0))) {
    const found = fit(rowsOf((other) => other !== fold));
    for (const row of rowsOf((other) => other === fold)) logits[row] = found.weight.map((slopes, c) => dot(slopes, x[row]) + found.bias[c]);
  }
  const held = rowsOf((fold) => fold >= 0);
  const temperature = fitTemperature(held.map((row) => logits[row]), held.map((row) => truth[row]));
  const { weight, bias } = fit(rowsOf(() => true));
  const slopes = weight.map((row) => Array.from(mean, (_, i) => row.reduce((sum, value, k) => sum + value * basis[k][i], 0) / temperature));
  return {
    weight: slopes,
    bias: bias.map((value, c) => value / temperature - dot(slopes[c], mean)),
    temperature,
    leftOut: logits.map((row) => row.map((value) => value / temperature)),
  };
}

interface Linear {
  weight: number[][];
  bias: number[];
}

/** Fit a classifier with weight decay to rows [N, R] of features that had `size` numbers. */
function classifier(rows: readonly number[][], truth: readonly number[], size: number, classes: number): Linear {
  const width = rows[0].length;
  const mean = Array.from({ length: width }, (_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
  const centred = rows.map((row) => row.map((value, i) => value - mean[i]));
  const scale = Math.sqrt(centred.reduce((sum, row) => sum + dot(row, row), 0) / rows.length / size);
  const x = centred.map((row) => Float64Array.from([...row.map((value) => value / scale), 1])); // a 1 for the bias
  const slope = (point: Float64Array, gradient: Float64Array): number => {
    let loss = 0;
    gradient.fill(0);
    const slopes = Array.from({ length: classes }, (_, c) => point.subarray(c * (width + 1), (c + 1) * (width + 1)));
    x.forEach((row, n) => {
      const logs = logShares(slopes.map((own) => dot(row, own)));
      loss -= logs[truth[n]] / x.length;
      logs.forEach((log, c) => {
        const share = (Math.exp(log) - (c === truth[n] ? 1 : 0)) / x.length;
        for (let i = 0, at = c * (width + 1); i <= width; i++) gradient[at + i] += share * row[i];
      });
    });
    point.forEach((value, i) => {
      if (i % (width + 1) === width) return;
      loss += DECAY * value * value;
      gradient[i] += 2 * DECAY * value;
    });
    return loss;
  };
  const point = minimize(slope, classes * (width + 1));
  const all = Array.from({ length: classes }, (_, c) => Array.from(point.subarray(c * (width + 1), (c + 1) * (width + 1))));
  const weight = all.map((row) => row.slice(0, width).map((value) => value / scale));
  return { weight, bias: all.map((row, c) => row[width] - dot(weight[c], mean)) };
}

/** Minimize a convex function from 0 by L-BFGS; `slope` returns its value and fills in its gradient. */
function minimize(slope: (point: Float64Array, gradient: Float64Array) => number, size: number): Float64Array {
  let point = new Float64Array(size);
  let gradient = new Float64Array(size);
  let value = slope(point, gradient);
  const past: { step: Float64Array; change: Float64Array; curvature: number }[] = [];
  for (let i = 0; i < STEPS && length(gradient) > 1e-6; i++) {
    const way = gradient.map((one) => -one);
    const shares = past.map(() => 0);
    for (let k = past.length - 1; k >= 0; k--) {
      shares[k] = dot(past[k].step, way) / past[k].curvature;
      way.forEach((one, j) => (way[j] = one - shares[k] * past[k].change[j]));
    }
    const last = past.at(-1);
    const first = last ? last.curvature / dot(last.change, last.change) : 1 / Math.max(1, length(gradient));
    way.forEach((one, j) => (way[j] = one * first));
    past.forEach(({ step, change, curvature }, k) => {
      const share = shares[k] - dot(change, way) / curvature;
      way.forEach((one, j) => (way[j] = one + share * step[j]));
    });
    const fall = dot(way, gradient);
    let reach = 1;
    const next = new Float64Array(size);
    const turned = new Float64Array(size);
    let found = Infinity;
    for (; reach > 1e-10 && !(found <= value + 1e-4 * reach * fall); reach /= 2) {
      for (let j = 0; j < size; j++) next[j] = point[j] + reach * way[j];
      found = slope(next, turned);
    }
    if (!(found < value)) break; // no further by numbers of 64 bits
    const step = next.map((one, j) => one - point[j]);
    const change = turned.map((one, j) => one - gradient[j]);
    const curvature = dot(step, change);
    if (curvature > 0) past.push({ step, change, curvature });
    if (past.length > KEPT) past.shift();
    [point, gradient, value] = [next, turned, found];
  }
  return point;
}

/** Return the least score of a familiar window: few known windows lie below it, and few of any one take. */
function familiarLimit(known: readonly { score: number; group: number }[]): number {
  const sorted = (some: readonly { score: number }[]): number[] => some.map(({ score }) => score).sort((a, b) => a - b);
  const limits = [sorted(known)[Math.max(Math.trunc(UNFAMILIAR * (known.length + 1)), 1) - 1]];
  for (const group of new Set(known.map((one) => one.group))) {
    const own = sorted(known.filter((one) => one.group === group));
    if (UNFAMILIAR_OF_ONE * own.length >= 1) limits.push(own[Math.trunc(UNFAMILIAR_OF_ONE * own.length)]);
  }
  return Math.min(...limits);
}

/** By modality and example. */
type ByRow = Map<string, Map<number, ArrayLike<number>>>;

/** Fit the belief to logits of examples left out; the powers are 0. */
function calibrate(logits: ByRow, truth: readonly number[], groups: readonly number[]): Calibration {
  const takes = (rows: Iterable<number>): number => new Set([...rows].map((row) => groups[row])).size;
  const fit = (some: [number, ArrayLike<number>][]): number =>
    some.length < LEAST ? 1 : fitTemperature(some.map(([, row]) => Array.from(row)), some.map(([row]) => truth[row]));
  const common = Math.log(fit([...logits.values()].flatMap((own) => [...own])));
  const modalities: Calibration["modalities"] = {};
  const said: ByRow = new Map();
  for (const [modality, own] of logits) {
    const count = takes(own.keys());
    const apart = ((Math.log(fit([...own])) - common) * count) / (count + ALIKE);
    const temperature = Math.exp((common * count) / (count + SHRINK) + apart);
    modalities[modality] = { temperature, power: 0, examples: own.size, groups: count };
    said.set(modality, new Map([...own].map(([row, found]) => [row, calibrated(Array.from(found, Math.fround), temperature, 0, "multi-class")])));
  }
  const sets = measured([...logits.keys()]).map((subset) => {
    const rows = Array.from(truth.keys()).filter((row) => subset.every((m) => logits.get(m)!.has(row)));
    return { subset, rows };
  });
  const redundancy = fitRedundancy(said, sets.filter(({ subset, rows }) => subset.length > 1 && rows.length >= LEAST), truth);
  // The takes of a page are of one person: nothing is promised.
  return { risk: RISK, threshold: CONFIDENT, groups: Math.min(1, ...sets.map(({ rows }) => rows.length)), redundancy, modalities, familiar: {} };
}

/** Return the redundancy by which the answers of sets make the labels most likely, one of eleven. */
function fitRedundancy(said: ByRow, sets: readonly { subset: string[]; rows: number[] }[], truth: readonly number[]): number {
  if (!sets.length) return REDUNDANT;
  const losses = Array.from({ length: 11 }, (_, step) =>
    sets.reduce((sum, { subset, rows }) => {
      const opinions = (row: number): ArrayLike<number>[] => subset.map((m) => said.get(m)!.get(row)!);
      const fused = (row: number): ArrayLike<number> => fuse(opinions(row), subset.map(() => RARE), step / 10, "multi-class");
      const logs = rows.map((row) => Math.log(Math.max(fused(row)[truth[row]], 1e-12)));
      return sum - logs.reduce((all, log) => all + log, 0) / rows.length;
    }, 0),
  );
  return losses.indexOf(Math.min(...losses)) / 10;
}

/** Return the temperature with the least cross-entropy, from 0.01 to 100. */
export function fitTemperature(logits: readonly number[][], truth: readonly number[]): number {
  const [n, classes] = [logits.length, logits[0].length];
  const wanted = logits.reduce((sum, row, i) => sum + row.reduce((all, logit, c) => all + (((c === truth[i] ? n : 0) + 1 / classes) / (n + 1)) * logit, 0), 0);
  let [low, high] = [Math.log(1e-2), Math.log(1e2)];
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    const expected = logits.reduce((sum, row) => {
      const logs = logShares(row.map((logit) => logit * Math.exp(middle)));
      return sum + logs.reduce((all, log, c) => all + Math.exp(log) * row[c], 0);
    }, 0);
    if (expected < wanted) low = middle;
    else high = middle;
  }
  return Math.exp(-(low + high) / 2);
}

function logShares(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const whole = top + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0));
  return logits.map((logit) => logit - whole);
}

const length = (vector: ArrayLike<number>): number => Math.sqrt(dot(vector, vector));

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
