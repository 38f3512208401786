// How a room and its server agree again: answers that are lost, news that comes too late, declarations, and what goes along
// with each message.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { FakeSocket, person, settle, snapshot, track, welcome } from './fakes.mjs';
import { FakePeer, FakeTrack, answer, join, reset, sfu } from './stage.mjs';

beforeEach(reset);

const lost = (socket, type) => {
  const request = socket.requests(type).at(-1);
  socket.say({ re: request.id, error: { code: 'already_applied', message: `request ${request.id} was executed, its response is forgotten` } });
  return settle();
};
const respond = (socket, type, data = {}) => { socket.say({ re: socket.requests(type).at(-1).id, data }); return settle(); };
const offered = (socket) => socket.requests('pc.offer').map((one) => [one.data.gen, one.data.offerId]);
async function publishing(room, kind = 'audio', options = {}) {
  const made = room.publish(new FakeTrack(kind), options);
  await settle();
  await answer();
  return made;
}

// ─── answers that are lost ───────────────────────────────────────────────────────────────────────────────────────

test('a request whose answer is forgotten was executed: everything wanted is declared, once for all of them', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const mic = await publishing(room);
  const hand = room.raiseHand();
  const mute = mic.mute();
  await settle();
  await lost(socket, 'hand');
  await lost(socket, 'track.mute');
  const [sync, ...more] = socket.requests('sync');
  assert.deepEqual(more, []);
  assert.deepEqual([sync.data.desired.hand, sync.data.desired.publications], [true, [{ cid: mic.cid, kind: 'audio', source: 'mic', muted: true }]]);
  await respond(socket, 'sync', { tracks: [{ ...track('x', 'pa_me'), tid: mic.tid, cid: mic.cid, muted: true, rev: 9 }], missing: [] });
  await Promise.all([hand, mute]);
  assert.deepEqual([room.me.hand, mic.muted, mic.rev, room.pending.size], [true, true, 9, 0]);
  // Nothing was done twice.
  assert.deepEqual([socket.requests('hand').length, socket.requests('track.mute').length, offered(socket).length], [1, 1, 2]);
  // The next one is declared anew.
  const down = room.raiseHand(false);
  await settle();
  await lost(socket, 'hand');
  assert.equal(socket.requests('sync').length, 2);
  await respond(socket, 'sync', { tracks: [], missing: [] });
  await down;
  assert.equal(room.me.hand, false);
});

test('where the declaration fails, so does the request', async (t) => {
  const { room, socket } = await join(t);
  const hand = room.raiseHand();
  await settle();
  await lost(socket, 'hand');
  const { id } = socket.requests('sync').at(-1);
  socket.say({ re: id, error: { code: 'rate_limited', message: 'slower', retryable: true } });
  await assert.rejects(hand, { code: 'rate_limited' });
  // A declaration whose answer is forgotten is declared again.
  const again = room.raiseHand();
  await settle();
  await lost(socket, 'hand');
  await lost(socket, 'sync');
  assert.equal(socket.requests('sync').length, 3);
  await respond(socket, 'sync', { tracks: [], missing: [] });
  await again;
});

test('a question is asked again, and a message under its name', async (t) => {
  const { room, socket } = await join(t);
  const asking = room.roster({ limit: 2 });
  const sending = room.sendData({ x: 1 }, { mid: 'm1' });
  await settle();
  await lost(socket, 'roster.page');
  await lost(socket, 'data.send');
  const [first, second] = socket.requests('data.send');
  assert.deepEqual(second.data, first.data);
  assert.notEqual(second.id, first.id);
  await respond(socket, 'roster.page', { participants: [], total: 0, rev: 1 });
  await respond(socket, 'data.send', { mid: 'm1', accepted: true, deliveredTo: 3, duplicate: true });
  assert.deepEqual([(await asking).total, (await sending).deliveredTo], [0, 3]);
  assert.deepEqual(socket.requests('sync'), []);
});

