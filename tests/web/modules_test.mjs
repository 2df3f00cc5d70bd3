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

test('protocol: streams have ids, and are asked for in words', needsBrowser, async () => {
  const results = await inModule('protocol.js', (protocol) => {
    const { decodeMessage, encodeDisplayed, encodePause, encodeSubscribe } = protocol;
    const text = (buffer) => new TextDecoder().decode(buffer);
    const info = new Uint8Array(72);
    info.set([5, 1, 3, 0, 2, 1]);
    const metadata = new Uint8Array([8, 1, 0, 0, 2, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 65, 66]);
    const displayed = new DataView(encodeDisplayed(7, 258, 1234.5678));
    const said = (json) => decodeMessage(new TextEncoder().encode('\x03' + json).buffer);
    return {
      info: [decodeMessage(info.buffer).missed, decodeMessage(info.buffer).stream],
      metadata: [decodeMessage(metadata.buffer).stream, text(decodeMessage(metadata.buffer).bytes)],
      noMetadata: decodeMessage(metadata.buffer.slice(0, 16)),
      said: said('{"type":"subscribed","id":2}').json.id,
      notSaid: [said('null'), said('{')],
      displayed: [displayed.byteLength, displayed.getUint16(4, true), displayed.getBigInt64(16, true)].map(Number),
      unknownTime: encodeDisplayed(7, 1).byteLength,
      subscribe: text(encodeSubscribe({ stream: 'front', rendition: 'preview' })),
      pause: text(encodePause(2, true)),
      keyframe: text(protocol.encodeKeyframeRequest(2)),
      unsubscribe: text(protocol.encodeUnsubscribe(2)),
    };
  });
  assert.deepEqual(results, {
    info: [3, 258],
    metadata: [258, 'AB'],
    noMetadata: null,
    said: 2,
    notSaid: [null, null],
    displayed: [24, 258, 1234568000],
    unknownTime: 16,
    subscribe: '\x03{"type":"subscribe","stream":"front","rendition":"preview","metadata":false,"paused":false}',
    pause: '\x03{"type":"pause","id":2,"paused":true}',
    keyframe: '\x03{"type":"keyframe","id":2}',
    unsubscribe: '\x03{"type":"unsubscribe","id":2}',
  });
});

test('streams: one is shown, the next is asked for, and again after a loss', needsBrowser, async () => {
  const log = await inModule('streams.js', ({ StreamChoice }) => {
    const log = [];
    const choice = new StreamChoice({
      send: (buffer) => {
        const { type, stream, rendition, id } = JSON.parse(new TextDecoder().decode(buffer).slice(1));
        log.push([type, id ?? `${stream}+${rendition}`].join(' '));
      },
      onShown: () => log.push(`shown ${choice.id}`),
      onRefused: (reason) => log.push(reason),
    });
    const list = (id) => [
      { id: 0, stream: 'front', rendition: '', live: true },
      { id, stream: 'front', rendition: 'jpeg', live: true },
      { id: 9, stream: 'arm', rendition: 'jpeg', live: true },
    ];
    choice.begin();
    choice.take({ type: 'streams', streams: list(3) });
    log.push(choice.renditionOfCamera('jpeg').id, choice.renditionOfCamera('preview'));
    choice.watch('front', 'jpeg');
    choice.take({ type: 'subscribed', id: 3 });
    log.push(choice.renditionOfCamera('jpeg'));
    choice.watch('front', 'jpeg');
    choice.take({ type: 'error', request: 'subscribe', reason: 'it is subscribed already' });
    choice.begin(); // another connection, where it has another id and comes late
    choice.take({ type: 'streams', streams: list(3).slice(0, 1) });
    choice.take({ type: 'streams', streams: list(5) });
    choice.take({ type: 'subscribed', id: 5 });
    choice.take({ type: 'streams', streams: list(5) });
    choice.watch('gone');
    choice.take({ type: 'error', request: 'subscribe', reason: 'there is no such stream' });
    choice.watch();
    choice.take({ type: 'subscribed', id: 0 });
    return log;
  });
  assert.deepEqual(log, [
    3, null, 'subscribe front+jpeg', 'unsubscribe 0', 'shown 3', null, 'subscribe front+jpeg',
    'subscribe front+jpeg', 'unsubscribe 0', 'shown 5', 'subscribe gone+', 'there is no such stream',
    'subscribe +', 'unsubscribe 5', 'shown 0',
  ]);
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
