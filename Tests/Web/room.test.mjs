// The room above a socket and a peer connection that the test plays: members, slots, publications, recovery.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { FakeSocket, person, settle, track } from './fakes.mjs';
import { FakePeer, FakeTrack, answer, greet, join, reset, sfu } from './stage.mjs';

beforeEach(reset);

test('the first offer has three audio and four video slots, and a second one waits for its answer', async (t) => {
  const { room, socket } = await join(t);
  const [peer] = FakePeer.all;
  assert.deepEqual(peer.transceivers.map((one) => [one.receiver.track.kind, one.direction]),
    [...Array(3).fill(['audio', 'recvonly']), ...Array(4).fill(['video', 'recvonly'])]);
  const publishing = room.publish(new FakeTrack('video', { width: 1280, height: 720 }));
  await settle();
  assert.equal(socket.requests('pc.offer').length, 1);
  await answer();
  const second = await answer();
  assert.equal(socket.requests('pc.offer').length, 2);
  assert.deepEqual([second.gen, second.offerId], [1, 2]);
  const [sent] = second.tracks;
  assert.deepEqual([sent.mid, sent.kind, sent.source, sent.muted], ['7', 'video', 'camera', false]);
  const publication = await publishing;
  assert.equal(publication.tid, `tr_${publication.cid}`);
  assert.equal(publication.pending, false);
});

test('members come, change and go', async (t) => {
  const { room, seen, socket } = await join(t, [person('a', [track('t1', 'a')])]);
  assert.equal(room.me.name, 'Me');
  assert.deepEqual([...room.participants.keys()], ['a']);
  assert.equal(room.participants.get('a').camera.tid, 't1');
  socket.say({ seq: 2, type: 'roster', data: { joined: [person('b')], updated: [person('a', [track('t1', 'a', { muted: true, rev: 3 }), track('t2', 'a', { source: 'screen' })], { rev: 3 })], left: [] } });
  socket.say({ seq: 3, type: 'track.muted', data: { tid: 't1', pid: 'a', muted: false, rev: 4 } });
  socket.say({ seq: 4, type: 'track.muted', data: { tid: 't1', pid: 'a', muted: true, rev: 3 } });
  socket.say({ seq: 5, type: 'roster', data: { joined: [], updated: [], left: [{ pid: 'a', reason: 'left', rev: 5 }] } });
  assert.deepEqual(seen, ['joined b', 'published a screen', 'muted a camera', 'unmuted a camera', 'unpublished a camera', 'unpublished a screen', 'left a']
    .sort((x, y) => seen.indexOf(x) - seen.indexOf(y)));
  assert.deepEqual([...room.participants.keys()], ['b']);
});

test('a snapshot in pages replaces what was known', async (t) => {
  const { room, seen, socket } = await join(t, [person('a'), person('b')]);
  socket.say({ seq: 2, type: 'snapshot', data: { page: 1, of: 2, rev: 9, participants: [person('b')] } });
  assert.equal(room.participants.size, 2);
  socket.say({ seq: 3, type: 'snapshot', data: { page: 2, of: 2, rev: 9, participants: [person('c')] } });
  assert.deepEqual([...room.participants.keys()], ['b', 'c']);
  assert.deepEqual(seen, ['joined c', 'left a']);
});

