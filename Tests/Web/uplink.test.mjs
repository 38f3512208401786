// What our uplink is asked to carry: maximum bitrates that the server tells, and pictures that give way to the voice.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { settle } from './fakes.mjs';
import { FakePeer, FakeTrack, answer, join, reset, sfu } from './stage.mjs';

const { UplinkGuard, applyLayers, demandWithin, simulcastEncodings, uplinkSample, uplinkText, withinBitrate, withinUplink } = sfu;

beforeEach(() => {
  reset();
  FakePeer.refuses = null;
  FakePeer.extensions = [];
});

const publish = async (room, kind, options = {}) => {
  const publishing = room.publish(new FakeTrack(kind, { width: 1280, height: 720 }), options);
  await settle();
  await answer();
  return publishing;
};
const rates = (publication) => publication.sender.encodings.map((one) => one.maxBitrate);
const active = (publication) => publication.sender.encodings.map((one) => one.active !== false);

// ─── maximum bitrates ────────────────────────────────────────────────────────────────────────────────────────────

test('encodings below the maximum stay as they are, those above it give up the same share', () => {
  const planned = simulcastEncodings(1280, 720);
  assert.equal(withinBitrate(planned, 4_000_000), planned);
  assert.equal(withinBitrate(planned, undefined), planned);
  const less = withinBitrate(planned, 1_000_000);
  assert.ok(less.reduce((sum, one) => sum + one.maxBitrate, 0) <= 1_000_000);
  assert.deepEqual(less.map(({ rid }) => rid), ['q', 'h', 'f']);
  assert.ok(less[2].maxBitrate > less[1].maxBitrate);
  // What has no bound gets one.
  assert.deepEqual(withinBitrate([{}], 500_000), [{ maxBitrate: 500_000 }]);
});

test('a publication is planned within what the welcome says', async (t) => {
  const { room } = await join(t, [], {}, {
    grants: { publish: ['camera', 'mic', 'screen', 'screenAudio'] },
    limits: { inflight: 64, bitrates: { camera: 1_000_000, mic: 40_000, screen: 600_000 } },
  });
  await answer();
  const camera = await publish(room, 'video');
  assert.ok(rates(camera).reduce((sum, one) => sum + one, 0) <= 1_000_000);
  const screen = await publish(room, 'video', { source: 'screen' });
  assert.ok(rates(screen).reduce((sum, one) => sum + one, 0) <= 600_000);
  // Each packet of a voice is sent twice.
  const mic = await publish(room, 'audio', { maxBitrate: 128_000 });
  assert.deepEqual(rates(mic), [20_000]);
  const music = await publish(room, 'audio', { source: 'screenAudio', stereo: true, maxBitrate: 128_000 });
  assert.deepEqual(rates(music), [128_000]);
});

test('a voice is more urgent than a picture, and keeps the browser’s rate', async (t) => {
  const { room } = await join(t, [], {}, { limits: { inflight: 64, bitrates: { mic: 256_000 } } });
  await answer();
  const mic = await publish(room, 'audio');
  assert.deepEqual(mic.sender.encodings, [{ priority: 'high', networkPriority: 'high' }]);
  const camera = await publish(room, 'video');
  assert.ok(camera.sender.encodings.every((one) => one.priority === undefined));
});

// ─── what gives way ──────────────────────────────────────────────────────────────────────────────────────────────

test('layers go from the top, a single one shrinks, and the camera goes before the screen', () => {
  const camera = simulcastEncodings(1280, 720);
  const sent = (level, source = 'camera', encodings = camera) => withinUplink(encodings, level, source).map((one) => one.active !== false);
  assert.equal(withinUplink(camera, 0, 'camera'), camera);
  assert.deepEqual(sent(1), [true, true, false]);
  assert.deepEqual(sent(2), [true, false, false]);
  assert.deepEqual(sent(3), [false, false, false]);
  assert.deepEqual(sent(3, 'screen'), [true, false, false]);
  assert.equal(withinUplink([{ maxBitrate: 1_000_000 }], 1, 'camera')[0].maxBitrate, 500_000);
  assert.equal(withinUplink([{ maxBitrate: 1_000_000 }], 2, 'camera')[0].maxBitrate, 150_000);
  assert.equal(withinUplink(camera, 3, 'screen')[0].maxFramerate, 3);
  const voice = [{ priority: 'high' }];
  assert.equal(withinUplink(voice, 2, 'mic'), voice);
  assert.deepEqual(withinUplink(voice, 3, 'mic'), [{ priority: 'high', maxBitrate: 16_000 }]);
});

