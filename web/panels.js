// SPDX-License-Identifier: Apache-2.0
// Writes what is known into the page. No state of its own beyond the elements; each function
// takes plain values and may be called as often as one likes.

import { STAGES } from './latency.js';
import { describeLogin } from './operator.js';

const STAGE_NAMES = {
  simulator: ['Simulator', 'rendered, until published in the frame ring'],
  ring: ['Ring', 'waiting in the frame ring for the encoder'],
  encode: ['Encode', 'encoding'],
  packet: ['Packet', 'encoded, until published in the packet ring'],
  fanout: ['Fan-out', 'until handed to this viewer’s socket'],
  network: ['Network', 'on the way to this browser'],
  decode: ['Decode', 'decoding'],
  draw: ['Draw', 'waiting for this display’s next refresh'],
};
const SCALES_MS = [10, 20, 40, 60, 100, 200, 400, 1000, 2000, 5000];
const SCALE_MARKS = 4;

const LINK_TEXTS = {
  connecting: 'Connecting',
  waiting: 'Connected',
  live: 'Live',
  'no-video': 'No video',
  reconnecting: 'Reconnecting',
  login: 'Log in',
};

const element = (id) => document.getElementById(id);
const decimals = (value, digits) => (value + 0).toFixed(digits).replace(/^-(0\.?0*)$/, '$1');

function setText(id, text) {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text; // screen readers repeat each write
}

function seconds(ms) {
  const s = ms / 1000;
  return s < 10 ? `${s.toFixed(1)} s` : `${Math.round(s)} s`;
}

export function buildLatency() {
  for (const stage of STAGES) {
    const [name, meaning] = STAGE_NAMES[stage];
    const part = document.createElement('span');
    part.className = `part ${stage}`;
    element('stack').append(part);
    const item = document.createElement('li');
    item.title = `${name}: ${meaning}`;
    item.innerHTML = `<span class="swatch ${stage}"></span><span class="name">${name}</span><b>–</b><i>–</i>`;
    element('stages').append(item);
  }
}

function formatMs(ms) {
  return ms < 9.95 ? ms.toFixed(ms < 0.995 ? 2 : 1) : ms.toFixed(0);
}

function showScale(limitMs) {
  const marks = Array.from({ length: SCALE_MARKS + 1 }, (_, i) => (limitMs * i) / SCALE_MARKS);
  const text = marks.join(' ');
  const scale = element('scale');
  if (scale.dataset.marks === text) return;
  scale.dataset.marks = text;
  scale.replaceChildren(
    ...marks.map((ms) => {
      const mark = document.createElement('span');
      mark.textContent = ms === limitMs ? `${ms} ms` : `${ms}`;
      return mark;
    }),
  );
}

export function showLatency(latency, clockKnown) {
  const total = latency.total;
  setText('total-p50', total ? formatMs(total.p50) : '–');
  setText('total-p99', total ? formatMs(total.p99) : '–');
  const sumMs = STAGES.reduce((sum, stage) => sum + Math.max(0, latency[stage]?.p50 ?? 0), 0);
  const limitMs = SCALES_MS.find((ms) => ms >= sumMs) ?? SCALES_MS.at(-1);
  showScale(limitMs);
  const parts = element('stack').children;
  const items = element('stages').children;
  STAGES.forEach((stage, i) => {
    const known = latency[stage];
    const share = known ? (100 * Math.max(0, known.p50)) / limitMs : 0;
    parts[i].style.width = `${share}%`;
    const [p50, p99] = items[i].querySelectorAll('b, i');
    p50.textContent = known ? formatMs(known.p50) : '–';
    p99.textContent = known ? formatMs(known.p99) : '–';
  });
  element('stack').classList.toggle('empty', !clockKnown);
}

export function showFacts(stats) {
  const playing = stats.width > 0;
  setText('fact-fps', playing ? `${Math.round(stats.fps)} fps` : '–');
  setText('fact-size', playing ? `${stats.width} × ${stats.height}` : '–');
  setText('fact-bitrate', playing ? `${(stats.bitrateBps / 1e6).toFixed(1)} Mbit/s` : '–');
  setText('fact-missed', playing ? String(stats.missed + stats.dropped) : '–');
}

export function showCodec(codec) {
  for (const radio of document.querySelectorAll('input[name="codec"]')) {
    radio.checked = radio.value === codec;
  }
}

/** What covers the picture in each state but `live`; `host` is where the viewer connects to. */
function overlayOf({ state, attempt, wasOpen, retryLeftMs, ageMs, host, loginReason }) {
  const retry =
    retryLeftMs > 0 ? `The next try is in ${seconds(retryLeftMs)}.` : 'Trying again now.';
  switch (state) {
    case 'connecting':
      return ['Connecting', `The viewer is calling ${host}.`];
    case 'waiting':
      return [
        'Waiting for video',
        'The server answers, but it has no picture yet. Check that the simulator and the encoder are running.',
      ];
    case 'no-video':
      return [
        'NO VIDEO',
        `The last picture is ${seconds(ageMs ?? 0)} old. Driving is off until pictures come again.`,
      ];
    case 'login':
      return ['Log in', describeLogin(loginReason)];
    case 'stuck':
      return ['NO VIDEO', 'The viewer itself has stopped answering. Load the page again.'];
    default:
      return [
        wasOpen ? 'Connection lost' : 'No answer',
        `${wasOpen ? `The connection to ${host} broke.` : `${host} does not answer.`} ${retry}${attempt > 1 ? ` Attempt ${attempt}.` : ''}`,
      ];
  }
}

