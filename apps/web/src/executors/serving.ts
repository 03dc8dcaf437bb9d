// What a worker answers: the other side of `in_worker.ts`.

import type { Call, Reply } from "./in_worker";

/** Answer the page's calls by an object's methods, in turn: WebGPU that encodes while it loads another encoder never answers. */
export function serve(object: object): void {
  const answer = async ({ number, method, args }: Call): Promise<void> => {
    const reply: Reply = { number };
    try {
      reply.result = await (object as Record<string, (...given: unknown[]) => unknown>)[method](...args);
    } catch (error) {
      reply.problem = error instanceof Error ? error.message : String(error);
    }
    self.postMessage(reply);
  };
  let last = Promise.resolve();
  self.onmessage = ({ data }: MessageEvent<Call>) => void (last = last.then(() => answer(data)));
}
