// Cameras and microphones of this device, as they are: no WebRTC, whose jitter buffer and gain control would hide
// what health measures, and no effects. What they give is what the encoder gets.

import { fit } from "./framing.js";

/** @typedef {Pick<import("./types.js").Modality, "shape" | "rate">} Form of a window */
/** @typedef {(data: Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>, time: number) => void} Give `time`: of the data's end, in seconds of `performance.now` */
/** @typedef {{stream: MediaStream, close: () => void}} Opened */

const CHUNK = 0.05; // seconds of sound in a sample
const FASTEST = 25; // pictures a second
const RESUMED = 3000; // milliseconds in which sound starts, unless the browser waits for a press
const EXACT = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };

/**
 * Open the microphone at the rate that the encoder takes.
 * @param {Form} form
 * @param {string} worklet the address of `capture.js`
 * @param {Give} give
 * @param {(why: string) => void} lose
 * @returns {Promise<Opened>}
 */
export async function openMicrophone({ rate }, worklet, give, lose) {
  const stream = watched(await navigator.mediaDevices.getUserMedia({ audio: EXACT }), lose);
  const context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
  const close = () => {
    stop(stream);
    void context.close();
  };
  try {
    await Promise.race([context.resume(), new Promise((_, refuse) => setTimeout(refuse, RESUMED, new Error("press the button")))]);
    await context.audioWorklet.addModule(worklet);
  } catch (error) {
    close();
    throw error;
  }
  const size = Math.max(128, Math.round(CHUNK * rate));
  const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, processorOptions: { size } });
  // The sound's clock and the page's drift apart; the least distance of the last seconds ties them.
  /** @type {number[]} */
  const apart = [];
  node.port.onmessage = ({ data: { data, time } }) => {
    apart.push(performance.now() / 1000 - time);
    if (apart.length > 100) apart.shift();
    give(data, time + Math.min(...apart));
  };
  context.createMediaStreamSource(stream).connect(node);
  return { stream, close };
}

/**
 * Open a camera, for pictures of the size that the encoder takes.
 * @param {Form} form
 * @param {Give} give
 * @param {(why: string) => void} lose
 * @returns {Promise<Opened>}
 */
export async function openCamera({ shape: [, , height, width], rate }, give, lose) {
  const stream = watched(await freeCamera(), lose);
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  video.srcObject = stream;
  await video.play();
  const pencil = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d", { willReadFrequently: true }));
  let shown = -1;
  const timer = setInterval(() => {
    if (video.currentTime === shown || !video.videoWidth) return; // no new picture
    shown = video.currentTime;
    const time = performance.now() / 1000;
    [pencil.canvas.height, pencil.canvas.width] = [video.videoHeight, video.videoWidth];
    pencil.drawImage(video, 0, 0);
    const { data } = pencil.getImageData(0, 0, video.videoWidth, video.videoHeight);
    give(fit(data, [video.videoHeight, video.videoWidth], [height, width]), time);
  }, 1000 / Math.min(FASTEST, Math.max(2 * rate, 8)));
  const close = () => {
    clearInterval(timer);
    stop(stream);
    video.srcObject = null; // an element that plays is kept, with its pictures
  };
  return { stream, close };
}

/** Of cameras. @type {MediaStreamTrack[]} */
let held = [];
/** @type {Promise<unknown>} */
let turn = Promise.resolve();

/**
 * Open a camera that nothing else of the page holds; in turn, so that no two choose the same.
 * @returns {Promise<MediaStream>}
 */
export function freeCamera() {
  const opened = turn.then(async () => {
    const { mediaDevices } = navigator;
    held = held.filter(({ readyState }) => readyState === "live");
    /** @type {MediaTrackConstraints} */
    let which = { facingMode: { ideal: "environment" } };
    if (held.length) {
      const used = held.map((track) => track.getSettings().deviceId);
      const free = (await mediaDevices.enumerateDevices()).find(({ kind, deviceId }) => kind === "videoinput" && !used.includes(deviceId));
      if (!free) throw new Error("every camera is in use; plug in another");
      which = { deviceId: { exact: free.deviceId } };
    }
    const stream = await mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 480 }, ...which } });
    held.push(...stream.getTracks());
    return stream;
  });
  turn = opened.catch(() => {});
  return opened;
}

/** Call `lose` when a track of the stream ends: its device is gone, or may no longer be used. @param {MediaStream} stream @param {(why: string) => void} lose */
function watched(stream, lose) {
  for (const track of stream.getTracks()) track.onended = () => lose("the device is gone");
  return stream;
}

/** @param {MediaStream} stream */
export function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}