test('an offer whose answer is forgotten leads to another connection, with everything published', async (t) => {
  const { room, seen, socket } = await join(t);
  await answer();
  FakePeer.all[0].ice('connected');
  const mic = room.publish(new FakeTrack('audio'));
  await settle();
  await lost(socket, 'pc.offer');
  assert.deepEqual(offered(socket).at(-1), [2, 1]);
  assert.equal(FakePeer.all[0].closed, false);
  await answer();
  assert.equal((await mic).pending, false);
  FakePeer.all[1].ice('connected');
  assert.equal(FakePeer.all[0].closed, true);
  assert.deepEqual(seen.filter((line) => /warning/.test(line)), []);
});

test('what the server has no section for is offered', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const mic = await publishing(room);
  const hand = room.raiseHand();
  await settle();
  await lost(socket, 'hand');
  await respond(socket, 'sync', { tracks: [], missing: [mic.cid] });
  await hand;
  await settle();
  assert.deepEqual(offered(socket).at(-1), [1, 3]);
});

// ─── news that comes too late ────────────────────────────────────────────────────────────────────────────────────

test('what has ended is not brought back by older news', async (t) => {
  const { room, socket, seen } = await join(t, [person('a', [track('t1', 'a'), track('t2', 'a', { source: 'screen' })])]);
  const names = () => [...room.participants.values()].map((one) => `${one.pid}: ${[...one.publications.keys()]}`);
  const stopping = room.stopShare('a');
  await settle();
  await respond(socket, 'mod.stopShare', { pid: 'a', tids: ['t2'], rev: 7 });
  await stopping;
  assert.deepEqual(names(), ['a: t1']);
  // A roster that was batched before says that the screen is there.
  socket.say({ seq: 2, type: 'roster', data: { joined: [], updated: [person('a', [track('t1', 'a'), track('t2', 'a', { source: 'screen', rev: 6 })], { rev: 6 })], left: [] } });
  assert.deepEqual(names(), ['a: t1']);
  const late = [
    { type: 'track.muted', data: { tid: 't2', pid: 'a', muted: true, rev: 6 } }, { type: 'track.layers', data: { tid: 't2', pid: 'a', layers: [] } },
    { type: 'slots', data: { mid: '3', kind: 'video', tid: 't2', pid: 'a' } }, { type: 'demand', data: { tid: 't2', layers: [] } },
  ];
  late.forEach((event, index) => socket.say({ seq: 3 + index, ...event }));
  assert.equal(room.status.state, 'connecting');
  assert.deepEqual(names(), ['a: t1']);
  assert.deepEqual(seen.filter((line) => /published/.test(line)), ['unpublished a screen']);
});

test('who was removed is not brought back by older news, and is by newer', async (t) => {
  const { room, socket, seen } = await join(t, [person('a', [track('t1', 'a')]), person('b')]);
  const kicking = room.kick('a');
  await settle();
  await respond(socket, 'mod.kick', { pid: 'a', rev: 12 });
  await kicking;
  const roster = (seq, rev, more = {}) => socket.say({ seq, type: 'roster', data: { joined: [person('a', [track('t1', 'a', { rev })], { rev })], updated: [], left: [], ...more } });
  roster(2, 11);
  assert.deepEqual([...room.participants.keys()], ['b']);
  roster(3, 12);
  assert.deepEqual([...room.participants.keys()], ['b']);
  roster(4, 13);
  assert.deepEqual([[...room.participants.keys()].sort(), room.participants.get('a').camera.tid], [['a', 'b'], 't1']);
  // An older departure is old news, too.
  socket.say({ seq: 5, type: 'roster', data: { joined: [], updated: [], left: [{ pid: 'a', reason: 'kicked', rev: 12 }] } });
  assert.equal(room.participants.size, 2);
  assert.deepEqual(seen.filter((line) => /joined|left/.test(line)), ['left a', 'joined a']);
});

test('in another epoch revisions begin anew, and so does what is over', async (t) => {
  const { room, socket } = await join(t, [person('a', [], { rev: 40 })], {}, { resume: { token: 's', windowMs: 60_000 } });
  socket.say({ seq: 2, type: 'roster', data: { joined: [], updated: [], left: [{ pid: 'a', reason: 'left', rev: 41 }] } });
  socket.drop();
  t.mock.timers.tick(250);
  await FakeSocket.last.open();
  await settle();
  FakeSocket.last.say(welcome({ outcome: 'snapshot', sid: 'se_2', seq: 0, room: { id: 'r', rev: 3, epoch: 'e2' } }), snapshot(1, [person('a', [], { rev: 2 })]));
  assert.deepEqual([...room.participants.keys()], ['a']);
});

