// The kinds of modalities: all that is handled by what a stream is, whatever its name.

import type { InputSpec, Media } from "./spec";
import { FramesRing, SteadyRing, TextRing, type WindowRing } from "./windows";

const QUIET = -60; // dB below full scale
const LOUDEST = 1e6; // times full scale; what is louder is no sound
const LARGEST = 3.4028234663852886e38; // float32
const GRID = 8; // pixels a side of a frame that its brightness is taken of

export interface Kind {
  name: "waveform" | "frames" | "text" | "series";
  dtype: InputSpec["dtype"];
  rank: number;
  windows(spec: InputSpec): WindowRing;
  /** Loudness in dB of full scale, or brightness from 0 to 1, of a window; null without one. */
  level(data: Media, spec: InputSpec): number | null;
}

const WAVEFORM: Kind = {
  name: "waveform",
  dtype: "float32",
  rank: 2,
  windows: (spec) => new SteadyRing(spec, LOUDEST),
  level(data) {
    const wave = data as Float32Array;
    const power = wave.reduce((sum, value) => sum + value * value, 0) / wave.length;
    return power > 0 ? Math.max(10 * Math.log10(power), QUIET) : QUIET;
  },
};

const FRAMES: Kind = {
  name: "frames",
  dtype: "uint8",
  rank: 5,
  windows: (spec) => new FramesRing(spec),
  level(data, spec) {
    const [, count, height, width, channels] = spec.shape as [number, number, number, number, number];
    const [down, right] = [height, width].map((side) => Math.max(1, Math.floor(side / GRID))) as [number, number];
    let [sum, n] = [0, 0];
    for (let frame = 0; frame < count; frame++)
      for (let row = 0; row < height; row += down)
        for (let column = 0; column < width; column += right)
          for (let channel = 0; channel < channels; channel++, n++)
            sum += (data as Uint8Array)[((frame * height + row) * width + column) * channels + channel];
    return sum / n / 255;
  },
};

const TEXT: Kind = { name: "text", dtype: "int64", rank: 2, windows: (spec) => new TextRing(spec), level: () => null };

const SERIES: Kind = { name: "series", dtype: "float32", rank: 3, windows: (spec) => new SteadyRing(spec, LARGEST), level: () => null };

const KINDS: Record<string, Kind> = { waveform: WAVEFORM, frames: FRAMES, text: TEXT, series: SERIES };

/** Return the kind of a spec of a checked manifest. */
export const kindOf = (spec: InputSpec): Kind => KINDS[spec.kind];

export const isKnown = ({ kind }: InputSpec): boolean => Object.hasOwn(KINDS, kind);
