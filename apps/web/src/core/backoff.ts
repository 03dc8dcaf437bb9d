// The wait before trying again what has failed: the sensors' `supervision/backoff.py`.

const RETRY = [0.5, 10] as const; // seconds before the first retry, and before later ones at most

/** Waits in seconds, doubled with each failure; `delay` is the next one. */
export class Backoff {
  delay: number = RETRY[0];

  /** Return the wait, and double the one after it. */
  next(): number {
    const { delay } = this;
    this.delay = Math.min(2 * delay, RETRY[1]);
    return delay;
  }

  reset(): void {
    this.delay = RETRY[0];
  }
}
