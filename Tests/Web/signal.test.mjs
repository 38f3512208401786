// The signaling machine against a socket that the test plays the server of, on fake timers.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Signal } from '../../Sources/Signaling/Web/sdk/sfu.js';
import { FakeSocket, settle, snapshot, welcome } from './fakes.mjs';

FakeSocket.isChecked = false;

beforeEach(() => { FakeSocket.all = []; });

function machine(t, more = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const clock = { now: 1_000 };
  const seen = { states: [], events: [], ended: [], welcomes: [], sessions: [], resumed: [], asked: [], notes: [] };
  const signal = new Signal({
    url: 'ws://test', WebSocket: FakeSocket, random: () => 0.5, now: () => clock.now,
    hello: async (resume, renew) => ({ resume, renew }),
    on: {
      welcome: (data, how) => { seen.welcomes.push(how); if (how.declares) made.declare(); },
      event: (type, data) => seen.events.push([type, data]),
      state: (state) => seen.states.push(state), ended: (ended) => seen.ended.push(ended), needsUser: (ended) => seen.asked.push(ended.code),
      session: (session) => seen.sessions.push(session), resumed: (how) => seen.resumed.push(how), note: (what, detail) => seen.notes.push([what, detail]),
    },
    ...more,
  });
  t.after(() => signal.leave());
  const pass = (ms) => { clock.now += ms; t.mock.timers.tick(ms); };
  const made = { signal, seen, clock, pass, declare: () => signal.declared() };
  return made;
}

/** Opens the newest socket and says what a server says first. */
async function greet(...envelopes) {
  await FakeSocket.last.open();
  await settle();
  FakeSocket.last.say(...envelopes);
}

async function live(t, more, greeting = {}) {
  const made = machine(t, more);
  made.signal.start();
  await greet(welcome(greeting), snapshot(1));
  return made;
}

/** A session that can be resumed: `token` is its token. */
const resumable = (t, more) => live(t, more, { resume: { token: 'sealed', windowMs: 60_000 } });

test('hello, welcome and snapshot make it live', async (t) => {
  const { signal, seen } = await live(t);
  assert.deepEqual(FakeSocket.last.sent[0], { type: 'hello', v: '1.0', data: { resume: null, renew: false } });
  assert.deepEqual(FakeSocket.last.protocols, ['sfu.v1+json']);
  assert.deepEqual(seen.states, ['dialing', 'greeting', 'syncing', 'live']);
  assert.equal(signal.lastSeq, 1);
});

test('requests are numbered and answered once, in any order', async (t) => {
  const { signal } = await live(t);
  const first = signal.request('a', { x: 1 });
  const second = signal.request('b');
  assert.deepEqual(FakeSocket.last.sent.slice(1), [{ id: 1, type: 'a', ack: 1, data: { x: 1 } }, { id: 2, type: 'b', ack: 1, data: {} }]);
  FakeSocket.last.say({ re: 2, data: { n: 2 } }, { re: 1, error: { code: 'locked', message: 'no', retryable: false } }, { re: 2, data: { n: 3 } });
  assert.deepEqual(await second, { n: 2 });
  await assert.rejects(first, { name: 'RequestError', code: 'locked', retryable: false });
});

test('no more requests are in flight than the server allows', async (t) => {
  const { signal, seen } = machine(t);
  signal.start();
  await FakeSocket.last.open();
  await settle();
  FakeSocket.last.say(welcome({ limits: { inflight: 2 } }), snapshot(1));
  for (const type of ['a', 'b', 'c']) signal.request(type).catch(() => {});
  assert.deepEqual(FakeSocket.last.sent.slice(1).map((one) => one.type), ['a', 'b']);
  FakeSocket.last.say({ re: 1, data: {} });
  assert.equal(FakeSocket.last.sent.at(-1).type, 'c');
  assert.equal(seen.states.at(-1), 'live');
});

