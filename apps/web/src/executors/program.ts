// WebAssembly as a site has it: compressed, for a server that does not.

/** Fetch a program; its address is absolute, or relative to this page's or worker's. */
export async function program(address: string): Promise<ArrayBuffer> {
  const found = await (await fetch(new URL(address, self.location.href))).arrayBuffer();
  const [first, second] = new Uint8Array(found, 0, 2);
  if (first !== 0x1f || second !== 0x8b) return found; // a server has decompressed it
  return new Response(new Blob([found]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
