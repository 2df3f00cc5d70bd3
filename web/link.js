// SPDX-License-Identifier: Apache-2.0
// The socket to simcastd: connects, notices silence, and reconnects with exponential backoff and
// jitter. It lives in the worker.

import { SUBPROTOCOL } from './protocol.js';

const CONNECT_TIMEOUT_MS = 4000;
const SILENCE_MS = 3000; // the clock is asked every second, so a live server answers within this
const CLOSED_FOR_VIOLATION = 1008;
const BACKOFF_FIRST_MS = 200;
const BACKOFF_MAX_MS = 1500; // a restarted server is found again well within two seconds

/** Delay before try `attempt` (from 1): doubles, capped, between a half and the whole of it. */
export function backoffMs(attempt, random = Math.random()) {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (attempt - 1));
  return ceiling * (0.5 + 0.5 * random);
}

export class Link {
  #url;
  #events;
  #socket = null;
  #attempt = 0;
  #retryTimer = null;
  #connectTimer = null;
  #heardMs = 0;

  /**
   * events: onOpen(); onMessage(ArrayBuffer); onConnecting(); onWaiting({attempt, delayMs,
   * wasOpen}) when the connection is gone or did not come about and the next try is due;
   * onRefused() when the server closed because we may not be here: nothing is tried until
   * connect() or retryLater().
   */
  constructor(url, events) {
    this.#url = url;
    this.#events = events;
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Bytes that were sent but have not left yet; they grow when the way to the server is stuck. */
  get bufferedBytes() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  connect() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    this.#events.onConnecting();
    const socket = new WebSocket(this.#url, SUBPROTOCOL);
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    let opened = false;
    socket.onopen = () => {
      opened = true;
      clearTimeout(this.#connectTimer);
      this.#heardMs = performance.now();
      this.#events.onOpen();
    };
    socket.onmessage = (event) => {
      this.#heardMs = performance.now();
      this.#attempt = 0; // not at open: a server that accepts and dies at once stays backed off
      if (event.data instanceof ArrayBuffer) this.#events.onMessage(event.data);
    };
    socket.onclose = ({ code }) => this.#lost(socket, opened, code);
    this.#connectTimer = setTimeout(() => this.#abandon(socket, false), CONNECT_TIMEOUT_MS);
  }

  /** Ends the wait for the next try, if there is one. */
  retryNow() {
    if (this.#retryTimer !== null) this.connect();
  }

  /** Call it a few times a second: gives up a connection that has gone silent. */
  checkSilence(nowMs) {
    if (this.open && nowMs - this.#heardMs > SILENCE_MS) this.#abandon(this.#socket, true);
  }

  /** Returns whether the message was handed to an open socket. */
  send(message) {
    if (!this.open) return false;
    this.#socket.send(message);
    return true;
  }

  /** A dead peer may delay the closing handshake for long: do not wait for it. */
  #abandon(socket, opened) {
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#lost(socket, opened);
  }

  #lost(socket, wasOpen, code) {
    if (socket !== this.#socket) return;
    clearTimeout(this.#connectTimer);
    this.#socket = null;
    if (code === CLOSED_FOR_VIOLATION) this.#events.onRefused();
    else this.retryLater(wasOpen);
  }

  retryLater(wasOpen) {
    this.#attempt += 1;
    const delayMs = backoffMs(this.#attempt);
    this.#events.onWaiting({ attempt: this.#attempt, delayMs, wasOpen });
    this.#retryTimer = setTimeout(() => this.connect(), delayMs);
  }
}
