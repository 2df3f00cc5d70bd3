// SPDX-License-Identifier: Apache-2.0
// The page that `./run bench --report` writes, made by the real program from a real run.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { needsBrowser, withPage } from './browser.mjs';
import { test } from './harness.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BENCH = join(process.env.SIMCAST_BUILD ?? join(ROOT, 'build'), 'bench/simcast-bench');
const UPLOT = join(ROOT, 'bench/node/node_modules/uplot');

const needsBench = () => needsBrowser() || (existsSync(BENCH) ? '' : `${BENCH} is missing`);

function measure(dir) {
  const child = spawn(BENCH, ['hal', '--quick', '--report', dir], { stdio: 'ignore' });
  return new Promise((resolve) => child.on('exit', resolve));
}

async function withReport(use) {
  const dir = mkdtempSync(join(tmpdir(), 'simcast-report-'));
  const server = createServer((_, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end(readFileSync(join(dir, 'index.html')));
  });
  try {
    assert.equal(await measure(dir), 0);
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    await withPage({ port: server.address().port }, (page) => use(page, dir));
  } finally {
    server.close();
    rmSync(dir, { recursive: true });
  }
}

test('the page of a benchmark shows every metric and draws its plots', needsBench, () =>
  withReport(async (page, dir) => {
    const record = JSON.parse(readFileSync(join(dir, 'results.json'), 'utf8'));
    const shown = await page.locator('table td:first-child').allTextContents();
    assert.deepEqual(shown, record.results.map(({ metric }) => metric));
    assert.match(await page.locator('#machine').textContent(), /\d+ cores, \d+ GiB, Linux /);

    const ratios = record.results.filter(({ unit, value }) => unit === 'ratio' && value !== null);
    assert.ok(ratios.length > 0);
    assert.equal(await page.locator('.bars .fill').count(), ratios.length);
    const bar = await page.locator('.bars .fill').first().boundingBox();
    assert.ok(bar.width > 10, `a bar of ${bar.width} pixels`);

    if (existsSync(UPLOT)) assert.ok((await page.locator('.plot canvas').count()) > 0);
    else assert.match(await page.locator('main').textContent(), /curves need npm’s uplot/);
  }));
