// SPDX-License-Identifier: Apache-2.0
// Maps the server's monotonic clock onto this worker's performance.now(). A reply that took
// `rtt` bounds the error by rtt / 2, so of the recent replies the fastest one counts.

const SAMPLES_MAX = 32; // about half a minute, in which two crystals drift by well under 1 ms

export class ServerClock {
  #samples = [];
  #best = null;

  /** Takes one reply: when it was asked, what the server's clock said, when the answer came. */
  add(askedMs, serverMs, nowMs) {
    const rttMs = nowMs - askedMs;
    if (!(rttMs >= 0)) return;
    this.#samples.push({ rttMs, offsetMs: serverMs - (askedMs + nowMs) / 2 });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
    this.#best = this.#samples.reduce((best, sample) =>
      sample.rttMs <= best.rttMs ? sample : best,
    );
  }

  /** Forgets everything: another server process may run on another machine's clock. */
  reset() {
    this.#samples = [];
    this.#best = null;
  }

  /** Server time in ms to performance.now() in ms; NaN before the first reply. */
  toLocal(serverMs) {
    return this.#best ? serverMs - this.#best.offsetMs : NaN;
  }

  /** The way back: performance.now() in ms to server time in ms; NaN before the first reply. */
  toServer(localMs) {
    return this.#best ? localMs + this.#best.offsetMs : NaN;
  }

  /** Round trip of the sample in use, ms; null before the first reply. */
  get rttMs() {
    return this.#best?.rttMs ?? null;
  }
}
