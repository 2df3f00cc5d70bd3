// SPDX-License-Identifier: Apache-2.0
// Who the viewer is to the server: whether it wants a token, which one was given, and what its
// bearer may do. It lives in the worker; the page shows what `onChange` says.
//
// A snapshot: {wanted, reason, role, name, client}
//   wanted   the server waits for a token: show the login, with `reason`: '' at first, 'unknown' a
//            wrong one, 'taken-back' one that was right before
//   role     'viewer' | 'operator' | null: this server asks nobody
//   name     of the token's bearer, client: the number of this connection; null without a token

import { encodeAuth } from './protocol.js';

const NOBODY = { wanted: false, reason: '', role: null, name: null, client: null };

/** Whether the server wants a token, by asking for a page that needs one. */
async function wantsToken(url) {
  try {
    const answer = await fetch(url, { cache: 'no-store', credentials: 'same-origin' });
    return answer.status === 401;
  } catch {
    return false; // it is away: the connection will say so
  }
}

export class Access {
  #url;
  #onChange;
  #token = '';
  #state = NOBODY;

  /** socketUrl: of the WebSocket; onChange(snapshot). */
  constructor(socketUrl, onChange) {
    this.#url = new URL('/api/v1/streams', socketUrl.replace(/^ws/, 'http')).href;
    this.#onChange = onChange;
  }

  set token(token) {
    this.#token = token;
    this.#set({ ...NOBODY });
  }

  /** Whether to connect now; else the login is shown. */
  async mayConnect() {
    if (this.#token || !(await wantsToken(this.#url))) return true;
    this.#set({ ...NOBODY, wanted: true });
    return false;
  }

  /** The first message of a connection, or null. */
  greeting() {
    return this.#token ? encodeAuth(this.#token) : null;
  }

  /** The server knows the token. */
  take({ role, name, client }) {
    this.#set({ wanted: false, reason: '', role, name, client });
  }

  /** The server closed for want of the right. Returns whether the login is shown now. */
  async refused() {
    const had = this.#token !== '';
    const reason = this.#state.role !== null ? 'taken-back' : had ? 'unknown' : '';
    if (!(await wantsToken(this.#url))) return false; // closed for another reason
    this.#token = '';
    this.#set({ ...NOBODY, wanted: true, reason });
    return true;
  }

  #set(state) {
    this.#state = state;
    this.#onChange(state);
  }
}
