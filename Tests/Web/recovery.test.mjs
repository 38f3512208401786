// What a room does when something is lost: socket, server, path of the media, token, the page itself.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { FakeSocket, person, settle, snapshot, track, welcome } from './fakes.mjs';
import { FakePeer, FakeTrack, answer, join, reset, sfu } from './stage.mjs';

beforeEach(reset);

const resume = (token = 'sealed') => ({ token, windowMs: 60_000 });
/** In the room with media that works, and a token to come back with. */
async function live(t, participants = [], options = {}) {
  const made = await join(t, participants, options, { resume: resume() });
  await answer();
  FakePeer.all[0].ice('connected');
  return made;
}
const publish = async (room, kind = 'audio', options = {}) => {
  const publishing = room.publish(new FakeTrack(kind), options);
  await settle();
  await answer();
  return publishing;
};
/** Loses the socket, and opens the next one up to its hello. */
async function cut(t, code) {
  FakeSocket.last.drop(code);
  t.mock.timers.tick(250);
  await FakeSocket.last.open();
  await settle();
  return FakeSocket.last.sent[0].data;
}
const back = async (outcome, more = {}, ...envelopes) => {
  FakeSocket.last.say(welcome({ outcome, seq: 1, resume: resume('next'), ...more }), ...envelopes);
  await settle();
};
const replay = (more) => back('replay', { upTo: 1, ...more });

// ─── signaling ───────────────────────────────────────────────────────────────────────────────────────────────────

test('a socket that is lost comes back without touching the media', async (t) => {
  const { room, seen } = await live(t, [person('a')]);
  const resumed = [];
  room.on('resumed', (how) => resumed.push(how.outcome));
  const hello = await cut(t);
  assert.deepEqual([hello.resume.token, hello.resume.lastSeq, hello.pc, hello.token], ['sealed', 1, undefined, undefined]);
  assert.deepEqual([room.status.state, room.status.what], ['reconnecting', 'signal']);
  await replay();
  assert.equal(room.status.state, 'live');
  assert.deepEqual([FakePeer.all.length, FakeSocket.last.requests('pc.offer').length, room.sid], [1, 0, 'se_1']);
  assert.deepEqual(seen.filter((line) => /status/.test(line)), ['status live', 'status reconnecting', 'status syncing', 'status live']);
  assert.deepEqual(resumed, ['replay']);
  const [report] = FakeSocket.last.requests('diag.report');
  assert.deepEqual([report.data.resumes, report.data.note, typeof report.data.timeToResumeMs], [1, 'replay', 'number']);
});

test('trouble has one beginning, however it changes', async (t) => {
  const { room } = await live(t);
  const before = room.status.since;
  FakeSocket.last.drop();
  const { since } = room.status;
  FakePeer.all[0].ice('disconnected');
  assert.deepEqual([room.status.what, room.status.since], ['both', since]);
  assert.ok(since >= before);
});

test('a delta changes what changed, and takes out who left', async (t) => {
  const { room, seen } = await live(t, [person('a', [track('t1', 'a')], { rev: 5 }), person('b'), person('c', [], { rev: 9 })]);
  await cut(t);
  await back('delta', { seq: 40 }, { seq: 41, rev: 12, type: 'delta', data: {
    page: 1, of: 1, fromRev: 1, rev: 12, changed: [person('a', [track('t1', 'a', { muted: true, rev: 11 })], { rev: 11 }), person('d', [], { rev: 12 })],
    left: [{ pid: 'b', reason: 'left', rev: 10 }, { pid: 'c', reason: 'timeout', rev: 8 }], slots: [],
  } });
  assert.deepEqual([...room.participants.keys()], ['a', 'c', 'd']);
  assert.equal(room.participants.get('a').camera.muted, true);
  assert.deepEqual(seen.filter((line) => /joined|left|muted/.test(line)), ['muted a camera', 'joined d', 'left b']);
  assert.equal(room.status.state, 'live');
});

