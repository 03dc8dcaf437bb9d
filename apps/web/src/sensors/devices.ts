// The camera, the microphone and the motion of this device.

import capture from "../../../src/sensemble_apps/web/static/capture.js?url&no-inline";
import { openCamera, openMicrophone } from "../../../src/sensemble_apps/web/static/devices.js";
import { readMotion } from "../../../src/sensemble_apps/web/static/motion.js";
import type { Sensor } from "../core/session";
import type { InputSpec, Media, Sample } from "../core/spec";

interface Opened {
  stream?: MediaStream;
  close(): void;
}

abstract class Device implements Sensor {
  private opened: Opened | null = null;

  constructor(readonly modality: string, readonly name: string) {}

  protected abstract start(spec: InputSpec, give: (data: Media, time: number, cut?: boolean) => void, lose: (reason: string) => void): Promise<Opened>;

  async open(spec: InputSpec, give: (sample: Sample) => void, lose: (reason: string) => void): Promise<void> {
    let first = true;
    this.opened = await this.start(spec, (data, time, cut = first) => {
      give({ modality: this.modality, data, time, cut });
      first = false;
    }, lose);
  }

  get stream(): MediaStream | null {
    return this.opened?.stream ?? null;
  }

  close(): void {
    this.opened?.close();
    this.opened = null;
  }
}

export class Camera extends Device {
  constructor(modality: string) {
    super(modality, "camera");
  }

  protected override start: Device["start"] = openCamera;
}

export class Microphone extends Device {
  constructor(modality: string) {
    super(modality, "microphone");
  }

  protected override start: Device["start"] = (spec, give, lose) => openMicrophone(spec, capture, give, lose);
}

/** The accelerometer and gyroscope. */
export class Motion extends Device {
  constructor(modality: string) {
    super(modality, "motion");
  }

  protected override start: Device["start"] = async ({ channels, rate }, give, lose) => ({
    close: await readMotion(channels.map(({ name }) => name), rate, ({ data, time, cut }) => give(data, time, cut), lose),
  });
}
