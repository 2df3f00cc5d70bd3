// SPDX-License-Identifier: Apache-2.0
// JPEG through createImageBitmap, which works everywhere, secure context or not. One picture is
// decoded at a time; of those that arrive meanwhile only the newest is kept.

export class JpegDecoder {
  #busy = false;
  #next = null;
  #closed = false;
  #events;

  /** events: onPicture(picture, frame), the receiver closes the picture; onDropped() per lost frame. */
  constructor(events) {
    this.#events = events;
  }

  decode(frame) {
    if (!this.#busy) {
      this.#run(frame);
      return;
    }
    if (this.#next) this.#events.onDropped();
    this.#next = frame;
  }

  /** Every JPEG stands alone, so a gap in the stream does not matter. */
  discontinuity() {}

  close() {
    this.#closed = true;
    this.#next = null;
  }

  async #run(first) {
    this.#busy = true;
    for (let frame = first; frame && !this.#closed; frame = this.#take()) {
      const picture = await this.#bitmap(frame);
      if (!picture) this.#events.onDropped();
      else if (this.#closed) picture.close();
      else this.#events.onPicture(picture, frame);
    }
    this.#busy = false;
  }

  #take() {
    const frame = this.#next;
    this.#next = null;
    return frame;
  }

  async #bitmap(frame) {
    try {
      return await createImageBitmap(new Blob([frame.payload], { type: 'image/jpeg' }));
    } catch {
      return null;
    }
  }
}
