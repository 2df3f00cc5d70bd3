// SPDX-License-Identifier: Apache-2.0
// A stand-in for simcastd in the tests of the viewer alone: serves web/ and speaks just enough
// WebSocket (RFC 6455: short unfragmented messages) to make states that the real processes
// reach only by luck, and to record what the viewer sends.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, extname } from 'node:path';
import { fileURLToPath } from 'node:url';

export const WEB_DIR = fileURLToPath(new URL('../../web/', import.meta.url));
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const HANDSHAKE_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const FRAME_MS = 33;

function webSocketFrame(payload) {
  const long = payload.length > 65535;
  const header = Buffer.alloc(payload.length < 126 ? 2 : long ? 10 : 4);
  header[0] = 0x82; // final, binary
  header[1] = payload.length < 126 ? payload.length : long ? 127 : 126;
  if (header.length === 4) header.writeUInt16BE(payload.length, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([header, payload]);
}

/** Takes whole frames off the front of `bytes`: [[payload, ...], rest]. */
function readFrames(bytes) {
  const messages = [];
  for (;;) {
    if (bytes.length < 2) return [messages, bytes];
    const short = bytes[1] & 0x7f;
    const start = short === 126 ? 4 : 2;
    if (bytes.length < start) return [messages, bytes];
    const length = short === 126 ? bytes.readUInt16BE(2) : short;
    const end = start + 4 + length;
    if (bytes.length < end) return [messages, bytes];
    const mask = bytes.subarray(start, start + 4);
    const payload = Buffer.from(bytes.subarray(start + 4, end)).map(
      (byte, i) => byte ^ mask[i % 4],
    );
    if ((bytes[0] & 0x0f) === 2) messages.push(payload);
    bytes = bytes.subarray(end);
  }
}

export class StandIn {
  /** What viewers sent: {atMs, action, cmd_seq, ttl_ms, data}, oldest first. */
  commands = [];
  /** The picture to send 30 times a second; null: no video. */
  video = null; // {codec, payload}
  /** What telemetry.safety.state says twice a second. */
  safety = { mode: 'HOLD', reason: 'starting' };
  /** Whether an estop command makes `safety` ESTOP. */
  obeysStop = true;
  #server = createServer((request, response) => this.#serve(request, response));
  #sockets = new Set();
  #timers = [];
  #seq = Date.now();

  async open() {
    this.#server.on('upgrade', (request, socket) => this.#upgrade(request, socket));
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.#timers = [
      setInterval(() => this.#sendVideo(), FRAME_MS),
      setInterval(() => this.sendSafety(), 500),
    ];
    return this;
  }

  get port() {
    return this.#server.address().port;
  }

  async close() {
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  motions(sinceMs = 0) {
    return this.commands.filter((c) => c.action === 'set_cmd_vel' && c.atMs >= sinceMs);
  }

  sendTelemetry(subject, data) {
    const name = Buffer.from(subject);
    const length = Buffer.alloc(2);
    length.writeUInt16LE(name.length);
    this.#send(Buffer.concat([Buffer.from([2]), length, name, Buffer.from(JSON.stringify(data))]));
  }

  sendSafety() {
    this.sendTelemetry('telemetry.safety.state', {
      state_id: this.#seq,
      ...this.safety,
      since_ms: 0,
    });
  }

  #send(message) {
    for (const socket of this.#sockets) socket.write(webSocketFrame(message));
  }

  #sendVideo() {
    if (!this.video) return;
    const { codec, payload } = this.video;
    this.#seq += 1;
    const message = Buffer.alloc(33 + payload.length);
    message[0] = 1;
    message.writeBigUInt64LE(BigInt(this.#seq), 9);
    message.writeUInt32LE(payload.length, 17);
    message.writeUInt16LE(1, 21);
    message.writeUInt16LE(codec, 23);
    payload.copy(message, 33);
    this.#send(message);
  }

  async #serve(request, response) {
    const name = request.url === '/' ? 'index.html' : basename(request.url);
    try {
      const body = await readFile(WEB_DIR + name);
      response.writeHead(200, {
        'content-type': TYPES[extname(name)] ?? 'text/plain',
        'content-security-policy': "default-src 'self'", // as strict as simcastd's
      });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  }

  #upgrade(request, socket) {
    const key = request.headers['sec-websocket-key'] + HANDSHAKE_GUID;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: simcast.v2\r\n\r\n`,
    );
    this.#sockets.add(socket);
    let rest = Buffer.alloc(0);
    socket.on('data', (data) => {
      let messages;
      [messages, rest] = readFrames(Buffer.concat([rest, data]));
      for (const message of messages) this.#received(socket, message);
    });
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #received(socket, message) {
    if (message[0] === 6) {
      const reply = Buffer.alloc(24);
      message.copy(reply);
      reply.writeBigInt64LE(process.hrtime.bigint(), 16);
      socket.write(webSocketFrame(reply));
    }
    if (message[0] !== 4) return;
    const command = JSON.parse(message.subarray(1).toString());
    this.commands.push({ atMs: performance.now(), ...command });
    if (command.action === 'estop' && this.obeysStop) {
      this.safety = { mode: 'ESTOP', reason: 'operator' };
      this.sendSafety();
    }
  }
}
