// What is left of a call that ends at an awkward moment, in a page that counts it: nothing.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { settle } from './fakes.mjs';
import { Gate } from './gate.mjs';
import { Clock, Locks, Page } from './page.mjs';
import { FakeTrack } from './stage.mjs';

/** A page, and a server that lets everybody in with the token `k`. */
function stage({ stored, locks = new Locks(), claims = {}, ...more } = {}) {
  const clock = new Clock();
  const server = new Gate(() => 0.4, { now: () => clock.now });
  server.issue('k', claims);
  for (const pid of ['a', 'b']) server.join({ pid, tracks: [] });
  const page = new Page({ clock, locks, hasLocks: true, server, random: () => 0.4, stored, ...more });
  const calm = async () => { for (let n = 0; n < 200; n++) { await settle(); if (!server.step()) { await settle(); if (!server.step()) return; } } };
  // The browser takes its time, too, before and after what the server does.
  const pass = async (ms) => { await clock.pass(ms); for (let n = 0; n < 4; n++) { await calm(); await clock.pass(0); } };
  const connect = (options = {}) => page.sdk.connect({ url: 'ws://test/room', token: 'k', WebSocket: page.WebSocket, ...options });
  const join = async (options) => {
    const joining = connect(options);
    await calm();
    const room = await joining;
    await pass(0);
    return room;
  };
  return { clock, server, page, calm, pass, connect, join };
}
/** What becomes of a promise. */
function fate(promise) {
  const found = { is: 'open' };
  promise.then(() => { found.is = 'resolved'; }, (error) => { found.is = error.code ?? error.name; });
  return found;
}

test('whoever leaves on hearing that the socket is lost dials no more', async () => {
  const { page, pass, join } = stage();
  const room = await join();
  room.on('status', ({ state }) => { if (state !== 'live') room.leave(); });
  page.peers[0].ice('connected');
  page.wires.at(-1).cut();
  assert.deepEqual([room.status.state, page.left()], ['ended', []]);
  await pass(10_000);
  assert.equal(page.wires.length, 1);
});

test('whoever leaves on what a welcome says gets no connection any more', async () => {
  const { server, page, pass, join } = stage();
  const room = await join();
  room.on('room', () => room.leave());
  page.wires.at(-1).cut();
  server.restart(false);
  server.isLocked = true;
  server.hasLobby = true;
  server.admitted.add('me');
  const made = page.peers.length;
  await pass(300);
  assert.deepEqual([room.status.state, page.peers.length, page.left()], ['ended', made, []]);
});

test('whoever leaves while a snapshot is read waits for nobody', async () => {
  const { server, page, pass, join } = stage();
  const room = await join();
  room.on('joined', () => room.leave());
  page.wires.at(-1).cut();
  server.restart(false);
  server.leave('a');
  server.join({ pid: 'c' });
  // One page, and the server has just started.
  server.random = () => 0.1;
  await pass(300);
  assert.deepEqual([room.status.state, page.left()], ['ended', []]);
});

test('whoever leaves on hearing that the way back is found hears of nothing more', async () => {
  const { page, pass, join } = stage();
  const room = await join();
  const heard = [];
  page.peers[0].ice('connected');
  page.wires.at(-1).cut();
  room.on('status', ({ state }) => { heard.push(state); if (state === 'live') room.leave(); });
  room.on('resumed', () => heard.push('resumed'));
  await pass(300);
  assert.deepEqual(heard.slice(-2), ['live', 'ended']);
});

test('whoever leaves on hearing of an expired stay is not asked for another token', async () => {
  const { server, page, pass, join } = stage();
  const room = await join();
  let asked = 0;
  page.peers[0].ice('connected');
  room.on('status', ({ state }) => { if (state === 'reconnecting') room.leave(); });
  room.on('needsUser', () => { asked += 1; });
  server.expire([...server.sessions.values()][0]);
  await pass(0);
  assert.deepEqual([room.status.state, asked, page.left()], ['ended', 0, []]);
});

