// SPDX-License-Identifier: Apache-2.0
// The operator's hands: W A S D Q E while Space is held, or the pad while it is held. Produces
// the velocity to send, 20 times a second while driving.
//
// When it stops: on release, on blur and when the page is hidden the velocity is zero at once.
// After the first drive the zeros go on at 10 Hz for as long as the page is visible, because the
// simulator takes two seconds of silence for a lost operator and goes to ESTOP; a hidden page is
// a lost operator. After a lost picture or an E-STOP the operator has to let go first.

const TICK_MS = 50;
const IDLE_EVERY_TICKS = 2;
const ZEROS_ON_HIDE = 3;
const DRIVE_KEYS = ['KeyW', 'KeyA', 'KeyS', 'KeyD', 'KeyQ', 'KeyE'];
const ZERO = Object.freeze({ linear_x: 0, linear_y: 0, angular_z: 0 });

function clampToCircle(x, y) {
  const length = Math.hypot(x, y);
  return length > 1 ? { x: x / length, y: y / length } : { x, y };
}

export class Drive {
  #send;
  #onChange;
  #pressed = new Set();
  #pad = null; // {pointerId, x, y}: right and up, each -1 to 1
  #allowed = false;
  #mustRelease = false;
  #session = false; // driven since the last ESTOP, and still here
  #ticks = 0;
  #limits = { linear: 0.5, angular: 1 };

  /**
   * send({linear_x, linear_y, angular_z}, whether the deadman is held); onChange() whenever
   * something visible changed.
   */
  constructor({ send, onChange }) {
    this.#send = send;
    this.#onChange = onChange;
  }

  attach({ pad }) {
    window.addEventListener('keydown', (event) => this.#keyDown(event));
    window.addEventListener('keyup', (event) => this.#keyUp(event));
    window.addEventListener('blur', () => this.#releaseAll());
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.#hide();
    });
    this.#attachPad(pad);
    setInterval(() => this.#tick(), TICK_MS);
  }

  setLimits({ linear, angular }) {
    this.#limits = { linear, angular };
  }

  /** Whether motion may be sent now: connected, picture fresh, not stopped. */
  setAllowed(allowed) {
    if (this.#allowed !== allowed && this.#held) this.#mustRelease = true;
    this.#allowed = allowed;
  }

  /** After an E-STOP nothing more is sent until the operator drives again. */
  endSession() {
    this.#session = false;
    if (this.#held) this.#mustRelease = true;
  }

  get pressed() {
    return this.#pressed;
  }

  get pad() {
    return this.#pad;
  }

  /** The operator holds the deadman although that has no effect before it is let go once. */
  get mustRelease() {
    return this.#mustRelease;
  }

  get driving() {
    return this.#held && this.#allowed && !this.#mustRelease;
  }

  get velocity() {
    if (!this.driving) return ZERO;
    return this.#pad ? this.#padVelocity() : this.#keyVelocity();
  }

  get #held() {
    return this.#pressed.has('Space') || this.#pad !== null;
  }

  #keyVelocity() {
    const axis = (plus, minus) =>
      Number(this.#pressed.has(plus)) - Number(this.#pressed.has(minus));
    const { x, y } = clampToCircle(axis('KeyW', 'KeyS'), axis('KeyQ', 'KeyE'));
    return {
      linear_x: x * this.#limits.linear,
      linear_y: y * this.#limits.linear,
      angular_z: axis('KeyA', 'KeyD') * this.#limits.angular,
    };
  }

  #padVelocity() {
    return {
      linear_x: this.#pad.y * this.#limits.linear,
      linear_y: 0,
      angular_z: (0 - this.#pad.x) * this.#limits.angular,
    };
  }

  #keyDown(event) {
    const known = event.code === 'Space' || DRIVE_KEYS.includes(event.code);
    if (!known || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // Space is the deadman everywhere; buttons answer to Enter
    if (event.repeat || this.#pressed.has(event.code)) return;
    this.#pressed.add(event.code);
    this.#changed();
  }

  #keyUp(event) {
    if (event.code === 'Space') event.preventDefault();
    if (!this.#pressed.delete(event.code)) return;
    this.#changed();
  }

  #attachPad(pad) {
    const move = (event) => {
      const box = pad.getBoundingClientRect();
      const across = ((event.clientX - box.left) / box.width) * 2 - 1;
      const down = ((event.clientY - box.top) / box.height) * 2 - 1;
      this.#pad = { pointerId: event.pointerId, ...clampToCircle(across, 0 - down) };
    };
    const release = (event) => {
      if (this.#pad?.pointerId !== event.pointerId) return;
      this.#pad = null;
      this.#changed();
    };
    pad.addEventListener('pointerdown', (event) => {
      if (this.#pad || event.button !== 0) return;
      pad.setPointerCapture(event.pointerId);
      move(event);
      this.#changed();
    });
    pad.addEventListener('pointermove', (event) => {
      if (this.#pad?.pointerId !== event.pointerId) return;
      move(event); // the next tick sends it: a mouse moves far more often than 20 times a second
      this.#onChange();
    });
    for (const type of ['pointerup', 'pointercancel', 'lostpointercapture']) {
      pad.addEventListener(type, release);
    }
  }

  #releaseAll() {
    this.#pressed.clear();
    this.#pad = null;
    this.#changed();
  }

  #hide() {
    this.#releaseAll();
    if (this.#session) for (let i = 0; i < ZEROS_ON_HIDE; i++) this.#send(ZERO, false);
    this.#session = false;
  }

  /** Sends at once what changed, so that a release does not wait for the next tick. */
  #changed() {
    if (!this.#held) this.#mustRelease = false;
    if (this.driving) this.#session = true;
    if (this.#session && this.#allowed) this.#send(this.velocity, this.driving);
    this.#onChange();
  }

  #tick() {
    this.#ticks += 1;
    if (!this.#session || !this.#allowed) return;
    if (this.driving || this.#ticks % IDLE_EVERY_TICKS === 0) this.#send(this.velocity, this.driving);
  }
}
