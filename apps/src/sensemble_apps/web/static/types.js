// The messages of the page's WebSocket, for the type checker; there is nothing to run here.

/**
 * @typedef {{modality: string, kind: string, sensor: string, device: string, icon: string, noun: string, none: string, shape: number[], rate: number, hop: number, channels: string[],
 *   conditions: {name: string, effects: string[], staged: {severity: number, word: string, icon: string} | null}[]}} Modality `none`: what it does while nothing is familiar; `staged`: as a button
 * @typedef {{accuracy: number, low: number, high: number, n: number}} Score
 * @typedef {{subset: string, modalities: string[], accuracy: number | null, low?: number, high?: number, n?: number}} Subset
 * @typedef {{type: "hello", bundle: string, fingerprint: string, labels: string[], modalities: Modality[],
 *   subsets: Subset[], promise: string, every: number, home: string | null, replayed: boolean, recordings: string,
 *   examples: Record<string, Record<string, Preview>>}} Hello `home`: the page that this one belongs to; `examples`: by class and modality
 * @typedef {{name: string, title: string, modality: string, kind: string, state: string, reason: string, note: string,
 *   noted: string, since: number,
 *   plugged: boolean, fault: boolean, active: boolean,
 *   condition: {condition: string, severity: number, effect: string} | null}} Sensor
 * @typedef {{label: string | null, best: string | null, confidence: number, doubt: string | null, none: boolean, words: string, why: string}} Verdict what is said: without a label it is unsure, for the reason `doubt`; `none` of the classes
 * @typedef {Verdict & {live: string[], time: number, age: number, ages: Record<string, number>, audited: Score | null, unfamiliar: string[], suspect: string | null, probabilities: Record<string, number>}} Answer
 * @typedef {Verdict & {subset: string}} Opinion
 * @typedef {{number: number, kind: string, time: number, live?: string[],
 *   label?: string | null, best?: string | null, none?: boolean, words?: string, why?: string, right?: boolean | null,
 *   confidence?: number, modality?: string | null, sensor?: string | null, text?: string, fault?: boolean,
 *   began?: number, ended?: number | null, sensors?: string[]}} Entry `kind`: `answer`, `live`, or that of an event, which alone has a `fault`; what `began` or `ended` has its times
 * @typedef {{wave?: [number, number][], level?: number | null, picture?: string, caption?: string, plot?: number[][], sound?: string}} Preview `sound`: what a replay played since the last one, 16 bits in base64
 * @typedef {{right: number, unsure: number, n: number}} Count
 * @typedef {{type: "state", version: number, time: number, live: string[], sensors: Sensor[],
 *   answer: Answer | null, lattice: Opinion[], latencies: Record<string, number>,
 *   dropped: Record<string, number>, lost: Record<string, number>, truth: string | null, played: string[],
 *   demo: string, score: Record<string, Count>, recorded: number | null, recording_failed: string, process?: {cpu: number, memory: number},
 *   viewers?: number, executors?: Record<string, string>, timeline: Entry[], previews: Record<string, Preview>}} State
 * @typedef {{type: "giving", id: number, modality: string, sensor: string}} Giving
 * @typedef {{type: "clock", sent: number, answered: number}} Clock
 * @typedef {{type: "refused", reason: string}} Refused
 * @typedef {Hello | State | Giving | Clock | Refused} Message
 */

export {};
