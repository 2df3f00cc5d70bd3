// SPDX-License-Identifier: Apache-2.0
// The real processes, each started and stopped alone, in an IPC directory and on a port of
// their own.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WEB_DIR } from './stand_in.mjs';
import { until } from './harness.mjs';

const BUILD = process.env.SIMCAST_BUILD ?? fileURLToPath(new URL('../../build', import.meta.url));
const PROGRAMS = {
  sim: 'sim/simcast-sim',
  encoder: 'encoder/simcast-encoder',
  daemon: 'daemon/simcastd',
};
const LOG_CHARS = 4000;
const STOP_MS = 5000;

export function needsStack() {
  const missing = Object.values(PROGRAMS).find((path) => !existsSync(join(BUILD, path)));
  return missing ? `${join(BUILD, missing)} is missing; build it or set SIMCAST_BUILD` : '';
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Stack {
  port = 0;
  #dir = mkdtempSync(join(tmpdir(), 'simcast-web-'));
  #running = new Map(); // name -> {child, exited}
  #logs = {};

  /** simArguments: for simcast-sim, e.g. ['--pattern']; daemonArguments: for simcastd. */
  async open(simArguments, daemonArguments = []) {
    this.port = await freePort();
    this.arguments = {
      sim: simArguments,
      encoder: [],
      daemon: [
        '--listen', `127.0.0.1:${this.port}`, '--web-dir', WEB_DIR, '--allowed-hosts', 'robot.test',
        ...daemonArguments,
      ],
    };
    for (const name of Object.keys(PROGRAMS)) this.start(name);
    await until(() => this.#answers(), `simcastd serves port ${this.port}\n${this.logs()}`);
    return this;
  }

  start(name) {
    const child = spawn(
      join(BUILD, PROGRAMS[name]),
      ['--ipc-dir', this.#dir, ...this.arguments[name]],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const log = (data) => {
      this.#logs[name] = ((this.#logs[name] ?? '') + data).slice(-LOG_CHARS);
    };
    child.stdout.on('data', log);
    child.stderr.on('data', log);
    child.on('error', (error) => log(`cannot be started: ${error.message}\n`));
    const exited = new Promise((resolve) =>
      child.on('exit', (code, signal) => resolve(signal ?? code)),
    );
    this.#running.set(name, { child, exited });
  }

  signal(name, signal) {
    this.#running.get(name).child.kill(signal);
  }

  /** Ends one process and waits for it; what it exited with: a code, or the signal's name. */
  async kill(name, signal) {
    const { child, exited } = this.#running.get(name);
    this.#running.delete(name);
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    const result = await exited;
    clearTimeout(timer);
    return result;
  }

  /** The ends of all logs, for a failure's message. */
  logs() {
    return Object.entries(this.#logs)
      .map(([name, log]) => `--- ${name}\n${log}`)
      .join('\n');
  }

  async close() {
    for (const name of [...this.#running.keys()]) await this.kill(name, 'SIGTERM');
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #answers() {
    try {
      return (await fetch(`http://127.0.0.1:${this.port}/healthz`)).ok;
    } catch {
      return false;
    }
  }
}
