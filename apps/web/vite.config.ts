import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const LIVE = readFileSync("../src/sensemble_apps/serve/static/index.html", "utf8");

/** Put the main part of the live page into this one, with what is its own before the timeline. */
function livePage(): Plugin {
  const [main] = /<main[^]*<\/main>/.exec(LIVE)!;
  return {
    name: "live-page",
    transformIndexHtml: (html) => html.replace(/<!-- the main[^>]*-->([^]*)<!-- end -->/, (_, own) => main.replace(/ *<section id="timeline-panel"/, (timeline) => own + timeline)),
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
  plugins: [livePage(), serviceWorker()],
  // `sensemble web` copies it.
  build: { outDir: "../src/sensemble_apps/web/app", emptyOutDir: true, target: "es2022", rolldownOptions: { input: ["index.html", "encode.html"] } },
  worker: { format: "es" },
  test: { include: ["tests/*.test.ts"], globalSetup: "tests/vectors.ts" },
});