function showLogin(wanted) {
  const form = element('login');
  if (form.hidden === !wanted) return;
  form.hidden = !wanted;
  if (wanted) element('token').focus();
}

export function showOperator({ shown, text, action, button }, connected) {
  element('operator').hidden = !shown;
  setText('operator-text', text);
  setText('lease', button);
  element('lease').hidden = action === '';
  element('lease').dataset.action = action;
  element('lease').disabled = !connected;
}

/** What the server serves; nothing to choose from shows nothing. */
export function showStreams({ streams, id }) {
  const select = element('stream');
  const names = streams.map(({ stream, rendition }) => (rendition ? `${stream}, ${rendition}` : stream));
  element('stream-label').hidden = streams.length < 2;
  if ([...select.options].map((option) => option.text).join('\n') !== names.join('\n'))
    select.replaceChildren(...names.map((name, i) => new Option(name, String(i))));
  select.value = String(streams.findIndex((one) => one.id === id));
}

export function showLink(link) {
  document.body.dataset.state = link.state;
  setText('link-text', LINK_TEXTS[link.state] ?? 'No video');
  element('retry').hidden = link.state !== 'reconnecting';
  showLogin(link.state === 'login');
  if (link.state === 'live') {
    setText('overlay-title', '');
    setText('overlay-text', '');
    return;
  }
  const [title, text] = overlayOf(link);
  setText('overlay-title', title);
  setText('overlay-text', text);
}

export function showSafety({ mode, reason, remedy }, stopText) {
  document.body.dataset.mode = mode;
  setText('mode', mode);
  setText('reason', stopText || reason);
  setText('remedy', remedy);
}

export function showRobot(robot) {
  setText('robot-x', robot ? `${decimals(robot.x, 2)} m` : '–');
  setText('robot-y', robot ? `${decimals(robot.y, 2)} m` : '–');
  setText('robot-yaw', robot ? `${decimals((robot.yaw * 180) / Math.PI, 0)}°` : '–');
  setText(
    'robot-speed',
    robot ? `${decimals(Math.hypot(robot.linear_x, robot.linear_y), 2)} m/s` : '–',
  );
}

const ACTION_NAMES = {
  set_cmd_vel: 'Drive',
  estop: 'E-STOP',
  estop_clear: 'Clear E-stop',
  reset: 'Reset',
  pause: 'Pause',
  settings: 'Stream settings',
  force_idr: 'Keyframe request',
};

export function showAck({ action, status, detail }) {
  const name = ACTION_NAMES[action] ?? action;
  const failed = status !== 'ok';
  setText('ack', failed ? `${name} was refused${detail ? `: ${detail}` : ''}.` : `${name}: done.`);
  element('ack').classList.toggle('failed', failed);
}

function driveText({ state, mode, drive, commands }) {
  if (!commands) return 'Driving is off: you do not command.';
  if (state !== 'live') return 'Driving is off: there is no video.';
  if (mode === 'ESTOP') return 'Driving is off: the E-stop is on.';
  if (drive.mustRelease) return 'Let go, then hold Space or the pad again.';
  if (!drive.driving) return 'Hold Space with W A S D, or hold the pad.';
  const { linear_x: x, linear_y: y, angular_z: turn } = drive.velocity;
  return `Driving: ${decimals(x, 2)} m/s ahead, ${decimals(y, 2)} left, ${decimals(turn, 2)} rad/s.`;
}

export function showDrive(view) {
  const { drive } = view;
  setText('drive-text', driveText(view));
  element('drive-text').parentElement.classList.toggle('driving', drive.driving);
  for (const key of element('keys').children) {
    key.classList.toggle('down', drive.pressed.has(key.dataset.key));
  }
  const pad = element('pad');
  pad.classList.toggle('held', drive.pad !== null);
  pad.style.setProperty('--x', drive.pad?.x ?? 0);
  pad.style.setProperty('--y', drive.pad?.y ?? 0);
}

export function showButtons({ connected, mode, paused, commands }) {
  element('estop').disabled = !connected;
  element('clear').disabled = !connected || !commands || mode !== 'ESTOP';
  element('reset').disabled = !connected || !commands;
  element('pause').disabled = !connected || !commands;
  document.querySelector('.codec').disabled = !connected || !commands;
  setText('pause', paused ? 'Resume' : 'Pause');
}

let noticeTimer = 0;

export function showNotice(text, forMs) {
  setText('notice', text);
  element('notice').hidden = false;
  clearTimeout(noticeTimer);
  if (forMs) noticeTimer = setTimeout(() => (element('notice').hidden = true), forMs);
}
