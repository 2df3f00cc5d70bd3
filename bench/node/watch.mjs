// SPDX-License-Identifier: Apache-2.0
// watch.mjs URL: shows a viewer page in Debian's Chromium, without a screen, and prints a line for
// each picture that it draws: frame_seq received decoded drawn, the times in ns of the server's
// clock. Runs until it is killed or its stdin ends.

import { chromium } from 'playwright-core';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run'];
const NS_PER_MS = 1e6;

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
process.stdin.on('end', () => browser.close().finally(() => process.exit(0)));
process.stdin.resume();

const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
const page = await context.newPage();
await page.exposeFunction('printDrawn', ({ frameSeq, receivedMs, decodedMs, drawnMs }) => {
  const times = [receivedMs, decodedMs, drawnMs];
  if (times.some(Number.isNaN) || times.includes(null)) return; // the clocks have not met yet
  console.log(frameSeq, ...times.map((ms) => Math.round(ms * NS_PER_MS)));
});
await page.goto(process.argv[2]);
await page.evaluate(() => window.simcast.trace((drawn) => window.printDrawn(drawn)));
