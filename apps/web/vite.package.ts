import { defineConfig } from "vite";

// The package: modules that another page's Vite bundles with the libraries that they name.
export default defineConfig({
  base: "./",
  publicDir: false,
  build: {
    target: "es2022",
    lib: { entry: { index: "src/index.ts", worker: "src/executors/worker.ts", "gpu-worker": "src/executors/gpu_worker.ts" }, formats: ["es"] },
    rolldownOptions: { external: [/^onnxruntime-web/, /^@huggingface/] },
  },
});
