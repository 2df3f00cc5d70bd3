// SPDX-License-Identifier: Apache-2.0
// What the viewer sends, and when it does not: the operator's side of safety layer 1, against a
// stand-in for the server.

import assert from 'node:assert/strict';
import { needsBrowser, untilViewer, withPage } from './browser.mjs';
import { test, until } from './harness.mjs';
import { StandIn } from './stand_in.mjs';

const JPEG = 3;
const H264 = 1;

/** Some JPEG, drawn by the browser itself. */
async function makeJpeg(page) {
  const bytes = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(64, 48);
    canvas.getContext('2d').fillRect(0, 0, 64, 48);
    const blob = await canvas.convertToBlob({ type: 'image/jpeg' });
    return [...new Uint8Array(await blob.arrayBuffer())];
  });
  return Buffer.from(bytes);
}

/** A viewer that shows live JPEG from a stand-in: use({page, server, jpeg}). */
async function withLiveViewer(use) {
  const server = await new StandIn().open();
  try {
    await withPage({ port: server.port }, async (page) => {
      const jpeg = { codec: JPEG, payload: await makeJpeg(page) };
      server.video = jpeg;
      await untilViewer(page, (viewer) => viewer.state === 'live', 'live');
      await use({ page, server, jpeg });
    });
  } finally {
    await server.close();
  }
}

async function drive(page, server, sinceMs = 0) {
  await page.keyboard.down('Space');
  await page.keyboard.down('KeyW');
  await until(() => server.motions(sinceMs).some((c) => c.data.linear_x > 0), 'a drive command');
}

/** Counts the motion commands of one second from now. */
async function motionsOfOneSecond(server) {
  const beginMs = performance.now();
  await until(() => performance.now() - beginMs >= 1000, 'one second');
  return server.motions(beginMs);
}

/** Waits until a whole second has passed without a motion command. */
function silence(server, when) {
  const silentMs = () => performance.now() - server.motions().at(-1).atMs;
  return until(() => silentMs() >= 1000, `a second without motion commands ${when}`, 2500);
}

function isZero({ data }) {
  return data.linear_x === 0 && data.linear_y === 0 && data.angular_z === 0;
}

test('drive: Space and W send 20 commands a second, in order, with a ttl', needsBrowser, () =>
  withLiveViewer(async ({ page, server }) => {
    await page.keyboard.down('KeyW');
    assert.deepEqual(server.motions(), [], 'W alone must not drive');
    await drive(page, server);
    const motions = await motionsOfOneSecond(server);
    assert.ok(
      motions.length >= 14 && motions.length <= 24,
      `${motions.length} commands in a second`,
    );
    assert.ok(motions.every((c) => c.data.linear_x === 0.5 && c.ttl_ms === 200 && c.deadman));
    assert.ok(motions.every((c, i) => i === 0 || c.cmd_seq > motions[i - 1].cmd_seq));
    assert.ok(motions.every((c) => Number.isSafeInteger(c.cmd_seq)));
  }),
);

test('drive: letting go of Space is zero at once, and zeros keep the session', needsBrowser, () =>
  withLiveViewer(async ({ page, server }) => {
    await drive(page, server);
    const releasedMs = performance.now();
    await page.keyboard.up('Space');
    await until(() => server.motions(releasedMs).some(isZero), 'a zero', 500);
    const motions = await motionsOfOneSecond(server);
    assert.ok(motions.every(isZero), 'only zeros after the release');
    assert.ok(motions.length >= 6 && motions.length <= 13, `${motions.length} zeros in a second`);
  }),
);

test('drive: without focus the viewer sends zero, hidden it falls silent', needsBrowser, () =>
  withLiveViewer(async ({ page, server }) => {
    await drive(page, server);
    const blurredMs = performance.now();
    await page.evaluate(() => window.dispatchEvent(new Event('blur')));
    await until(() => server.motions(blurredMs).some(isZero), 'a zero after blur', 500);
    await page.keyboard.up('Space');
    await page.keyboard.up('KeyW');
    await drive(page, server, blurredMs);
    const hiddenMs = performance.now();
    await page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { value: true });
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await until(
      () => server.motions(hiddenMs).filter(isZero).length >= 3,
      'zeros after hiding',
      500,
    );
    await silence(server, 'after hiding');
  }),
);

test('drive: the pad drives while it is held', needsBrowser, () =>
  withLiveViewer(async ({ page, server }) => {
    const box = await page.locator('#pad').boundingBox();
    const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    await page.mouse.move(middle.x, middle.y);
    await page.mouse.down();
    await page.mouse.move(middle.x - box.width / 4, middle.y - box.height / 4);
    await until(
      () => server.motions().some((c) => c.data.linear_x > 0.2 && c.data.angular_z > 0.4),
      'ahead and left',
    );
    const releasedMs = performance.now();
    await page.mouse.up();
    await until(() => server.motions(releasedMs).some(isZero), 'a zero after letting go', 500);
  }),
);

