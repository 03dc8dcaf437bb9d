// The size of our own code, as a page loads it: minified, without the libraries, compressed.

import { gzipSync } from "node:zlib";
import { build } from "vite";
import { expect, test } from "vitest";

const MOST = 56_500; // bytes

test("our own code is small", async () => {
  const made = await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, modulePreload: { polyfill: false }, target: "es2022", rollupOptions: { external: [/^onnxruntime-web/, /^@huggingface/, /^sql\.js/, /^fflate/] } },
    worker: { format: "es", rollupOptions: { external: [/^onnxruntime-web/] } },
  });
  const chunks = [made].flat().flatMap((one) => ("output" in one ? one.output : []));
  const code = chunks.filter(({ fileName }) => /\.(js|css|html)$/.test(fileName));
  const bytes = code.map((one) => gzipSync(one.type === "chunk" ? one.code : one.source).length).reduce((sum, size) => sum + size);
  console.log(`own code: ${bytes} bytes compressed, in ${code.map(({ fileName }) => fileName).join(", ")}`);
  expect(bytes).toBeLessThan(MOST);
});
