// SPDX-License-Identifier: Apache-2.0
// The way of a picture through the worker: message -> decoder -> screen, and what is known about
// it on the way (latency by stage, rates, losses).

import { H264Decoder } from './h264.js';
import { JpegDecoder } from './jpeg.js';
import { LatencyWindow, frameTimeline } from './latency.js';
import { CODEC, codecName } from './protocol.js';
import { Rate } from './rate.js';
import { Screen } from './screen.js';

const LATENCY_WINDOW_MS = 5000;
const RATE_WINDOW_MS = 2000;
const FRESH_MS = 500; // safety layer 1: an older picture is no picture

export class Video {
  #clock;
  #events;
  #screen;
  #decoder = null;
  #codec = 0;
  #canH264;
  #info = null; // of the frame that comes next
  #lastSeq = null;
  #pictureMs = NaN; // when the newest picture was decoded
  #latency = new LatencyWindow(LATENCY_WINDOW_MS);
  #drawRate = new Rate(RATE_WINDOW_MS);
  #byteRate = new Rate(RATE_WINDOW_MS);
  #framesDrawn = 0;
  #missed = 0;
  #dropped = 0;
  #drawnSeq = null;

  /** events: onUnplayable(codecName), repeated while such frames come; onKeyframeNeeded();
   *  onDrawn({frameSeq, stream, receivedMs, decodedMs, drawnMs}). */
  constructor({ canvas, clock, canH264, events }) {
    this.#clock = clock;
    this.#canH264 = canH264;
    this.#events = events;
    this.#screen = new Screen(canvas, (frame, nowMs) => this.#drawn(frame, nowMs));
  }

  /** Call it on each new connection: the stream starts over, with a keyframe. */
  begin() {
    this.#info = null;
    this.#lastSeq = null;
    this.#pictureMs = NaN;
    this.#latency.clear();
    this.#decoder?.discontinuity();
  }

  frameInfo(info) {
    this.#info = info;
  }

  frame(message, nowMs) {
    const info = this.#info?.frameSeq === message.frameSeq ? this.#info : null;
    this.#info = null;
    this.#byteRate.add(nowMs, message.payload.length);
    this.#countMissed(message, info);
    if (!this.#select(message.codec)) return;
    this.#decoder.decode({
      seq: message.frameSeq,
      stream: info?.stream ?? 0,
      keyframe: message.keyframe,
      payload: message.payload,
      stampsMs: info?.stampsMs,
      receivedMs: nowMs,
      decodedMs: NaN,
    });
  }

  /** Whether the operator sees the present: safety layer 1. */
  fresh(nowMs) {
    return nowMs - this.#pictureMs <= FRESH_MS;
  }

  /** Age of the newest picture of this connection, ms; null before the first one. */
  ageMs(nowMs) {
    return Number.isNaN(this.#pictureMs) ? null : nowMs - this.#pictureMs;
  }

  grab() {
    return this.#screen.grab();
  }

  stats(nowMs) {
    return {
      codec: codecName(this.#codec),
      width: this.#framesDrawn > 0 ? this.#screen.width : 0,
      height: this.#framesDrawn > 0 ? this.#screen.height : 0,
      fps: this.#drawRate.perSecond(nowMs),
      bitrateBps: 8 * this.#byteRate.perSecond(nowMs),
      framesDrawn: this.#framesDrawn,
      missed: this.#missed,
      dropped: this.#dropped,
      lastFrameSeq: this.#drawnSeq,
      latency: this.#latency.summary(nowMs),
    };
  }

  #countMissed(message, info) {
    const gap = this.#lastSeq === null ? 0 : message.frameSeq - this.#lastSeq - 1;
    this.#lastSeq = message.frameSeq;
    this.#missed += info ? info.missed : Math.max(0, gap);
    if (gap !== 0 && !message.keyframe) this.#decoder?.discontinuity();
  }

  /** Makes the decoder for `codec` the current one; false when the codec cannot be played. */
  #select(codec) {
    if (codec !== this.#codec) {
      this.#decoder?.close();
      this.#decoder = null;
      this.#codec = codec;
      this.#latency.clear();
    }
    if (!this.#decoder) this.#decoder = this.#create(codec);
    if (!this.#decoder) this.#events.onUnplayable(codecName(codec));
    return this.#decoder !== null;
  }

  #create(codec) {
    const events = {
      onPicture: (picture, frame) => this.#picture(picture, frame),
      onKeyframeNeeded: () => this.#events.onKeyframeNeeded(),
      onDropped: () => {
        this.#dropped += 1;
      },
      onUnsupported: () => {
        this.#canH264 = false;
        this.#decoder = null;
        this.#events.onUnplayable(codecName(codec));
      },
    };
    if (codec === CODEC.JPEG) return new JpegDecoder(events);
    if (codec === CODEC.H264 && this.#canH264) return new H264Decoder(events);
    return null;
  }

  #picture(picture, frame) {
    frame.decodedMs = performance.now();
    this.#pictureMs = frame.decodedMs;
    this.#screen.show(picture, frame);
  }

  #drawn(frame, nowMs) {
    this.#framesDrawn += 1;
    this.#drawnSeq = frame.seq;
    this.#drawRate.add(nowMs);
    const { receivedMs, decodedMs } = frame;
    const { seq: frameSeq, stream } = frame;
    this.#events.onDrawn({ frameSeq, stream, receivedMs, decodedMs, drawnMs: nowMs });
    this.#latency.add(frameTimeline(frame.stampsMs, this.#clock, { ...frame, drawnMs: nowMs }));
  }
}