test('no video: says so, sends no motion, and drives on only after letting go', needsBrowser, () =>
  withLiveViewer(async ({ page, server, jpeg }) => {
    await drive(page, server);
    server.video = null;
    await untilViewer(page, (viewer) => viewer.state === 'no-video', 'no video', 1000);
    assert.equal(await page.locator('#overlay-title').textContent(), 'NO VIDEO');
    await silence(server, 'without a picture');
    const backMs = performance.now();
    server.video = jpeg;
    await untilViewer(page, (viewer) => viewer.state === 'live', 'live again');
    await until(() => server.motions(backMs).length > 3, 'zeros again');
    assert.ok(server.motions(backMs).every(isZero), 'keys still held must not drive');
    await page.keyboard.up('Space');
    await page.keyboard.down('Space');
    await until(() => server.motions(backMs).some((c) => c.data.linear_x > 0), 'driving again');
  }),
);

test('stop: E-STOP is repeated until it is confirmed, and ends the driving', needsBrowser, () =>
  withLiveViewer(async ({ page, server }) => {
    await drive(page, server);
    server.obeysStop = false;
    await page.keyboard.press('Escape');
    const stops = () => server.commands.filter((c) => c.action === 'estop').length;
    await until(() => stops() >= 4, 'the stop repeated');
    await until(
      async () => /does not confirm/.test(await page.locator('#reason').textContent()),
      'a warning',
    );
    server.obeysStop = true;
    await untilViewer(page, (viewer) => viewer.mode === 'ESTOP', 'ESTOP shown');
    const count = stops();
    await silence(server, 'after the stop');
    assert.equal(stops(), count, 'no more stops after the confirmation');
    await page.locator('#clear').click();
    await until(() => server.commands.some((c) => c.action === 'estop_clear'), 'estop_clear');
    server.safety = { mode: 'HOLD', reason: 'cmd_timeout' };
    await untilViewer(page, (viewer) => viewer.mode === 'HOLD', 'HOLD after clearing');
    const clearedMs = performance.now();
    assert.deepEqual(await motionsOfOneSecond(server), [], 'keys still held must not drive');
    await page.keyboard.up('Space');
    await drive(page, server, clearedMs);
  }),
);

test('stop: Space on a focused button is the deadman, not a click', needsBrowser, () =>
  withLiveViewer(async ({ page, server }) => {
    await page.locator('#reset').focus();
    await page.keyboard.press('Space');
    await page.locator('#pause').focus();
    await page.keyboard.press('Enter');
    await until(() => server.commands.some((c) => c.action === 'pause'), 'pause by Enter');
    assert.ok(!server.commands.some((c) => c.action === 'reset'));
  }),
);

test('commands: cmd_seq grows across a reload of the page', needsBrowser, () =>
  withLiveViewer(async ({ page, server }) => {
    const resets = () => server.commands.filter((c) => c.action === 'reset');
    await page.locator('#reset').click();
    await until(() => resets().length === 1, 'reset');
    await page.reload();
    await untilViewer(page, (viewer) => viewer.state === 'live', 'live after the reload');
    await page.locator('#reset').click();
    await until(() => resets().length === 2, 'reset again');
    assert.ok(resets()[1].cmd_seq > resets()[0].cmd_seq);
  }),
);

test('codec: an insecure page that is sent H.264 asks for JPEG', needsBrowser, async () => {
  const server = await new StandIn().open();
  try {
    server.video = {
      codec: H264,
      payload: Buffer.from([0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e]),
    };
    await withPage({ port: server.port, insecure: true }, async (page) => {
      assert.equal(await page.evaluate(() => window.isSecureContext), false);
      await until(() => server.commands.some((c) => c.action === 'settings'), 'settings');
      assert.deepEqual(server.commands[0].data, { codec: 'jpeg' });
      assert.match(await page.locator('#notice').textContent(), /asked for JPEG instead/);
      server.video = { codec: JPEG, payload: await makeJpeg(page) };
      await untilViewer(
        page,
        (viewer) => viewer.state === 'live' && viewer.codec === 'jpeg',
        'JPEG',
      );
    });
  } finally {
    await server.close();
  }
});

test('codec: broken H.264 ends in JPEG, not in a black picture', needsBrowser, async () => {
  const server = await new StandIn().open();
  try {
    const sps = [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xff, 0xff];
    server.video = {
      codec: H264,
      payload: Buffer.from([...sps, 0, 0, 0, 1, 0x65, 1, 2, 3]),
    };
    await withPage({ port: server.port }, async () => {
      await until(() => server.commands.some((c) => c.action === 'settings'), 'settings');
      assert.equal(server.commands.find((c) => c.action === 'settings').data.codec, 'jpeg');
    });
  } finally {
    await server.close();
  }
});
