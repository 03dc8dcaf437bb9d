// The faults of one open sensor, found in its samples: the sensors' `health/health.py`, without its checks of rates,
// delays and clipping. Times are given.

import { ROUNDING, RunningTime } from "./clock";
import { kindOf } from "./kinds";
import type { InputSpec, Sample } from "./spec";
import { STEP } from "./windows";

const STALLED = 3; // seconds without a sample
const FROZEN = 2; // seconds of identical pictures
const BLACK = [4, 2] as const; // mean of a picture, and seconds of it
const SILENT = [1e-4, 3] as const; // size of a sample of sound, and seconds of it
const LONGEST = 3; // seconds within which every fault is found
const RECOVERY = 1; // seconds without a finding after which the sensor has recovered
const REOPEN = 20; // seconds of being unhealthy after which it is reopened
const BACKLOG = 0.5; // seconds for which samples may have waited

/** A sign of a fault: what it is, whether it holds, for how long it must, and whether the first sample without it clears the fault. */
type Symptom = [finding: string, holds: boolean, seconds: number, clears: boolean];

export class Health {
  /** No samples come any more; no device reports that. */
  stalled = false;
  /** It is stalled, or was unhealthy for too long. */
  mustReopen = false;
  private arrival: number; // of the last sample
  private readonly ran = new RunningTime();
  private ranThen: number; // when the last sample arrived
  private last: Sample | null = null;
  private readonly since = new Map<string, number>(); // by finding, since when its symptom has held without a break
  private readonly until = new Map<string, number>(); // by finding, when it expires
  private unhealthy: number | null = null; // since when
  private readonly suspected: Set<string>;
  private trusted: number; // when the suspicions no longer count

  /** `suspected`: the faults when it was last closed, which count until nothing was found for `LONGEST`. */
  constructor(private readonly spec: InputSpec, now: number, suspected: readonly string[] = []) {
    this.arrival = now;
    this.ranThen = this.ran.look(now);
    this.suspected = new Set(suspected);
    this.trusted = now + LONGEST;
  }

  /** Examine the next sample, null where none came; return the sensor's faults, sorted. */
  check(sample: Sample | null, now: number): string[] {
    const isSteady = kindOf(this.spec).name !== "text";
    const nothing = `nothing came for ${STALLED} s`;
    const ran = this.ran.look(now);
    if (sample) {
      if (sample.cut) this.last = null;
      for (const symptom of symptoms(sample, this.last, this.spec)) this.judge(symptom, now);
      this.time(sample, now);
      [this.arrival, this.ranThen] = [now, ran];
      this.stalled = false;
      this.until.delete(nothing);
    } else {
      this.stalled = isSteady && ran - this.ranThen >= STALLED - ROUNDING;
      if (this.stalled) this.until.set(nothing, now + RECOVERY);
    }
    // Captions recover with the next one only.
    if (sample || isSteady) for (const [finding, until] of this.until) if (until <= now) this.until.delete(finding);
    this.unhealthy = this.until.size ? (this.unhealthy ?? now) : null;
    this.mustReopen = this.stalled || (sample !== null && this.unhealthy !== null && now - this.unhealthy >= REOPEN);
    if (this.until.size) this.trusted = now + LONGEST;
    else if (now >= this.trusted) this.suspected.clear();
    return [...new Set([...this.suspected, ...this.until.keys()])].sort();
  }

  /** Find a fault when its symptom has held for its time. */
  private judge([finding, holds, seconds, clears]: Symptom, now: number): void {
    if (!holds) {
      this.since.delete(finding);
      if (!clears) return;
      this.until.delete(finding);
      this.suspected.delete(finding);
      return;
    }
    if (!this.since.has(finding)) this.since.set(finding, Math.max(this.arrival, now - BACKLOG));
    if (now - this.since.get(finding)! >= seconds) this.until.set(finding, now + RECOVERY);
  }

  private time(sample: Sample, now: number): void {
    const before = this.last?.time ?? -Infinity;
    const isTrue = before - STEP <= sample.time && sample.time <= now + STEP; // which NaN is not
    if (isTrue || sample.time < before) this.last = sample;
    if (!isTrue) this.until.set("its clock jumps", now + RECOVERY);
  }
}

function symptoms({ data }: Sample, last: Sample | null, spec: InputSpec): Symptom[] {
  if (kindOf(spec).name === "waveform" && data instanceof Float32Array) return [["the sound is silent", data.every((value) => Math.abs(value) < SILENT[0]), SILENT[1], true]];
  if (!(data instanceof Uint8Array)) return [];
  const isDark = data.reduce((sum, value) => sum + value, 0) < BLACK[0] * data.length;
  const before = last?.data;
  const isSame = before instanceof Uint8Array && !isDark && data.length === before.length && data.every((value, i) => value === before[i]);
  return [
    ["the picture is frozen", isSame, FROZEN, false],
    ["the picture is black", isDark, BLACK[1], true],
  ];
}
