// SPDX-License-Identifier: Apache-2.0
// The bytes that the viewer and simcastd exchange. Pure functions; the manual of the formats is
// docs/wire.md and proto/viewer.h. Everything is little-endian.

export const SUBPROTOCOL = 'simcast.v2';

export const MESSAGE = Object.freeze({
  VIDEO: 0x01,
  TELEMETRY: 0x02,
  SIGNALING: 0x03,
  COMMAND: 0x04,
  FRAME_INFO: 0x05,
  CLOCK: 0x06,
  DISPLAYED: 0x07,
  METADATA: 0x08,
});

export const CODEC = Object.freeze({ H264: 1, HEVC: 2, JPEG: 3 });
const CODEC_NAMES = { 1: 'h264', 2: 'hevc', 3: 'jpeg' };

const VIDEO_PREFIX_BYTES = 33; // type and frame header
const FRAME_INFO_BYTES = 72;
const FRAME_INFO_VERSION = 1;
const METADATA_HEADER_BYTES = 16;
const METADATA_VERSION = 1;
const FLAG_KEYFRAME = 0x0001;
const STAMPS = ['rendered', 'published', 'encodeBegin', 'encodeEnd', 'packetPublished', 'sent'];

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder();

export function codecName(codec) {
  return CODEC_NAMES[codec] ?? 'none';
}

function decodeVideo(buffer, view) {
  if (buffer.byteLength < VIDEO_PREFIX_BYTES) return null;
  const size = view.getUint32(17, true);
  if (size !== buffer.byteLength - VIDEO_PREFIX_BYTES) return null;
  return {
    type: MESSAGE.VIDEO,
    frameId: Number(view.getBigUint64(1, true)),
    frameSeq: Number(view.getBigUint64(9, true)),
    keyframe: (view.getUint16(21, true) & FLAG_KEYFRAME) !== 0,
    codec: view.getUint16(23, true),
    payload: new Uint8Array(buffer, VIDEO_PREFIX_BYTES, size),
  };
}

function decodeFrameInfo(buffer, view) {
  if (buffer.byteLength !== FRAME_INFO_BYTES || view.getUint8(1) !== FRAME_INFO_VERSION)
    return null;
  const stampsMs = {};
  STAMPS.forEach((name, i) => {
    const ns = view.getBigInt64(24 + 8 * i, true);
    stampsMs[name] = ns === 0n ? NaN : Number(ns) / 1e6;
  });
  return {
    type: MESSAGE.FRAME_INFO,
    missed: view.getUint16(2, true),
    stream: view.getUint16(4, true),
    frameSeq: Number(view.getBigUint64(8, true)),
    simTimeS: Number(view.getBigInt64(16, true)) / 1e9,
    stampsMs, // server clock; NaN: the stage is unknown
  };
}

function decodeTelemetry(buffer, view) {
  if (buffer.byteLength < 3) return null;
  const subjectBytes = view.getUint16(1, true);
  if (3 + subjectBytes > buffer.byteLength) return null;
  const bytes = new Uint8Array(buffer);
  return {
    type: MESSAGE.TELEMETRY,
    subject: utf8Decoder.decode(bytes.subarray(3, 3 + subjectBytes)),
    payload: bytes.subarray(3 + subjectBytes),
  };
}

function decodeClock(buffer, view) {
  if (buffer.byteLength !== 24) return null;
  return {
    type: MESSAGE.CLOCK,
    clientMs: Number(view.getBigInt64(8, true)) / 1e3,
    serverMs: Number(view.getBigInt64(16, true)) / 1e6,
  };
}

function decodeSignaling(buffer) {
  const json = parseJson(new Uint8Array(buffer, 1));
  return json && typeof json === 'object' ? { type: MESSAGE.SIGNALING, json } : null;
}

/** What the simulator said about the frame that comes next. */
function decodeMetadata(buffer, view) {
  if (buffer.byteLength <= METADATA_HEADER_BYTES || view.getUint8(1) !== METADATA_VERSION)
    return null;
  return {
    type: MESSAGE.METADATA,
    stream: view.getUint16(4, true),
    frameSeq: Number(view.getBigUint64(8, true)),
    bytes: new Uint8Array(buffer, METADATA_HEADER_BYTES),
  };
}

const DECODERS = {
  [MESSAGE.VIDEO]: decodeVideo,
  [MESSAGE.FRAME_INFO]: decodeFrameInfo,
  [MESSAGE.TELEMETRY]: decodeTelemetry,
  [MESSAGE.CLOCK]: decodeClock,
  [MESSAGE.SIGNALING]: decodeSignaling,
  [MESSAGE.METADATA]: decodeMetadata,
};

/** One message from the server, or null when it is of no known kind or malformed. */
export function decodeMessage(buffer) {
  if (buffer.byteLength === 0) return null;
  const view = new DataView(buffer);
  return DECODERS[view.getUint8(0)]?.(buffer, view) ?? null;
}

/** The JSON that a telemetry payload holds, or null. */
export function parseJson(payload) {
  try {
    return JSON.parse(utf8Decoder.decode(payload));
  } catch {
    return null;
  }
}

/** A clock request; `nowMs` comes back in the reply's clientMs, to the microsecond. */
export function encodeClock(nowMs) {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint8(0, MESSAGE.CLOCK);
  view.setBigInt64(8, BigInt(Math.round(nowMs * 1e3)), true);
  return view.buffer;
}

/** Says that the operator was shown this frame of this stream; `serverMs`: when, if known. */
export function encodeDisplayed(frameSeq, stream = 0, serverMs = NaN) {
  const known = Number.isFinite(serverMs);
  const view = new DataView(new ArrayBuffer(known ? 24 : 16));
  view.setUint8(0, MESSAGE.DISPLAYED);
  view.setUint16(4, stream, true);
  view.setBigUint64(8, BigInt(frameSeq), true);
  if (known) view.setBigInt64(16, BigInt(Math.round(serverMs * 1e3)) * 1000n, true);
  return view.buffer;
}

function encodeJson(type, value) {
  const json = utf8Encoder.encode(JSON.stringify(value));
  const message = new Uint8Array(1 + json.length);
  message[0] = type;
  message.set(json, 1);
  return message.buffer;
}

/** Asks for a stream: a camera ('': the default one) and a rendition of it ('': the usual one). */
export function encodeSubscribe({ stream = '', rendition = '', metadata = false, paused = false }) {
  return encodeJson(MESSAGE.SIGNALING, { type: 'subscribe', stream, rendition, metadata, paused });
}

export function encodeAuth(token) {
  return encodeJson(MESSAGE.SIGNALING, { type: 'auth', token });
}

/** 'take' the right to command from whoever holds it, or 'release' it. */
export function encodeLease(action) {
  return encodeJson(MESSAGE.SIGNALING, { type: 'lease', action });
}

export function encodeUnsubscribe(id) {
  return encodeJson(MESSAGE.SIGNALING, { type: 'unsubscribe', id });
}

export function encodePause(id, paused) {
  return encodeJson(MESSAGE.SIGNALING, { type: 'pause', id, paused });
}

export function encodeKeyframeRequest(id) {
  return encodeJson(MESSAGE.SIGNALING, { type: 'keyframe', id });
}

/** {action, cmd_seq, ttl_ms, data} as a COMMAND message. */
export function encodeCommand(command) {
  return encodeJson(MESSAGE.COMMAND, command);
}