test('quality is of whom the server says, also of those on a later page, and ends', async (t) => {
  const { room, socket } = await join(t, [person('a')]);
  const heard = [];
  room.on('quality', ({ participant, quality }) => heard.push([participant.pid, quality?.word ?? null]));
  const { a } = Object.fromEntries(room.participants);
  assert.equal(a.quality, null);
  socket.say({ seq: 2, type: 'quality', data: { pid: 'a', up: { score: 20, reason: 'loss' } } });
  const own = { score: 38, reason: 'bandwidth', detail: { lossPermille: 41, jitterMs: 2, kbps: 600, estimateKbps: 620, text: 'Your downlink is about 620 kbit/s, 4 % loss.' } };
  socket.say({ seq: 3, type: 'quality', data: { pid: room.me.pid, down: own } });
  assert.deepEqual([a.quality.up.reason, a.quality.down, room.me.quality.down.detail.text], ['loss', null, own.detail.text]);
  socket.say({ seq: 4, type: 'quality', data: { pid: 'nobody', up: { score: 20, reason: 'loss' } } });
  socket.say({ seq: 5, type: 'quality', data: { pid: 'a' } });
  socket.say({ seq: 6, type: 'quality', data: { pid: 'a' } });
  assert.equal(a.quality, null);
  assert.deepEqual(heard, [['a', 'poor'], [room.me.pid, 'good'], ['a', null]]);
  // What a snapshot does not say is not known any more; what it says may be of somebody who comes on its next page.
  socket.say({ seq: 7, type: 'snapshot', data: { page: 1, of: 2, rev: 9, participants: [person('a')], qualities: [{ pid: 'b', up: { score: 30, reason: 'layer' } }] } });
  socket.say({ seq: 8, type: 'snapshot', data: { page: 2, of: 2, rev: 9, participants: [person('b')] } });
  assert.deepEqual([room.me.quality, room.participants.get('b').quality.word], [null, 'fair']);
  socket.say({ seq: 9, type: 'roster', data: { joined: [], updated: [], left: [{ pid: 'b', reason: 'left', rev: 10 }] } });
  socket.say({ seq: 10, type: 'roster', data: { joined: [person('b', [], { rev: 11 })], updated: [], left: [] } });
  assert.equal(room.participants.get('b').quality, null);
});

test('a tile says what its viewer’s path carries, and what the next size would need', async (t) => {
  const layers = [{ rid: 'q', s: 0, live: true, width: 320, height: 180, fps: 30, kbps: 150 }, { rid: 'h', s: 0, live: true, width: 640, height: 360, fps: 30, kbps: 500 },
    { rid: 'f', s: 0, live: true, width: 1280, height: 720, fps: 30, kbps: 1700 }];
  const { room, socket } = await join(t, [person('a', [track('t1', 'a', { layers })])]);
  await answer();
  const slot = (seq, more) => socket.say({ seq, type: 'slots', data: { mid: '4', kind: 'video', tid: 't1', pid: 'a', paused: false, reason: 'bandwidth', ...more } });
  slot(2, { layer: { s: 1, t: 2, width: 640, height: 360 }, neededKbps: 1900, availableKbps: 620 });
  const say = () => room._info(room.participants.get('a').camera).text;
  assert.equal(say(), '360p: your downlink is about 620 kbit/s; 720p needs about 1\u202f900 kbit/s');
  socket.say({ seq: 3, type: 'quality', data: { pid: room.me.pid, down: { score: 30, reason: 'bandwidth', detail: { lossPermille: 43, jitterMs: 2, kbps: 600, text: '' } } } });
  assert.equal(say(), '360p: your downlink is about 620 kbit/s, 4 % loss; 720p needs about 1\u202f900 kbit/s');
  slot(4, { paused: true, neededKbps: 210, availableKbps: 90 });
  assert.equal(say(), 'Paused: your downlink is about 90 kbit/s, 4 % loss; 180p needs about 210 kbit/s');
});

test('a slot carries whom the server says, also when it says so before the roster does', async (t) => {
  const { room, socket } = await join(t, [person('a', [track('t1', 'a')])]);
  await answer();
  const [peer] = FakePeer.all;
  const slot = (seq, mid, tid) => socket.say({ seq, type: 'slots', data: { mid, kind: 'video', tid, pid: tid && 'x', paused: false, reason: 'viewport', layer: { s: 1, width: 640, height: 360 } } });
  slot(2, '4', 't1');
  const { camera } = room.participants.get('a');
  assert.equal(camera.track, peer.transceivers[4].receiver.track);
  assert.equal(camera.slot.layer, 1);
  slot(3, '4', 't9');
  assert.equal(camera.track, null);
  socket.say({ seq: 4, type: 'roster', data: { joined: [person('b', [track('t9', 'b')])], updated: [], left: [] } });
  assert.equal(room.participants.get('b').camera.track, peer.transceivers[4].receiver.track);
});

test('more slots are offered when the server needs them', async (t) => {
  const { socket } = await join(t);
  await answer();
  socket.say({ seq: 2, type: 'pc.need', data: { audio: 3, video: 6, reason: 'publications' } });
  await settle();
  await answer();
  assert.equal(FakePeer.all[0].transceivers.filter((one) => one.receiver.track.kind === 'video').length, 8);
  socket.say({ seq: 3, type: 'pc.need', data: { audio: 3, video: 8, reason: 'publications' } });
  await settle();
  assert.equal(socket.requests('pc.offer').length, 2);
});

