// SPDX-License-Identifier: Apache-2.0
// Tokens, roles and the operator's lease, as a person meets them: the real simcastd with a token
// file, and the viewer in a real browser.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { needsBrowser, untilViewer, withPage } from './browser.mjs';
import { test, until } from './harness.mjs';
import { Stack, needsStack } from './stack.mjs';

const needs = () => needsBrowser() || needsStack();
const TOKENS = { wall: 'v'.repeat(20), ada: 'a'.repeat(20), bob: 'b'.repeat(20) };
const LINES = {
  wall: `viewer wall ${TOKENS.wall}\n`,
  ada: `operator ada ${TOKENS.ada}\n`,
  bob: `operator bob ${TOKENS.bob}\n`,
};

/** simcastd with tokens, and a directory with their file: use({stack, writeTokens}). */
async function withTokens(use) {
  const directory = mkdtempSync(join(tmpdir(), 'simcast-tokens-'));
  const path = join(directory, 'tokens');
  const writeTokens = (...names) => {
    writeFileSync(path, names.map((name) => LINES[name]).join(''));
    chmodSync(path, 0o600);
  };
  writeTokens('wall', 'ada', 'bob');
  const stack = new Stack();
  try {
    await stack.open(['--pattern'], ['--token-file', path]);
    await use({ stack, writeTokens });
  } catch (error) {
    throw new Error(`${error.message}\n${stack.logs()}`, { cause: error });
  } finally {
    await stack.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function logIn(page, token) {
  await page.locator('#token').fill(token);
  await page.locator('#token').press('Enter');
}

async function logInAs(page, name) {
  await untilViewer(page, (viewer) => viewer.state === 'login', 'the login');
  await logIn(page, TOKENS[name]);
  await untilViewer(page, (viewer) => viewer.state === 'live', `${name} sees the robot`);
}

const textOf = (page, id) => page.locator(`#${id}`).textContent();
const isEnabled = (page, id) => page.locator(`#${id}`).isEnabled();

/** Saves a picture for a person to look at, where SIMCAST_SCREENSHOTS names a directory. */
async function screenshot(page, name) {
  const directory = process.env.SIMCAST_SCREENSHOTS;
  if (directory) await page.screenshot({ path: join(directory, `${name}.png`) });
}

test('login: a token is asked for, a wrong one is named, a right one opens', needs, () =>
  withTokens(({ stack }) =>
    withPage({ port: stack.port }, async (page) => {
      await untilViewer(page, (viewer) => viewer.state === 'login', 'the login', 3000);
      assert.match(await textOf(page, 'overlay-text'), /have a token/);
      assert.ok(await page.locator('#token').isVisible());
      assert.ok(!(await isEnabled(page, 'estop')), 'nothing to stop yet');
      await screenshot(page, 'login');
      await logIn(page, 'x'.repeat(20));
      await until(async () => /does not know/.test(await textOf(page, 'overlay-text')), 'a reason');
      assert.equal(await page.locator('#token').inputValue(), '');
      await screenshot(page, 'login-wrong');
      await logInAs(page, 'wall');
      assert.ok(!(await page.locator('#login').isVisible()));
      assert.ok(!page.url().includes(TOKENS.wall), 'no token in the address');
      await page.reload();
      await untilViewer(page, (viewer) => viewer.state === 'live', 'live again without a question');
      await Promise.all([page.waitForEvent('load'), page.locator('#logout').click()]);
      await untilViewer(page, (viewer) => viewer.state === 'login', 'the login after logging out');
    }),
  ),
);

test('login: a viewer watches and stops, and that is all', needs, () =>
  withTokens(({ stack }) =>
    withPage({ port: stack.port }, async (page) => {
      await logInAs(page, 'wall');
      assert.match(await textOf(page, 'operator-text'), /You are wall.*may stop.*Nobody commands/);
      assert.ok(!(await page.locator('#lease').isVisible()));
      for (const id of ['reset', 'pause', 'clear']) assert.ok(!(await isEnabled(page, id)), id);
      assert.match(await textOf(page, 'drive-text'), /you do not command/);
      await screenshot(page, 'viewer-only');
      await page.locator('#estop').click();
      await untilViewer(page, (viewer) => viewer.mode === 'ESTOP', 'the stop');
      assert.ok(!(await isEnabled(page, 'clear')), 'clearing is not for viewers');
    }),
  ),
);

test('login: one operator at a time, taken over openly', needs, () =>
  withTokens(({ stack }) =>
    withPage({ port: stack.port }, (ada) =>
      withPage({ port: stack.port }, async (bob) => {
        await logInAs(ada, 'ada');
        await logInAs(bob, 'bob');
        await ada.locator('#lease').click();
        await untilViewer(ada, (viewer) => viewer.lease?.holder === 'ada', 'ada commands');
        await untilViewer(bob, (viewer) => !viewer.commands, 'bob is told');
        assert.match(await textOf(bob, 'operator-text'), /ada commands.*take over/);
        assert.ok(!(await isEnabled(bob, 'reset')));
        assert.ok(await isEnabled(bob, 'estop'), 'anybody may stop');
        await screenshot(bob, 'held-by-another');
        await bob.locator('#lease', { hasText: 'Take over' }).click();
        await untilViewer(bob, (viewer) => viewer.commands, 'bob commands');
        await until(async () => /bob commands/.test(await textOf(ada, 'operator-text')), 'told');
        await until(async () => isEnabled(bob, 'reset'), 'bob may reset');
        assert.ok(!(await isEnabled(ada, 'reset')));
        await screenshot(bob, 'in-command');
        await bob.locator('#lease', { hasText: 'Give up' }).click();
        await untilViewer(ada, (viewer) => viewer.commands, 'free for ada');
      }),
    ),
  ),
);

test('login: who comes later is told who commands', needs, () =>
  withTokens(({ stack }) =>
    withPage({ port: stack.port }, async (ada) => {
      await logInAs(ada, 'ada');
      await ada.locator('#lease').click();
      await untilViewer(ada, (viewer) => viewer.lease?.holder === 'ada', 'ada commands');
      await withPage({ port: stack.port }, async (wall) => {
        await logInAs(wall, 'wall');
        await untilViewer(wall, (viewer) => viewer.lease?.holder === 'ada', 'told at once', 2000);
      });
    }),
  ),
);

test('login: a token that is taken back ends in the login, with the reason', needs, () =>
  withTokens(({ stack, writeTokens }) =>
    withPage({ port: stack.port }, async (page) => {
      await logInAs(page, 'wall');
      writeTokens('ada');
      stack.signal('daemon', 'SIGHUP');
      await untilViewer(page, (viewer) => viewer.state === 'login', 'the login');
      assert.match(await textOf(page, 'overlay-text'), /taken back/);
      await screenshot(page, 'taken-back');
      await logInAs(page, 'ada');
    }),
  ),
);