test('a publication that we ended is not brought back by the answer to its offer', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const mic = room.publish(new FakeTrack('audio'));
  mic.catch(() => {});
  await settle();
  const [made] = room.publications.values();
  room.unpublish(made);
  await settle();
  await answer();
  await settle();
  assert.deepEqual([room.publications.size, made.tid, made.pending], [0, '', true]);
  await assert.rejects(mic, { code: 'cancelled' });
  assert.deepEqual(socket.requests('track.mute'), []);
});

test('what is over is remembered, and not without end', async (t) => {
  const { room, socket } = await join(t);
  for (let i = 0; i < 1_030; i++) {
    socket.say({ seq: 2 + i, type: 'roster', data: { joined: [], updated: [], left: [{ pid: `p${i}`, reason: 'left', rev: 10 + i }] } });
  }
  socket.say({ seq: 1_032, type: 'roster', data: { joined: [person('p1029', [], { rev: 5 }), person('p0', [], { rev: 5 })], updated: [], left: [] } });
  assert.deepEqual([...room.participants.keys()], ['p0']);
});

// ─── declarations ────────────────────────────────────────────────────────────────────────────────────────────────

test('the answer to a declaration counts by its revisions', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const mic = await publishing(room);
  const before = { tid: mic.tid, name: mic.name, rev: mic.rev };
  const hand = room.raiseHand();
  await settle();
  await lost(socket, 'hand');
  await respond(socket, 'sync', { tracks: [{ tid: 'tr_old', cid: mic.cid, name: 'old', rev: before.rev - 1 }, { tid: 'tr_x', cid: 'unknown', rev: 99 }], missing: [] });
  await hand;
  assert.deepEqual({ tid: mic.tid, name: mic.name, rev: mic.rev }, before);
  assert.equal(room.publications.size, 1);
  const again = room.raiseHand(false);
  await settle();
  await lost(socket, 'hand');
  await respond(socket, 'sync', { tracks: [{ tid: mic.tid, cid: mic.cid, name: 'new', muted: true, mutedBy: 'mod', locked: true, rev: before.rev + 3 }], missing: [] });
  await again;
  await settle();
  // A moderator who muted us for good meanwhile is obeyed.
  assert.deepEqual([mic.name, mic.rev, mic.muted, mic.locked], ['new', before.rev + 3, true, true]);
});

test('attributes are declared whole, and what was removed is left out', async (t) => {
  const { room, socket } = await join(t, [], {}, { resume: { token: 's', windowMs: 60_000 } });
  socket.say({ seq: 2, type: 'roster', data: { joined: [], updated: [person('pa_me', [], { rev: 5, attrs: { team: 'red', mood: 'fine' } })], left: [] } });
  room.updateMe({ attrs: { mood: null, seat: '3' } }).catch(() => {});
  await settle();
  socket.drop();
  t.mock.timers.tick(250);
  await FakeSocket.last.open();
  await settle();
  FakeSocket.last.say(welcome({ outcome: 'rejoin', sid: 'se_2', seq: 0 }), snapshot(1, [person('pa_me')]));
  await settle();
  const { desired } = FakeSocket.last.requests('sync')[0].data;
  assert.deepEqual(desired.attrs, { team: 'red', seat: '3' });
  assert.deepEqual(Object.keys(desired).sort(), ['attrs', 'hand', 'publications', 'subscriptions', 'view']);
});

test('a server that cannot now is asked until it can: nothing that was published is given up', async (t) => {
  const { room, seen, socket } = await join(t);
  await answer();
  const mic = room.publish(new FakeTrack('audio'));
  await settle();
  for (let i = 0; i < 12; i++) {
    const { id } = socket.requests('pc.offer').at(-1);
    socket.say({ re: id, error: { code: 'not_ready', message: 'the media plane is away', retryable: true, retryAfterMs: 100 } });
    await settle();
    socket.say({ type: 'hb', data: { seq: 1, lag: 0 } });
    t.mock.timers.tick(2_000);
    await settle();
  }
  assert.equal(offered(socket).length, 14);
  await answer();
  assert.equal((await mic).pending, false);
  assert.deepEqual(seen.filter((line) => /warning/.test(line)), []);
});

