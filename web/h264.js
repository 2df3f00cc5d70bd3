// SPDX-License-Identifier: Apache-2.0
// H.264 through WebCodecs. The stream is Annex-B with SPS and PPS in every IDR, so the decoder
// is configured from the stream itself and again whenever the SPS changes.

const NAL_SPS = 7;
const QUEUE_MAX = 8; // more than this waiting to be decoded: skip to the next keyframe
const FAILURES_MAX = 3; // decoder errors without a picture in between: H.264 does not work here

/** Offset of the first NAL unit of `type` in an Annex-B access unit, or -1. */
function findNal(bytes, type) {
  for (let i = 0; i + 3 < bytes.length; i++) {
    if (bytes[i] === 0 && bytes[i + 1] === 0 && bytes[i + 2] === 1) {
      if ((bytes[i + 3] & 0x1f) === type) return i + 3;
      i += 3;
    }
  }
  return -1;
}

/** "avc1.PPCCLL" (profile, constraints, level) of the access unit's SPS, or null without one. */
export function avcCodecString(accessUnit) {
  const sps = findNal(accessUnit, NAL_SPS);
  if (sps < 0 || sps + 4 > accessUnit.length) return null;
  const hex = [...accessUnit.subarray(sps + 1, sps + 4)].map((b) =>
    b.toString(16).padStart(2, '0'),
  );
  return `avc1.${hex.join('').toUpperCase()}`;
}

function decoderConfig(codec) {
  return { codec, optimizeForLatency: true, hardwareAcceleration: 'no-preference' };
}

/** Whether this context can decode H.264 at all: WebCodecs exists only in secure contexts. */
export async function h264Supported() {
  if (typeof VideoDecoder === 'undefined') return false;
  try {
    return (await VideoDecoder.isConfigSupported(decoderConfig('avc1.42E01F'))).supported;
  } catch {
    return false;
  }
}

export class H264Decoder {
  #decoder = null;
  #codec = null;
  #frames = new Map(); // chunk timestamp -> frame, for those in the decoder
  #timestampUs = 0;
  #awaitsKeyframe = true;
  #failures = 0;
  #events;

  /**
   * events: onPicture(picture, frame), the receiver closes the picture; onKeyframeNeeded();
   * onUnsupported(), after which the decoder is of no more use; onDropped() per lost frame.
   */
  constructor(events) {
    this.#events = events;
  }

  decode(frame) {
    if (this.#decoder && this.#decoder.decodeQueueSize > QUEUE_MAX) this.#restart();
    if (frame.keyframe) this.#configure(frame);
    if (this.#awaitsKeyframe && !(frame.keyframe && this.#decoder)) {
      this.#events.onDropped();
      return;
    }
    this.#awaitsKeyframe = false;
    this.#timestampUs += 1;
    this.#frames.set(this.#timestampUs, frame);
    try {
      this.#decoder.decode(
        new EncodedVideoChunk({
          type: frame.keyframe ? 'key' : 'delta',
          timestamp: this.#timestampUs,
          data: frame.payload,
        }),
      );
    } catch {
      this.#fail();
    }
  }

  /** Frames were lost on the way: what follows cannot be decoded before the next keyframe. */
  discontinuity() {
    this.#awaitsKeyframe = true;
  }

  close() {
    if (this.#decoder && this.#decoder.state !== 'closed') this.#decoder.close();
    this.#decoder = null;
    this.#codec = null;
    this.#frames.clear();
    this.#awaitsKeyframe = true;
  }

  #configure(frame) {
    const codec = avcCodecString(frame.payload);
    if (codec === null || (codec === this.#codec && this.#decoder)) return;
    this.close();
    const decoder = new VideoDecoder({
      output: (picture) => this.#output(picture),
      error: () => {
        if (decoder === this.#decoder) this.#fail();
      },
    });
    try {
      decoder.configure(decoderConfig(codec));
    } catch {
      this.#events.onUnsupported();
      return;
    }
    this.#decoder = decoder;
    this.#codec = codec;
  }

  #output(picture) {
    const frame = this.#frames.get(picture.timestamp);
    // The stream has no reordering: whatever is older than this output will not come any more.
    for (const timestamp of this.#frames.keys()) {
      if (timestamp > picture.timestamp) break;
      this.#frames.delete(timestamp);
    }
    if (!frame) {
      picture.close();
      return;
    }
    this.#failures = 0;
    this.#events.onPicture(picture, frame);
  }

  #restart() {
    for (let i = this.#frames.size; i > 0; i--) this.#events.onDropped();
    this.close();
    this.#events.onKeyframeNeeded();
  }

  #fail() {
    this.#failures += 1;
    if (this.#failures >= FAILURES_MAX) {
      this.close();
      this.#events.onUnsupported();
    } else {
      this.#restart();
    }
  }
}
