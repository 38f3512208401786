// Which layers go out and which are asked for: demand, codecs, redundancy, tiles.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { FakeSocket, person, settle, track } from './fakes.mjs';
import { FakePeer, FakeTrack, answer, greet, join, reset } from './stage.mjs';

beforeEach(() => {
  reset();
  FakePeer.refuses = null;
  FakePeer.extensions = [];
  delete globalThis.RTCRtpSender;
  delete globalThis.RTCRtpReceiver;
});

const publish = async (room, kind, options = {}, settings = { width: 1280, height: 720 }) => {
  const publishing = room.publish(new FakeTrack(kind, settings), options);
  await settle();
  await answer();
  return publishing;
};
const shape = (publication) => publication.sender.encodings.map((one) => `${one.rid ?? '-'}${one.active === false ? ' off' : ''}${one.maxFramerate ? ` ${one.maxFramerate}` : ''}`);
const demand = async (socket, tid, ...layers) => {
  socket.say({ type: 'demand', data: { tid, layers } });
  await settle();
};
const on = (rid, more = {}) => ({ rid, active: true, ...more });
const off = (rid) => ({ rid, active: false });

// ─── demand ──────────────────────────────────────────────────────────────────────────────────────────────────────

test('the newest demand is the whole truth', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const camera = await publish(room, 'video');
  const scales = () => camera.sender.encodings.map((one) => one.scaleResolutionDownBy);
  await demand(socket, camera.tid, on('q', { maxW: 320, maxH: 180, maxFps: 15 }), off('h'), off('f'));
  assert.deepEqual(shape(camera), ['q 15', 'h off', 'f off']);
  await demand(socket, camera.tid, on('q'), on('h'), off('f'));
  assert.deepEqual(shape(camera), ['q', 'h', 'f off']);
  const { changes } = camera.sender;
  await demand(socket, camera.tid, on('q', { maxW: 640 }), on('h'), off('f'));
  assert.equal(camera.sender.changes, changes);
  assert.deepEqual(camera.demand[0], { rid: 'q', active: true, maxW: 640 });
  await demand(socket, camera.tid, off('q'), off('h'), off('f'));
  assert.deepEqual(shape(camera), ['q off', 'h off', 'f off']);
  assert.deepEqual(scales(), [4, 2, 1]);
});

test('a single encoding has no name, and is switched all the same', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const camera = await publish(room, 'video', { simulcast: false });
  await demand(socket, camera.tid, { active: false });
  assert.deepEqual(shape(camera), ['- off']);
  await demand(socket, camera.tid, { active: true, maxFps: 10 });
  assert.deepEqual(shape(camera), ['- 10']);
});

test('a browser that refuses parameters still switches layers, and one that refuses all is only reported', async (t) => {
  const { room, seen, socket } = await join(t);
  await answer();
  const camera = await publish(room, 'video');
  FakePeer.refuses = (encodings) => { if (encodings.some((one) => one.maxFramerate)) throw new TypeError('no rates here'); };
  await demand(socket, camera.tid, on('q', { maxFps: 5 }), on('h', { maxFps: 5 }), off('f'));
  assert.deepEqual(shape(camera), ['q', 'h', 'f off']);
  assert.deepEqual(seen.filter((line) => line.startsWith('warning')), []);
  FakePeer.refuses = () => { throw new TypeError('never'); };
  assert.equal(await camera.applyDemand([off('q')]), undefined);
  assert.deepEqual(shape(camera), ['q', 'h', 'f off']);
  assert.equal(seen.filter((line) => line.startsWith('warning')).length, 1);
  FakePeer.refuses = null;
  camera.sender.getParameters = () => ({});
  await demand(socket, camera.tid, off('q'));
  delete camera.sender.getParameters;
  camera.transceiver.sender = {};
  await demand(socket, camera.tid, off('q'));
  assert.equal(seen.filter((line) => line.startsWith('warning')).length, 1);
});

test('a demand that comes before the answer is applied waits for it', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const publishing = room.publish(new FakeTrack('video', { width: 1280, height: 720 }));
  await settle();
  const offer = socket.requests('pc.offer').at(-1);
  const [{ cid }] = offer.data.tracks;
  const tid = `tr_${cid}`;
  // Both in one message of the server: the answer is still being applied when the demand is read.
  socket.say(
    { re: offer.id, data: { gen: 1, offerId: 2, answer: 'v=0', tracks: [{ ...offer.data.tracks[0], tid, pid: 'pa_me', rev: 5 }], slots: [] } },
    { seq: 2, type: 'demand', data: { tid, layers: [on('q'), on('h'), off('f')] } },
  );
  const camera = await publishing;
  await settle();
  assert.deepEqual(shape(camera), ['q', 'h', 'f off']);
});

