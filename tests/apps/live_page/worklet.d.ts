// The globals of an AudioWorklet, which the library of the page's types lacks.

declare const currentTime: number;
declare const sampleRate: number;
declare function registerProcessor(name: string, processor: new (options: { processorOptions: { size: number } }) => AudioWorkletProcessor): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