test('who wants a layer that is not sent gets the best one that is', () => {
  const camera = simulcastEncodings(1280, 720);
  const wants = (...rids) => ['q', 'h', 'f'].map((rid) => ({ rid, active: rids.includes(rid) }));
  const within = (level, demand) => demandWithin(withinUplink(camera, level, 'camera'), demand).flatMap(({ rid, active }) => (active ? rid : []));
  assert.deepEqual(within(0, wants('f')), ['f']);
  assert.deepEqual(within(1, wants('f')), ['h', 'f']);
  assert.deepEqual(within(2, wants('f')), ['q', 'f']);
  assert.deepEqual(within(2, wants('q')), ['q']);
  assert.deepEqual(within(2, wants()), []);
  assert.deepEqual(within(3, wants('f')), ['f']);
  const encodings = camera.map((one) => ({ ...one }));
  const planned = withinUplink(camera, 2, 'camera');
  applyLayers(encodings, planned, demandWithin(planned, wants('f')), { caps: true });
  assert.deepEqual(encodings.map((one) => one.active), [true, false, false]);
});

test('one stream with spatial layers is sent without the upper ones, and whole again', () => {
  const planned = [{ scalabilityMode: 'L3T3_KEY', maxBitrate: 1_700_000 }];
  const encodings = [{ ...planned[0], active: true }];
  const options = { size: { width: 1280, height: 720 }, caps: true };
  applyLayers(encodings, withinUplink(planned, 2, 'camera'), [], options);
  assert.deepEqual(encodings, [{ active: true, scalabilityMode: 'L1T3', scaleResolutionDownBy: 4, maxBitrate: 150_000 }]);
  applyLayers(encodings, planned, [], options);
  assert.deepEqual(encodings, [{ active: true, scalabilityMode: 'L3T3_KEY', scaleResolutionDownBy: 1, maxBitrate: 1_700_000 }]);
});

// ─── when ────────────────────────────────────────────────────────────────────────────────────────────────────────

const good = { loss: 0, available: 2_000_000, sendsVideo: true };
const bad = { loss: 0.1, available: 300_000, sendsVideo: true };
/** Samples every two seconds; the levels after each. */
const play = (guard, clock, samples) => samples.map((sample) => { clock.now += 2_000; guard.note(sample, clock.now); return guard.level; });
const times = (count, sample) => Array.from({ length: count }, () => sample);

test('one bad report is nothing; two are, and each step gets its time', () => {
  const guard = new UplinkGuard();
  const clock = { now: 0 };
  assert.deepEqual(play(guard, clock, [bad, good, bad, good]), [0, 0, 0, 0]);
  assert.deepEqual(play(guard, clock, times(6, bad)), [0, 1, 1, 2, 2, 3]);
  assert.equal(guard.reason, 'loss');
  assert.match(uplinkText(guard), /camera is paused .* loses 10 %/);
});

test('a voice that is nearly gone is not waited for', () => {
  const guard = new UplinkGuard();
  assert.deepEqual(play(guard, { now: 0 }, [{ ...bad, loss: 0.4 }]), [2]);
});

test('an estimate with room for the voice alone is as bad as loss', () => {
  const guard = new UplinkGuard();
  assert.deepEqual(play(guard, { now: 0 }, times(4, { loss: 0, available: 60_000, sendsVideo: true })), [0, 1, 1, 2]);
  assert.equal(guard.reason, 'bandwidth');
  assert.match(uplinkText(guard), /smaller .* about 60 kbit\/s/);
});

