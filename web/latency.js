// SPDX-License-Identifier: Apache-2.0
// Where a frame's time went, stage by stage, and the percentiles of the last seconds.

/** In the order of the frame's way. Each stage ends where the next one begins. */
export const STAGES = Object.freeze([
  'simulator', // rendered -> published in the frame ring
  'ring', // -> the encoder begins
  'encode', // -> the encoder is done
  'packet', // -> published in the packet ring
  'fanout', // -> handed to this client's socket
  'network', // -> received by the viewer's worker
  'decode', // -> decoded
  'draw', // -> drawn, at the display's next refresh
]);

/** The nine points in time between and around the stages; local ms, NaN where unknown. */
export function frameTimeline(stampsMs, clock, local) {
  const server = (name) => (stampsMs ? clock.toLocal(stampsMs[name]) : NaN);
  return [
    server('rendered'),
    server('published'),
    server('encodeBegin'),
    server('encodeEnd'),
    server('packetPublished'),
    server('sent'),
    local.receivedMs,
    local.decodedMs,
    local.drawnMs,
  ];
}

/** Nearest-rank percentile of an ascending array; NaN when it is empty. */
export function percentile(sorted, fraction) {
  if (sorted.length === 0) return NaN;
  return sorted[Math.min(sorted.length - 1, Math.ceil(fraction * sorted.length) - 1)];
}

const round = (ms) => Math.round(ms * 1000) / 1000;

export class LatencyWindow {
  #windowMs;
  #frames = []; // {atMs, durations}: one duration per stage, then the total

  constructor(windowMs) {
    this.#windowMs = windowMs;
  }

  add(timeline) {
    const drawnMs = timeline.at(-1);
    const durations = STAGES.map((_, i) => timeline[i + 1] - timeline[i]);
    const firstMs = timeline.find((ms) => !Number.isNaN(ms));
    // A total that starts only at the receiver would be a lie: without stamps there is none.
    durations.push(Number.isNaN(timeline[5]) ? NaN : drawnMs - firstMs);
    this.#frames.push({ atMs: drawnMs, durations });
    this.#expire(drawnMs);
  }

  clear() {
    this.#frames = [];
  }

  /** {stage: {p50, p99}} in ms for each stage that is known, and `total`: rendered to drawn. */
  summary(nowMs) {
    this.#expire(nowMs);
    const result = {};
    [...STAGES, 'total'].forEach((stage, i) => {
      const sorted = this.#frames
        .map((frame) => frame.durations[i])
        .filter((ms) => !Number.isNaN(ms))
        .sort((a, b) => a - b);
      if (sorted.length === 0) return;
      result[stage] = { p50: round(percentile(sorted, 0.5)), p99: round(percentile(sorted, 0.99)) };
    });
    return result;
  }

  #expire(nowMs) {
    const fresh = this.#frames.findIndex((frame) => frame.atMs > nowMs - this.#windowMs);
    if (fresh !== 0) this.#frames.splice(0, fresh < 0 ? this.#frames.length : fresh);
  }
}
