// The messages of the studio, as `feed.py` and `summary.py` make them.

/**
 * @typedef {import("./types.js").Modality} Modality
 * @typedef {{classes: number, name: number, shortest: number, longest: number}} Bounds
 * @typedef {{type: "hello", folder: string, modalities: Modality[], bounds: Bounds, every: number}} Hello
 * @typedef {{title: string, phase: "countdown" | "recording", left: number, seconds: number}} Taking
 * @typedef {{number: number, label: string | null, background: boolean, seconds: number, modalities: string[],
 *   split: string, proposed: string}} Take
 * @typedef {{stage: string, points: [number, number][]}} Curve step and loss
 * @typedef {{subset: string, accuracy: number, low: number, high: number, n: number, chance: number}} Score
 * @typedef {{fitting: boolean, reason: string, done: boolean, sets: Score[]}} Instant
 * @typedef {{number: number, done: boolean, curves: Curve[],
 *   scores: {method: string, sets: Score[], warnings: string[]} | null}} Run
 * @typedef {{classes: {name: string, takes: number, seconds: number}[], takes: Take[], divided: boolean,
 *   shares: {name: string, train: number, calibrate: number, eval: number}[], missing: string[],
 *   estimating: boolean, estimate: number | null, runs: Run[], live: number | null, instant: Instant | null}} Project
 * @typedef {{run: number, status: "running" | "done" | "cancelled" | "failed", reason: string, stage: string,
 *   done: number, total: number, elapsed: number, left: number | null}} Training
 * @typedef {{type: "state", sensors: import("./types.js").Sensor[], take: Taking | null, failure: string,
 *   training: Training | null, previews: Record<string, import("./types.js").Preview>, project?: Project,
 *   curves?: Curve[]}} State
 * @typedef {Hello | State | import("./types.js").Giving | import("./types.js").Clock
 *   | import("./types.js").Refused} Message
 * @typedef {(message: Record<string, unknown>) => void} Send
 */

export {};
