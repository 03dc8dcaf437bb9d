// The accelerometer and gyroscope of this device, at the rate that the encoder takes.

import { readMotion } from "../../../src/sensemble_apps/web/static/motion.js";
import type { Sensor } from "../core/session";
import type { InputSpec, Sample } from "../core/spec";

export class Motion implements Sensor {
  readonly name = "motion";
  private stop = (): void => {};

  constructor(readonly modality: string) {}

  async open({ channels, rate }: InputSpec, give: (sample: Sample) => void, lose: (reason: string) => void): Promise<void> {
    const names = channels.map(({ name }) => name);
    this.stop = await readMotion(names, rate, (rows) => give({ modality: this.modality, ...rows }), lose);
  }

  close(): void {
    this.stop();
  }
}
