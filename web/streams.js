// SPDX-License-Identifier: Apache-2.0
// Which of the server's streams the viewer shows: one at a time. A change keeps the picture of
// before until the server has agreed; what is not there yet is asked for when it comes. Pure
// logic: what is to be sent goes through events.

import { encodeSubscribe, encodeUnsubscribe } from './protocol.js';

export class StreamChoice {
  #events;
  #wanted = { stream: '', rendition: '' }; // '': the default one
  #id = 0; // of the stream that is shown
  #list = [];

  /**
   * events: send(ArrayBuffer); onShown(): frames of another stream are shown from now on;
   * onRefused(reason): the one before goes on.
   */
  constructor(events) {
    this.#events = events;
  }

  /** The server's id of the stream whose frames are to be shown. */
  get id() {
    return this.#id;
  }

  /** [{id, stream, rendition, live, codec, width, height}, ...], the default one first. */
  get list() {
    return this.#list;
  }

  /** A new connection: the server sends the default stream, and says what else there is. */
  begin() {
    this.#id = 0;
    this.#list = [];
  }

  /** Shows this stream from now on, also after the connection was lost; '': the default one. */
  watch(stream = '', rendition = '') {
    this.#wanted = { stream, rendition };
    this.#ask();
  }

  /** The live rendition `name` of the camera that is shown, unless it is shown already; or null. */
  renditionOfCamera(name) {
    const camera = this.#list.find((one) => one.id === this.#id)?.stream;
    const found = this.#list.find(
      (one) => one.stream === camera && one.rendition === name && one.live,
    );
    return found && found.id !== this.#id ? found : null;
  }

  /** Takes a SIGNALING message's JSON. */
  take(json) {
    if (json.type === 'streams' && Array.isArray(json.streams)) this.#listed(json.streams);
    else if (json.type === 'subscribed') this.#subscribed(json.id);
    else if (json.type === 'error' && json.request === 'subscribe') this.#refused(json.reason);
  }

  #ask() {
    this.#events.send(encodeSubscribe(this.#wanted));
  }

  #listed(list) {
    this.#list = list;
    const { stream, rendition } = this.#wanted;
    const wanted = list.find((one) => one.stream === stream && one.rendition === rendition);
    if (wanted && wanted.id !== this.#id) this.#ask();
  }

  #subscribed(id) {
    if (id === this.#id) return;
    this.#events.send(encodeUnsubscribe(this.#id));
    this.#id = id;
    this.#events.onShown();
  }

  #refused(reason) {
    if (!reason.includes('already')) this.#events.onRefused(reason); // else it is what is shown
  }
}