test('whoever leaves when a lost path shows that the socket is lost, too, leaves nothing', async () => {
  const { server, page, pass, clock, join } = stage();
  const room = await join();
  page.wires.at(-1).cut();
  server.isDown = false;
  await clock.pass(300);
  page.wires.at(-1).isStalled = true;
  await clock.pass(3_000);
  room.on('status', () => room.leave());
  page.peers[0].ice('disconnected');
  assert.deepEqual([room.status.state, page.left()], ['ended', []]);
  await pass(5_000);
});

test('joining that is given up while the device is looked for is given up', async () => {
  const locks = new Locks();
  const stored = new Map([['sfu.did', '"d_1"']]);
  // The page before a reload still holds the name.
  locks.request({}, 'sfu.d_1', {}, () => new Promise(() => {}));
  const { page, pass, connect } = stage({ locks, stored });
  const stop = new AbortController();
  const joining = fate(connect({ signal: stop.signal }));
  await settle();
  stop.abort();
  await pass(1_000);
  assert.deepEqual([joining.is, page.wires.length, page.left()], ['cancelled', 0, []]);
});

test('a signal that gives up joining is not listened to any longer than joining takes', async () => {
  const { page, connect, join, server, calm } = stage();
  const stop = new AbortController();
  const room = await join({ signal: stop.signal });
  assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
  stop.abort();
  assert.notEqual(room.status.state, 'ended');
  room.leave();
  server.banned.add('me');
  const other = new AbortController();
  const refused = fate(connect({ signal: other.signal }));
  await calm();
  assert.deepEqual([refused.is, getEventListeners(other.signal, 'abort').length, page.left()], ['banned', 0, []]);
});

test('a stay that expires before the first snapshot refuses the join: nobody could bring another token', async () => {
  const { server, page, calm, connect } = stage();
  const joining = fate(connect());
  await settle();
  while (!server.sessions.size) { server.step(); await settle(); }
  // The welcome arrives, and the rest never does.
  page.wires[0].down.length = 1;
  page.wires[0].isFull = true;
  server.random = () => 0.99;
  server.expire([...server.sessions.values()][0]);
  await calm();
  assert.deepEqual([joining.is, page.left()], ['token_expired', []]);
});

test('a camera that is allowed after the end is switched off again', async () => {
  const { page, pass, join } = stage();
  const room = await join();
  const publishing = fate(room.publishCamera());
  await settle();
  room.leave();
  await pass(1_000);
  assert.deepEqual([publishing.is, page.tracks.map((one) => one.readyState)], ['ended', ['ended']]);
});

test('a camera that is switched on, or changed, while the call ends is switched off again', async () => {
  const { page, pass, join } = stage();
  const room = await join();
  const publishing = fate(room.publishCamera());
  await pass(1_000);
  const asking = fate(room.publishMicrophone());
  const muting = fate(room.me.camera.mute());
  await pass(1_000);
  assert.deepEqual([publishing.is, asking.is, muting.is], ['resolved', 'resolved', 'resolved']);
  const unmuting = fate(room.me.camera.unmute());
  const other = fate(room.setDevice('microphone', 'm2'));
  await settle();
  room.leave();
  await pass(1_000);
  assert.deepEqual([unmuting.is, other.is, page.tracks.map((one) => one.readyState)], ['cancelled', 'resolved', Array(4).fill('ended')]);
  assert.deepEqual(page.left(), []);
});

test('an offer that waits to be made again waits no longer than the call', async () => {
  const { server, page, pass, join } = stage();
  const room = await join();
  room.publish(new FakeTrack('video')).catch(() => {});
  await pass(0);
  const [one] = room.publications.values();
  server.isMediaAway = true;
  const ending = fate(room.unpublish(one));
  await pass(0);
  assert.equal(ending.is, 'open');
  room.leave();
  await settle();
  assert.deepEqual([ending.is, page.left()], ['resolved', []]);
});

