// An executor that runs in a worker.

import type { Learned, Take } from "../core/learning";
import { SensembleError } from "../core/spec";
import type { Executor } from "./executor";

export interface Call {
  number: number;
  method: "load" | "encode" | "unload" | "learn";
  args: unknown[];
}

export interface Reply {
  number: number;
  result?: unknown;
  problem?: string;
}

export class WorkerExecutor implements Executor {
  readonly target = "onnx";
  private readonly waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  private calls = 0;

  constructor(private readonly worker: Worker) {
    worker.onmessage = ({ data: { number, result, problem } }: MessageEvent<Reply>) => {
      const waiting = this.waiting.get(number);
      this.waiting.delete(number);
      if (problem === undefined) waiting?.resolve(result as never);
      else waiting?.reject(new SensembleError(problem));
    };
    worker.onerror = ({ message }) => {
      for (const { reject } of this.waiting.values()) reject(new SensembleError(`the encoders' worker failed: ${message}`));
      this.waiting.clear();
    };
  }

  /** The artifact is handed over: its buffer is empty afterwards. */
  load: Executor["load"] = (...args) => this.call("load", args, [args[1].buffer]);
  encode: Executor["encode"] = (...args) => this.call("encode", args);
  unload: Executor["unload"] = (...args) => this.call("unload", args);
  learn = (takes: readonly Take[], size: number, sensors: readonly string[]): Promise<Learned | null> => this.call("learn", [takes, size, sensors]);

  close(): void {
    this.worker.terminate();
  }

  private call<T>(method: Call["method"], args: unknown[], handedOver: Transferable[] = []): Promise<T> {
    const number = this.calls++;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(number, { resolve, reject });
      this.worker.postMessage({ number, method, args } satisfies Call, handedOver);
    });
  }
}