test('muting is told, and a camera of ours is released and taken again', async (t) => {
  const { room, seen, socket } = await join(t);
  await answer();
  const takes = [];
  const recapture = async () => { takes.push(new FakeTrack('video')); return takes.at(-1); };
  const first = new FakeTrack('video', { width: 1280 });
  const publishing = room.publish(first, { recapture, stopTrack: true });
  await settle();
  await answer();
  const camera = await publishing;
  const muting = camera.mute();
  await settle();
  const told = socket.requests('track.mute').at(-1);
  assert.deepEqual(told.data, { cid: camera.cid, muted: true });
  socket.say({ re: told.id, data: {} });
  await muting;
  assert.equal(first.readyState, 'ended');
  assert.equal(camera.sender.track, null);
  const unmuting = camera.unmute();
  await settle();
  socket.say({ re: socket.requests('track.mute').at(-1).id, data: {} });
  await unmuting;
  assert.equal(camera.sender.track, takes[0]);
  assert.deepEqual(seen.filter((line) => /muted/.test(line)), ['muted pa_me camera', 'unmuted pa_me camera']);
});

test('somebody else may mute us', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const voice = new FakeTrack('audio');
  const publishing = room.publish(voice);
  await settle();
  await answer();
  const mic = await publishing;
  socket.say({ seq: 2, type: 'track.muted', data: { tid: mic.tid, pid: 'pa_me', muted: true, rev: 9, origin: { pid: 'mod' } } });
  assert.equal(mic.muted, true);
  assert.equal(voice.enabled, false);
});

test('an unpublished section is idle, and the next publication of its shape takes it', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const publish = async (kind) => {
    const publishing = room.publish(new FakeTrack(kind, { width: 1280, height: 720 }));
    await settle();
    await answer();
    return publishing;
  };
  const first = await publish('video');
  const { mid } = first.transceiver;
  const gone = room.unpublish(first);
  await settle();
  const request = socket.requests('track.unpublish').at(-1);
  assert.equal(request.data.cid, first.cid);
  socket.say({ re: request.id, data: { tid: first.tid } });
  assert.deepEqual((await answer()).tracks, []);
  await gone;
  assert.equal(FakePeer.all[0].transceivers[mid].direction, 'inactive');
  const second = await publish('video');
  assert.equal(second.transceiver.mid, mid);
  assert.notEqual(second.cid, first.cid);
  assert.equal(FakePeer.all[0].transceivers.length, 8);
});

test('what the grants do not allow is refused at once', async (t) => {
  const { room } = await join(t);
  await assert.rejects(room.publish(new FakeTrack('video'), { source: 'screen' }), { code: 'forbidden' });
  assert.equal(room.publications.size, 0);
});

test('an offer that the server refuses takes only what was new with it', async (t) => {
  const { room, seen, socket } = await join(t);
  await answer();
  const publishing = room.publish(new FakeTrack('video'));
  publishing.catch(() => {});
  await settle();
  const offer = socket.requests('pc.offer').at(-1);
  socket.say({ re: offer.id, error: { code: 'forbidden', message: 'no', retryable: false } });
  await assert.rejects(publishing, { code: 'forbidden' });
  await settle();
  assert.deepEqual((await answer()).tracks, []);
  assert.ok(seen.includes('warning forbidden'));
  assert.equal(room.status.state, 'connecting');
});

test('unwatched layers are switched off', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const publishing = room.publish(new FakeTrack('video', { width: 1280, height: 720 }));
  await settle();
  await answer();
  const camera = await publishing;
  socket.say({ seq: 2, type: 'demand', data: { tid: camera.tid, layers: [{ rid: 'f', active: false }, { rid: 'h', active: true, maxFps: 15 }] } });
  await settle();
  assert.deepEqual(camera.sender.encodings.map((one) => [one.rid, one.active, one.maxFramerate]), [['q', true, undefined], ['h', true, 15], ['f', false, undefined]]);
});

