// SPDX-License-Identifier: Apache-2.0
// An amount per second over a sliding window: pictures, bytes.

export class Rate {
  #windowMs;
  #entries = []; // {atMs, amount}, oldest first

  constructor(windowMs) {
    this.#windowMs = windowMs;
  }

  add(atMs, amount = 1) {
    this.#entries.push({ atMs, amount });
    this.#expire(atMs);
  }

  perSecond(nowMs) {
    this.#expire(nowMs);
    const sum = this.#entries.reduce((total, entry) => total + entry.amount, 0);
    return (sum * 1000) / this.#windowMs;
  }

  #expire(nowMs) {
    while (this.#entries.length > 0 && this.#entries[0].atMs <= nowMs - this.#windowMs) {
      this.#entries.shift();
    }
  }
}