test('a restarted server counts anew: its lower revisions are news', async (t) => {
  const { room } = await live(t, [person('a', [track('t1', 'a', { rev: 500 })], { rev: 500, name: 'Old' })]);
  await cut(t);
  const renamed = person('a', [track('t1', 'a', { rev: 2, muted: true })], { rev: 3, name: 'New' });
  await back('snapshot', { sid: 'se_2', seq: 0, room: { id: 'r', rev: 3, epoch: 'e2' } }, snapshot(1, [renamed]));
  assert.deepEqual([room.participants.get('a').name, room.participants.get('a').camera.muted], ['New', true]);
  assert.equal(FakePeer.all.length, 1);
  const [sync] = FakeSocket.last.requests('sync');
  assert.deepEqual(sync.data.desired.subscriptions, { auto: true, set: [] });
});

test('after a restart of the server members who are missing have a while to come back', async (t) => {
  const { room, seen } = await live(t, [person('a'), person('b'), person('c')]);
  await cut(t);
  await back('snapshot', { sid: 'se_2', seq: 0, settleMs: 15_000 }, snapshot(1, [person('a')]));
  assert.deepEqual([...room.participants.values()].map((one) => `${one.pid} ${one.conn}`), ['a active', 'b reconnecting', 'c reconnecting']);
  FakeSocket.last.say({ seq: 2, rev: 4, type: 'roster', data: { joined: [person('b', [], { rev: 4 })], updated: [], left: [] } });
  t.mock.timers.tick(15_000);
  assert.deepEqual([...room.participants.values()].map((one) => `${one.pid} ${one.conn}`), ['a active', 'b active']);
  assert.deepEqual(seen.filter((line) => /joined|left/.test(line)), ['left c']);
});

test('who joins between two pages of a snapshot stays', async (t) => {
  const { room } = await live(t, [person('a')]);
  const { socket } = { socket: FakeSocket.last };
  socket.say({ seq: 2, type: 'snapshot', data: { page: 1, of: 2, rev: 9, participants: [person('a')] } });
  socket.say({ seq: 3, type: 'roster', data: { joined: [person('n', [], { rev: 10 })], updated: [], left: [] } });
  socket.say({ seq: 4, type: 'snapshot', data: { page: 2, of: 2, rev: 9, participants: [] } });
  assert.deepEqual([...room.participants.keys()], ['a', 'n']);
});

test('what is wanted while the server is away is pending, and is what the server is told', async (t) => {
  const { room } = await live(t);
  const mic = await publish(room);
  const keys = [];
  room.on('pending', ({ key, isPending }) => keys.push(`${key} ${isPending}`));
  FakeSocket.last.drop();
  mic.mute().catch(() => {});
  mic.unmute().catch(() => {});
  mic.mute().catch(() => {});
  room.raiseHand().catch(() => {});
  await settle();
  assert.deepEqual([mic.muted, mic.unconfirmed, room.pending.has('hand')], [true, true, true]);
  t.mock.timers.tick(250);
  await FakeSocket.last.open();
  await settle();
  await replay();
  // Three wishes are one request: the last.
  const [mute] = FakeSocket.last.requests('track.mute');
  FakeSocket.last.say({ re: mute.id, data: { track: { tid: mic.tid, cid: mic.cid, muted: true, rev: 9 } } });
  await settle();
  const [hand] = FakeSocket.last.requests('hand');
  FakeSocket.last.say({ re: hand.id, data: { participant: person('pa_me', [], { hand: 5, rev: 10 }) } });
  await settle();
  assert.deepEqual([room.me.hand, room.pending.size, mic.unconfirmed], [true, 0, false]);
  assert.deepEqual(FakeSocket.last.requests('track.mute').map((one) => one.data), [{ cid: mic.cid, muted: true }]);
  assert.ok(keys.includes('hand true') && keys.includes('hand false'));
});

test('a new session hears again of the hand and the name', async (t) => {
  const { room, socket } = await live(t);
  room.raiseHand();
  room.setName('Ada');
  for (const one of [...socket.requests('hand'), ...socket.requests('me.update')]) {
    socket.say({ re: one.id, data: { participant: person('pa_me', [], { rev: 3, name: 'Ada', hand: 5 }) } });
  }
  await settle();
  await cut(t);
  await back('rejoin', { sid: 'se_2', seq: 0 }, snapshot(1, [person('pa_me', [], { rev: 4, name: 'Me' })]));
  const [sync] = FakeSocket.last.requests('sync');
  assert.deepEqual([sync.data.desired.hand, room.desired.name], [true, 'Ada']);
  FakeSocket.last.say({ re: sync.id, data: { tracks: [], missing: [] } });
  await settle();
  assert.deepEqual(FakeSocket.last.requests('hand').map((one) => one.data), [{ raised: true }]);
  assert.deepEqual(FakeSocket.last.requests('me.update').map((one) => one.data), [{ name: 'Ada' }]);
});

