// What a worker answers: the other side of `in_worker.ts`.

import type { Call, Reply } from "./in_worker";

/** Answer the page's calls by an object's methods. */
export function serve(object: object): void {
  self.onmessage = async ({ data: { number, method, args } }: MessageEvent<Call>) => {
    const reply: Reply = { number };
    try {
      reply.result = await (object as Record<string, (...given: unknown[]) => unknown>)[method](...args);
    } catch (error) {
      reply.problem = error instanceof Error ? error.message : String(error);
    }
    self.postMessage(reply);
  };
}
