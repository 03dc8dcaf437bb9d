// Windows that `sensemble export verify --browser` gives are encoded as on the page.

import { Bundle, filesAt } from "../core/bundle";
import { WorkerExecutor } from "../executors/in_worker";

const ARRAYS = { float32: Float32Array, uint8: Uint8Array, int64: BigInt64Array };

async function encode(): Promise<void> {
  const bundle = await Bundle.open(filesAt(new URL("bundle", location.href).href));
  const executor = new WorkerExecutor(new Worker(new URL("../executors/worker.ts", import.meta.url), { type: "module" }));
  const loaded = new Set<string>();
  for (;;) {
    const asked = await fetch("windows", { method: "POST" }); // answered once there is one
    if (asked.status !== 200) return;
    const modality = asked.headers.get("modality")!;
    const spec = bundle.specs[modality];
    if (!loaded.has(modality)) await executor.load(modality, await bundle.artifact(modality), spec, bundle.manifest.embedding);
    loaded.add(modality);
    const window = new ARRAYS[spec.dtype](await asked.arrayBuffer());
    const began = performance.now();
    const embedding = await executor.encode(modality, window);
    const body = Float32Array.of(performance.now() - began, ...embedding); // milliseconds first
    await fetch("embedding", { method: "POST", body });
  }
}

encode().catch((error: unknown) => fetch("problem", { method: "POST", body: String(error) }));
