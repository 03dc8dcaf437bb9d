// WebAssembly as a site has it: compressed.

import { decompressed } from "../core/gzip";

/** Fetch a program; its address is absolute, or relative to this page's or worker's. */
export async function program(address: string): Promise<ArrayBuffer> {
  return decompressed(await (await fetch(new URL(address, self.location.href))).arrayBuffer());
}
