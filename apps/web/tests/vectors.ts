// The vectors that the Python runtime writes: `tests/vectors.py`. Vitest's global set-up; VECTORS names a folder of them.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export default function setup(): (() => void) | undefined {
  if (process.env["VECTORS"]) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "sensemble-vectors-"));
  execFileSync("uv", ["run", "python", "-m", "tests.vectors", folder], { cwd: "../..", stdio: "inherit" });
  process.env["VECTORS"] = folder;
  return () => rmSync(folder, { recursive: true });
}
