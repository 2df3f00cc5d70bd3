// SPDX-License-Identifier: Apache-2.0
// Simulator, encoder and simcastd as they are, seen through the viewer in a real browser.

import assert from 'node:assert/strict';
import { grab, needsBrowser, untilViewer, withPage } from './browser.mjs';
import { test, until } from './harness.mjs';
import { frameCounter, worstPatch } from './pattern.mjs';
import { Stack, needsStack } from './stack.mjs';

const COLOUR_TOLERANCE = 40; // of 255; chroma subsampling and quantization cost about 10
const NO_VIDEO_MS = 1000;
const BACK_MS = 4000;

const needs = () => needsBrowser() || needsStack();

/** A viewer of the test pattern, live: use({stack, page}). */
async function withStack(options, use) {
  const stack = new Stack();
  try {
    await stack.open(['--pattern']);
    await withPage({ port: stack.port, ...options }, async (page) => {
      await untilViewer(page, (viewer) => viewer.state === 'live', 'live');
      await use({ stack, page });
    });
  } catch (error) {
    error.stack += `\n${stack.logs()}`;
    throw error;
  } finally {
    await stack.close();
  }
}

async function chooseCodec(page, codec) {
  await page.locator(`.codec label:has(input[value="${codec}"])`).click();
  await untilViewer(
    page,
    (viewer, wanted) => viewer.codec === wanted && viewer.state === 'live',
    codec,
    15000,
    codec,
  );
}

/** Looks at `count` pictures, each newer than the one before. */
async function checkPictures(page, count) {
  let last = -1;
  for (let i = 0; i < count; i++) {
    const drawn = await page.evaluate(() => window.simcast.framesDrawn);
    await untilViewer(
      page,
      (viewer, before) => viewer.framesDrawn > before,
      'another picture',
      5000,
      drawn,
    );
    const picture = await grab(page);
    const counter = frameCounter(picture);
    assert.ok(counter > last, `the counter went from ${last} to ${counter}`);
    last = counter;
    const worst = worstPatch(picture);
    assert.ok(worst.difference <= COLOUR_TOLERANCE, `${worst.name} looks like ${worst.seen}`);
  }
}

/** Presses the keys of driving ahead until the robot has moved by `metres`. */
async function driveAhead(page, metres) {
  await untilViewer(page, (viewer) => viewer.robot !== null, 'the robot reports itself');
  const from = await page.evaluate(() => window.simcast.robot.x);
  await page.keyboard.down('Space');
  await page.keyboard.down('KeyW');
  await untilViewer(
    page,
    (viewer, x) => viewer.robot?.x > x,
    `x beyond ${from + metres}`,
    15000,
    from + metres,
  );
}

async function stopDriving(page) {
  await page.keyboard.up('KeyW');
  await page.keyboard.up('Space');
}

test('stack: another rendition is shown beside the default one', needs, async () => {
  await withStack({}, async ({ page }) => {
    await untilViewer(page, ({ streams }) => streams.length >= 3, 'the list of streams');
    await page.evaluate(() => window.simcast.watch('front', 'jpeg'));
    await untilViewer(
      page,
      ({ codec, state, streamId }) => codec === 'jpeg' && state === 'live' && streamId !== 0,
      'JPEG',
    );
    assert.ok(frameCounter(await grab(page)) > 0, 'the picture is read wrong');
    await untilViewer(page, ({ mode }) => mode !== 'UNKNOWN', 'the gate takes it as the camera');
    await page.evaluate(() => window.simcast.watch());
    await untilViewer(
      page,
      ({ codec, state, streamId }) => codec === 'h264' && state === 'live' && streamId === 0,
      'the default stream',
    );
  });
});

test('stack: the right pixels arrive as H.264', needs, () =>
  withStack({}, async ({ page }) => {
    await chooseCodec(page, 'h264');
    await checkPictures(page, 10);
    await untilViewer(page, (viewer) => viewer.latency.total?.p50 > 0, 'latency by stage');
  }),
);

test('stack: the right pixels arrive as JPEG', needs, () =>
  withStack({}, async ({ page }) => {
    await chooseCodec(page, 'jpeg');
    await checkPictures(page, 10);
    const latency = await page.evaluate(() => window.simcast.latency);
    assert.deepEqual(Object.keys(latency), [
      'simulator',
      'ring',
      'encode',
      'packet',
      'fanout',
      'network',
      'decode',
      'draw',
      'total',
    ]);
    assert.ok(latency.encode.p50 > 0 && latency.encode.p50 < latency.total.p50);
  }),
);

test('stack: an insecure page gets JPEG by itself', needs, () =>
  withStack({ insecure: true }, async ({ page }) => {
    await untilViewer(page, (viewer) => viewer.codec === 'jpeg', 'JPEG');
    await checkPictures(page, 3);
  }),
);

