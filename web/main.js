// SPDX-License-Identifier: Apache-2.0
// The page: owns the controls and the words, nothing of the video. It starts the worker, tells
// it what the operator wants and shows what the worker says.
//
// For scripts and tests there is `window.simcast`, read-only and live:
//   state        'connecting' | 'login' | 'waiting' | 'live' | 'no-video' | 'reconnecting' | 'stuck'
//   codec        'h264' | 'jpeg' | 'none'            width, height   pixels
//   fps          pictures drawn per second           bitrateBps      of the video
//   framesDrawn, lastFrameSeq (of the picture on the canvas)
//   missed       frames the server skipped for us    dropped         frames lost in the viewer
//   latency      {stage: {p50, p99}} in ms over 5 s; the stages of latency.js and `total`
//   safety, gate, robot, ack    the last telemetry.safety.state, telemetry.safety.video_gate,
//                telemetry.robot.state, telemetry.command.ack; null: none (or too old)
//   mode         'ARMED' | 'HOLD' | 'ESTOP' | 'UNKNOWN', as shown
//   rttMs        round trip to the server, null before it is known
//   grab()       Promise of {width, height, data}: the canvas, RGBA, top row first
//   trace(callback)         calls back for each picture drawn from now on, with {frameSeq} and, in ms
//                of the server's clock, {receivedMs, decodedMs, drawnMs}
//   streams      what the server serves: [{id, stream, rendition, live, codec, width, height}, ...]
//   streamId     of these, the one that is shown
//   watch(stream, rendition) shows another one; without names the default one
//   access       who we are to the server (access.js); lease: the last telemetry.operator.lease
//   commands     whether our commands go through; a stop always does
//   command(action, data)   sends a command as the buttons do

import { Drive } from './drive.js';
import { describeOperator } from './operator.js';
import * as panels from './panels.js';
import { describeSafety } from './safety.js';
import { Stop } from './stop.js';

const REFRESH_MS = 200;
const SAFETY_STALE_MS = 2000; // it comes twice a second
const ROBOT_STALE_MS = 2000; // it comes ten times a second
const WORKER_SILENT_MS = 1500; // it reports four times a second
const NOTICE_MS = 8000;
const TOKEN_KEY = 'simcast.token'; // for this tab, so that loading the page again asks for nothing
// Sent without the operator's hand, or twenty times a second: only a refusal is news.
const QUIET_ACTIONS = new Set(['set_cmd_vel', 'force_idr']);
const CONNECTED = new Set(['waiting', 'live', 'no-video']);

const element = (id) => document.getElementById(id);
const socketUrl = new URL('stream/ws', location.href);
socketUrl.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
socketUrl.search = socketUrl.hash = '';

const worker = new Worker('worker.js', { type: 'module' });
const grabs = new Map();
let grabId = 0;
let onDrawn = null;
let streams = { streams: [], id: 0 };
let link = { state: 'connecting', attempt: 0, retryInMs: 0, wasOpen: false, atMs: 0 };
let stats = {
  codec: 'none',
  width: 0,
  height: 0,
  fps: 0,
  bitrateBps: 0,
  framesDrawn: 0,
  missed: 0,
  dropped: 0,
  lastFrameSeq: null,
  latency: {},
  rttMs: null,
  ageMs: null,
  atMs: performance.now(),
};
let gate = null;
let ack = null;
let paused = false;
let access = { wanted: false, reason: '', role: null, name: null, client: null };
let lease = null;
const safety = { data: null, atMs: -Infinity };
const robot = { data: null, atMs: -Infinity };

function command(action, data = {}) {
  worker.postMessage({ type: 'command', action, data });
}

const drive = new Drive({
  send: (motion, deadman) => worker.postMessage({ type: 'motion', motion, deadman }),
  onChange: () => showDrive(),
});
const stop = new Stop({
  send: () => command('estop', { reason: 'operator' }),
  onChange: () => refresh(),
});

/** The worker's state, unless the worker itself has gone silent. */
function shownState() {
  if (performance.now() - stats.atMs > WORKER_SILENT_MS && link.state !== 'connecting')
    return 'stuck';
  return link.state;
}