test('without a picture nothing can give way', () => {
  const guard = new UplinkGuard();
  assert.deepEqual(play(guard, { now: 0 }, times(5, { ...bad, sendsVideo: false })), times(5, 0));
});

test('what went comes back step by step, and later where it had to go again', () => {
  const guard = new UplinkGuard();
  const clock = { now: 0 };
  play(guard, clock, times(6, bad));
  assert.equal(guard.level, 3);
  const calm = { ...good, available: 90_000, sendsVideo: false };
  const untilBack = () => {
    const since = clock.now;
    while (guard.level === 3) play(guard, clock, [calm]);
    return clock.now - since;
  };
  const first = untilBack();
  assert.ok(first >= 10_000 && first <= 14_000, `${first}`);
  play(guard, clock, times(3, bad));
  assert.equal(guard.level, 3);
  const second = untilBack();
  assert.ok(second >= 20_000 && second <= 24_000, `${second}`);
  play(guard, clock, times(40, good));
  assert.equal(guard.level, 0);
  assert.equal(uplinkText(guard), '');
});

test('what came back too early goes with the first report that says so', () => {
  const guard = new UplinkGuard();
  const clock = { now: 0 };
  play(guard, clock, times(2, bad));
  while (guard.level === 1) play(guard, clock, [good]);
  assert.deepEqual(play(guard, clock, [good, bad]), [0, 1]);
  // Later it is loss like any other.
  while (guard.level === 1) play(guard, clock, [good]);
  assert.deepEqual(play(guard, clock, [...times(15, good), bad, good]), times(17, 0));
});

test('half a sample is enough where a step up has clearly failed, and for nothing else', () => {
  const guard = new UplinkGuard();
  const clock = { now: 0 };
  const glance = (loss) => { clock.now += 1_000; guard.glance({ ...bad, loss }, clock.now); return guard.level; };
  play(guard, clock, times(6, bad));
  while (guard.level === 3) play(guard, clock, [good]);
  play(guard, clock, times(2, good));
  assert.equal(glance(0.06), 2);
  assert.equal(guard.glance(null, clock.now), false);
  assert.equal(glance(0.12), 3);
  const calm = new UplinkGuard();
  assert.deepEqual([0.15, 0.15, 0.3].map((loss) => calm.glance({ ...bad, loss }, 1_000)), [false, false, false]);
});

test('an estimate from before a picture came back has twenty seconds to climb', () => {
  const stale = { loss: 0, available: 60_000, sendsVideo: true };
  const back = () => {
    const guard = new UplinkGuard();
    const clock = { now: 0 };
    play(guard, clock, times(6, bad));
    while (guard.level === 3) play(guard, clock, [{ ...stale, sendsVideo: false }]);
    return { guard, clock };
  };
  const { guard, clock } = back();
  assert.deepEqual(play(guard, clock, [...times(9, stale), ...times(5, good), good]), [...times(14, 2), 1]);
  const other = back();
  assert.deepEqual(play(other.guard, other.clock, times(10, stale)), [...times(9, 2), 3]);
});

test('a second layer comes where the estimate has room for it, or after a minute without loss', () => {
  const afterPause = (available) => {
    const guard = new UplinkGuard();
    const clock = { now: 0 };
    play(guard, clock, times(6, bad));
    const untilLeft = (level, sample) => {
      const since = clock.now;
      while (guard.level === level) play(guard, clock, [sample]);
      return clock.now - since;
    };
    untilLeft(3, { ...good, available: 90_000, sendsVideo: false });
    return untilLeft(2, { ...good, available });
  };
  assert.equal(afterPause(120_000), 60_000);
  for (const available of [260_000, null]) assert.ok(afterPause(available) <= 14_000);
});

