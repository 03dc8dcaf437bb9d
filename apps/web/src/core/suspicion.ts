// Which modality contradicts the others, scene by scene: the runtime's `session/suspicion.py`, which explains it.

import { DEBOUNCE } from "./debounce";

const RARE = 0.02; // the probability that a sensor lies before any evidence, and that a scene changes who does
const SCENE = DEBOUNCE; // seconds that a scene lasts at least
const LEAST = Math.fround(1e-2); // of an opinion, relative to no evidence
const LIKELY = 0.5;

export class Suspicion {
  // Of each explanation: none lies, this one does (in order), or several do.
  private readonly prior: number[];
  private chances: number[];
  private evidence: number[];
  private likeliest: number[] = [];
  private began = -Infinity;

  constructor(private readonly modalities: readonly string[]) {
    const others = modalities.length + 1;
    this.prior = [1 - others * RARE, ...new Array<number>(others).fill(RARE)];
    this.chances = this.prior;
    this.evidence = this.prior.map(() => 1);
  }

  /** Return the suspect of one moment, by the probabilities that each live modality gives alone. */
  note(opinions: ReadonlyMap<string, Float32Array>, now: number): string | null {
    const [first] = opinions.values();
    if (!first) return null;
    const classes = first.length;
    const logs = this.modalities.map((modality) => {
      const found = opinions.get(modality);
      if (!found) return new Array<number>(classes).fill(0);
      return Array.from(found, (p) => Math.fround(Math.log(Math.max(Math.fround(p * classes), LEAST))));
    });
    const everybody = logs[0].map((_, c) => logs.reduce((sum, log) => sum + log[c], 0));
    const rests = logs.map((log) => log.map((value, c) => everybody[c] - value));
    const evidence = [everybody, ...rests].map((sums) => sums.reduce((sum, value) => sum + Math.exp(value), 0) / classes);
    evidence.push(1);
    const likeliest = rests.map((rest) => rest.indexOf(Math.max(...rest)));
    if (likeliest.join() !== this.likeliest.join() && now - this.began >= SCENE) {
      const known = this.shares(this.evidence);
      this.chances = known.map((share, i) => (1 - RARE) * share + RARE * this.prior[i]);
      this.evidence = evidence;
      this.likeliest = likeliest;
      this.began = now;
    } else if (evidence[0] > this.evidence[0]) {
      this.evidence = evidence; // sensors that lag behind disagree for a while
    }
    const lies = this.shares(evidence).slice(1, -1);
    const row = lies.indexOf(Math.max(...lies));
    const suspect = this.modalities[row];
    return lies[row] > LIKELY && opinions.has(suspect) ? suspect : null;
  }

  /** Forget what was noted of a modality, whose sensor left. */
  forget(modality: string): void {
    const row = 1 + this.modalities.indexOf(modality);
    const excess = Math.max(this.chances[row] - this.prior[row], 0);
    this.chances = [...this.chances];
    this.chances[0] += excess;
    this.chances[row] -= excess;
    this.evidence = this.prior.map(() => 1);
  }

  private shares(evidence: number[]): number[] {
    const weights = this.chances.map((chance, i) => chance * evidence[i]);
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / whole);
  }
}
