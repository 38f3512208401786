// What people do in a room: hands, reactions, messages, moderation, the waiting room; and why somebody is not heard.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { FakeSocket, person, settle, snapshot, track, welcome } from './fakes.mjs';
import { FakePeer, FakeTrack, answer, join, reset } from './stage.mjs';

beforeEach(reset);

const requests = (type) => FakeSocket.last.requests(type);
/** Answers the newest request of a type. */
const grant = async (type, data) => {
  const { id } = requests(type).at(-1);
  FakeSocket.last.say({ re: id, data });
  await settle();
};
const refuse = async (type, code) => {
  FakeSocket.last.say({ re: requests(type).at(-1).id, error: { code, message: 'no', retryable: false } });
  await settle();
};
let seq = 1;
const tell = async (type, data, more = {}) => { FakeSocket.last.say({ seq: ++seq, rev: 20, type, data, ...more }); await settle(); };
const room1 = async (t, ...rest) => { seq = 1; return join(t, ...rest); };
const heard = (room, ...types) => {
  const list = [];
  for (const type of types) room.on(type, (detail) => list.push([type, detail]));
  return list;
};

test('a raised hand shows at its owner and at the others, and can be lowered by a moderator', async (t) => {
  const { room } = await room1(t, [person('a')]);
  const raising = room.raiseHand();
  assert.deepEqual(requests('hand')[0].data, { raised: true });
  await grant('hand', { participant: person('pa_me', [], { hand: 77, rev: 3 }) });
  await raising;
  assert.deepEqual([room.me.hand, room.me.handAt], [true, 77]);
  await tell('roster', { joined: [], updated: [person('a', [], { hand: 99, rev: 4 })], left: [] });
  assert.equal(room.participants.get('a').handAt, 99);
  await tell('roster', { joined: [], updated: [person('a', [], { rev: 5 }), person('pa_me', [], { rev: 6 })], left: [] });
  assert.deepEqual([room.participants.get('a').hand, room.me.hand, room.desired.hand], [false, false, false]);
});

test('a reaction is for the moment', async (t) => {
  const { room, socket } = await room1(t, [person('a')]);
  const seen = heard(room, 'reaction');
  room.react('👏');
  assert.deepEqual(requests('reaction').map(({ id, data }) => [id, data]), [[undefined, { emoji: '👏' }]]);
  socket.say({ type: 'reaction', data: { pid: 'a', uid: 'u_a', emoji: '🎉' } });
  assert.deepEqual(seen.map(([, { participant, emoji }]) => [participant.pid, emoji]), [['a', '🎉']]);
});

test('a message has its own name, and is heard once however often it comes', async (t) => {
  const { room } = await room1(t, [person('a')]);
  const seen = heard(room, 'data', 'dataLost');
  const sending = room.sendData({ text: 'hi' }, { to: [room.participants.get('a'), 'u_b'], topic: 'chat' });
  const [{ data }] = requests('data.send');
  assert.deepEqual({ ...data, mid: 'm' }, { topic: 'chat', mid: 'm', payload: { text: 'hi' }, reliable: true, to: ['a', 'u_b'] });
  assert.match(data.mid, /^[a-z2-9]{12}$/);
  await grant('data.send', { mid: data.mid, accepted: true, deliveredTo: 2, relaySeq: 4 });
  assert.equal((await sending).deliveredTo, 2);
  const message = { from: 'a', uid: 'u_a', topic: 'chat', mid: 'x', payload: [1], relaySeq: 5 };
  await tell('data', message);
  await tell('data', message);
  await tell('data', { ...message, uid: 'u_b', from: 'b' });
  await tell('data', { ...message, mid: 'y', self: true });
  assert.deepEqual(seen.map(([, one]) => [one.from?.pid ?? null, one.uid, one.mid, one.self]), [['a', 'u_a', 'x', false], [null, 'u_b', 'x', false], ['a', 'u_a', 'y', true]]);
  for (let i = 0; i < 1_100; i++) FakeSocket.last.say({ seq: ++seq, type: 'data', data: { ...message, mid: `n${i}` } });
  // So long ago that it is forgotten: the memory is bounded.
  const before = seen.length;
  await tell('data', message);
  assert.equal(seen.length, before + 1);
  await tell('snapshot', { page: 1, of: 1, rev: 30, participants: [person('a')], relay: { from: 5, to: 9, lost: 3 } });
  assert.deepEqual(seen.at(-1), ['dataLost', { lost: 3, isUnknown: false }]);
  await tell('snapshot', { page: 1, of: 1, rev: 31, participants: [person('a')], relay: { from: 0, to: 0, lost: 0, unknown: true } });
  assert.deepEqual(seen.at(-1), ['dataLost', { lost: 0, isUnknown: true }]);
});

