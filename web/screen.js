// SPDX-License-Identifier: Apache-2.0
// The canvas. A picture waits for the display's next refresh, because only then would a drawn
// canvas reach the compositor anyway; a newer one takes its place. So at most one decoded
// picture is held, and the moment of drawing is as near to the glass as a page can measure.

const nextRefresh = self.requestAnimationFrame
  ? (draw) => self.requestAnimationFrame(draw)
  : (draw) => setTimeout(draw, 0);

export class Screen {
  #canvas;
  #context;
  #pending = null;
  #scheduled = false;
  #onDrawn;

  /** onDrawn(frame, nowMs) after a frame's picture was drawn. */
  constructor(canvas, onDrawn) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d', { alpha: false });
    this.#onDrawn = onDrawn;
  }

  /** Takes the picture (a VideoFrame or an ImageBitmap) and closes it when it is done with it. */
  show(picture, frame) {
    this.#pending?.picture.close();
    this.#pending = { picture, frame };
    if (this.#scheduled) return;
    this.#scheduled = true;
    nextRefresh(() => this.#draw());
  }

  get width() {
    return this.#canvas.width;
  }

  get height() {
    return this.#canvas.height;
  }

  /** The pixels as they are on the canvas: {width, height, data}, RGBA, top row first. */
  grab() {
    return this.#context.getImageData(0, 0, this.#canvas.width, this.#canvas.height);
  }

  #draw() {
    const { picture, frame } = this.#pending;
    this.#pending = null;
    this.#scheduled = false;
    const width = picture.displayWidth ?? picture.width;
    const height = picture.displayHeight ?? picture.height;
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    this.#context.drawImage(picture, 0, 0, width, height);
    picture.close();
    this.#onDrawn(frame, performance.now());
  }
}