function freshSafety() {
  return performance.now() - safety.atMs <= SAFETY_STALE_MS ? safety.data : null;
}

function freshRobot() {
  return performance.now() - robot.atMs <= ROBOT_STALE_MS ? robot.data : null;
}

function currentSafety() {
  const state = shownState();
  return describeSafety({
    connected: CONNECTED.has(state),
    state: freshSafety(),
    gate,
    pictureFresh: state === 'live',
  });
}

function mayCommand() {
  return describeOperator(access, lease).commands;
}

function showDrive() {
  panels.showDrive({ state: shownState(), mode: currentSafety().mode, drive, commands: mayCommand() });
}

/** Everything that depends on more than one message; cheap enough to do it all. */
function refresh() {
  const state = shownState();
  const described = currentSafety();
  const nowMs = performance.now();
  const retryLeftMs = link.retryInMs - (nowMs - link.atMs);
  const ageMs = stats.ageMs === null ? null : stats.ageMs + nowMs - stats.atMs;
  panels.showLink({ ...link, state, retryLeftMs, ageMs, host: location.host, loginReason: access.reason });
  panels.showSafety(described, stop.text);
  const connected = CONNECTED.has(state);
  panels.showOperator(describeOperator(access, lease), connected);
  panels.showButtons({ connected, mode: described.mode, paused, commands: mayCommand() });
  panels.showRobot(freshRobot());
  drive.setAllowed(state === 'live' && described.mode !== 'ESTOP' && mayCommand());
  if (described.mode === 'ESTOP' || stop.pending || !mayCommand()) drive.endSession();
  if (described.mode === 'ESTOP') stop.settle();
  showDrive();
}

function onAck(data) {
  ack = data;
  if (QUIET_ACTIONS.has(data.action) && data.status === 'ok') return;
  panels.showAck(data);
}

function onRobot(data) {
  // Another viewer may have paused the simulator: its clock is what tells.
  paused = robot.data !== null && robot.data.sim_time === data.sim_time;
  robot.data = data;
  robot.atMs = performance.now();
}

const telemetry = {
  'telemetry.safety.state'(data) {
    safety.data = data;
    safety.atMs = performance.now();
    refresh();
  },
  'telemetry.safety.video_gate'(data) {
    gate = data;
    refresh();
  },
  'telemetry.operator.lease'(data) {
    lease = data;
    refresh();
  },
  'telemetry.robot.state': onRobot,
  'telemetry.command.ack': onAck,
};

const onWorker = {
  state({ state, attempt, retryInMs, wasOpen }) {
    if (state === 'reconnecting' && link.state !== 'reconnecting') gate = null; // the next server says anew
    link = { state, attempt, retryInMs, wasOpen, atMs: performance.now() };
    refresh();
  },
  stats(message) {
    stats = { ...message, atMs: performance.now() };
    panels.showFacts(stats);
    panels.showCodec(stats.codec);
    panels.showLatency(stats.latency, stats.rttMs !== null);
  },
  telemetry({ subject, data }) {
    telemetry[subject]?.(data);
  },
  streams({ streams: list, id }) {
    streams = { streams: list, id };
    panels.showStreams(streams);
  },
  access({ wanted, reason, role, name, client }) {
    access = { wanted, reason, role, name, client };
    if (role === null) lease = null;
    if (wanted) sessionStorage.removeItem(TOKEN_KEY);
    refresh();
  },
  notice({ text }) {
    panels.showNotice(text, NOTICE_MS);
  },
  drawn({ frameSeq, receivedMs, decodedMs, drawnMs }) {
    onDrawn?.({ frameSeq, receivedMs, decodedMs, drawnMs });
  },
  grab({ id, width, height, data }) {
    grabs.get(id)?.({ width, height, data });
    grabs.delete(id);
  },
};

function watch(stream = '', rendition = '') {
  worker.postMessage({ type: 'watch', stream, rendition });
}

