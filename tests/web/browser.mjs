// SPDX-License-Identifier: Apache-2.0
// Debian's Chromium, one for all tests, with a fresh profile; a page of its own for each test.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { until } from './harness.mjs';

const EXECUTABLE = '/usr/bin/chromium';
// A name that is not localhost makes the page an insecure context, although nothing leaves the
// machine.
const INSECURE_HOST = 'robot.test';
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  `--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1`,
];

let browser = null;

export function needsBrowser() {
  return existsSync(EXECUTABLE) ? '' : `${EXECUTABLE} is missing; install Debian's chromium`;
}

export async function closeBrowser() {
  await browser?.close();
}

/** Opens a path of http://localhost:port and calls use(page); an error in the page fails it. */
export async function withPage({ port, path = '/', insecure = false }, use) {
  browser ??= await chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const errors = [];
  try {
    const page = await context.newPage();
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text())) errors.push(message.text());
    });
    await page.goto(`http://${insecure ? INSECURE_HOST : 'localhost'}:${port}${path}`);
    await use(page);
    if (errors.length > 0) throw new Error(`the page threw: ${errors.join('; ')}`);
  } finally {
    await context.close();
  }
}

/** Waits until the viewer's window.simcast fulfils condition(simcast, arg), which runs in the page. */
export async function untilViewer(page, condition, what, withinMs = 15000, arg = null) {
  // An expression, and polled from here: the page's policy forbids eval, as it should.
  const expression = `(${condition})(window.simcast, ${JSON.stringify(arg)})`;
  try {
    await until(() => page.evaluate(expression), what, withinMs);
  } catch (error) {
    const state = await page.evaluate(() => JSON.stringify({ ...window.simcast })).catch(() => '?');
    throw new Error(`${error.message}; the viewer says ${state}`, { cause: error });
  }
}

/** The canvas's pixels: {width, height, data}, RGBA. */
export async function grab(page) {
  const { width, height, base64 } = await page.evaluate(async () => {
    const picture = await window.simcast.grab();
    let binary = '';
    for (let i = 0; i < picture.data.length; i += 8192) {
      binary += String.fromCharCode(...picture.data.subarray(i, i + 8192));
    }
    return { width: picture.width, height: picture.height, base64: btoa(binary) };
  });
  return { width, height, data: Buffer.from(base64, 'base64') };
}
