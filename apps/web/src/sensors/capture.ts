// An AudioWorklet that hands over sound in pieces, each with the time of its end.

declare const currentTime: number;
declare const sampleRate: number;
declare function registerProcessor(name: string, processor: unknown): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

class Capture extends AudioWorkletProcessor {
  private readonly size: number;
  private data: Float32Array<ArrayBuffer>;
  private filled = 0;

  constructor(options: { processorOptions: { size: number } }) {
    super();
    this.size = options.processorOptions.size;
    this.data = new Float32Array(this.size);
  }

  process(inputs: Float32Array[][]): boolean {
    const sound = inputs[0]?.[0];
    for (let at = 0; sound && at < sound.length; ) {
      const taken = Math.min(sound.length - at, this.size - this.filled);
      this.data.set(sound.subarray(at, at + taken), this.filled);
      at += taken;
      this.filled += taken;
      if (this.filled < this.size) continue;
      this.port.postMessage({ data: this.data, time: currentTime + at / sampleRate }, [this.data.buffer]);
      this.data = new Float32Array(this.size);
      this.filled = 0;
    }
    return true;
  }
}

registerProcessor("capture", Capture);