test('what is too long is refused here, and what need not arrive is not waited for', async (t) => {
  const { room } = await room1(t);
  await assert.rejects(room.sendData('x'.repeat(15 * 1024)), { code: 'too_large' });
  assert.deepEqual(await room.sendData(1, { reliable: false, mid: 'm' }), { mid: 'm', accepted: true, deliveredTo: 0 });
  assert.deepEqual(requests('data.send').map(({ id, data }) => [id, data]), [[undefined, { topic: '', mid: 'm', payload: 1, reliable: false }]]);
});

test('moderators’ requests', async (t) => {
  const { room } = await room1(t, [person('a', [track('t1', 'a', { kind: 'audio', source: 'mic' }), track('t2', 'a', { source: 'screen' })])]);
  const a = room.participants.get('a');
  const said = async (promise, type, data) => {
    await settle();
    const [last] = requests(type).slice(-1);
    await grant(type, data);
    await promise;
    return last.data;
  };
  assert.deepEqual(await said(room.mute(a, { lock: true }), 'mod.mute', { tracks: [track('t1', 'a', { kind: 'audio', source: 'mic', muted: true, mutedBy: 'pa_me', locked: true, rev: 9 })] }),
    { pid: 'a', source: 'mic', lockMuted: true });
  assert.deepEqual([a.microphone.muted, a.microphone.mutedBy, a.microphone.locked], [true, 'pa_me', true]);
  assert.deepEqual(await said(room.mute(a.screen), 'mod.mute', {}), { tid: 't2' });
  assert.deepEqual(await said(room.muteAll(), 'mod.mute', {}), { all: true, source: 'mic' });
  assert.deepEqual(await said(room.askToUnmute('a'), 'mod.unmuteRequest', {}), { pid: 'a', source: 'mic' });
  assert.deepEqual(await said(room.stopShare(a), 'mod.stopShare', { pid: 'a', tids: ['t2'] }), { pid: 'a' });
  assert.equal(a.screen, null);
  assert.deepEqual(await said(room.setRole(a, 'viewer', { publish: [] }), 'mod.role', { participant: person('a', [], { role: 'viewer', rev: 10 }) }),
    { pid: 'a', role: 'viewer', grants: { publish: [] } });
  assert.equal(a.role, 'viewer');
  assert.deepEqual(await said(room.setSpotlight(a), 'mod.spotlight', { room: { id: 'r', rev: 11, epoch: 'e', locked: false, lobby: false, spotlight: 'a' } }), { pid: 'a' });
  assert.equal(room.spotlight, 'a');
  assert.deepEqual(await said(room.lock(true, { lobby: true }), 'mod.lock', { room: { id: 'r', rev: 12, epoch: 'e', locked: true, lobby: true } }), { locked: true, lobby: true });
  assert.deepEqual([room.locked, room.hasLobby, room.spotlight], [true, true, null]);
  assert.deepEqual(await said(room.unlock(), 'mod.lock', { room: { locked: false, lobby: true } }), { locked: false });
  assert.deepEqual(await said(room.updateRoom({ title: 'x' }), 'room.update', { room: { meta: { title: 'x' }, locked: false } }), { meta: { title: 'x' } });
  assert.deepEqual(room.meta, { title: 'x' });
  assert.deepEqual(await said(room.roster({ limit: 5 }), 'roster.page', { participants: [], total: 0, rev: 1 }), { limit: 5 });
  assert.deepEqual(await said(room.kick(a, { reason: 'noise', banSeconds: 60 }), 'mod.kick', { pid: 'a', uid: 'u_a', rev: 13 }), { pid: 'a', reason: 'noise', banSec: 60 });
  assert.equal(room.participants.size, 0);
});