test('events are acknowledged after two seconds, or 32 of them, or by a request', async (t) => {
  const { signal, pass } = await live(t);
  const acks = () => FakeSocket.last.requests('ack').map((one) => one.ack);
  pass(1_999);
  assert.deepEqual(acks(), []);
  pass(1);
  assert.deepEqual(acks(), [1]);
  for (let seq = 2; seq < 34; seq++) FakeSocket.last.say({ seq, type: 'x', data: {} });
  assert.deepEqual(acks(), [1, 33]);
  FakeSocket.last.say({ seq: 34, type: 'x', data: {} });
  signal.request('a').catch(() => {});
  pass(5_000);
  assert.deepEqual(acks(), [1, 33]);
  FakeSocket.last.say({ seq: 35, type: 'x', data: { text: 'y'.repeat(17_000) } });
  assert.deepEqual(acks(), [1, 33, 35]);
});

test('a gap in the sequence closes the socket, a repetition is passed over', async (t) => {
  const { signal, seen } = await live(t);
  FakeSocket.last.say({ seq: 1, type: 'again', data: {} }, { seq: 2, type: 'next', data: {} });
  assert.deepEqual(seen.events.map(([type]) => type), ['snapshot', 'next']);
  FakeSocket.last.say({ seq: 4, type: 'late', data: {} });
  assert.equal(FakeSocket.all[0].closedWith, 4009);
  assert.equal(signal.state, 'waiting');
  assert.deepEqual(seen.events.map(([type]) => type), ['snapshot', 'next']);
});

test('a lost socket is dialed again; in a new session what was not answered goes out under new numbers', async (t) => {
  const { signal, seen, pass } = await live(t);
  signal.request('done').catch(() => {});
  FakeSocket.last.say({ re: 1, data: {} });
  const lost = signal.request('a', { x: 1 });
  FakeSocket.last.drop();
  assert.equal(signal.state, 'waiting');
  pass(124);
  assert.equal(FakeSocket.all.length, 1);
  pass(1);
  assert.equal(FakeSocket.all.length, 2);
  await greet(welcome({ sid: 'se_2' }), snapshot(1));
  assert.deepEqual(FakeSocket.last.sent.slice(1).map(({ id, type, data }) => [id, type, data]), [[1, 'a', { x: 1 }]]);
  FakeSocket.last.say({ re: 1, data: { n: 1 } });
  assert.deepEqual(await lost, { n: 1 });
  assert.deepEqual(seen.welcomes.map(({ isAnew, isAgain, declares }) => [isAnew, isAgain, declares]), [[true, false, false], [true, true, true]]);
  assert.deepEqual(seen.states.slice(4), ['waiting', 'dialing', 'greeting', 'rejoining', 'syncing', 'live']);
});

test('a resumed session keeps its numbers and sends again what was not answered', async (t) => {
  const { signal, seen, pass } = await resumable(t);
  FakeSocket.last.say({ seq: 2, rev: 9, type: 'roster', data: {} }, { seq: 3, rev: 11, type: 'track.muted', data: {} });
  const answer = signal.request('a');
  FakeSocket.last.drop();
  const queued = signal.request('b');
  pass(250);
  await FakeSocket.last.open();
  await settle();
  assert.deepEqual(FakeSocket.last.sent[0].data.resume, { token: 'sealed', attempt: 2, lastSeq: 3 });
  // A single value says nothing of the revisions before it: its own does not count.
  assert.deepEqual([signal.rev, signal.epoch], [9, 'e']);
  FakeSocket.last.say(welcome({ outcome: 'replay', seq: 3, upTo: 8, ackedId: 1, resume: { token: 'next', windowMs: 60_000 } }));
  assert.deepEqual(FakeSocket.last.sent.slice(1).map(({ id, type }) => [id, type]), [[1, 'a'], [2, 'b']]);
  assert.equal(signal.state, 'syncing');
  // Superseded values are left out of a replay, and only there; the last one may be among them.
  FakeSocket.last.say({ seq: 5, type: 'y', data: {} }, { seq: 7, type: 'z', data: {} }, { type: 'replayed', data: { upTo: 8 } });
  assert.equal(signal.state, 'live');
  FakeSocket.last.say({ seq: 9, type: 'w', data: {} });
  assert.deepEqual(seen.events.map(([type]) => type).filter((type) => type.length === 1), ['y', 'z', 'w']);
  FakeSocket.last.say({ re: 1, data: { n: 1 } }, { re: 2, data: { n: 2 } });
  assert.deepEqual([await answer, await queued], [{ n: 1 }, { n: 2 }]);
  assert.equal(signal.resumes, 1);
  assert.deepEqual(seen.resumed, [{ ms: 250, sid: 'se_1', lastSeq: 8 }]);
});

