// Elements of the page, beside those that all pages share.

import type { Zippable } from "fflate";
import { make } from "../../../src/sensemble_apps/web/static/dom.js";

/** Resolves when the page is drawn as it is now: what takes long begins then. */
export const drawn = (): Promise<void> => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

/** Have the browser save a file. */
export function save(name: string, data: Uint8Array<ArrayBuffer>): void {
  const address = URL.createObjectURL(new Blob([data]));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Have the browser save some files as one, uncompressed. */
export async function saveZip(name: string, files: Zippable): Promise<void> {
  const { zipSync } = await import("fflate"); // which few visits need
  save(name, zipSync(files, { level: 0 }));
}
