// SPDX-License-Identifier: Apache-2.0
// A list of tests and the run over it. Each test is bounded; one line per test; the last line
// is "N passed, N failed, N skipped".

const TEST_TIMEOUT_MS = 90000;
const POLL_MS = 20;
const tests = [];

/** Registers a test; `needs()` may return the reason why it cannot run here. */
export function test(name, needs, run) {
  tests.push({ name, needs, run });
}

/** Polls until condition() is true (it may be async); fails with `what` after `withinMs`. */
export async function until(condition, what, withinMs = 10000) {
  const deadline = performance.now() + withinMs;
  for (;;) {
    if (await condition()) return;
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function withTimeout(promise) {
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`not done after ${TEST_TIMEOUT_MS} ms`)),
      TEST_TIMEOUT_MS,
    );
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

async function runOne({ name, needs, run }) {
  const missing = needs();
  if (missing) {
    console.log(`skip  ${name}: ${missing}`);
    return 'skipped';
  }
  const begin = performance.now();
  try {
    await withTimeout(run());
    console.log(`ok    ${name} (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
    return 'passed';
  } catch (error) {
    console.log(`FAIL  ${name}: ${error.stack ?? error}`);
    return 'failed';
  }
}

/** Runs those whose name contains `filter`; the number that failed. */
export async function runAll(filter) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const one of tests.filter(({ name }) => name.includes(filter)))
    counts[await runOne(one)] += 1;
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  return counts.failed;
}