test('a new session publishes again on a new connection, and the old one plays until that works', async (t) => {
  const { room, seen, socket } = await join(t, [person('a', [track('t1', 'a')])]);
  await answer();
  const publishing = room.publish(new FakeTrack('audio'));
  await settle();
  await answer();
  const mic = await publishing;
  FakePeer.all[0].ice('connected');
  assert.equal(room.status.state, 'live');
  socket.drop();
  assert.deepEqual([room.status.state, room.status.what], ['reconnecting', 'signal']);
  t.mock.timers.tick(250);
  await greet([person('a', [track('t1', 'a')])], { sid: 'se_2' });
  assert.equal(FakePeer.all.length, 2);
  assert.equal(FakePeer.all[0].closed, false);
  assert.equal(room.status.state, 'syncing');
  const [sync] = FakeSocket.last.requests('sync');
  assert.deepEqual(sync.data.desired.publications, [{ cid: mic.cid, kind: 'audio', source: 'mic', muted: false }]);
  FakeSocket.last.say({ re: sync.id, data: { tracks: [], missing: [mic.cid] } });
  await settle();
  assert.equal(room.status.state, 'live');
  const offer = await answer();
  assert.deepEqual([offer.gen, offer.offerId, offer.tracks.map((one) => one.cid)], [2, 1, [mic.cid]]);
  FakePeer.all[1].ice('connected');
  assert.equal(FakePeer.all[0].closed, true);
  assert.deepEqual(seen.filter((line) => /joined|left/.test(line)), []);
});

test('a lost path gets an ICE restart after two seconds, and a new connection after three vain ones', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const [peer] = FakePeer.all;
  peer.ice('connected');
  peer.ice('disconnected');
  assert.deepEqual([room.status.state, room.status.what], ['reconnecting', 'media']);
  t.mock.timers.tick(1_999);
  assert.equal(socket.requests('pc.offer').length, 1);
  socket.say({ type: 'hb', data: {} });
  t.mock.timers.tick(1);
  await settle();
  assert.equal(socket.requests('pc.offer').at(-1).data.offer, 'restart');
  assert.equal(socket.requests('pc.offer').at(-1).data.iceRestart, true);
  await answer();
  for (let i = 0; i < 2; i++) { peer.ice('failed'); await settle(); await answer(); }
  peer.ice('failed');
  await settle();
  assert.equal(FakePeer.all.length, 2);
  assert.equal(socket.requests('pc.offer').at(-1).data.gen, 2);
  assert.equal(peer.closed, true);
});

test('the server may ask for a new connection', async (t) => {
  const { socket } = await join(t);
  await answer();
  socket.say({ seq: 2, type: 'pc.restart', data: { mode: 'new', reason: 'the media plane restarted' } });
  await settle();
  assert.equal(FakePeer.all.length, 2);
  assert.equal(socket.requests('pc.offer').at(-1).data.gen, 2);
});

test('a connection that is new already is not made anew', async (t) => {
  const { socket } = await join(t);
  socket.say({ seq: 2, type: 'pc.restart', data: { mode: 'new', reason: 'forgotten' } });
  await settle();
  assert.deepEqual([FakePeer.all.length, socket.requests('pc.offer').length], [1, 1]);
  await answer();
  socket.say({ seq: 3, type: 'pc.restart', data: { mode: 'new', reason: 'forgotten' } });
  await settle();
  assert.equal(FakePeer.all.length, 2);
});

test('joining fails with words', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const joining = sfu.connect({ url: 'ws://test', deviceId: 'd', WebSocket: FakeSocket });
  joining.catch(() => {});
  await settle();
  await FakeSocket.last.open();
  FakeSocket.last.drop(4401);
  await assert.rejects(joining, { name: 'EndedError', closeCode: 4401 });
  await assert.rejects(sfu.connect({}), { code: 'bad_request' });
});

test('a room can be read as a stream of events that ends', async (t) => {
  const { room, socket } = await join(t);
  const types = [];
  const reading = (async () => { for await (const event of room) types.push(event.type === 'message' ? event.name : event.type); })();
  await settle();
  socket.say({ seq: 2, type: 'roster', data: { joined: [person('a')], updated: [], left: [] } });
  await settle();
  room.leave();
  await reading;
  assert.deepEqual(types, ['joined', 'roster', 'status', 'ended']);
});
