// SPDX-License-Identifier: Apache-2.0
// Runs the browser tests: node run.mjs [PART OF A TEST'S NAME]. SIMCAST_BUILD names the build
// directory whose programs they use (default: build/ of this checkout). One line per test; the
// last line is "N passed, N failed, N skipped"; exits 1 when one failed.

import { closeBrowser } from './browser.mjs';
import { runAll } from './harness.mjs';
import './login_test.mjs';
import './modules_test.mjs';
import './operator_test.mjs';
import './report_test.mjs';
import './stack_test.mjs';

const failed = await runAll(process.argv[2] ?? '');
await closeBrowser();
process.exit(failed > 0 ? 1 : 0);