test('after a replay numbers must not be missing again', async (t) => {
  const { signal, pass } = await resumable(t);
  FakeSocket.last.drop();
  pass(250);
  await greet(welcome({ outcome: 'replay', seq: 1, upTo: 4, resume: { token: 'n', windowMs: 60_000 } }), { seq: 3, type: 'x', data: {} });
  FakeSocket.last.say({ seq: 6, type: 'beyond the replay', data: {} });
  assert.equal(FakeSocket.last.closedWith, 4009);
  assert.equal(signal.lastSeq, 3);
});

test('a replay of nothing is live at once', async (t) => {
  const { signal, pass } = await resumable(t);
  FakeSocket.last.drop();
  pass(250);
  await greet(welcome({ outcome: 'replay', seq: 1, upTo: 1, resume: { token: 'n', windowMs: 60_000 } }));
  assert.equal(signal.state, 'live');
});

test('delta and snapshot go on from the number that the welcome says', async (t) => {
  for (const outcome of ['delta', 'snapshot']) {
    const { signal, pass } = await resumable(t);
    FakeSocket.last.drop();
    pass(250);
    await greet(welcome({ outcome, seq: 40, resume: { token: 'n', windowMs: 60_000 } }), { seq: 41, type: outcome, data: { page: 1, of: 2, rev: 20 } });
    assert.equal(signal.state, 'syncing', outcome);
    FakeSocket.last.say({ seq: 42, type: outcome, data: { page: 2, of: 2, rev: 20 } });
    assert.deepEqual([signal.state, signal.lastSeq, signal.rev], ['live', 42, 20], outcome);
    signal.leave();
    t.mock.timers.reset();
    FakeSocket.all = [];
  }
});

test('a restarted server knows another session with the same media: numbers start anew, requests too', async (t) => {
  const { signal, seen, pass } = await resumable(t);
  const lost = signal.request('a');
  lost.catch(() => {});
  FakeSocket.last.drop();
  pass(250);
  await greet(welcome({ outcome: 'snapshot', sid: 'se_9', seq: 0, ackedId: 0, room: { id: 'r', epoch: 'e2' }, resume: { token: 'n', windowMs: 60_000 } }), snapshot(1));
  assert.deepEqual(FakeSocket.last.sent.slice(1).map(({ id, type }) => [id, type]), [[1, 'a']]);
  assert.deepEqual(seen.welcomes.at(-1), { outcome: 'snapshot', isAnew: false, isSame: false, isAgain: true, declares: true });
  assert.equal(signal.rev, 1);
  FakeSocket.last.drop();
  pass(250);
  await FakeSocket.last.open();
  await settle();
  assert.deepEqual(FakeSocket.last.sent[0].data.resume, { token: 'n', attempt: 3, lastSeq: 1 });
});

test('a session is declared before it is live, and what is declared goes out first', async (t) => {
  const made = await live(t);
  const { signal, pass } = made;
  made.declare = () => signal.request('sync', {}, { isFirst: true }).then(() => signal.declared());
  signal.request('a').catch(() => {});
  FakeSocket.last.drop();
  pass(250);
  await greet(welcome({ outcome: 'rejoin', sid: 'se_2', seq: 0 }), snapshot(1));
  assert.deepEqual(FakeSocket.last.sent.slice(1).map(({ id, type }) => [id, type]), [[1, 'sync'], [2, 'a']]);
  assert.equal(signal.state, 'rejoining');
  FakeSocket.last.say({ re: 1, data: {} });
  await settle();
  assert.equal(signal.state, 'live');
});

