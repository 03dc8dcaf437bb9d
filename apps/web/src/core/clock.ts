// Time as this page lives it: the sensors' `clock.py`.

/** Seconds by which a sum of times may fall short. */
export const ROUNDING = 1e-6;

/** Seconds between two looks at the clock that count: a page that runs looks more often. */
export const GAP = 1;

/** Seconds in which this page ran, for deadlines that a busy machine or a frozen tab must not break. */
export class RunningTime {
  seconds = 0;
  private looked: number | null = null;

  /** Take the present time; return the seconds in which this page ran so far. */
  look(now: number): number {
    if (this.looked !== null) this.seconds += Math.min(Math.max(now - this.looked, 0), GAP);
    this.looked = Math.max(now, this.looked ?? now);
    return this.seconds;
  }
}
