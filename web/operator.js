// SPDX-License-Identifier: Apache-2.0
// What this viewer may do, in words: by its token's role and by who holds the operator's lease.
// Pure, so that it can be tested without a browser.

const WATCHES = 'You watch, and you may stop the robot.';

/**
 * access: the snapshot of access.js; lease: the last telemetry.operator.lease, or null.
 * Returns {shown, commands, text, action, button}: whether there is anything to show, whether this
 * viewer's commands go through (a stop always does), a sentence, and what the button does, 'take',
 * 'release' or '' for no button, and what it says.
 */
export function describeOperator(access, lease) {
  const holder = lease?.holder ?? null;
  const commandsNow = holder === null ? 'Nobody commands now.' : `${holder} commands.`;
  if (access.role === null)
    return { shown: false, commands: true, text: '', action: '', button: '' };
  if (access.role !== 'operator') {
    const text = `You are ${access.name}. ${WATCHES} ${commandsNow}`;
    return { shown: true, commands: false, text, action: '', button: '' };
  }
  if (holder === null) {
    const text = `You are ${access.name}. Nobody commands: your first command takes the lease.`;
    return { shown: true, commands: true, text, action: 'take', button: 'Take command' };
  }
  if (lease.client === access.client) {
    const text = `You are ${access.name}, and you command.`;
    return { shown: true, commands: true, text, action: 'release', button: 'Give up command' };
  }
  const who = holder === access.name ? 'You command from another window.' : commandsNow;
  const text = `You are ${access.name}. ${who} You may stop the robot, or take over; everybody is told.`;
  return { shown: true, commands: false, text, action: 'take', button: 'Take over' };
}

/** What the login says for a reason of access.js. */
export function describeLogin(reason) {
  switch (reason) {
    case 'unknown':
      return 'The server does not know that token. Check that it was copied whole.';
    case 'taken-back':
      return 'Your token was taken back. Ask who runs the server for a new one.';
    default:
      return 'This server shows its robot to those who have a token.';
  }
}
