// An answer, sure or not: the runtime's `prediction.py`, which explains it.

export type Doubt = "unfamiliar" | "several" | "disagreement";

/** The probabilities of the classes, and the label or why it is unsure. */
export class Opinion {
  constructor(
    readonly probabilities: Float32Array,
    /** The confidence from which an answer is sure; above 1, none is. */
    readonly threshold: number,
    readonly labels: readonly string[],
    readonly doubt: Doubt | null,
  ) {}

  /** The fewest labels that together are as probable as a sure answer must be, the most probable first. */
  get candidates(): string[] {
    return this.chosen.map((index) => this.labels[index]);
  }

  get sure(): boolean {
    return this.doubt === null;
  }

  /** The most probable label; null if unsure. */
  get label(): string | null {
    return this.sure ? this.best : null;
  }

  /** The most probable label, sure or not; null without evidence. */
  get best(): string | null {
    const alike = this.probabilities.every((share) => share === this.confidence);
    return this.doubt === "unfamiliar" && alike ? null : this.labels[this.probabilities.indexOf(this.confidence)];
  }

  /** The calibrated probability of `best`. */
  get confidence(): number {
    return Math.max(...this.probabilities);
  }

  /** The places of the candidates in `labels`, the most probable first. */
  get chosen(): number[] {
    const { probabilities: p, threshold } = this;
    const order = Array.from(p.keys()).sort((a, b) => p[b] - p[a] || a - b);
    let [sum, count] = [0, 0];
    while (count < order.length && sum < threshold) sum += p[order[count++]];
    return order.slice(0, count);
  }
}