function trace(callback) {
  onDrawn = callback;
  worker.postMessage({ type: 'trace' });
}

function grab() {
  return new Promise((resolve) => {
    grabs.set(++grabId, resolve);
    worker.postMessage({ type: 'grab', id: grabId });
  });
}

function attachSlider(id, unit) {
  const slider = element(id);
  const update = () => {
    element(`${id}-out`).textContent = `${Number(slider.value).toFixed(2)} ${unit}`;
    drive.setLimits({
      linear: Number(element('linear').value),
      angular: Number(element('angular').value),
    });
  };
  slider.addEventListener('input', update);
  update();
}

/** The token goes to the worker and this tab's storage, never into an address. */
function attachLogin() {
  element('login').addEventListener('submit', (event) => {
    event.preventDefault();
    const token = element('token').value.trim();
    element('token').value = '';
    sessionStorage.setItem(TOKEN_KEY, token);
    worker.postMessage({ type: 'login', token });
  });
  element('logout').addEventListener('click', () => {
    sessionStorage.removeItem(TOKEN_KEY);
    location.reload();
  });
  element('lease').addEventListener('click', () =>
    worker.postMessage({ type: 'lease', action: element('lease').dataset.action }),
  );
  element('stream').addEventListener('change', () => {
    const chosen = streams.streams[Number(element('stream').value)];
    if (chosen) watch(chosen.stream, chosen.rendition);
  });
}

function attachControls() {
  attachLogin();
  element('estop').addEventListener('click', () => stop.press());
  window.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !event.repeat && CONNECTED.has(shownState())) stop.press();
  });
  element('clear').addEventListener('click', () => {
    stop.settle();
    command('estop_clear');
  });
  element('reset').addEventListener('click', () => command('reset'));
  element('pause').addEventListener('click', () => command('pause', { paused: !paused }));
  element('retry').addEventListener('click', () => worker.postMessage({ type: 'retry' }));
  window.addEventListener('online', () => worker.postMessage({ type: 'retry' }));
  for (const radio of document.querySelectorAll('input[name="codec"]')) {
    radio.addEventListener('change', () => command('settings', { codec: radio.value }));
  }
  attachSlider('linear', 'm/s');
  attachSlider('angular', 'rad/s');
  drive.attach({ pad: element('pad') });
}

function start() {
  if (!HTMLCanvasElement.prototype.transferControlToOffscreen) {
    panels.showNotice(
      'This browser is too old for the viewer. Use a current Chromium, Firefox or Safari.',
    );
    return;
  }
  panels.buildLatency();
  attachControls();
  worker.onmessage = ({ data }) => onWorker[data.type]?.(data);
  worker.onerror = (event) => {
    panels.showNotice(
      `The viewer's worker failed (${event.message ?? 'it could not be loaded'}). Load the page again.`,
    );
  };
  const canvas = element('canvas').transferControlToOffscreen();
  const token = sessionStorage.getItem(TOKEN_KEY) ?? '';
  worker.postMessage({ type: 'start', url: socketUrl.href, canvas, token }, [canvas]);
  setInterval(refresh, REFRESH_MS);
  refresh();
}

const api = {
  get state() {
    return shownState();
  },
  get safety() {
    return freshSafety();
  },
  get robot() {
    return freshRobot();
  },
  get gate() {
    return gate;
  },
  get ack() {
    return ack;
  },
  get mode() {
    return currentSafety().mode;
  },
  get access() {
    return access;
  },
  get lease() {
    return lease;
  },
  get commands() {
    return mayCommand();
  },
  get streams() {
    return streams.streams;
  },
  get streamId() {
    return streams.id;
  },
  grab,
  trace,
  watch,
  command,
};
for (const name of [
  'codec',
  'width',
  'height',
  'fps',
  'bitrateBps',
  'framesDrawn',
  'lastFrameSeq',
  'missed',
  'dropped',
  'latency',
  'rttMs',
]) {
  Object.defineProperty(api, name, { enumerable: true, get: () => stats[name] });
}
window.simcast = Object.freeze(api);

start();