test('what the browser never answers, because the call is over, keeps nobody waiting', async () => {
  const { page, calm, pass, join } = stage();
  const room = await join();
  room.publish(new FakeTrack('video')).catch(() => {});
  await pass(0);
  const ending = fate(room.unpublish([...room.publications.values()][0]));
  await calm();
  room.leave();
  await pass(1_000);
  assert.deepEqual([ending.is, page.left()], ['resolved', []]);
});

test('after the end what was published can be ended, too', async () => {
  const { page, pass, join } = stage();
  const room = await join();
  room.publish(new FakeTrack('video')).catch(() => {});
  await pass(0);
  const [one] = room.publications.values();
  room.leave();
  const ending = fate(room.unpublish(one));
  await settle();
  assert.deepEqual([ending.is, room.publications.size, page.left()], ['resolved', 0, []]);
});

test('an answer for a connection that was replaced confirms nothing of the new one', async () => {
  const { server, clock, page, calm, pass, join } = stage();
  const room = await join();
  page.peers[0].ice('connected');
  const publishing = fate(room.publish(new FakeTrack('video')));
  await settle();
  // The offer is made, the answer is here, and the browser still reads it.
  await clock.pass(0);
  await calm();
  const [one] = room.publications.values();
  assert.equal(one.pending, true);
  server.isMediaAway = true;
  room._newPeer();
  await pass(0);
  assert.deepEqual([one.pending, publishing.is], [true, 'open']);
  server.isMediaAway = false;
  await pass(5_000);
  await pass(0);
  assert.deepEqual([one.pending, publishing.is], [false, 'resolved']);
  room.leave();
});

test('what was wanted in the waiting room is told to the room', async () => {
  const { server, pass, join } = stage({ claims: { lobby: true } });
  const room = await join();
  assert.equal(room.waiting, true);
  const named = fate(room.setName('Ada'));
  const raised = fate(room.raiseHand());
  await pass(0);
  assert.deepEqual([named.is, raised.is], ['not_ready', 'not_ready']);
  const [session] = server.sessions.values();
  server.admit(session);
  await pass(0);
  const me = server.members.get(session.pid);
  assert.deepEqual([me.name, me.hand !== undefined, room.me.name, room.me.hand], ['Ada', true, 'Ada', true]);
  room.leave();
});

test('the refusal of the waiting room does not outlive it, however late it comes', async () => {
  const { server, page, pass, calm, join } = stage({ claims: { lobby: true } });
  const room = await join();
  const [session] = server.sessions.values();
  const named = fate(room.setName('Ada'));
  const wire = page.wires.at(-1);
  while (wire.up.length) server.hear(wire);
  // The answer is lost with the socket, and said again on the next one.
  wire.cut();
  server.admit(session);
  await pass(300);
  await calm();
  assert.equal(named.is, 'not_ready');
  assert.deepEqual([server.members.get(session.pid).name, room.me.name], ['Ada', 'Ada']);
  room.leave();
});

test('a name that is refused for good is not said again with the next change', async () => {
  const { server, pass, join } = stage();
  const room = await join();
  await settle();
  const { execute } = server;
  server.execute = (session, type, data) => {
    if (type === 'me.update' && data.name?.length > 8) throw { error: { code: 'bad_request', message: 'the name is too long', retryable: false } };
    if (type === 'hand') throw { error: { code: 'forbidden', message: 'no hands here', retryable: false } };
    return execute.call(server, session, type, data);
  };
  const name = fate(room.setName('Adelheid the Great'));
  const hand = fate(room.raiseHand());
  await pass(0);
  assert.deepEqual([name.is, hand.is], ['bad_request', 'forbidden']);
  assert.deepEqual([room.desired.name, room.desired.hand], [undefined, false]);
  const other = fate(room.updateMe({ attrs: { mood: 'good' } }));
  await pass(0);
  assert.deepEqual([other.is, room.desired.attrs], ['resolved', { mood: 'good' }]);
  room.leave();
});
