import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "fflate"; // the same bytes on every machine, unlike Node's
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const LIVE = readFileSync("../src/sensemble_apps/live_page/static/index.html", "utf8");

/** Put the main part of the live page into this one, with what is its own before the timeline. */
function livePage(): Plugin {
  const [main] = /<main[^]*<\/main>/.exec(LIVE)!;
  return {
    name: "live-page",
    transformIndexHtml: (html) => html.replace(/<!-- the main[^>]*-->([^]*)<!-- end -->/, (_, own) => main.replace(/ *<section id="timeline-panel"/, (timeline) => own + timeline)),
  };
}

/** Put WebAssembly into the build compressed, a quarter of its size: a phone's server may not compress. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    generateBundle(_, bundle) {
      const all = Object.values(bundle);
      for (const asset of all) {
        if (asset.type !== "asset" || !asset.fileName.endsWith(".wasm")) continue;
        const name = asset.fileName.split("/").at(-1)!;
        delete bundle[asset.fileName];
        this.emitFile({ type: "asset", fileName: `${asset.fileName}.gz`, source: gzipSync(asset.source as Uint8Array, { level: 9, mtime: 0 }) });
        for (const one of all) {
          if (one.type === "chunk") one.code = one.code.replaceAll(name, `${name}.gz`);
          else if (one.fileName.endsWith(".js")) one.source = String(one.source).replaceAll(name, `${name}.gz`);
        }
      }
    },
  };
}

/** Write the service worker, which keeps every file of the build; those of WebGPU once they are used. */
function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    apply: "build",
    generateBundle(_, bundle) {
      const files = [...Object.keys(bundle), ...readdirSync("public")].filter((name) => !/\.map$|gpu_worker|jspi/.test(name)).sort();
      const version = createHash("sha256").update(files.join()).update(readFileSync("index.html")).update(LIVE).digest("hex").slice(0, 12);
      const source = readFileSync("src/page/sw.js", "utf8");
      const given = `const VERSION = ${JSON.stringify(version)};\nconst FILES = ${JSON.stringify(["./", ...files])};\n`;
      this.emitFile({ type: "asset", fileName: "sw.js", source: given + source });
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [livePage(), compressed(), serviceWorker()],
  // Committed: who uses the package has no Node. `sensemble web` copies it.
  build: { outDir: "../src/sensemble_apps/web/app", emptyOutDir: true, target: "es2022", modulePreload: { polyfill: false }, rolldownOptions: { input: ["index.html", "encode.html"] } },
  worker: { format: "es" },
  test: { include: ["tests/*.test.ts"], globalSetup: "tests/vectors.ts", testTimeout: 120_000 }, // a busy machine is no failure
});
