// SPDX-License-Identifier: Apache-2.0
// The viewer's pure modules, each in the browser that it is written for.

import assert from 'node:assert/strict';
import { needsBrowser, withPage } from './browser.mjs';
import { test } from './harness.mjs';
import { StandIn } from './stand_in.mjs';

/** Calls run(module) in a page of the viewer's origin; the result must be plain data. */
async function inModule(name, run) {
  const server = await new StandIn().open();
  try {
    let result;
    await withPage({ port: server.port, path: '/icon.svg' }, async (page) => {
      result = await page.evaluate(`import('/${name}').then(${run})`);
    });
    return result;
  } finally {
    await server.close();
  }
}

test('clock: the fastest reply gives the offset', needsBrowser, async () => {
  const local = await inModule('clock.js', ({ ServerClock }) => {
    const clock = new ServerClock();
    const before = clock.toLocal(5);
    clock.add(100, 1000150, 200); // 100 ms there and back: offset 1000000
    clock.add(300, 1000301, 302); // 2 ms: offset 1000000
    clock.add(400, 1000500, 460); // 60 ms, lopsided: offset 1000070
    return [Number.isNaN(before), clock.toLocal(1000310), clock.rttMs];
  });
  assert.deepEqual(local, [true, 310, 2]);
});

test('latency: percentiles by stage, no total without stamps', needsBrowser, async () => {
  const [known, unknown, later] = await inModule('latency.js', ({ LatencyWindow }) => {
    const frames = new LatencyWindow(5000);
    for (let i = 1; i <= 100; i++) frames.add([0, 1, 2, 2 + i, 103, 104, 105, 106, 107]);
    const known = frames.summary(108);
    const later = frames.summary(6000);
    frames.add([NaN, NaN, NaN, NaN, NaN, NaN, 6001, 6003, 6004]);
    return [known, frames.summary(6005), later];
  });
  assert.deepEqual(known.encode, { p50: 50, p99: 99 });
  assert.deepEqual(known.total, { p50: 107, p99: 107 });
  assert.deepEqual(unknown, { decode: { p50: 2, p99: 2 }, draw: { p50: 1, p99: 1 } });
  assert.deepEqual(later, {});
});

test('h264: the codec string comes from the SPS', needsBrowser, async () => {
  const strings = await inModule('h264.js', ({ avcCodecString }) => {
    const delimiter = [0, 0, 0, 1, 9, 0xf0];
    const sps = [0, 0, 0, 1, 0x67, 0x64, 0x00, 0x1f, 0xac];
    return [
      avcCodecString(new Uint8Array([...delimiter, ...sps])),
      avcCodecString(new Uint8Array(delimiter)),
      avcCodecString(new Uint8Array([0, 0, 1, 0x67, 0x42])),
    ];
  });
  assert.deepEqual(strings, ['avc1.64001F', null, null]);
});

test('link: the backoff doubles, stays bounded and has jitter', needsBrowser, async () => {
  const delays = await inModule('link.js', ({ backoffMs }) => [
    backoffMs(1, 1),
    backoffMs(2, 1),
    backoffMs(3, 1),
    backoffMs(50, 1),
    backoffMs(1, 0),
  ]);
  assert.deepEqual(delays, [200, 400, 800, 1500, 100]);
});

test('protocol: messages with wrong lengths are no messages', needsBrowser, async () => {
  const results = await inModule('protocol.js', ({ decodeMessage, encodeClock, encodeCommand, encodeDisplayed }) => {
    const video = new Uint8Array(33 + 5);
    video[0] = 1;
    video[9] = 7; // frame_seq
    video[17] = 5; // size
    video[21] = 1; // keyframe
    video[23] = 3; // JPEG
    const whole = decodeMessage(video.buffer);
    const clock = new DataView(encodeClock(12.345));
    const displayed = new DataView(encodeDisplayed(1.5 * 2 ** 40));
    return {
      video: [whole.frameSeq, whole.keyframe, whole.codec, whole.payload.length],
      short: decodeMessage(video.buffer.slice(0, 37)),
      empty: decodeMessage(new ArrayBuffer(0)),
      unknown: decodeMessage(new Uint8Array([99, 1, 2]).buffer),
      info: decodeMessage(new Uint8Array([5, 2, ...new Array(70).fill(0)]).buffer),
      telemetry: decodeMessage(new Uint8Array([2, 9, 0, 65]).buffer),
      clock: [clock.getUint8(0), Number(clock.getBigInt64(8, true))],
      displayed: [displayed.getUint8(0), Number(displayed.getBigUint64(8, true))],
      command: String.fromCharCode(...new Uint8Array(encodeCommand({ action: 'reset' }))),
    };
  });
  assert.deepEqual(results, {
    video: [7, true, 3, 5],
    short: null,
    empty: null,
    unknown: null,
    info: null,
    telemetry: null,
    clock: [6, 12345],
    displayed: [7, 1.5 * 2 ** 40],
    command: '\x04{"action":"reset"}',
  });
});

test('safety: the worse of simulator and gate is shown', needsBrowser, async () => {
  const modes = await inModule('safety.js', ({ describeSafety }) => {
    const gated = (mode) => ({ gated: true, mode });
    const cases = [
      { connected: false, state: { mode: 'ARMED' } },
      { connected: true, state: null },
      { connected: true, state: { mode: 'ARMED' }, gate: { gated: false } },
      { connected: true, state: { mode: 'ARMED' }, gate: gated('HOLD') },
      {
        connected: true,
        state: { mode: 'HOLD', reason: 'starting' },
        gate: gated('ESTOP'),
      },
      {
        connected: true,
        state: { mode: 'ESTOP', reason: 'operator' },
        gate: gated('HOLD'),
      },
      { connected: true, state: { mode: 'HOLD', reason: 'a new reason' } },
    ];
    return cases.map((one) => {
      const { mode, reason, remedy } = describeSafety(one);
      return [mode, /undefined/.test(reason + remedy)];
    });
  });
  assert.deepEqual(
    modes.map(([mode]) => mode),
    ['UNKNOWN', 'UNKNOWN', 'ARMED', 'HOLD', 'ESTOP', 'ESTOP', 'HOLD'],
  );
  assert.ok(modes.every(([, broken]) => !broken));
});
