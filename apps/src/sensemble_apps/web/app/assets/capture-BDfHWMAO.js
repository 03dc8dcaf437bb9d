// An AudioWorklet that hands over the sound of a microphone in pieces, each with the time of its end.

class Capture extends AudioWorkletProcessor {
  /** @param {{processorOptions: {size: number}}} options */
  constructor(options) {
    super();
    this.size = options.processorOptions.size;
    this.data = new Float32Array(this.size);
    this.filled = 0;
  }

  /**
   * @param {Float32Array[][]} inputs
   * @returns {boolean}
   */
  process(inputs) {
    const sound = inputs[0]?.[0];
    if (!sound) return true; // nothing is connected yet
    for (let at = 0; at < sound.length; ) {
      const taken = Math.min(sound.length - at, this.size - this.filled);
      this.data.set(sound.subarray(at, at + taken), this.filled);
      at += taken;
      this.filled += taken;
      if (this.filled === this.size) {
        this.port.postMessage({ data: this.data, time: currentTime + at / sampleRate }, [this.data.buffer]);
        this.data = new Float32Array(this.size);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
