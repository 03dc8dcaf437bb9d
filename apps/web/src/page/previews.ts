// The newest samples of a sensor as the page draws them: `console/kinds.py`.

import type { Preview } from "../../../src/sensemble_apps/web/static/types.js";
import type { Sample } from "../core/spec";

const POINTS = 96; // of an outline or a line
const [WAVE, PLOT, LINES] = [1, 4, 9]; // seconds of sound and of a series, and its channels, that are drawn

/** Draw the samples, of which those that no later preview needs are taken away. */
export function previewOf(samples: Sample[], kind: string, rate: number, shape: number[]): Preview {
  const { data } = samples.at(-1)!;
  if (data instanceof Float32Array) {
    const wide = kind === "series" ? shape[2] : 1;
    const count = Math.round(rate * (kind === "series" ? PLOT : WAVE)) * wide;
    const all = Float32Array.from(samples.flatMap((sample) => Array.from(sample.data as Float32Array))).slice(-count);
    samples.splice(0, samples.length, { ...samples.at(-1)!, data: all });
    return kind === "series" ? plot(all, wide) : wave(all, count, rate);
  }
  samples.length = 0;
  return typeof data === "string" ? { caption: data } : picture(data, shape);
}

function wave(sound: Float32Array, count: number, rate: number): Preview {
  const full = new Float32Array(count);
  full.set(sound, count - sound.length);
  const parts = Array.from({ length: POINTS }, (_, i) => full.subarray((i * count) / POINTS, ((i + 1) * count) / POINTS));
  const last = full.slice(-rate / 10);
  const power = last.reduce((sum, value) => sum + value * value, 0) / last.length;
  const scaled = (value: number): number => Math.round(100 * Math.min(Math.max(value, -1), 1));
  return { wave: parts.map((part) => [scaled(Math.min(...part)), scaled(Math.max(...part))]), level: power > 0 ? 10 * Math.log10(power) : null };
}

function plot(rows: Float32Array, wide: number): Preview {
  const count = rows.length / wide;
  const kept = Math.min(POINTS, count);
  const places = Array.from({ length: kept }, (_, i) => Math.floor((i * (count - 1)) / Math.max(1, kept - 1)));
  const lines = Array.from({ length: Math.min(wide, LINES) }, (_, channel) => {
    const line = Array.from({ length: count }, (_, row) => rows[row * wide + channel]);
    const [low, high] = [Math.min(...line), Math.max(...line)];
    return places.map((row) => Math.round((200 * (line[row] - (low + high) / 2)) / (high - low || 1)));
  });
  return { plot: lines };
}

const pencil = document.createElement("canvas").getContext("2d")!;

function picture(rgb: Uint8Array, [, , height, width]: number[]): Preview {
  [pencil.canvas.width, pencil.canvas.height] = [width, height];
  const pixels = pencil.createImageData(width, height);
  for (let i = 0; i < width * height; i++) pixels.data.set([rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2], 255], 4 * i);
  pencil.putImageData(pixels, 0, 0);
  return { picture: pencil.canvas.toDataURL("image/jpeg", 0.9) };
}
