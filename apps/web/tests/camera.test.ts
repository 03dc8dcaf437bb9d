// Which camera a sensor opens, on a device that has two.

import { afterEach, expect, test, vi } from "vitest";
import { freeCamera, stop } from "../../src/sensemble_apps/web/static/devices.js";

afterEach(() => vi.unstubAllGlobals());

test("two modalities look through two cameras, and a third waits for one", async () => {
  const cameras = ["rear", "front"];
  const devices = ["microphone", ...cameras].map((deviceId) => ({ kind: cameras.includes(deviceId) ? "videoinput" : "audioinput", deviceId }));
  const getUserMedia = async ({ video }: { video: MediaTrackConstraints }) => {
    const deviceId = (video.deviceId as ConstrainDOMStringParameters | undefined)?.exact ?? "rear";
    const track = { readyState: "live", getSettings: () => ({ deviceId }), stop: () => (track.readyState = "ended") };
    return { getTracks: () => [track] };
  };
  vi.stubGlobal("navigator", { mediaDevices: { enumerateDevices: async () => devices, getUserMedia } });
  const id = (stream: MediaStream) => stream.getTracks()[0].getSettings().deviceId;
  const [first, second] = await Promise.all([freeCamera(), freeCamera()]);
  expect([id(first), id(second)]).toEqual(["rear", "front"]);
  await expect(freeCamera()).rejects.toThrow("every camera is in use");
  stop(first);
  expect(id(await freeCamera())).toBe("rear");
});
