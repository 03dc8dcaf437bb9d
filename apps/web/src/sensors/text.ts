// Captions that a person or a program writes.

import type { Sensor } from "../core/session";
import type { InputSpec, Sample } from "../core/spec";

export class Captions implements Sensor {
  readonly name = "captions";
  private give: ((sample: Sample) => void) | null = null;
  private early = ""; // written while the encoder is loaded

  constructor(readonly modality: string) {}

  async open(_spec: InputSpec, give: (sample: Sample) => void): Promise<void> {
    this.give = give;
    if (this.early) this.write(this.early);
  }

  write(caption: string): void {
    this.early = this.give ? "" : caption;
    this.give?.({ modality: this.modality, data: caption, time: performance.now() / 1000 });
  }

  close(): void {
    this.give = null;
    this.early = "";
  }
}