test('another picture goes out in all layers, until the server has seen it', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const camera = await publish(room, 'video');
  await demand(socket, camera.tid, on('q'), off('h'), off('f'));
  await camera.replaceTrack(new FakeTrack('video'));
  assert.deepEqual(shape(camera), ['q', 'h', 'f']);
  assert.equal(camera.demand, null);
  t.mock.timers.tick(4_999);
  await settle();
  assert.deepEqual(shape(camera), ['q', 'h', 'f']);
  t.mock.timers.tick(1);
  await settle();
  assert.deepEqual(shape(camera), ['q', 'h off', 'f off']);
  // What the server says meanwhile is newer than what it said before.
  await camera.replaceTrack(new FakeTrack('video'));
  await demand(socket, camera.tid, on('q'), on('h'), off('f'));
  t.mock.timers.tick(10_000);
  await settle();
  assert.deepEqual(shape(camera), ['q', 'h', 'f off']);
});

test('publishing again and connecting again start with everything', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const first = await publish(room, 'video');
  await demand(socket, first.tid, off('q'), off('h'), off('f'));
  const gone = room.unpublish(first);
  await settle();
  socket.say({ re: socket.requests('track.unpublish').at(-1).id, data: { tid: first.tid } });
  await answer();
  await gone;
  const second = await publish(room, 'video');
  assert.equal(second.transceiver, FakePeer.all[0].transceivers[7]);
  assert.deepEqual(shape(second), ['q', 'h', 'f']);
  await demand(socket, second.tid, on('q'), off('h'), off('f'));
  socket.drop();
  t.mock.timers.tick(250);
  await greet([], { sid: 'se_2' });
  await answer();
  assert.equal(FakePeer.all.length, 2);
  assert.equal(second.demand, null);
  assert.deepEqual(shape(second), ['q', 'h', 'f']);
  t.mock.timers.tick(10_000);
  await settle();
  assert.deepEqual(shape(second), ['q', 'h', 'f']);
  await demand(FakeSocket.last, second.tid, on('q'), on('h'), off('f'));
  assert.deepEqual(shape(second), ['q', 'h', 'f off']);
});

// ─── codecs ──────────────────────────────────────────────────────────────────────────────────────────────────────

const capabilities = (...names) => ({ getCapabilities: (kind) => ({ codecs: names.filter((name) => name.startsWith(kind)).map((mimeType) => ({ mimeType })) }) });
const chromium = capabilities('audio/opus', 'audio/red', 'audio/G722', 'audio/PCMU', 'video/VP8', 'video/rtx', 'video/VP9', 'video/AV1', 'video/red', 'video/ulpfec');

test('a named codec stands first in the offer and in what the server is told', async (t) => {
  globalThis.RTCRtpSender = globalThis.RTCRtpReceiver = chromium;
  const { room, socket } = await join(t);
  await answer();
  const told = () => socket.requests('pc.offer').at(-1).data.tracks.at(-1);
  const usual = await publish(room, 'video');
  assert.equal('codec' in told(), false);
  assert.deepEqual(usual.transceiver.codecs, ['vp8', 'rtx', 'vp9', 'av1']);
  const named = await publish(room, 'video', { source: 'camera', codec: 'av1' });
  assert.equal(told().codec, 'av1');
  assert.deepEqual(named.transceiver.codecs, ['av1', 'vp8', 'rtx', 'vp9']);
  assert.ok(named.sender.encodings.every((one) => one.scalabilityMode === 'L1T2'));
  // VP8 has no spatial layers.
  const layered = await publish(room, 'video', { scalabilityMode: 'L3T3_KEY' });
  assert.equal(told().codec, 'vp9');
  assert.equal(layered.transceiver.codecs[0], 'vp9');
  assert.deepEqual(layered.sender.encodings.map((one) => [one.rid, one.scalabilityMode]), [[undefined, 'L3T3_KEY']]);
});