test('an uplink that has more room than when a picture came back too early is another one', () => {
  const untilBack = (relapse, then) => {
    const guard = new UplinkGuard();
    const clock = { now: 0 };
    play(guard, clock, times(6, bad));
    for (let i = 0; i < 3; i++) {
      while (guard.level === 3) play(guard, clock, [{ ...good, available: 90_000, sendsVideo: false }]);
      play(guard, clock, [{ ...bad, available: relapse }, { ...bad, available: relapse }]);
    }
    const since = clock.now;
    while (guard.level === 3) play(guard, clock, [{ ...good, available: then, sendsVideo: false }]);
    return clock.now - since;
  };
  assert.ok(untilBack(120_000, 900_000) <= 14_000);
  for (const [relapse, then] of [[120_000, 120_000], [300_000, 900_000], [null, 900_000]]) assert.ok(untilBack(relapse, then) >= 80_000);
});

test('a narrower voice stays so beside one layer, also when a second one had to go again', () => {
  const guard = new UplinkGuard();
  const clock = { now: 0 };
  const climb = (level) => { while (guard.level > level) play(guard, clock, [good]); };
  const voices = [guard.voiceLevel];
  const seen = () => { if (voices.at(-1) !== guard.voiceLevel) voices.push(guard.voiceLevel); };
  for (let i = 0; i < 6; i++) { play(guard, clock, [bad]); seen(); }
  assert.deepEqual(voices, [0, 1, 2, 3]);
  climb(2);
  assert.deepEqual([guard.level, guard.voiceLevel], [2, 3]);
  climb(1);
  assert.equal(guard.voiceLevel, 1);
  play(guard, clock, [good, bad]);
  assert.deepEqual([guard.level, guard.voiceLevel], [2, 3]);
  climb(0);
  play(guard, clock, [...times(20, good), ...times(4, bad)]);
  assert.deepEqual([guard.level, guard.voiceLevel], [2, 2]);
  play(guard, clock, times(2, bad));
  guard.reset();
  assert.equal(guard.voiceLevel, 0);
  play(guard, clock, [good, good, { ...bad, loss: 0.4 }]);
  assert.deepEqual([guard.level, guard.voiceLevel], [2, 2]);
});

test('loss that stays without a picture is not the picture’s fault', () => {
  const guard = new UplinkGuard();
  const clock = { now: 0 };
  play(guard, clock, times(6, bad));
  const levels = play(guard, clock, times(6, { ...bad, sendsVideo: false }));
  assert.equal(levels.at(-1), 0);
  // And it is not tried again at once.
  assert.deepEqual(play(guard, clock, times(20, bad)), times(20, 0));
  assert.ok(play(guard, clock, times(20, bad)).includes(1));
});

test('loss that does not stay is no reason to send a picture again', () => {
  const guard = new UplinkGuard();
  const clock = { now: 0 };
  play(guard, clock, times(6, bad));
  // Browsers look for room two seconds long.
  const burst = [good, bad, bad, good].map((sample) => ({ ...sample, sendsVideo: false }));
  assert.deepEqual(play(guard, clock, times(5, burst).flat()), times(20, 3));
});

test('a little loss without a picture, after one that came back too early, is not blamed on something else', () => {
  const guard = new UplinkGuard();
  const clock = { now: 0 };
  play(guard, clock, times(6, { ...bad, loss: 0.19 }));
  while (guard.level === 3) play(guard, clock, [good]);
  const little = { ...bad, loss: 0.06 };
  assert.deepEqual(play(guard, clock, [good, little]), [2, 3]);
  // A browser that looks for room by itself.
  assert.deepEqual(play(guard, clock, times(8, { ...little, sendsVideo: false })), times(8, 3));
});

test('who wants to be seen is, for a while at least', () => {
  const guard = new UplinkGuard();
  const clock = { now: 0 };
  assert.equal(guard.resume(0), false);
  play(guard, clock, times(6, bad));
  assert.equal(guard.resume(clock.now), true);
  assert.deepEqual(play(guard, clock, times(9, bad)), times(9, 2));
  assert.deepEqual(play(guard, clock, times(3, bad)).at(-1), 3);
});

test('silence says nothing, and takes nothing back', () => {
  const guard = new UplinkGuard();
  const clock = { now: 0 };
  play(guard, clock, times(6, bad));
  assert.deepEqual(play(guard, clock, times(20, null)), times(20, 3));
});