test('who is muted for good stays muted, and is told why', async (t) => {
  const { room } = await room1(t, [person('mod')]);
  await answer();
  const publishing = room.publish(new FakeTrack('audio'));
  await settle();
  await answer();
  const mic = await publishing;
  const seen = heard(room, 'forceMuted', 'unmuteRequest');
  await tell('mod.muted', { tid: mic.tid, pid: 'pa_me', source: 'mic', muted: true, locked: true, by: 'mod', rev: 6 });
  assert.deepEqual([mic.muted, mic.locked, mic.mutedBy, mic.track.enabled], [true, true, 'mod', false]);
  await grant('track.mute', {});
  const unmuting = mic.unmute();
  await settle();
  await refuse('track.mute', 'forbidden');
  await assert.rejects(unmuting, { code: 'forbidden' });
  assert.deepEqual([mic.muted, mic.track.enabled], [true, false]);
  await tell('mod.unmuteRequest', { pid: 'pa_me', source: 'mic', tid: mic.tid, by: 'mod', rev: 7 });
  assert.deepEqual(seen.map(([type, { publication, by }]) => [type, publication === mic, by.pid]), [['forceMuted', true, 'mod'], ['unmuteRequest', true, 'mod']]);
});

test('rights that are taken end what they allowed', async (t) => {
  const { room } = await room1(t);
  await answer();
  const publishing = room.publish(new FakeTrack('video'));
  await settle();
  await answer();
  const camera = await publishing;
  const seen = heard(room, 'permissions', 'stopped');
  await tell('me.permissions', { role: 'viewer', grants: { publish: [] }, ended: [camera.tid], rev: 8 });
  assert.deepEqual(seen.map(([type]) => type), ['stopped', 'permissions']);
  assert.deepEqual([room.publications.size, room.me.role, room.me.camera], [0, 'viewer', null]);
  assert.deepEqual((await answer()).tracks, []);
  await assert.rejects(room.publish(new FakeTrack('video')), { code: 'forbidden' });
});

test('who waits is in the lobby until somebody decides', async (t) => {
  const { room } = await room1(t);
  await tell('me.permissions', { role: 'moderator', grants: { moderate: true }, rev: 2 });
  const seen = heard(room, 'lobby');
  await tell('lobby.waiting', { waiting: { pid: 'w1', uid: 'u1', name: 'Will', since: 1 } });
  await tell('lobby.waiting', { waiting: { pid: 'w2', uid: 'u2', name: 'Wanda', since: 2 } });
  const admitting = room.admit(room.lobby.get('w1'));
  assert.deepEqual(requests('mod.admit')[0].data, { pid: 'w1', admit: true });
  await grant('mod.admit', { pid: 'w1', admitted: true, participant: person('w1', [], { rev: 9 }), rev: 9 });
  await admitting;
  await tell('lobby.admitted', { pid: 'w1', uid: 'u1' });
  await tell('lobby.left', { pid: 'w2', uid: 'u2' });
  assert.deepEqual(seen.map(([, { waiting }]) => waiting.map((one) => one.pid)), [['w1'], ['w1', 'w2'], ['w2'], []]);
  assert.equal(room.participants.get('w1').name, 'W1');
  // A snapshot says it, too, for those who were away.
  await tell('snapshot', { page: 1, of: 1, rev: 40, participants: [], standing: { room: { locked: true, lobby: true }, me: { role: 'moderator', grants: { moderate: true }, rev: 1 }, lobby: [{ pid: 'w3', uid: 'u3', since: 3 }] } });
  assert.deepEqual([[...room.lobby.keys()], room.locked], [['w3'], true]);
});

test('a waiting room has neither roster nor media, and what is published there is sent when the door opens', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const { sfu } = await import('./stage.mjs');
  const joining = sfu.connect({ url: 'ws://test', user: { uid: 'me' }, deviceId: 'd', WebSocket: FakeSocket });
  await settle();
  await FakeSocket.last.open();
  await settle();
  FakeSocket.last.say(welcome({ waiting: true, resume: { token: 's', windowMs: 60_000 } }));
  const room = await joining;
  t.after(() => room.leave());
  assert.deepEqual([room.waiting, room.status.state, FakePeer.all.length], [true, 'waiting', 0]);
  const publishing = room.publish(new FakeTrack('audio'));
  await settle();
  assert.deepEqual(FakeSocket.last.sent.slice(1), []);
  const admitted = room.once('admitted');
  FakeSocket.last.say({ seq: 1, type: 'lobby.admitted', data: { pid: 'pa_me', uid: 'me' } }, snapshot(2, [person('pa_me'), person('a')]));
  await admitted;
  await settle();
  assert.deepEqual([room.waiting, room.status.state, room.participants.size], [false, 'connecting', 1]);
  await answer();
  assert.equal((await publishing).pending, false);
});

