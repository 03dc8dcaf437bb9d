// A camera of this device. No WebRTC and no effects: what it sees is what the encoder gets.

import { fit } from "../core/framing";
import type { Sensor } from "../core/session";
import type { InputSpec, Sample } from "../core/spec";

const FASTEST = 25; // pictures a second

export class Camera implements Sensor {
  readonly name = "camera";
  /** Shows what the camera sees. */
  readonly video = document.createElement("video");
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(readonly modality: string) {
    this.video.muted = this.video.playsInline = true;
  }

  async open(spec: InputSpec, give: (sample: Sample) => void, lose: (reason: string) => void): Promise<void> {
    const { video } = this;
    video.srcObject = watched(await openCamera(), lose);
    await video.play();
    const pencil = document.createElement("canvas").getContext("2d", { willReadFrequently: true })!;
    const [, , height, width] = spec.shape;
    let [shown, cut] = [-1, true];
    this.timer = setInterval(() => {
      if (video.currentTime === shown || !video.videoWidth) return; // no new picture
      shown = video.currentTime;
      const time = performance.now() / 1000;
      const size: [number, number] = [video.videoHeight, video.videoWidth];
      [pencil.canvas.height, pencil.canvas.width] = size;
      pencil.drawImage(video, 0, 0);
      const { data } = pencil.getImageData(0, 0, size[1], size[0]);
      give({ modality: spec.modality, data: fit(data, size, [height, width]), time, cut });
      cut = false;
    }, 1000 / Math.min(FASTEST, Math.max(2 * spec.rate, 8)));
  }

  get stream(): MediaStream | null {
    return this.video.srcObject as MediaStream | null;
  }

  close(): void {
    clearInterval(this.timer);
    stop(this.stream);
    this.video.srcObject = null;
  }
}

let held: MediaStreamTrack[] = []; // of cameras
let turn: Promise<unknown> = Promise.resolve();

/** Open a camera that no other sensor of the page holds; in turn, so that no two choose the same. */
export function openCamera(): Promise<MediaStream> {
  const opened = turn.then(openFree);
  turn = opened.catch(() => {});
  return opened;
}

async function openFree(): Promise<MediaStream> {
  const { mediaDevices } = navigator;
  held = held.filter(({ readyState }) => readyState === "live");
  let which: MediaTrackConstraints = { facingMode: { ideal: "environment" } };
  if (held.length) {
    const taken = held.map((track) => track.getSettings().deviceId);
    const free = (await mediaDevices.enumerateDevices()).find(({ kind, deviceId }) => kind === "videoinput" && !taken.includes(deviceId));
    if (!free) throw new Error("every camera is in use; plug in another");
    which = { deviceId: { exact: free.deviceId } };
  }
  const stream = await mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 480 }, ...which } });
  held.push(...stream.getTracks());
  return stream;
}

/** Call `lose` when a track of the stream ends: its device is gone, or may no longer be used. */
export function watched(stream: MediaStream, lose: (reason: string) => void): MediaStream {
  for (const track of stream.getTracks()) track.onended = () => lose("the device is gone");
  return stream;
}

export function stop(stream: MediaStream | null): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
