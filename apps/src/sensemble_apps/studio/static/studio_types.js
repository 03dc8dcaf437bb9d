// The messages of the studio, as `api.py` and `studio.py` make them.

/**
 * @typedef {import("./types.js").Modality} Modality
 * @typedef {{classes: number, name: number, shortest: number, longest: number, row: number}} Bounds
 * @typedef {{type: "hello", folder: string, modalities: Modality[], bounds: Bounds, every: number}} Hello
 * @typedef {{title: string, phase: "countdown" | "recording", left: number, seconds: number, number: number,
 *   count: number}} Taking
 * @typedef {import("./types.js").Verdict & {live: string[], unfamiliar: string[], probabilities: Record<string, number>}} Answer
 * @typedef {{number: number, label: string | null, background: boolean, seconds: number, modalities: string[],
 *   split: string}} Take
 * @typedef {{subset: string, accuracy: number, low: number, high: number, n: number}} Score
 * @typedef {{fitting: boolean, reason: string, trouble: string, mistaken: [number, number] | null, lowered: number | null, done: boolean, phone: boolean, sets: Score[]}} Instant
 * @typedef {{number: number, done: boolean, phone: boolean, scores: {method: string, sets: Score[], warnings: string[]} | null}} Run
 * @typedef {{classes: {name: string, takes: number, seconds: number, right: [number, number] | null}[], none: [number, number] | null, between: boolean,
 *   takes: Take[], hardest: {number: number, label: string, best: string, share: number}[], sensors: number, runs: Run[], live: number | null, instant: Instant | null,
 *   preparing: number | null, phones: Phones | null}} Project
 * @typedef {{run: number, address: string, certificate: string, code: string}} Phones the model that is served to phones
 * @typedef {{run: number, status: "running" | "done" | "cancelled" | "failed", reason: string, stage: string,
 *   done: number, total: number, elapsed: number, left: number | null, share: number | null}} Training
 * @typedef {{type: "state", sensors: import("./types.js").Sensor[], take: Taking | null, failure: string,
 *   training: Training | null, answer: Answer | null, previews: Record<string, import("./types.js").Preview>,
 *   project?: Project}} State
 * @typedef {Hello | State | import("./types.js").Giving | import("./types.js").Clock
 *   | import("./types.js").Refused} Message
 * @typedef {(message: Record<string, unknown>) => void} Send
 */

export {};
