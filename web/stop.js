// SPDX-License-Identifier: Apache-2.0
// E-STOP until it is confirmed: repeats the command until the simulator reports ESTOP, and says
// so when it does not.

const REPEAT_MS = 250;
const UNCONFIRMED_MS = 1500;

export class Stop {
  #send;
  #onChange;
  #sinceMs = null;

  /** send() sends one estop command; onChange() when `text` may have changed. */
  constructor({ send, onChange }) {
    this.#send = send;
    this.#onChange = onChange;
    setInterval(() => this.#repeat(), REPEAT_MS);
  }

  press() {
    this.#sinceMs = performance.now();
    this.#send();
    this.#onChange();
  }

  /** The simulator is in ESTOP, or the operator wants to leave it. */
  settle() {
    if (this.#sinceMs === null) return;
    this.#sinceMs = null;
    this.#onChange();
  }

  get pending() {
    return this.#sinceMs !== null;
  }

  get text() {
    if (!this.pending) return '';
    return performance.now() - this.#sinceMs < UNCONFIRMED_MS
      ? 'E-STOP sent. Waiting for the simulator to confirm it.'
      : 'The simulator does not confirm the E-STOP. Use the stop on the robot itself.';
  }

  #repeat() {
    if (!this.pending) return;
    this.#send();
    this.#onChange();
  }
}
