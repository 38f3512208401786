// A socket that a test plays the server of, and what goes over it. What the SDK sends has to be in the protocol's schema.
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { faultOfClient } from './contract.mjs';

const faults = [];
after(() => assert.deepEqual(faults, []));

export class FakeSocket {
  static all = [];
  /** False where a test drives the machine with messages of its own. */
  static isChecked = true;
  static get last() { return FakeSocket.all.at(-1); }
  constructor(url, protocols) {
    Object.assign(this, { url, protocols, sent: [], closedWith: null });
    FakeSocket.all.push(this);
  }
  send(text) {
    const envelope = JSON.parse(text);
    // Collected, because whoever sends may well catch what is thrown.
    const fault = FakeSocket.isChecked ? faultOfClient(envelope) : null;
    if (fault) faults.push(`${fault}: ${text.slice(0, 300)}`);
    this.sent.push(envelope);
  }
  close(code) { this.closedWith = code; }
  open() { return this.onopen?.(); }
  say(...envelopes) { this.onmessage?.({ data: envelopes.map((one) => JSON.stringify(one)).join('\n') }); }
  drop(code = 1006, reason = '') { this.onclose?.({ code, reason }); }
  requests(type) { return this.sent.filter((one) => one.type === type); }
}

export const welcome = (more = {}) => ({
  type: 'welcome', v: '1.0',
  data: {
    outcome: 'fresh', sid: 'se_1', pid: 'pa_me', uid: 'me', room: { id: 'r', rev: 1, epoch: 'e' }, role: 'speaker',
    grants: { publish: ['camera', 'mic'] }, limits: { inflight: 64 }, hb: 10_000, ...more,
  },
});
export const snapshot = (seq, participants = [], more = {}) =>
  ({ seq, rev: 1, type: 'snapshot', data: { page: 1, of: 1, rev: 1, participants, ...more } });
export const person = (pid, tracks = [], more = {}) =>
  ({ pid, uid: `u_${pid}`, name: pid.toUpperCase(), role: 'speaker', kind: 'web', conn: 'active', tracks, joinedAt: 1, rev: 1, ...more });
export const track = (tid, pid, more = {}) =>
  ({ tid, pid, kind: 'video', source: 'camera', muted: false, codec: 'vp8', rev: 1, ...more });

/** Lets promises settle; no time passes. */
export const settle = async () => { for (let i = 0; i < 20; i++) await Promise.resolve(); };