test('the waiting room survives a lost socket', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const { sfu } = await import('./stage.mjs');
  const joining = sfu.connect({ url: 'ws://test', user: { uid: 'me' }, deviceId: 'd', WebSocket: FakeSocket });
  await settle();
  const greet = async (...envelopes) => { await FakeSocket.last.open(); await settle(); FakeSocket.last.say(...envelopes); await settle(); };
  await greet(welcome({ waiting: true, resume: { token: 's', windowMs: 60_000 } }));
  const room = await joining;
  t.after(() => room.leave());
  FakeSocket.last.drop();
  assert.equal(room.status.state, 'connecting');
  t.mock.timers.tick(250);
  await greet(welcome({ outcome: 'snapshot', seq: 0, waiting: true, resume: { token: 's2', windowMs: 60_000 } }));
  assert.equal(room.status.state, 'waiting');
  FakeSocket.last.drop();
  t.mock.timers.tick(500);
  // Let in while away.
  await greet(welcome({ outcome: 'snapshot', seq: 3, resume: { token: 's3', windowMs: 60_000 } }), snapshot(4, [person('pa_me'), person('a')]));
  assert.deepEqual([room.waiting, room.participants.size, FakePeer.all.length], [false, 1, 1]);
});

test('who is turned away is told so', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const { sfu } = await import('./stage.mjs');
  const joining = sfu.connect({ url: 'ws://test', user: { uid: 'me' }, deviceId: 'd', WebSocket: FakeSocket });
  await settle();
  await FakeSocket.last.open();
  await settle();
  // A waiting room has a snapshot, too: of nobody.
  FakeSocket.last.say(welcome({ waiting: true }), snapshot(1, [], { standing: { room: {}, me: { role: 'speaker', grants: {} }, waiting: true } }));
  const room = await joining;
  assert.deepEqual([room.waiting, FakePeer.all.length], [true, 0]);
  FakeSocket.last.say({ seq: 2, type: 'lobby.denied', data: { pid: 'pa_me', uid: 'me' } });
  FakeSocket.last.drop(4100);
  assert.deepEqual([room.status.state, room.status.ended.reason, room.status.text], ['ended', 'denied', 'You were not let in.']);
});

test('the server may ask us to go elsewhere', async (t) => {
  const { room } = await room1(t);
  const seen = heard(room, 'move');
  await tell('room.move', { room: 'other', token: 'jwt', reason: 'breakout' });
  assert.deepEqual(seen, [['move', { room: 'other', token: 'jwt', reason: 'breakout' }]]);
});

test('why somebody is not heard is one question', async (t) => {
  const { room } = await room1(t, [person('a', [track('t1', 'a', { kind: 'audio', source: 'mic' })])]);
  await answer();
  const a = room.participants.get('a');
  const ask = async (data, error) => {
    const asking = room.diag(a);
    const { id, data: sent } = requests('diag.get').at(-1);
    assert.deepEqual(sent, { pid: 'a' });
    FakeSocket.last.say(error ? { re: id, error } : { re: id, data });
    const { verdict, local } = await asking;
    assert.equal(local.gen, 1);
    return verdict;
  };
  assert.equal((await ask({ verdict: { code: 'muted', text: 'He is muted.' } })).code, 'noMedia');
  FakePeer.all[0].ice('connected');
  assert.deepEqual(await ask({ verdict: { code: 'muted', text: 'He is muted.' } }), { code: 'muted', text: 'He is muted.' });
  assert.equal((await ask({ verdict: { code: 'ok', text: 'All is well.' } })).code, 'ok');
  room.setVolume(a, 0);
  assert.equal((await ask({ verdict: { code: 'ok', text: 'All is well.' } })).code, 'volume');
  room._audioBlocked(true);
  assert.equal((await ask({ verdict: { code: 'ok', text: 'All is well.' } })).code, 'audioBlocked');
  assert.equal((await ask(null, { code: 'rate_limited', message: 'slowly', retryable: true })).code, 'noServer');
});
