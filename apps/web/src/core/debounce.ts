// States of modalities that are reported once they have lasted: the runtime's `engine/debounce.py`.

export const DEBOUNCE = 2; // seconds

export class Debounced {
  private readonly now = new Set<string>();
  /** Since when each modality that was last reported to be in the state is. */
  readonly reported = new Map<string, number>();
  private readonly since = new Map<string, number>(); // when the newest windows began to differ from what was reported

  note(modality: string, time: number, on: boolean): void {
    if (on) this.now.add(modality);
    else this.now.delete(modality);
    if (on === this.reported.has(modality)) this.since.delete(modality);
    else if (!this.since.has(modality)) this.since.set(modality, time);
  }

  /** Forget what was noted of a modality, whose sensor left. */
  forget(modality: string): void {
    this.now.delete(modality);
    if (this.reported.has(modality)) this.since.set(modality, -Infinity);
    else this.since.delete(modality);
  }

  newest = (modalities: string[]): string[] => modalities.filter((modality) => this.now.has(modality));

  /** Return each modality whose state has changed for long enough, and whether the state is over. */
  changes(now: number): [string, boolean][] {
    const turned = [...this.since].filter(([, since]) => now - since >= DEBOUNCE).map(([modality]) => modality).sort();
    for (const modality of turned) {
      this.since.delete(modality);
      if (!this.reported.delete(modality)) this.reported.set(modality, now);
    }
    return turned.map((modality) => [modality, !this.reported.has(modality)]);
  }
}