test('stack: the robot is driven, stopped and freed again', needs, () =>
  withStack({}, async ({ page }) => {
    await driveAhead(page, 0.1);
    await untilViewer(page, (viewer) => viewer.mode === 'ARMED', 'ARMED');
    await page.locator('#estop').click();
    await untilViewer(page, (viewer) => viewer.safety?.mode === 'ESTOP', 'ESTOP', 2000);
    assert.equal(await page.locator('#mode').textContent(), 'ESTOP');
    await stopDriving(page);
    const stoppedAt = await page.evaluate(() => window.simcast.robot.x);
    await page.locator('#clear').click();
    await untilViewer(
      page,
      (viewer) => viewer.safety !== null && viewer.safety.mode !== 'ESTOP',
      'freed',
      3000,
    );
    await driveAhead(page, 0.1);
    assert.ok((await page.evaluate(() => window.simcast.robot.x)) > stoppedAt);
    await stopDriving(page);
  }),
);

test('stack: pause stops the simulation, resume continues it', needs, () =>
  withStack({}, async ({ page }) => {
    await untilViewer(page, (viewer) => viewer.robot !== null, 'the robot reports itself');
    await page.locator('#pause').click();
    await until(async () => (await page.locator('#pause').textContent()) === 'Resume', 'paused');
    await page.locator('#pause').click();
    await until(async () => (await page.locator('#pause').textContent()) === 'Pause', 'running');
  }),
);

test('stack: a killed encoder is NO VIDEO and HOLD; restarted, it is live again', needs, () =>
  withStack({}, async ({ stack, page }) => {
    await stack.kill('encoder', 'SIGKILL');
    await untilViewer(page, (viewer) => viewer.state === 'no-video', 'no video', NO_VIDEO_MS);
    assert.equal(await page.locator('#overlay-title').textContent(), 'NO VIDEO');
    await untilViewer(
      page,
      (viewer) => viewer.gate?.gated && viewer.gate.mode === 'HOLD',
      'HOLD',
      3000,
    );
    stack.start('encoder');
    await untilViewer(page, (viewer) => viewer.state === 'live', 'live again', BACK_MS);
    await untilViewer(
      page,
      (viewer) => viewer.gate?.gated === false,
      'the gate is open again',
      BACK_MS,
    );
  }),
);

test('stack: a long loss of video latches ESTOP until the operator clears it', needs, () =>
  withStack({}, async ({ stack, page }) => {
    await driveAhead(page, 0.05);
    await stopDriving(page);
    await stack.kill('encoder', 'SIGKILL');
    await untilViewer(page, (viewer) => viewer.gate?.mode === 'ESTOP', 'the gate stops', 9000);
    await untilViewer(page, (viewer) => viewer.safety?.mode === 'ESTOP', 'the robot stops', 2000);
    stack.start('encoder');
    await untilViewer(page, (viewer) => viewer.state === 'live', 'live again', BACK_MS);
    await untilViewer(page, (viewer) => viewer.gate?.gated === false, 'pictures pass', BACK_MS);
    assert.equal(await page.locator('#mode').textContent(), 'ESTOP');
    await page.locator('#clear').click();
    await untilViewer(page, (viewer) => viewer.mode !== 'ESTOP', 'cleared', 3000);
    await driveAhead(page, 0.05);
    await stopDriving(page);
  }),
);

test('stack: a killed simcastd is found again by the viewer itself', needs, () =>
  withStack({}, async ({ stack, page }) => {
    await stack.kill('daemon', 'SIGKILL');
    await untilViewer(page, (viewer) => viewer.state === 'reconnecting', 'reconnecting', 2000);
    assert.equal(await page.locator('#overlay-title').textContent(), 'Connection lost');
    stack.start('daemon');
    await untilViewer(page, (viewer) => viewer.state === 'live', 'live again', BACK_MS);
  }),
);

test('stack: a killed simulator is NO VIDEO; restarted, it is live and drives again', needs, () =>
  withStack({}, async ({ stack, page }) => {
    await stack.kill('sim', 'SIGKILL');
    await untilViewer(page, (viewer) => viewer.state === 'no-video', 'no video', NO_VIDEO_MS);
    stack.start('sim');
    await untilViewer(page, (viewer) => viewer.state === 'live', 'live again', BACK_MS);
    await driveAhead(page, 0.1);
    await stopDriving(page);
  }),
);

test('stack: every process stops cleanly when told to', needs, () =>
  withStack({}, async ({ stack }) => {
    for (const name of ['sim', 'encoder', 'daemon'])
      assert.equal(await stack.kill(name, 'SIGTERM'), 0, name);
  }),
);