// ─── what goes along ─────────────────────────────────────────────────────────────────────────────────────────────

const W3C = /^00-(?<trace>[0-9a-f]{32})-(?<span>[0-9a-f]{16})-01$/;
const traceOf = ({ trace }) => W3C.exec(trace)?.groups ?? null;

test('hello and requests carry a trace: one for the page, a span for each, and the same where one is sent again', async (t) => {
  const greeting = { outcome: 'fresh', resume: { token: 's', windowMs: 60_000 } };
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const joining = sfu.connect({ url: 'ws://test', deviceId: 'd', WebSocket: FakeSocket });
  await settle();
  await FakeSocket.last.open();
  await settle();
  const hello = traceOf(FakeSocket.last.sent[0]);
  const said = (more) => ({ ...welcome(more), trace: `00-${hello.trace}-00000000000000aa-01` });
  FakeSocket.last.say(said(greeting), snapshot(1, [person('pa_me')]));
  const room = await joining;
  t.after(() => room.leave());
  await settle();
  const waiting = room.request('hand', { raised: true });
  waiting.catch(() => {});
  await settle();
  const first = FakeSocket.last;
  const [offer] = first.requests('pc.offer').map(traceOf);
  const [hand] = first.requests('hand').map(traceOf);
  assert.deepEqual([offer.trace, hand.trace], [hello.trace, hello.trace]);
  assert.equal(new Set([hello.span, offer.span, hand.span]).size, 3);
  // Notifications cause no spans of their own.
  room.react('👏');
  assert.equal(first.requests('reaction')[0].trace, undefined);
  first.drop();
  t.mock.timers.tick(250);
  await FakeSocket.last.open();
  await settle();
  const again = traceOf(FakeSocket.last.sent[0]);
  assert.equal(again.trace, hello.trace);
  assert.notEqual(again.span, hello.span);
  FakeSocket.last.say(said({ outcome: 'replay', seq: 1, upTo: 1, resume: { token: 'n', windowMs: 60_000 } }));
  assert.deepEqual(FakeSocket.last.requests('hand').map(traceOf), [hand]);
});

test('another life of the page is another trace', async () => {
  const again = await import('../../Sources/Signaling/Web/sdk/sfu.js?another-life');
  const [here, there] = [sfu.traceparent(), again.traceparent()].map((text) => W3C.exec(text).groups.trace);
  assert.notEqual(here, there);
});

test('a server that records nothing is not told more than once a socket', async (t) => {
  const { room, socket } = await join(t);
  room.raiseHand().catch(() => {});
  await settle();
  assert.ok(traceOf(socket.sent[0]));
  assert.deepEqual([...socket.requests('pc.offer'), ...socket.requests('hand')].filter((one) => one.trace !== undefined), []);
});

test('an application may trace by itself, a share of the pages, or not at all', async (t) => {
  const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  for (const [trace, expected] of [[() => parent, parent], [0, undefined], [() => undefined, undefined]]) {
    const { socket } = await join(t, [], { trace });
    assert.equal(socket.sent[0].trace, expected);
    t.mock.timers.reset();
    reset();
  }
});

test('a hello says what the server has a use for, and no more', async (t) => {
  const { socket } = await join(t, [], { user: { uid: 'me', name: 'Me' } }, { resume: { token: 's', windowMs: 60_000 } });
  const { data, ...envelope } = socket.sent[0];
  assert.deepEqual(Object.keys(envelope), ['type', 'v', 'trace']);
  assert.deepEqual(data, { user: { uid: 'me', name: 'Me' }, device: { did: 'd', kind: 'web' }, caps: ['batch'], client: { sdk: 'js', ver: sfu.VERSION } });
  socket.drop();
  t.mock.timers.tick(250);
  await FakeSocket.last.open();
  await settle();
  // The session's token says who it is.
  assert.deepEqual(FakeSocket.last.sent[0].data, { resume: { token: 's', attempt: 2, lastSeq: 1 }, caps: ['batch'] });
});