test('each hello has a higher number, also after a reload', async (t) => {
  const { seen, pass } = await resumable(t);
  for (let i = 0; i < 3; i++) { FakeSocket.last.drop(); pass(5_000); await FakeSocket.last.open(); await settle(); }
  assert.equal(FakeSocket.last.sent[0].data.resume.attempt, 4);
  // Told before the hello goes out.
  const saved = seen.sessions.at(-1);
  assert.deepEqual(saved, { token: 'sealed', windowMs: 60_000, sid: 'se_1', attempt: 4 });
  FakeSocket.all = [];
  t.mock.timers.reset();
  const { signal } = machine(t, { saved });
  signal.start();
  await FakeSocket.last.open();
  await settle();
  assert.deepEqual(FakeSocket.last.sent[0].data.resume, { token: 'sealed', attempt: 5, lastSeq: 0 });
  FakeSocket.last.say(welcome({ outcome: 'snapshot', seq: 7, ackedId: 12, resume: { token: 'n', windowMs: 60_000 } }), snapshot(8));
  assert.equal(signal.state, 'live');
  signal.request('a').catch(() => {});
  assert.equal(FakeSocket.last.sent.at(-1).id, 13);
});

test('a request that became void is still sent again, so that no number is missing', async (t) => {
  const { signal, pass } = await resumable(t);
  const stop = new AbortController();
  const gone = signal.request('a', {}, { abort: stop.signal });
  const kept = signal.request('b');
  kept.catch(() => {});
  stop.abort();
  await assert.rejects(gone, { code: 'session_lost' });
  await assert.rejects(signal.request('c', {}, { abort: stop.signal }), { code: 'session_lost' });
  FakeSocket.last.drop();
  pass(250);
  await greet(welcome({ outcome: 'replay', seq: 1, upTo: 1, resume: { token: 'n', windowMs: 60_000 } }));
  assert.deepEqual(FakeSocket.last.sent.slice(1).map(({ id, type }) => [id, type]), [[1, 'a'], [2, 'b']]);
  FakeSocket.last.drop();
  pass(250);
  await greet(welcome({ outcome: 'snapshot', sid: 'se_2', seq: 0, ackedId: 0 }), snapshot(1));
  assert.deepEqual(FakeSocket.last.sent.slice(1).map(({ id, type }) => [id, type]), [[1, 'b']]);
});

test('of wishes with one key only the newest goes out, and all hear of it', async (t) => {
  const { signal, pass } = await resumable(t);
  FakeSocket.last.drop();
  const wishes = [1, 2, 3].map((n) => signal.request('w', { n }, { key: 'k' }));
  assert.deepEqual(signal.waiting, ['w']);
  pass(250);
  await greet(welcome({ outcome: 'replay', seq: 1, upTo: 1, resume: { token: 'n', windowMs: 60_000 } }));
  assert.deepEqual(FakeSocket.last.requests('w').map((one) => one.data.n), [3]);
  FakeSocket.last.say({ re: 1, data: { ok: true } });
  assert.deepEqual(await Promise.all(wishes), Array(3).fill({ ok: true }));
});

test('what waits for a connection is bounded', async (t) => {
  const { signal } = await resumable(t);
  FakeSocket.last.drop();
  const waiting = Array.from({ length: 512 }, () => signal.request('a'));
  for (const one of waiting) one.catch(() => {});
  await assert.rejects(signal.request('a'), { code: 'overloaded', retryable: true });
});

