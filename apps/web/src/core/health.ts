// Faults of a sensor that still gives samples, or gives none: the thresholds of the runtime's `thresholds.py`.

import { kindOf } from "./kinds";
import type { InputSpec, Sample } from "./spec";

const STALLED = 3; // seconds without a sample
const FROZEN = 2; // seconds of identical pictures
const BLACK = [4, 2]; // mean of a picture, and seconds of it
const SILENT = [1e-4, 3]; // size of a sample of sound, and seconds of it

export class Health {
  private last: Sample | null = null;
  private newest = Infinity; // time of the newest sample
  private readonly since = new Map<string, number>(); // when each symptom began

  constructor(private readonly spec: InputSpec) {}

  began(now: number): void {
    if (this.last === null) this.newest = now;
  }

  /** Note a sample; return what is wrong, or null. */
  examine(sample: Sample): string | null {
    const { data, time } = sample;
    this.newest = time;
    let problem: string | null = null;
    if (kindOf(this.spec).name === "waveform" && data instanceof Float32Array) {
      problem = this.lasts("the sound is silent", data.every((value) => Math.abs(value) < SILENT[0]), time, SILENT[1]);
    } else if (data instanceof Uint8Array) {
      const dark = data.reduce((sum, value) => sum + value, 0) < BLACK[0] * data.length;
      const before = this.last?.data;
      const same = before instanceof Uint8Array && !dark && data.every((value, i) => value === before[i]);
      problem = this.lasts("the picture is black", dark, time, BLACK[1]) ?? this.lasts("the picture is frozen", same, time, FROZEN);
    }
    this.last = sample;
    return problem;
  }

  /** Return what is wrong if a steady sensor has given nothing for too long. */
  stalled(now: number): string | null {
    if (kindOf(this.spec).name === "text") return null;
    return now - this.newest > STALLED ? `nothing came for ${STALLED} s` : null;
  }

  private lasts(symptom: string, holds: boolean, time: number, seconds: number): string | null {
    if (!holds) this.since.delete(symptom);
    else if (!this.since.has(symptom)) this.since.set(symptom, time);
    return time - (this.since.get(symptom) ?? time) >= seconds ? symptom : null;
  }
}
