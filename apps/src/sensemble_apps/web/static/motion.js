// The accelerometer and gyroscope of this device as rows of a series; the page in TypeScript (apps/web) also uses it.

const GAP = 0.5; // seconds without a reading, over which nothing is interpolated
const START = 5; // seconds within which the second of two sensors may begin
const CHANNEL = /^(?:in_)?(a|acc|accel|accelerometer|totalacceleration|g|gyr|gyro|gyroscope|anglvel)[_.]?([xyz])$/;
/** @type {Record<string, "alpha" | "beta" | "gamma">} */
const TURNS = { x: "alpha", y: "beta", z: "gamma" }; // of `rotationRate`, in degrees a second

/** @typedef {Pick<DeviceMotionEvent, "accelerationIncludingGravity" | "rotationRate" | "timeStamp">} Reading */
/** @typedef {{data: Float32Array<ArrayBuffer>, time: number, cut: boolean}} Rows `time`: of the last row, in seconds */

/**
 * Readings as rows at a steady rate: acceleration with gravity in m/s^2, turns in rad/s. A phone that lies on its
 * back has 9.8 on z, as the W3C's "Device Orientation and Motion" says and Android gives.
 */
export class MotionRows {
  /** @param {string[]} channels @param {number} rate rows a second @param {1 | -1} [sign] of the readings' accelerations */
  constructor(channels, rate, sign = 1) {
    this.rate = rate;
    this.sign = sign;
    this.channels = channels.map((name) => {
      const found = CHANNEL.exec(name.toLowerCase());
      if (!found) throw new Error(`${name}: no phone measures that; name channels as ax, ay, az, gx, gy, gz`);
      return { turn: found[1].startsWith("g") || found[1] === "anglvel", axis: /** @type {"x" | "y" | "z"} */ (found[2]) };
    });
    /** @type {{time: number, row: number[]} | null} */
    this.last = null;
    /** @type {number | null} */
    this.began = null; // the time of the first reading
    this.due = 0;
  }

  /**
   * Return the rows that a reading completes; null for none.
   * @param {Reading} reading
   * @returns {Rows | null}
   */
  add({ accelerationIncludingGravity: acceleration, rotationRate, timeStamp }) {
    const row = this.channels.map(({ turn, axis }) => (turn ? (rotationRate?.[TURNS[axis]] ?? NaN) * (Math.PI / 180) : this.sign * (acceleration?.[axis] ?? NaN)));
    const time = timeStamp / 1000;
    this.began ??= time;
    if (!row.every(Number.isFinite)) {
      // The gyroscope may begin later than the accelerometer, or the other way.
      if (!this.last && row.some(Number.isFinite) && time - this.began <= START) return null;
      throw new Error("this device has no such motion sensor");
    }
    const last = this.last && time - this.last.time <= GAP ? this.last : { time: time - 1, row };
    const cut = last !== this.last;
    if (cut) this.due = time;
    const rows = [];
    let end = 0;
    for (; this.due <= time + 1e-9; this.due += 1 / this.rate) {
      const share = (this.due - last.time) / (time - last.time);
      rows.push(...row.map((value, i) => last.row[i] + share * (value - last.row[i])));
      end = this.due;
    }
    this.last = { time, row };
    return rows.length ? { data: Float32Array.from(rows), time: end, cut } : null;
  }
}

/**
 * Call `give` with rows until the function that is returned is called; `lose` if there can be none.
 * @param {string[]} channels
 * @param {number} rate
 * @param {(rows: Rows) => void} give
 * @param {(why: string) => void} lose
 */
export async function readMotion(channels, rate, give, lose) {
  // Every browser of iOS is WebKit, which hands on Core Motion's acceleration: -9.8 on z.
  const rows = new MotionRows(channels, rate, navigator.vendor.startsWith("Apple") ? -1 : 1);
  // Safari asks the person; other browsers have no such function.
  const { requestPermission } = /** @type {{requestPermission?: () => Promise<string>}} */ (/** @type {unknown} */ (DeviceMotionEvent));
  if (requestPermission && (await requestPermission()) !== "granted") throw new Error("motion is not allowed");
  /** @param {DeviceMotionEvent} event */
  const listener = (event) => {
    try {
      const made = rows.add(event);
      if (made) give(made);
    } catch (error) {
      removeEventListener("devicemotion", listener);
      lose(error instanceof Error ? error.message : String(error));
    }
  };
  addEventListener("devicemotion", listener);
  return () => removeEventListener("devicemotion", listener);
}
