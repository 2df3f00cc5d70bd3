// SPDX-License-Identifier: Apache-2.0
// The viewer's worker: owns the socket, the clock, the decoder and the canvas, so that nothing
// that the page does can delay a picture or a stop. The page tells it what the operator wants;
// it tells the page what is so. Messages, page to worker:
//   start {url, canvas, token} | command {action, data} | motion {motion, deadman}
//   retry {} | grab {id} | trace {} | watch {stream, rendition} | login {token} | lease {action}
// and worker to page:
//   state {state, attempt, retryInMs, wasOpen} | stats {...} | telemetry {subject, data}
//   notice {text} | access {wanted, reason, role, name, client} | streams {streams, id} | grab {id, width, height, data} | drawn {frameSeq, and ms
//   of the server's clock: receivedMs, decodedMs, drawnMs}, for each picture once `trace` was asked
//   for

import { Access } from './access.js';
import { ServerClock } from './clock.js';
import { h264Supported } from './h264.js';
import { Link } from './link.js';
import {
  MESSAGE,
  decodeMessage,
  encodeClock,
  encodeCommand,
  encodeDisplayed,
  encodeKeyframeRequest,
  encodeLease,
  parseJson,
} from './protocol.js';
import { StreamChoice } from './streams.js';
import { Video } from './video.js';

const TICK_MS = 50;
const STATS_MS = 250;
const CLOCK_MS = 1000;
const CLOCK_BURST = [0, 50, 100, 200, 400]; // after connecting: a good sample soon
const UNPLAYABLE_RETRY_MS = 2000;
const KEYFRAME_RETRY_MS = 500;
const DISPLAYED_MS = 100; // simcastd lets only those drive who see; it need not hear of each frame
const MOTION_TTL_MS = 200;
const MOTION_BUFFER_BYTES_MAX = 1024; // more than this stuck in the socket: old motion, drop it

const EPOCH_SUBJECT = 'telemetry.safety.epoch';
const FORWARDED = new Set([
  'telemetry.safety.state',
  'telemetry.safety.video_gate',
  'telemetry.safety.cmd_timeout',
  'telemetry.robot.state',
  'telemetry.command.ack',
  'telemetry.operator.lease',
]);

const clock = new ServerClock();
let access;
let link;
let video;
let frameStream = 0; // that the last FRAME_INFO named; 0 without one
let linkState = { state: 'connecting', attempt: 0, retryInMs: 0, wasOpen: false };
let shownState = '';
let commandSeq = 0;
let epoch; // that commands are meant for, as the server told it last
let unplayableMs = -Infinity;
let keyframeMs = -Infinity;
let displayedMs = -Infinity;
let tracing = false;

/** Grows across reloads and viewers, because it is never behind the wall clock. */
function nextCommandSeq() {
  commandSeq = Math.max(commandSeq + 1, Date.now());
  return commandSeq;
}

function sendCommand(action, data = {}, more = { ttl_ms: 0 }) {
  const cmd_seq = nextCommandSeq();
  return link.send(encodeCommand({ action, cmd_seq, epoch, ...more, data }));
}

/** Safety layer 1 is enforced here: without a fresh picture no motion leaves the viewer. */
function sendMotion(motion, deadman) {
  if (!video.fresh(performance.now()) || link.bufferedBytes > MOTION_BUFFER_BYTES_MAX) return;
  sendCommand('set_cmd_vel', motion, { ttl_ms: MOTION_TTL_MS, deadman });
}

function askClock() {
  link.send(encodeClock(performance.now()));
}

function currentState(nowMs) {
  if (linkState.state !== 'open') return linkState.state;
  if (video.fresh(nowMs)) return 'live';
  return video.ageMs(nowMs) === null ? 'waiting' : 'no-video';
}

function postState(nowMs) {
  const state = currentState(nowMs);
  const { attempt, retryInMs, wasOpen } = linkState;
  const key = `${state} ${attempt} ${retryInMs}`;
  if (key === shownState) return;
  shownState = key;
  postMessage({ type: 'state', state, attempt, retryInMs, wasOpen });
}

function setLinkState(change) {
  linkState = { ...linkState, ...change };
  postState(performance.now());
}

function postStats() {
  const nowMs = performance.now();
  postMessage({
    type: 'stats',
    ...video.stats(nowMs),
    rttMs: clock.rttMs,
    ageMs: video.ageMs(nowMs),
  });
}

function onTelemetry(message) {
  if (message.subject === EPOCH_SUBJECT) epoch = parseJson(message.payload)?.epoch;
  if (!FORWARDED.has(message.subject)) return;
  const data = parseJson(message.payload);
  if (data) postMessage({ type: 'telemetry', subject: message.subject, data });
}

function postStreams() {
  postMessage({ type: 'streams', streams: streams.list, id: streams.id });
}

function onSignaling(json) {
  if (json.type === 'auth' && json.status === 'ok') access.take(json);
  streams.take(json);
  if (json.type === 'streams') postStreams();
}

