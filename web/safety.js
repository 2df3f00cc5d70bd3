// SPDX-License-Identifier: Apache-2.0
// What the safety state means, in words for the operator: the state, why, and the way out.

const HOLD_REASONS = {
  starting: ['The simulator is waiting for the first command.', 'Hold Space or the pad and drive.'],
  no_video: [
    'The picture is missing or too old to drive by.',
    'Motion is allowed again as soon as the picture is back.',
  ],
  no_viewer: [
    'Nobody was watching, so motion is blocked.',
    'Motion is allowed again with the first picture.',
  ],
  cmd_timeout: ['Drive commands stopped coming.', 'Hold Space or the pad and drive.'],
  stale_seq: ['A newer command was already obeyed.', 'Hold Space or the pad and drive.'],
  expired: ['Commands arrive too late.', 'Check the connection, then drive again.'],
  no_bus: [
    'The robot cannot be reached: the message bus is away.',
    'Motion is allowed again as soon as it is back.',
  ],
  deadman: ['The deadman is not held.', 'Hold it and drive.'],
};

const ESTOP_REASONS = {
  operator: 'Somebody pressed the emergency stop.',
  cmd_timeout: 'No drive command came for two seconds, so the robot stopped itself.',
  no_video: 'The picture was gone for too long.',
  video_timeout: 'The picture was gone for too long.',
};

function describeEstop(reason, pictureFresh) {
  const cause = ESTOP_REASONS[reason] ?? 'The robot was stopped.';
  const remedy = pictureFresh
    ? 'Check the robot, then press Clear E-stop.'
    : 'Wait for the picture, check the robot, then press Clear E-stop.';
  return { mode: 'ESTOP', reason: cause, remedy };
}

function describeHold(reason) {
  const [cause, remedy] = HOLD_REASONS[reason] ?? [
    'Motion is on hold.',
    'It is allowed again by itself when the cause is gone.',
  ];
  return { mode: 'HOLD', reason: cause, remedy };
}

/**
 * {mode, reason, remedy} from the simulator's telemetry.safety.state and the server's
 * telemetry.safety.video_gate; the worse of the two counts. Both may be null: not heard of, or
 * too long ago.
 */
export function describeSafety({ connected, state, gate, pictureFresh }) {
  if (!connected) {
    return {
      mode: 'UNKNOWN',
      reason: 'Not connected, so the state of the robot is not known.',
      remedy: 'The viewer connects by itself as soon as the server answers.',
    };
  }
  if (state?.mode === 'ESTOP') return describeEstop(state.reason, pictureFresh);
  if (gate?.gated) {
    return gate.mode === 'ESTOP'
      ? describeEstop('video_timeout', pictureFresh)
      : describeHold('no_video');
  }
  if (state?.mode === 'HOLD') return describeHold(state.reason);
  if (state?.mode === 'ARMED') {
    return { mode: 'ARMED', reason: 'The robot obeys drive commands.', remedy: '' };
  }
  return {
    mode: 'UNKNOWN',
    reason: 'The simulator does not report its safety state.',
    remedy: 'Check that the simulator is running.',
  };
}
