// Files of a site are compressed, for a server that does not compress them.

/** Decompress what begins as gzip does; all else is returned as it is: a server has decompressed it, or it never was.
 * So is what is damaged, whose hash is then wrong. */
export async function decompressed(found: ArrayBuffer): Promise<ArrayBuffer> {
  const [first, second] = new Uint8Array(found, 0, Math.min(2, found.byteLength));
  if (first !== 0x1f || second !== 0x8b) return found;
  return new Response(new Blob([found]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer().catch(() => found);
}
