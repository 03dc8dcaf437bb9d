// A microphone of this device, at the rate that the encoder takes, without gain control or noise suppression.

import type { Sensor } from "../core/session";
import type { InputSpec, Sample } from "../core/spec";
import { stop, watched } from "./camera";
import capture from "../../../src/sensemble_apps/web/static/capture.js?url&no-inline";

const CHUNK = 0.05; // seconds of sound in a sample
const EXACT = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };

export class Microphone implements Sensor {
  readonly name = "microphone";
  private context: AudioContext | null = null;
  stream: MediaStream | null = null;

  constructor(readonly modality: string) {}

  async open(spec: InputSpec, give: (sample: Sample) => void, lose: (reason: string) => void): Promise<void> {
    this.stream = watched(await navigator.mediaDevices.getUserMedia({ audio: EXACT }), lose);
    const context = (this.context = new AudioContext({ sampleRate: spec.rate, latencyHint: "interactive" }));
    await context.audioWorklet.addModule(capture);
    const size = Math.max(128, Math.round(CHUNK * spec.rate));
    const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, processorOptions: { size } });
    // The sound's clock and the page's drift apart; the least distance of the last seconds ties them.
    const apart: number[] = [];
    let cut = true;
    node.port.onmessage = ({ data }: MessageEvent<{ data: Float32Array; time: number }>) => {
      apart.push(performance.now() / 1000 - data.time);
      if (apart.length > 100) apart.shift();
      give({ modality: spec.modality, data: data.data, time: data.time + Math.min(...apart), cut });
      cut = false;
    };
    context.createMediaStreamSource(this.stream).connect(node);
    await context.resume();
  }

  close(): void {
    stop(this.stream);
    void this.context?.close();
    this.stream = this.context = null;
  }
}