test('a heartbeat shows a loss that no event shows', async (t) => {
  const { signal, seen } = await resumable(t);
  FakeSocket.last.say({ type: 'hb', data: { seq: 1, lag: 0 } });
  assert.equal(signal.state, 'live');
  FakeSocket.last.say({ type: 'hb', data: { seq: 2, lag: 3 } });
  assert.equal(FakeSocket.last.closedWith, 4009);
  assert.ok(seen.notes.some(([what]) => what === 'gap'));
});

test('silence ends a socket after 25 seconds, a ping goes out every 15', async (t) => {
  const { signal, pass } = await live(t);
  for (let i = 0; i < 3; i++) pass(5_000);
  assert.equal(FakeSocket.last.requests('ping').length, 1);
  pass(5_000);
  pass(5_000);
  assert.equal(signal.state, 'live');
  pass(5_000);
  assert.equal(FakeSocket.all[0].closedWith, 4010);
  assert.equal(signal.state, 'waiting');
});

test('a pong measures the way to the server', async (t) => {
  const { signal, clock } = await live(t);
  signal.ping();
  const [{ data }] = FakeSocket.last.requests('ping');
  clock.now += 42;
  FakeSocket.last.say({ type: 'pong', data: { t: data.t, serverTime: 1 } });
  assert.equal(signal.rttMs, 42);
});

test('a probe that nobody answers within two seconds dials anew', async (t) => {
  const { signal, pass } = await live(t);
  pass(1);
  signal.probe();
  pass(1);
  FakeSocket.last.say({ type: 'hb', data: {} });
  pass(2_000);
  assert.equal(signal.state, 'live');
  signal.probe();
  pass(2_000);
  assert.equal(signal.state, 'waiting');
  // Back online: no waiting.
  signal.probe();
  assert.equal(signal.state, 'dialing');
});

test('a drain waits as long as it was told, and comes back', async (t) => {
  const { signal, pass } = await live(t);
  FakeSocket.last.say({ type: 'bye', data: { code: 4000, reason: 'restart', action: 'reconnect', afterMs: 1_000, spreadMs: 2_000 } });
  FakeSocket.last.drop(4000);
  pass(1_999);
  assert.equal(signal.state, 'waiting');
  pass(1);
  assert.equal(signal.state, 'dialing');
});

test('41xx is the end, in words', async (t) => {
  const { signal, seen, pass } = await live(t);
  const asked = signal.request('a');
  FakeSocket.last.drop(4100);
  await assert.rejects(asked, { name: 'EndedError', closeCode: 4100, code: 'kicked' });
  pass(60_000);
  assert.equal(FakeSocket.all.length, 1);
  assert.deepEqual(seen.ended, [{ code: 4100, reason: 'kicked', text: 'You were removed from the call.' }]);
  await assert.rejects(signal.request('b'), { name: 'EndedError' });
});

test('an expired token is renewed once, then the person is asked, and another token helps', async (t) => {
  const { signal, seen } = await live(t, { canRenew: true });
  FakeSocket.last.drop(4402);
  assert.equal(FakeSocket.all.length, 2);
  await FakeSocket.last.open();
  await settle();
  assert.equal(FakeSocket.last.sent[0].data.renew, true);
  FakeSocket.last.drop(4401);
  assert.equal(FakeSocket.all.length, 2);
  assert.deepEqual([signal.state, seen.asked, seen.ended], ['needsUser', [4401], []]);
  signal.again();
  await greet(welcome({ sid: 'se_2' }), snapshot(1));
  assert.equal(FakeSocket.last.sent[0].data.renew, true);
  assert.equal(signal.state, 'live');
});

test('who was never let in is not asked', async (t) => {
  const { signal, seen } = machine(t);
  signal.start();
  await FakeSocket.last.open();
  FakeSocket.last.drop(4401);
  assert.deepEqual([signal.state, seen.ended[0].code], ['ended', 4401]);
});

test('a socket that never opened has said nothing, whatever code it closes with', async (t) => {
  const { signal, seen } = machine(t);
  signal.start();
  FakeSocket.last.drop(4402);
  assert.deepEqual([signal.state, seen.ended], ['waiting', []]);
});