test('a section that another codec left is not taken over', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  const first = await publish(room, 'video', { codec: 'av1', simulcast: false });
  const gone = room.unpublish(first);
  await settle();
  socket.say({ re: socket.requests('track.unpublish').at(-1).id, data: { tid: first.tid } });
  await answer();
  await gone;
  assert.equal((await publish(room, 'video', { simulcast: false })).transceiver, FakePeer.all[0].transceivers[8]);
  assert.equal((await publish(room, 'video', { codec: 'av1', simulcast: false })).transceiver, FakePeer.all[0].transceivers[7]);
});

test('voices are sent with redundancy where the browser can, and received with Opus first', async (t) => {
  globalThis.RTCRtpSender = globalThis.RTCRtpReceiver = chromium;
  const { room } = await join(t);
  await answer();
  assert.deepEqual(FakePeer.all[0].transceivers[0].codecs, ['opus', 'red', 'g722', 'pcmu']);
  const first = async (options) => (await publish(room, 'audio', options)).transceiver.codecs.slice(0, 2);
  assert.deepEqual(await first({}), ['red', 'opus']);
  assert.deepEqual(await first({ redundancy: false }), ['opus', 'red']);
  assert.deepEqual(await first({ stereo: true }), ['opus', 'red']);
  assert.deepEqual(await first({ stereo: true, redundancy: true }), ['red', 'opus']);
  globalThis.RTCRtpSender = globalThis.RTCRtpReceiver = capabilities('audio/opus', 'audio/G722');
  assert.deepEqual(await first({}), ['opus', 'g722']);
});

test('a browser that refuses the codecs it only sends gets those that it receives, too', async (t) => {
  globalThis.RTCRtpSender = capabilities('audio/opus', 'audio/red', 'audio/odd');
  globalThis.RTCRtpReceiver = capabilities('audio/opus', 'audio/red');
  const { room } = await join(t);
  await answer();
  const real = FakePeer.prototype.addTransceiver;
  t.after(() => { FakePeer.prototype.addTransceiver = real; });
  FakePeer.prototype.addTransceiver = function add(...given) {
    const made = real.apply(this, given);
    const accept = made.setCodecPreferences.bind(made);
    made.setCodecPreferences = (codecs) => { if (codecs.some((one) => one.mimeType.endsWith('odd'))) throw new TypeError('no'); accept(codecs); };
    return made;
  };
  assert.deepEqual((await publish(room, 'audio')).transceiver.codecs, ['red', 'opus']);
});

