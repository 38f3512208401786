// The signaling machine against a socket that the test plays the server of, on fake timers.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Signal } from '../../Sources/Signaling/Web/sdk/sfu.js';
import { FakeSocket, settle, snapshot, welcome } from './fakes.mjs';

beforeEach(() => { FakeSocket.all = []; });

function machine(t, more = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const clock = { now: 1_000 };
  const seen = { states: [], events: [], ended: [], welcomes: [] };
  const signal = new Signal({
    url: 'ws://test', WebSocket: FakeSocket, random: () => 0.5, now: () => clock.now,
    hello: async (resume, renew) => ({ resume, renew }),
    on: {
      welcome: (data, fresh) => seen.welcomes.push([data.sid, fresh]), event: (type, data) => seen.events.push([type, data]),
      state: (state) => seen.states.push(state), ended: (ended) => seen.ended.push(ended),
    },
    ...more,
  });
  t.after(() => signal.leave());
  const pass = (ms) => { clock.now += ms; t.mock.timers.tick(ms); };
  return { signal, seen, clock, pass };
}

async function live(t, more) {
  const made = machine(t, more);
  made.signal.start();
  await FakeSocket.last.open();
  await settle();
  FakeSocket.last.say(welcome(), snapshot(1));
  return made;
}

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

test('a lost socket is dialed again; a fresh session refuses what was under way', async (t) => {
  const { signal, seen, pass } = await live(t);
  const lost = signal.request('a');
  FakeSocket.last.drop();
  assert.equal(signal.state, 'waiting');
  pass(124);
  assert.equal(FakeSocket.all.length, 1);
  pass(1);
  assert.equal(FakeSocket.all.length, 2);
  await FakeSocket.last.open();
  await settle();
  FakeSocket.last.say(welcome({ sid: 'se_2' }), snapshot(1));
  await assert.rejects(lost, { code: 'session_lost', retryable: true });
  assert.deepEqual(seen.welcomes, [['se_1', true], ['se_2', true]]);
  signal.request('b').catch(() => {});
  assert.equal(FakeSocket.last.sent.at(-1).id, 1);
  assert.equal(signal.state, 'live');
});

test('a resumed session keeps its numbers and sends again what was not answered', async (t) => {
  const { signal, seen, pass } = machine(t);
  signal.start();
  await FakeSocket.last.open();
  await settle();
  FakeSocket.last.say(welcome({ resume: { token: 'sealed', windowMs: 60_000 } }), snapshot(1), { seq: 2, rev: 9, type: 'x', data: {} });
  const answer = signal.request('a');
  FakeSocket.last.drop();
  const queued = signal.request('b');
  pass(250);
  await FakeSocket.last.open();
  await settle();
  assert.deepEqual(FakeSocket.last.sent[0].data.resume, { token: 'sealed', windowMs: 60_000, attempt: 1, lastSeq: 2, rev: 9 });
  FakeSocket.last.say(welcome({ outcome: 'replay', upTo: 6, resume: { token: 'next', windowMs: 60_000 } }));
  assert.deepEqual(FakeSocket.last.sent.slice(1).map(({ id, type }) => [id, type]), [[1, 'a'], [2, 'b']]);
  assert.equal(signal.state, 'syncing');
  // Superseded values are left out of a replay, and only there.
  FakeSocket.last.say({ seq: 4, type: 'y', data: {} }, { seq: 6, type: 'z', data: {} }, { type: 'replayed', data: { upTo: 6 } });
  assert.equal(signal.state, 'live');
  assert.deepEqual(seen.events.map(([type]) => type).filter((type) => type.length === 1), ['x', 'y', 'z']);
  FakeSocket.last.say({ re: 1, data: { n: 1 } }, { re: 2, data: { n: 2 } });
  assert.deepEqual([await answer, await queued], [{ n: 1 }, { n: 2 }]);
  assert.equal(signal.resumes, 1);
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

test('an expired token is renewed once, then it is the end', async (t) => {
  const { seen } = await live(t, { canRenew: true });
  FakeSocket.last.drop(4402);
  assert.equal(FakeSocket.all.length, 2);
  await FakeSocket.last.open();
  await settle();
  assert.equal(FakeSocket.last.sent[0].data.renew, true);
  FakeSocket.last.drop(4401);
  assert.equal(FakeSocket.all.length, 2);
  assert.equal(seen.ended[0].code, 4401);
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
