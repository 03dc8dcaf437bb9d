// The page's one WebSocket: it connects again when it is lost.

const FIRST = 500; // milliseconds before the first retry, and at most before later ones
const LONGEST = 8000;

/** @template M the messages that it gets */
export class Socket {
  /**
   * @param {(message: M) => void} got called with each message
   * @param {(connected: boolean, why: string) => void} changed called when it is connected or lost
   */
  constructor(got, changed) {
    this.got = got;
    this.changed = changed;
    this.wait = FIRST;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.connect();
  }

  connect() {
    const address = new URL("socket", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.socket = socket;
      this.wait = FIRST;
      this.changed(true, "");
    };
    socket.onmessage = (event) => this.got(JSON.parse(event.data));
    socket.onclose = (event) => {
      this.socket = null;
      this.changed(false, event.reason || "the session does not answer");
      setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(LONGEST, 2 * this.wait);
    };
  }

  /**
   * Send a message, unless the socket is lost.
   * @param {Record<string, unknown>} message
   */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /**
   * Send a sample, unless as much waits that it would come late.
   * @param {ArrayBuffer} data
   * @param {number} most bytes that may wait
   * @returns {boolean} whether it was sent
   */
  sendSample(data, most) {
    if (this.socket?.readyState !== WebSocket.OPEN || this.socket.bufferedAmount > most) return false;
    this.socket.send(data);
    return true;
  }
}