// ─── media ───────────────────────────────────────────────────────────────────────────────────────────────────────

test('when both are lost, the restart of the media rides in the hello', async (t) => {
  const { room } = await live(t);
  const [peer] = FakePeer.all;
  peer.ice('disconnected');
  const { pc } = await cut(t);
  assert.deepEqual([pc.gen, pc.offerId, pc.sdp, pc.iceRestart, pc.tracks], [1, 2, 'restart', true, []]);
  await replay({ pc: { gen: 1, offerId: 2, answer: 'v=0', tracks: [], slots: [] } });
  assert.equal(peer.signalingState, 'stable');
  assert.equal(FakeSocket.last.requests('pc.offer').length, 0);
  peer.ice('connected');
  assert.equal(room.status.state, 'live');
});

test('a restart that the server did not answer follows by itself', async (t) => {
  for (const pc of [undefined, { gen: 1, offerId: 2, error: { code: 'not_ready', message: 'busy' } }]) {
    await live(t);
    FakePeer.all[0].ice('failed');
    await settle();
    await answer();
    FakePeer.all[0].ice('disconnected');
    await cut(t);
    await replay({ ...(pc ? { pc } : {}) });
    const offer = FakeSocket.last.requests('pc.offer').at(-1);
    assert.deepEqual([offer.data.iceRestart, offer.data.offer, offer.data.gen], [true, 'restart', 1]);
    reset();
    t.mock.timers.reset();
  }
});

test('an offer whose hello is lost is taken back, and made again for the next', async (t) => {
  await live(t);
  const [peer] = FakePeer.all;
  peer.ice('disconnected');
  assert.equal((await cut(t)).pc.offerId, 2);
  FakeSocket.last.drop();
  await settle();
  assert.equal(peer.signalingState, 'stable');
  t.mock.timers.tick(5_000);
  await FakeSocket.last.open();
  await settle();
  assert.equal(FakeSocket.last.sent[0].data.pc.offerId, 3);
});

test('a hello has 16 KiB: a longer offer follows', async (t) => {
  await live(t);
  const [peer] = FakePeer.all;
  peer.createOffer = async ({ iceRestart }) => ({ type: 'offer', sdp: `${iceRestart ? 'restart' : 'offer'}${'x'.repeat(16_300)}` });
  peer.ice('disconnected');
  assert.equal((await cut(t)).pc, undefined);
  assert.equal(peer.signalingState, 'stable');
  await replay();
  assert.equal(FakeSocket.last.requests('pc.offer')[0].data.iceRestart, true);
});

test('a server may take longer hellos', async (t) => {
  const { socket } = await join(t, [], {}, { resume: resume(), limits: { inflight: 64, hello: 65_536 } });
  await answer();
  const [peer] = FakePeer.all;
  peer.ice('connected');
  peer.createOffer = async () => ({ type: 'offer', sdp: 'x'.repeat(30_000) });
  peer.ice('disconnected');
  assert.equal((await cut(t)).pc.sdp.length, 30_000);
  assert.equal(socket.requests('pc.offer').length, 1);
});

test('an offer that was under way is sent again under its number, and once', async (t) => {
  const { room, socket } = await live(t);
  const publishing = room.publish(new FakeTrack('audio'));
  await settle();
  const { id } = socket.requests('pc.offer').at(-1);
  FakePeer.all[0].ice('disconnected');
  assert.equal((await cut(t)).pc, undefined);
  await replay();
  assert.deepEqual(FakeSocket.last.requests('pc.offer').map((one) => one.id), [id]);
  await answer();
  assert.equal((await publishing).pending, false);
  assert.equal(FakeSocket.last.requests('pc.offer').at(-1).data.iceRestart, true);
});