test('picture slots offer the dependency descriptor where the browser keeps it back', async (t) => {
  const uri = 'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';
  FakePeer.extensions = [{ uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', direction: 'sendrecv' }, { uri: 'x:other', direction: 'stopped' }, { uri, direction: 'stopped' }];
  await join(t);
  const of = (index) => FakePeer.all[0].transceivers[index].extensions.map((one) => one.direction);
  assert.deepEqual(of(0), []);
  assert.deepEqual(of(3), ['sendrecv', 'stopped', 'sendrecv']);
});

// ─── tiles ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** A box on a page that exists only for these tests. */
function page(t) {
  const made = { sizes: new Map(), views: new Map() };
  class Observer {
    constructor(listener, map) { Object.assign(this, { listener, map }); }
    observe(element) { this.map.set(element, this.listener); }
    disconnect() {}
  }
  const globals = {
    HTMLVideoElement: class {},
    document: { pictureInPictureElement: null, createElement: () => ({ remove() {}, addEventListener() {} }) },
    ResizeObserver: class extends Observer { constructor(listener) { super(listener, made.sizes); } },
    IntersectionObserver: class extends Observer { constructor(listener) { super(listener, made.views); } },
    devicePixelRatio: 2,
  };
  Object.assign(globalThis, globals);
  t.after(() => { for (const name of Object.keys(globals)) delete globalThis[name]; });
  return {
    ...made,
    box: (width, height) => ({ dataset: {}, prepend() {}, getBoundingClientRect: () => ({ width, height }) }),
    resize: (box, width, height) => made.sizes.get(box)([{ contentRect: { width, height } }]),
    scroll: (box, isIntersecting) => made.views.get(box)([{ isIntersecting }]),
  };
}
const views = () => FakeSocket.last.requests('view.update');
/** Answers what was asked, so that the next view may go out. */
const viewed = async () => {
  for (const { id } of views()) FakeSocket.last.say({ re: id, data: { ok: true } });
  await settle();
};
const wish = (tid, w, h, more = {}) => ({ tid, w, h, visible: true, priority: 100, ...more });

test('tiles tell their size in device pixels, together and after a moment', async (t) => {
  const { box, resize } = page(t);
  const { room } = await join(t, [person('a', [track('t1', 'a')]), person('b', [track('t2', 'b')])]);
  const boxes = [box(100, 50), box(320.2, 180.1)];
  const [first] = [...room.participants.values()].map((one, index) => room.tile(boxes[index], one));
  t.mock.timers.tick(99);
  assert.equal(views().length, 0);
  resize(boxes[0], 200, 100);
  first.maxFps = 15;
  t.mock.timers.tick(1);
  await settle();
  assert.deepEqual(views().map((one) => one.data.tiles), [[wish('t1', 400, 200, { maxFps: 15 }), wish('t2', 640, 360)]]);
  await viewed();
  first.maxFps = 15;
  first.priority = 100;
  resize(boxes[0], 200, 100);
  t.mock.timers.tick(1_000);
  await settle();
  assert.equal(views().length, 1);
  for (const [name, value] of [['maxFps', 0], ['priority', 180]]) {
    first[name] = value;
    t.mock.timers.tick(100);
    await settle();
    assert.deepEqual(views().at(-1).data.tiles[0], wish('t1', 400, 200, { priority: first.priority }));
    await viewed();
  }
  assert.equal(views().length, 3);
});

test('what is hidden is told at once, what grows a moment later', async (t) => {
  const { box, resize, scroll } = page(t);
  const { room } = await join(t, [person('a', [track('t1', 'a')]), person('b', [track('t2', 'b')])]);
  const boxes = [box(100, 100), box(100, 100)];
  const tiles = [...room.participants.values()].map((one, index) => room.tile(boxes[index], one));
  t.mock.timers.tick(100);
  await settle();
  await viewed();
  const told = async (ms) => {
    const before = views().length;
    t.mock.timers.tick(ms);
    await settle();
    const fresh = views().slice(before);
    await viewed();
    return fresh.map((one) => one.data.tiles.map((tile) => (tile.visible ? tile.w : 'hidden')));
  };
  resize(boxes[1], 150, 100);
  scroll(boxes[0], false);
  assert.deepEqual(await told(0), [['hidden', 300]]);
  scroll(boxes[0], true);
  assert.deepEqual(await told(99), []);
  assert.deepEqual(await told(1), [[200, 300]]);
  resize(boxes[0], 0, 0);
  assert.deepEqual(await told(0), [['hidden', 300]]);
  // A tile that moves to another box is never gone.
  tiles[1].close();
  room.tile(boxes[1], room.participants.get('b'));
  resize(boxes[0], 100, 100);
  assert.deepEqual(await told(0), [[200, 200]]);
  tiles[0].close();
  assert.deepEqual(await told(0), [[200, 'hidden']]);
});

test('a tile says its layer, and its numbers what the sender offers', async (t) => {
  const { box } = page(t);
  const layers = [{ rid: 'q', live: true, width: 320, height: 180, fps: 30 }, { rid: 'h', live: true, width: 640, height: 360, fps: 30 }, { rid: 'f', live: false, width: 1280, height: 720, fps: 60 }];
  const { room, socket } = await join(t, [person('a', [track('t1', 'a', { layers })])]);
  await answer();
  const tile = room.tile(box(320, 180), room.participants.get('a'));
  assert.equal(tile.layer, null);
  const slot = (number, layer, reason) => socket.say({ seq: number, type: 'slots', data: { mid: '4', kind: 'video', tid: 't1', pid: 'a', paused: false, reason, ...(layer ? { layer } : {}) } });
  slot(2, { s: 1, t: 0, width: 640, height: 360 }, 'viewport');
  assert.deepEqual(tile.layer, { spatial: 1, temporal: 0, width: 640, height: 360, reason: 'viewport' });
  const info = tile.info();
  assert.deepEqual([info.layer, info.temporalLayer, info.layers], [1, 0, 3]);
  assert.deepEqual(info.offered, { width: 1280, height: 720, fps: 30 });
  assert.equal(info.text, '360p: that is all this tile needs');
  slot(3, null, 'keyframe');
  assert.equal(tile.layer, null);
});
