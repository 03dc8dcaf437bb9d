// The record of this browser's sessions, which `sensemble history` reads once it is saved.

import type { SqlValue } from "sql.js";
import wasm from "sql.js/dist/sql-wasm.wasm?url";
import type { Bundle } from "../core/bundle";
import type { SessionEvent } from "../core/events";
import type { Prediction } from "../core/live_set";
import { program } from "../executors/program";
import { save } from "./dom";
import { all, forget, keep, oldest } from "./store";

/** The runtime's tables, without a row, as the site has them. */
export const EMPTY = "./record.sqlite";

const MOST = 50_000; // rows that a browser keeps, about 50 MB: the oldest sessions go first
const TURN = 500; // rows between two looks at how many there are

/** A row of the runtime's tables, `record/schema.py`, without the columns that its run says. */
interface Item {
  run: number;
  table: "predictions" | "events";
  row: Record<string, SqlValue>;
}

export class Recording {
  private run: Promise<number> | null = null;
  private labels = ""; // of the run

  constructor(private readonly bundle: Bundle) {}

  prediction(made: Prediction): void {
    const { time, live, label, labels, probabilities, threshold, doubt, suspect } = made;
    const opinions = [...made.opinions].map(([m, { best, confidence, sure }]) => [m, { label: best, confidence, sure }]);
    const blob = new Uint8Array(probabilities.slice().buffer);
    const text = Object.fromEntries(
      Object.entries({ opinions: Object.fromEntries(opinions), unfamiliar: made.unfamiliar, ages: made.ages, latencies: made.latencies, dropped: made.dropped, skipped: {}, lost: made.lost }).map(
        ([name, value]) => [name, JSON.stringify(value)],
      ),
    );
    void this.add(labels, "predictions", { at: time, time, live: live.join("+"), label, probabilities: blob, threshold, doubt, suspect, ...text });
  }

  event({ time, kind, modality, sensor, text, label, began, ended, confidence, sensors }: SessionEvent): void {
    const moment: Item["row"] = label ? { label, began: began ?? null, ended: ended ?? null, confidence: confidence ?? null, sensors: JSON.stringify(sensors) } : {};
    void this.add(this.bundle.manifest.labels, "events", { at: time, time, name: sensor, modality, kind, reason: text, ...moment });
  }

  /** Add a row; a run has one list of labels, so what is learned begins another. */
  private async add(labels: readonly string[], table: Item["table"], row: Item["row"]): Promise<void> {
    const listed = JSON.stringify(labels);
    if (listed !== this.labels || !this.run) {
      const times = { began: performance.now() / 1000, offset: performance.timeOrigin / 1000 };
      this.labels = listed;
      this.run = keep("runs", { kind: "session", ...times, bundle: this.bundle.fingerprint, modalities: JSON.stringify(this.bundle.modalities), labels: listed, task: this.bundle.manifest.task });
    }
    const id = await keep("items", { run: await this.run, table, row });
    if (id % TURN > 0) return;
    await forget("items", IDBKeyRange.upperBound(id - MOST));
    const first = await oldest<Item>("items");
    await forget("runs", IDBKeyRange.upperBound(first!.run, true));
  }
}

/** Have the browser save all that it recorded, as a file of the runtime's format. */
export async function saveRecord(): Promise<void> {
  const [{ default: initialize }, wasmBinary, empty] = await Promise.all([import("sql.js"), program(wasm), fetch(EMPTY)]);
  const sql = await initialize({ wasmBinary });
  const db = new sql.Database(new Uint8Array(await empty.arrayBuffer()));
  const insert = (table: string, row: Record<string, SqlValue>): void => {
    const columns = Object.keys(row);
    db.run(`INSERT INTO ${table} (${columns.join()}) VALUES (${columns.map(() => "?").join()})`, Object.values(row));
  };
  for (const run of await all<Record<string, SqlValue>>("runs")) insert("runs", run);
  for (const { run, table, row } of await all<Item>("items")) insert(table, { run, ...row });
  save("record.sqlite", db.export() as Uint8Array<ArrayBuffer>);
  db.close();
}