test('a refused resume is tried once as a plain join', async (t) => {
  const { pass, seen } = await resumable(t);
  FakeSocket.last.drop();
  pass(250);
  await FakeSocket.last.open();
  await settle();
  FakeSocket.last.drop(4401);
  pass(0);
  assert.equal(FakeSocket.all.length, 3);
  assert.equal(seen.sessions.at(-1), null);
  await greet(welcome({ sid: 'se_2' }), snapshot(1));
  assert.equal(FakeSocket.last.sent[0].data.resume, null);
});

test('a newer connection of our own ends this one for good', async (t) => {
  const { seen, pass } = await resumable(t);
  FakeSocket.last.say({ type: 'bye', data: { code: 4111, reason: 'resumed elsewhere', action: 'stop' } });
  FakeSocket.last.drop(1006);
  pass(600_000);
  assert.equal(FakeSocket.all.length, 1);
  assert.deepEqual(seen.ended.map((one) => one.reason), ['superseded']);
});

test('a hidden page gives up after the window until somebody looks at it', async (t) => {
  let isVisible = true;
  const { signal, pass } = await live(t, { visible: () => isVisible }, { resume: { token: 's', windowMs: 60_000 } });
  FakeSocket.last.drop();
  for (let ms = 0; ms < 60_000; ms += 5_000) { pass(5_000); FakeSocket.last.drop(); }
  pass(10_000);
  isVisible = false;
  FakeSocket.last.drop();
  const dials = FakeSocket.all.length;
  for (let ms = 0; ms < 600_000; ms += 5_000) pass(5_000);
  assert.equal(FakeSocket.all.length, dials);
  signal.probe();
  assert.equal(FakeSocket.all.length, dials + 1);
});

test('a page that slept asks at once whether the server is there', async (t) => {
  const { signal, clock, pass } = await resumable(t);
  clock.now += 600_000;
  pass(5_000);
  assert.equal(FakeSocket.last.requests('ping').length, 1);
  pass(2_000);
  assert.equal(signal.state, 'waiting');
});

test('a dial from before the network changed is given up', async (t) => {
  const { signal, pass } = await resumable(t);
  FakeSocket.last.drop();
  pass(250);
  assert.equal(signal.state, 'dialing');
  signal.probe();
  assert.equal(FakeSocket.all.length, 2);
  pass(2_000);
  signal.probe();
  assert.deepEqual([FakeSocket.all.length, signal.state], [3, 'dialing']);
});

test('before the first welcome it gives up after some dials', async (t) => {
  const { signal, seen, pass } = machine(t, { attempts: 3 });
  signal.start();
  for (let dial = 1; dial <= 3; dial++) {
    assert.equal(FakeSocket.all.length, dial);
    FakeSocket.last.drop();
    pass(5_000);
  }
  assert.equal(FakeSocket.all.length, 3);
  assert.deepEqual(seen.ended.map((ended) => ended.reason), ['unreachable']);
});

test('a dial without an answer counts as a failure', async (t) => {
  const { signal, pass } = machine(t);
  signal.start();
  pass(10_000);
  assert.equal(FakeSocket.all[0].closedWith, 4010);
  assert.equal(signal.state, 'waiting');
});

test('leaving says so and closes', async (t) => {
  const { signal, seen } = await live(t);
  signal.leave();
  assert.deepEqual(FakeSocket.last.sent.at(-1), { type: 'leave', ack: 1, data: { reason: 'left' } });
  assert.equal(FakeSocket.last.closedWith, 1000);
  assert.equal(seen.ended[0].code, 4103);
});

test('a machine that has ended does not start, and ends once', (t) => {
  const { signal, seen } = machine(t);
  const intervals = t.mock.method(globalThis, 'setInterval');
  signal.leave();
  signal.leave();
  signal.start();
  assert.deepEqual([seen.states, seen.ended.length, FakeSocket.all.length, intervals.mock.callCount()], [['ended'], 1, 0, 0]);
});