function onMessage(buffer) {
  const nowMs = performance.now();
  const message = decodeMessage(buffer);
  switch (message?.type) {
    case MESSAGE.FRAME_INFO:
      frameStream = message.stream;
      if (frameStream === streams.id) video.frameInfo(message);
      break;
    case MESSAGE.VIDEO:
      if (frameStream === streams.id) video.frame(message, nowMs);
      break;
    case MESSAGE.SIGNALING:
      onSignaling(message.json);
      break;
    case MESSAGE.TELEMETRY:
      onTelemetry(message);
      break;
    case MESSAGE.CLOCK:
      clock.add(message.clientMs, message.serverMs, nowMs);
      break;
  }
}

const linkEvents = {
  onConnecting() {
    setLinkState({ retryInMs: 0 });
  },
  onOpen() {
    const greeting = access.greeting(); // first of all, or the server closes
    if (greeting) link.send(greeting);
    clock.reset();
    epoch = undefined;
    video.begin();
    frameStream = 0;
    streams.begin();
    unplayableMs = -Infinity;
    for (const delayMs of CLOCK_BURST) setTimeout(askClock, delayMs);
    setLinkState({ state: 'open', attempt: 0, retryInMs: 0 });
  },
  onMessage,
  async onRefused() {
    if (await access.refused()) setLinkState({ state: 'login' });
    else link.retryLater(true);
  },
  onWaiting({ attempt, delayMs, wasOpen }) {
    setLinkState({
      state: 'reconnecting',
      attempt,
      retryInMs: delayMs,
      wasOpen: wasOpen || linkState.wasOpen,
    });
  },
};

const streams = new StreamChoice({
  send: (message) => link.send(message),
  onShown() {
    video.begin();
    postStreams();
  },
  onRefused(reason) {
    postMessage({ type: 'notice', text: `The stream cannot be shown: ${reason}.` });
    postStreams();
  },
});

const videoEvents = {
  onUnplayable(codec) {
    const nowMs = performance.now();
    if (nowMs - unplayableMs < UNPLAYABLE_RETRY_MS) return;
    unplayableMs = nowMs;
    const jpeg = streams.renditionOfCamera('jpeg'); // leaves the others their picture
    if (jpeg) streams.watch(jpeg.stream, jpeg.rendition);
    else if (streams.id === 0) sendCommand('settings', { codec: 'jpeg' });
    const name =
      codec === 'none' ? 'an unknown codec' : codec.toUpperCase().replace('H264', 'H.264');
    const cause = self.isSecureContext
      ? `This browser cannot play ${name}.`
      : `Browsers play ${name} only on pages from https:// or localhost.`;
    postMessage({ type: 'notice', text: `${cause} The viewer asked for JPEG instead.` });
  },
  onDrawn({ frameSeq, stream, ...timesMs }) {
    const nowMs = performance.now();
    if (tracing) {
      const onServer = Object.entries(timesMs).map(([name, ms]) => [name, clock.toServer(ms)]);
      postMessage({ type: 'drawn', frameSeq, ...Object.fromEntries(onServer) });
    }
    if (nowMs - displayedMs < DISPLAYED_MS) return;
    displayedMs = nowMs;
    link.send(encodeDisplayed(frameSeq, stream, clock.toServer(timesMs.drawnMs)));
  },
  onKeyframeNeeded() {
    const nowMs = performance.now();
    if (nowMs - keyframeMs < KEYFRAME_RETRY_MS) return;
    keyframeMs = nowMs;
    if (streams.id === 0) sendCommand('force_idr');
    else link.send(encodeKeyframeRequest(streams.id));
  },
};

function tick() {
  const nowMs = performance.now();
  link.checkSilence(nowMs);
  postState(nowMs);
}

async function enter() {
  if (await access.mayConnect()) link.connect();
  else setLinkState({ state: 'login' });
}

const handlers = {
  async start({ url, canvas, token }) {
    link = new Link(url, linkEvents);
    video = new Video({ canvas, clock, canH264: await h264Supported(), events: videoEvents });
    access = new Access(url, (state) => postMessage({ type: 'access', ...state }));
    access.token = token;
    await enter();
    setInterval(tick, TICK_MS);
    setInterval(askClock, CLOCK_MS);
    setInterval(postStats, STATS_MS);
  },
  command({ action, data }) {
    sendCommand(action, data);
  },
  motion({ motion, deadman }) {
    sendMotion(motion, deadman);
  },
  retry() {
    link.retryNow();
  },
  trace() {
    tracing = true;
  },
  login({ token }) {
    access.token = token;
    link.connect();
  },
  lease({ action }) {
    link.send(encodeLease(action));
  },
  watch({ stream, rendition }) {
    streams.watch(stream, rendition);
  },
  grab({ id }) {
    const { width, height, data } = video.grab();
    postMessage({ type: 'grab', id, width, height, data }, [data.buffer]);
  },
};

let started = null;

onmessage = async ({ data: message }) => {
  if (message.type === 'start') started = handlers.start(message);
  await started; // commands that come before the decoder was chosen wait for it
  if (message.type !== 'start') handlers[message.type](message);
};