test('after a rejoin nothing of the old connection is offered any more', async (t) => {
  const { room } = await live(t);
  const mic = await publish(room);
  const publishing = room.publish(new FakeTrack('video'));
  await settle();
  await cut(t);
  await back('rejoin', { sid: 'se_2', seq: 0 }, snapshot(1, []));
  const [sync] = FakeSocket.last.requests('sync');
  assert.deepEqual(sync.data.desired.publications.map((one) => one.cid), [...room.publications.keys()]);
  FakeSocket.last.say({ re: sync.id, data: { tracks: [], missing: [] } });
  await settle();
  assert.deepEqual(FakeSocket.last.requests('pc.offer').map((one) => one.data.gen), [2]);
  await answer();
  assert.equal((await publishing).pending, false);
  assert.equal(mic.pending, false);
});

// ─── tokens ──────────────────────────────────────────────────────────────────────────────────────────────────────

test('a stay that ends is lengthened with another token', async (t) => {
  const tokens = ['first', 'second'];
  const { socket } = await live(t, [], { getToken: async () => tokens.shift() });
  assert.equal(socket.sent[0].data.token, 'first');
  socket.say({ seq: 2, type: 'auth.expiring', data: { inMs: 60_000 } });
  await settle();
  const [refresh] = socket.requests('auth.refresh');
  assert.deepEqual(refresh.data, { token: 'second' });
});

test('without another token the person is asked, and the call goes on with the answer', async (t) => {
  const { room } = await live(t, [], { token: 'old' });
  const asked = [];
  room.on('needsUser', ({ code }) => asked.push(code));
  FakeSocket.last.drop(4402);
  assert.deepEqual([room.status.state, asked], ['needsUser', [4402]]);
  room.authenticate('new');
  await FakeSocket.last.open();
  await settle();
  const hello = FakeSocket.last.sent[0].data;
  assert.deepEqual([hello.token, hello.resume.token], ['new', 'sealed']);
  await replay();
  assert.equal(room.status.state, 'live');
});

// ─── reload ──────────────────────────────────────────────────────────────────────────────────────────────────────

test('a reloaded page is the same participant, with a new connection and the old names', async (t) => {
  const kept = new Map();
  globalThis.sessionStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
  t.after(() => { delete globalThis.sessionStorage; });
  const { room } = await live(t);
  const mic = await publish(room);
  const stored = new Map(kept);
  assert.equal(await sfu.resumable({ url: 'ws://test', deviceId: 'd' }), false);

  // The page goes without a word, and comes again.
  const again = await import('../../Sources/Signaling/Web/sdk/sfu.js?reloaded');
  kept.clear();
  for (const [key, value] of stored) kept.set(key, value);
  assert.equal(await again.resumable({ url: 'ws://other', deviceId: 'd' }), false);
  assert.equal(await again.resumable({ url: 'ws://test', deviceId: 'e' }), false);
  assert.equal(await again.resumable({ url: 'ws://test', deviceId: 'd' }), true);
  FakePeer.all = [];
  const joining = again.connect({ url: 'ws://test', deviceId: 'd', WebSocket: FakeSocket });
  await settle();
  await FakeSocket.last.open();
  await settle();
  assert.deepEqual(FakeSocket.last.sent[0].data.resume, { token: 'sealed', attempt: 2, lastSeq: 0 });
  await back('snapshot', { seq: 30, ackedId: 9 }, snapshot(31, [person('pa_me', [track('t9', 'pa_me', { cid: mic.cid })], { hand: 5, rev: 4 }), person('a')]));
  const reloaded = await joining;
  t.after(() => reloaded.leave());
  assert.deepEqual([reloaded.me.pid, reloaded.me.hand, reloaded.participants.size], ['pa_me', true, 1]);
  assert.deepEqual(FakeSocket.last.requests('hand'), []);
  // The first offer waits for what was published before.
  assert.deepEqual(FakeSocket.last.requests('pc.offer'), []);
  const publishing = reloaded.publish(new FakeTrack('audio'));
  await settle();
  const [first] = FakeSocket.last.requests('pc.offer');
  assert.deepEqual([first.id, first.data.gen, first.data.tracks.map((one) => one.cid)], [10, 2, [mic.cid]]);
  await answer();
  assert.equal((await publishing).cid, mic.cid);
  // Leaving leaves nothing to come back to.
  await reloaded.leave();
  assert.equal([...kept.keys()].some((key) => key.startsWith('sfu.session')), false);
});

