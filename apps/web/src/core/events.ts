// The one form of an event: the sensors' `supervision/events.py`.

/** The kinds of events for the worse that a browser has. */
export const FAULTS = ["unhealthy", "unavailable", "lost", "failed", "encoder failed", "unfamiliar", "suspect"];

/** Something that happened: the kinds and their texts are those of `docs/reference/output.md`. */
export interface SessionEvent {
  time: number;
  kind: string;
  modality: string; // empty where it concerns the session as a whole
  sensor: string; // empty where it concerns no single sensor
  text: string;
  /** Of what `began` or `ended`: the class, when, how sure, and by which sensors. */
  label?: string;
  began?: number;
  ended?: number | null;
  confidence?: number;
  sensors?: string[];
}