// ─── from what the browser says ──────────────────────────────────────────────────────────────────────────────────

const report = ({ sent, lost, video = 0, available }) => new Map([
  ['a', { id: 'a', type: 'outbound-rtp', kind: 'audio', packetsSent: sent }],
  ['r', { id: 'r', type: 'remote-inbound-rtp', kind: 'audio', packetsLost: lost }],
  ['v', { id: 'v', type: 'outbound-rtp', kind: 'video', bytesSent: video }],
  ['p', { id: 'p', type: 'candidate-pair', nominated: true, ...(available ? { availableOutgoingBitrate: available } : {}) }],
]);

test('two reports make a sample, few packets are counted together', () => {
  let { next, sample } = uplinkSample(report({ sent: 100, lost: 1 }), null);
  assert.equal(sample, null);
  ({ next, sample } = uplinkSample(report({ sent: 200, lost: 11, video: 5000, available: 400_000 }), next));
  assert.deepEqual(sample, { loss: 0.1, available: 400_000, sendsVideo: true });
  ({ next, sample } = uplinkSample(report({ sent: 220, lost: 13, video: 5000 }), next));
  assert.equal(sample, null);
  ({ next, sample } = uplinkSample(report({ sent: 250, lost: 13, video: 5000 }), next));
  assert.deepEqual(sample, { loss: 0.04, available: null, sendsVideo: false });
  // Lost packets that came after all.
  ({ sample } = uplinkSample(report({ sent: 350, lost: 9 }), next));
  assert.equal(sample.loss, 0);
  assert.equal(uplinkSample(new Map(), next).sample, null);
});

// ─── in a room ───────────────────────────────────────────────────────────────────────────────────────────────────

test('the camera goes, is said to be paused, comes back, and what the server wants counts again', async (t) => {
  const { room, socket } = await join(t);
  await answer();
  t.mock.method(Date, 'now', () => clock.now);
  const clock = { now: 1_000_000, sent: 0, lost: 0, video: 0 };
  const peer = FakePeer.all.at(-1);
  peer.getStats = async () => report(clock);
  const mic = await publish(room, 'audio');
  const camera = await publish(room, 'video');
  peer.ice('connected');
  await settle();
  const events = [];
  room.on('uplink', ({ level, reason }) => events.push(`${level} ${reason}`));
  const pass = async (count, loss) => {
    for (let i = 0; i < count; i++) {
      Object.assign(clock, { now: clock.now + 2_000, sent: clock.sent + 100, lost: clock.lost + 100 * loss });
      if (active(camera).some(Boolean)) clock.video += 10_000;
      t.mock.timers.tick(2_000);
      await settle();
    }
  };
  await pass(9, 0.1);
  assert.deepEqual(events, ['1 loss', '2 loss', '3 loss']);
  assert.deepEqual(active(camera), [false, false, false]);
  assert.ok(camera.suspended && !mic.suspended);
  assert.deepEqual(rates(mic), [16_000]);
  assert.equal(camera.muted, false);
  assert.match(room.uplink.text, /paused/);
  socket.say({ type: 'demand', data: { tid: camera.tid, layers: [{ rid: 'q', active: true }, { rid: 'h', active: true }, { rid: 'f', active: false }] } });
  await settle();
  assert.deepEqual(active(camera), [false, false, false]);
  room.resumeVideo();
  await settle();
  assert.deepEqual(active(camera), [true, false, false]);
  assert.ok(!camera.suspended);
  await pass(30, 0);
  assert.equal(room.uplink.level, 0);
  assert.deepEqual(active(camera), [true, true, false]);
  assert.deepEqual(mic.sender.encodings, [{ priority: 'high', networkPriority: 'high' }]);
  assert.deepEqual(rates(camera), simulcastEncodings(1280, 720).map((one) => one.maxBitrate));
  // Who does not speak loses nothing.
  await pass(4, 0.3);
  assert.ok(room.uplink.level > 0);
  mic.setMuted(true);
  await settle();
  await pass(1, 0.3);
  assert.equal(room.uplink.level, 0);
});