test('a reloaded page that publishes nothing is heard of after a moment', async (t) => {
  const saved = { token: 's', windowMs: 60_000, sid: 'se_1', attempt: 1, url: 'ws://test/', gen: 3, cids: { mic: 'mic-1' }, at: Date.now() };
  t.after(() => { delete globalThis.sessionStorage; });
  globalThis.sessionStorage = { getItem: (key) => (key === 'sfu.session.d' ? JSON.stringify(saved) : null), setItem() {}, removeItem() {} };
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const joining = sfu.connect({ url: 'ws://test/', deviceId: 'd', WebSocket: FakeSocket });
  await settle();
  await FakeSocket.last.open();
  await settle();
  await back('snapshot', { seq: 3, ackedId: 0 }, snapshot(4, [person('pa_me')]));
  const room = await joining;
  t.after(() => room.leave());
  t.mock.timers.tick(299);
  await settle();
  assert.deepEqual(FakeSocket.last.requests('pc.offer'), []);
  t.mock.timers.tick(1);
  await settle();
  assert.deepEqual(FakeSocket.last.requests('pc.offer').map((one) => [one.data.gen, one.data.tracks]), [[4, []]]);
});

test('an old session is not tried', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000_000 });
  const saved = { token: 's', windowMs: 60_000, sid: 'x', attempt: 1, url: 'ws://test/', gen: 1, cids: {} };
  const storedAt = (at) => ({ getItem: (key) => (key === 'sfu.session.d' ? JSON.stringify({ ...saved, at }) : null), setItem() {}, removeItem() {} });
  t.after(() => { delete globalThis.sessionStorage; });
  globalThis.sessionStorage = storedAt(940_001);
  assert.equal(await sfu.resumable({ url: 'ws://test/', deviceId: 'd' }), true);
  globalThis.sessionStorage = storedAt(940_000);
  assert.equal(await sfu.resumable({ url: 'ws://test/', deviceId: 'd' }), false);
});

// ─── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────

test('what happened is kept, and not without end', async (t) => {
  const { room } = await live(t);
  const before = room.timeline.length;
  await cut(t, 4000);
  await replay();
  const since = room.timeline.slice(before).map((one) => one.what);
  for (const what of ['closed', 'welcome', 'resumed', 'status']) assert.ok(since.includes(what), what);
  const kinds = ['welcome', 'status', 'media', 'closed', 'resumed'];
  for (const one of room.timeline) assert.ok(kinds.includes(one.what), one.what);
  assert.deepEqual(room.timeline.filter((one) => one.what === 'status').at(-3), { ...room.timeline.filter((one) => one.what === 'status').at(-3), state: 'reconnecting', part: 'signal' });
  for (let i = 0; i < 400; i++) room._note('test', { i });
  assert.equal(room.timeline.length, 256);
  assert.equal(room.timeline.at(-1).i, 399);
});

test('lost sound and a slow server are said', async (t) => {
  const { room } = await live(t);
  const [peer] = FakePeer.all;
  let packets = 0;
  let lost = 0;
  peer.getStats = async () => new Map([['a', { id: 'a', type: 'inbound-rtp', kind: 'audio', mid: '0', timestamp: 1, packetsReceived: packets, packetsLost: lost }]]);
  // Heartbeats keep the socket alive; statistics are taken anew after a while.
  const pass = async (more = {}) => {
    await new Promise((resolve) => setImmediate(resolve));
    FakeSocket.last.say({ type: 'hb', data: { seq: 1, lag: 0, ...more } });
    t.mock.timers.tick(5_000);
    await settle();
  };
  t.mock.method(Date, 'now', (() => { let now = Date.now(); return () => (now += 500); })());
  await pass();
  packets += 250;
  await pass();
  assert.equal(room.status.state, 'live');
  packets += 200;
  lost += 50;
  await pass();
  assert.deepEqual([room.status.state, room.status.what], ['degraded', 'audio']);
  packets += 250;
  await pass();
  assert.equal(room.status.state, 'live');
  await pass({ lag: 400 });
  assert.deepEqual([room.status.state, room.status.what], ['degraded', 'signal']);
});
