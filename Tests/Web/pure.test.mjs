// Pure parts of the SDK: backoff, frames, encodings, SDP, slots, words, views, statistics.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { qualityRows } from '../../Sources/Signaling/Web/quality.js';
import * as sfu from '../../Sources/Signaling/Web/sdk/sfu.js';

test('backoff is full jitter that doubles up to the cap', () => {
  const most = (attempt, options) => sfu.backoff(attempt, { random: () => 0.999999, ...options });
  assert.deepEqual([0, 1, 2, 3, 4, 5, 60].map((n) => most(n)), [249, 499, 999, 1999, 3999, 4999, 4999]);
  assert.equal(sfu.backoff(9, { random: () => 0 }), 0);
  assert.equal(most(20, { cap: 30_000 }), 29_999);
});

test('a frame holds envelopes separated by LF, and survives broken ones', () => {
  assert.deepEqual(sfu.parseFrame('{"a":1}\n{"b":2}\n'), [{ a: 1 }, { b: 2 }]);
  assert.deepEqual(sfu.parseFrame('{"a":1}\n{oops\n[1]\nnull\n7\n{"c":3}'), [{ a: 1 }, { c: 3 }]);
  assert.deepEqual(sfu.parseFrame(''), []);
});

test('close codes say what to do by their hundreds', () => {
  const rules = { 1000: 'end', 1001: 'resume', 1006: 'resume', 4000: 'resume', 4009: 'resume', 4013: 'resume', 4100: 'end', 4111: 'end', 4401: 'fix', 4426: 'fix' };
  for (const [code, rule] of Object.entries(rules)) assert.equal(sfu.closeRule(Number(code)), rule, code);
});

test('the machine has these transitions and no others', () => {
  const table = {
    idle: { connect: 'dialing' },
    dialing: { open: 'greeting', fail: 'waiting' },
    greeting: { welcome: 'syncing', rejoin: 'rejoining', fail: 'waiting', fix: 'needsUser' },
    rejoining: { declared: 'syncing', fail: 'waiting', fix: 'needsUser' },
    syncing: { synced: 'live', fail: 'waiting', fix: 'needsUser' },
    live: { fail: 'waiting', fix: 'needsUser' },
    waiting: { connect: 'dialing' },
    needsUser: { connect: 'dialing' },
    ended: {},
  };
  const events = ['connect', 'open', 'welcome', 'rejoin', 'declared', 'synced', 'fail', 'fix', 'end', 'nonsense'];
  for (const state of Object.keys(table)) {
    for (const event of events) assert.equal(sfu.nextState(state, event), event === 'end' ? 'ended' : table[state][event] ?? state, `${state} ${event}`);
  }
});

test('a closed socket leads where its code says, and the rest of what is known', () => {
  const after = (code, more = {}) => {
    const { next, delay, forget, ended } = sfu.afterClose(code, { wasWelcomed: true, random: () => 0.5, ...more });
    return [next, ...(delay === undefined ? [] : [delay]), ...(forget ? ['forget'] : []), ...(ended ? [ended.reason] : [])].join(' ');
  };
  for (const code of [1001, 1006, 4000, 4002, 4008, 4009, 4010, 4013]) assert.equal(after(code), 'dial 125', code);
  for (const code of [1000, 4100, 4101, 4102, 4103, 4104, 4111, 4400, 4403, 4404, 4409, 4426]) assert.equal(after(code), 'end', code);
  assert.deepEqual([0, 1, 2, 5, 9].map((dials) => after(1006, { dials })), ['dial 125', 'dial 250', 'dial 500', 'dial 750', 'dial 750']);
  // A server that is restarted within half a minute is found within two seconds.
  assert.equal(after(1006, { dials: 9, lostMs: 30_000, random: () => 0.999 }), 'dial 1498');
  assert.equal(after(1006, { dials: 9, lostMs: 30_001 }), 'dial 2500');
  assert.equal(after(4000, { bye: { spreadMs: 2_000, afterMs: 1_000 } }), 'dial 2000');
  assert.equal(after(4013, { bye: { afterMs: 1_000 } }), 'dial 1125');
  // Beyond the window slowly, and only in a page that is seen.
  assert.equal(after(1006, { lostMs: 60_001, dials: 20 }), 'dial 15000');
  assert.equal(after(1006, { lostMs: 60_001, dials: 20, isVisible: false }), 'sleep');
  assert.equal(after(1006, { lostMs: 60_000, dials: 20, isVisible: false }), 'dial 2500');
  assert.equal(after(1006, { lostMs: 20_000, windowMs: 10_000, isVisible: false }), 'sleep');
  // Before the first welcome it gives up.
  assert.equal(after(1006, { wasWelcomed: false, dials: 2 }), 'dial 500');
  assert.equal(after(1006, { wasWelcomed: false, dials: 3 }), 'end unreachable');
  // Tokens.
  for (const code of [4401, 4402]) {
    assert.equal(after(code, { canRenew: true }), `renew${code === 4401 ? ' forget' : ''}`);
    assert.equal(after(code, { canRenew: true, hasRenewed: true }), 'ask');
    assert.equal(after(code), 'ask');
    assert.equal(after(code, { wasWelcomed: false }), 'end');
  }
  for (const code of [4400, 4401, 4403, 4404]) assert.equal(after(code, { isResuming: true, canRenew: true }), 'dial 0 forget', code);
  assert.equal(after(4402, { isResuming: true, canRenew: true }), 'renew');
  assert.equal(after(4409, { isResuming: true }), 'end');
});

test('the status is said in words, whatever the two halves do', () => {
  const say = (more) => {
    const { state, what } = sfu.describeStatus({ isLive: true, isOpen: true, hasMedia: true, wasLive: true, ...more });
    return what ? `${state} ${what}` : state;
  };
  assert.equal(say({}), 'live');
  assert.equal(say({ isLive: false }), 'syncing');
  assert.equal(say({ slow: 'signal' }), 'degraded signal');
  assert.equal(say({ slow: 'audio' }), 'degraded audio');
  assert.equal(say({ isOpen: false, isLive: false, slow: 'signal' }), 'reconnecting signal');
  assert.equal(say({ hasMedia: false }), 'reconnecting media');
  assert.equal(say({ isOpen: false, isLive: false, hasMedia: false }), 'reconnecting both');
  for (const isOpen of [true, false]) assert.equal(say({ wasLive: false, hasMedia: false, isOpen }), 'connecting');
  assert.equal(say({ isWaiting: true }), 'waiting');
  assert.match(sfu.describeStatus({ isBlocked: true }).text, /blocked/);
  // Without a network it is no use to talk on, and a server that is reached all the same is no matter of the network.
  assert.equal(say({ isOpen: false, isOffline: true }), 'reconnecting both');
  assert.equal(say({ isOffline: true }), 'live');
});

test('what lasts is said in other words than what is over in a moment', () => {
  const text = (more) => sfu.describeStatus({ wasLive: true, ...more }).text;
  for (const state of [{ hasMedia: true }, { isOpen: true }, {}]) {
    const [soon, later] = [text(state), text({ ...state, isLong: true })];
    assert.notEqual(soon, later);
    assert.match(soon, /Reconnecting/);
  }
  // What may be done about it, or that nothing need be.
  for (const isLong of [false, true]) assert.match(text({ hasMedia: true, isLong }), /You can go on talking/);
  assert.match(text({ isLong: true }), /by itself/);
  assert.match(text({ isOffline: true }), /offline.*by itself/);
  assert.match(sfu.describeStatus({ isOffline: true }).text, /offline/);
});

test('a page has one trace, and each message a span', () => {
  const [one, two] = [sfu.traceparent(), sfu.traceparent()].map((text) => /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/.exec(text));
  assert.equal(one[1], two[1]);
  assert.notEqual(one[2], two[2]);
  assert.equal(sfu.traceparent(0), undefined);
  assert.equal(sfu.traceparent(1).length, 55);
});

test('sound counts as lossy when words go missing', () => {
  const count = (packets, lost) => sfu.audioCounts(new Map([['0', { kind: 'audio', packets, lost }], ['4', { kind: 'video', packets: 9_999, lost: 9_999 }]]));
  const loses = (...now) => sfu.losesAudio(count(100, 5), count(...now));
  assert.deepEqual([loses(350, 5), loses(320, 35), loses(300, 55), loses(110, 10), loses(90, 5)], [false, false, true, false, false]);
});

test('camera layers follow the resolution', () => {
  const rids = (...size) => sfu.simulcastEncodings(...size).map((one) => one.rid);
  assert.deepEqual(rids(1280, 720), ['q', 'h', 'f']);
  assert.deepEqual(rids(720, 1280), ['q', 'h', 'f']);
  assert.deepEqual(rids(960, 540), ['q', 'h', 'f']);
  assert.deepEqual(rids(640, 360), ['q', 'h']);
  assert.deepEqual(rids(320, 180), [undefined]);
  const layers = sfu.simulcastEncodings(1280, 720);
  assert.deepEqual(layers.map((one) => one.scaleResolutionDownBy), [4, 2, 1]);
  assert.deepEqual(layers.map((one) => one.maxBitrate), [150_000, 500_000, 1_700_000]);
  assert.equal(sfu.simulcastEncodings(1920, 1080).at(-1).maxBitrate, 2_500_000);
  assert.equal(sfu.simulcastEncodings(1280, 720, { simulcast: false }).length, 1);
  assert.deepEqual(sfu.simulcastEncodings(1280, 720, { scalabilityMode: 'L3T3_KEY' }), [{ scalabilityMode: 'L3T3_KEY', maxBitrate: 1_700_000 }]);
  assert.ok(sfu.simulcastEncodings(1280, 720, { codec: 'av1' }).every((one) => one.scalabilityMode === 'L1T2'));
  assert.ok(sfu.simulcastEncodings(1280, 720, { maxBitrate: 300_000 }).every((one) => one.maxBitrate <= 300_000));
});

test('a screen has a slow small layer and a full one', () => {
  const layers = sfu.screenEncodings(1920, 1080);
  assert.deepEqual(layers.map((one) => [one.rid, one.scaleResolutionDownBy]), [['q', 2], ['h', 1]]);
  assert.equal(sfu.screenEncodings(640, 400).length, 1);
});

test('one stream with layers replaces simulcast, temporal layers do not', () => {
  const modes = (options, make = sfu.simulcastEncodings) => make(1280, 720, options).map((one) => [one.rid, one.scalabilityMode]);
  for (const mode of ['L3T3_KEY', 'L2T1', 'S3T3']) {
    assert.deepEqual(modes({ scalabilityMode: mode }), [[undefined, mode]]);
    assert.deepEqual(modes({ scalabilityMode: mode, codec: 'av1' }, sfu.screenEncodings), [[undefined, mode]]);
  }
  assert.deepEqual(modes({ scalabilityMode: 'L1T3' }), [['q', 'L1T3'], ['h', 'L1T3'], ['f', 'L1T3']]);
  assert.deepEqual(modes({ scalabilityMode: 'L1T3', simulcast: false }), [[undefined, 'L1T3']]);
  for (const codec of ['vp9', 'AV1', 'h264']) assert.deepEqual(modes({ codec }), [['q', 'L1T2'], ['h', 'L1T2'], ['f', 'L1T2']]);
  assert.deepEqual(modes({ codec: 'vp9', simulcast: false }), [[undefined, undefined]]);
  assert.deepEqual(modes({ codec: 'vp8' }), [['q', undefined], ['h', undefined], ['f', undefined]]);
});

test('a demand switches encodings and never exceeds the plan', () => {
  const plan = [{ rid: 'q', maxFramerate: 8, maxBitrate: 1 }, { rid: 'h' }, { rid: 'f', active: false }];
  const now = () => [{ rid: 'q', active: true, maxFramerate: 8, maxBitrate: 1 }, { rid: 'h', active: true, scaleResolutionDownBy: 2 }, { rid: 'f', active: false }];
  const after = (demand, options) => { const list = now(); return [sfu.applyLayers(list, plan, demand, options), ...list]; };
  assert.deepEqual(after([]), [false, ...now()]);
  assert.deepEqual(after([{ rid: 'q', active: true, maxFps: 30 }, { rid: 'f', active: true }]), [false, ...now()]);
  assert.deepEqual(after([{ rid: 'h', active: false, maxFps: 15, maxW: 320, maxH: 180 }, { rid: 'z', active: false }]),
    [true, now()[0], { rid: 'h', active: false, maxFramerate: 15, scaleResolutionDownBy: 2 }, now()[2]]);
  assert.deepEqual(after([{ rid: 'h', active: true, maxFps: 15 }], { rates: false }), [false, ...now()]);
  const slow = [{ active: true, maxFramerate: 15 }];
  assert.equal(sfu.applyLayers(slow, [{ maxBitrate: 5 }], [{ active: false }]), true);
  assert.deepEqual(slow, [{ active: false }]);
});

test('spatial layers that fill no tile are left out, and the others keep their sizes', () => {
  const size = { width: 1280, height: 720 };
  const after = (mode, wish, { scale, start = { scalabilityMode: mode, scaleResolutionDownBy: scale ?? 1 } } = {}) => {
    const list = [{ ...start, active: true }];
    const changed = sfu.applyLayers(list, [{ scalabilityMode: mode, scaleResolutionDownBy: scale }], [wish], { size });
    return [changed, list[0].scalabilityMode, list[0].scaleResolutionDownBy];
  };
  assert.deepEqual(after('L3T3_KEY', { maxW: 320, maxH: 180 }), [true, 'L1T3', 4]);
  assert.deepEqual(after('L3T3_KEY', { maxW: 330, maxH: 190 }), [true, 'L2T3_KEY', 2]);
  assert.deepEqual(after('L3T3', { maxW: 640, maxH: 400 }), [true, 'L2T3', 2]);
  assert.deepEqual(after('L3T3', { maxW: 1000, maxH: 700 }), [false, 'L3T3', 1]);
  assert.deepEqual(after('L3T3', {}), [false, 'L3T3', 1]);
  assert.deepEqual(after('L3T3_KEY', {}, { start: { scalabilityMode: 'L1T3', scaleResolutionDownBy: 4 } }), [true, 'L3T3_KEY', 1]);
  assert.deepEqual(after('L2T1', { maxW: 100, maxH: 100 }, { scale: 2 }), [true, 'L1T1', 4]);
  for (const mode of ['L1T3', 'S3T3', 'L3T3h', undefined]) assert.deepEqual(after(mode, { maxW: 320, maxH: 180 })[0], false);
  const list = [{ scalabilityMode: 'L3T3', scaleResolutionDownBy: 1 }];
  assert.equal(sfu.applyLayers(list, [{ scalabilityMode: 'L3T3' }], [{ active: true, maxW: 99, maxH: 99 }], { size: {} }), false);
});

test('spatial layers that remain do not take the bits of those that are left out', () => {
  const after = (maxBitrate, ...tiles) => {
    const plan = { scalabilityMode: 'L3T3_KEY', ...(maxBitrate ? { maxBitrate } : {}) };
    const list = [{ ...plan }];
    return tiles.map((maxW) => {
      sfu.applyLayers(list, [plan], [{ active: true, maxW, maxH: (maxW * 9) / 16 }], { size: { width: 1280, height: 720 } });
      return list[0].maxBitrate;
    });
  };
  assert.deepEqual(after(1_700_000, 320, 640, 1280, 320, 1280), [225_000, 750_000, 1_700_000, 225_000, 1_700_000]);
  assert.deepEqual(after(500_000, 320, 640, 1280), [225_000, 500_000, 500_000]);
  assert.deepEqual(after(undefined, 320, 1280), [225_000, undefined]);
});

test('opus options go into the answer of our own sections only', () => {
  const sdp = ['v=0', 'm=audio 9 UDP/TLS/RTP/SAVPF 111 63', 'a=mid:0', 'a=rtpmap:111 opus/48000/2', 'a=fmtp:111 minptime=10;useinbandfec=0',
    'm=audio 9 UDP/TLS/RTP/SAVPF 109', 'a=mid:7', 'a=rtpmap:109 opus/48000/2', 'a=fmtp:109 minptime=10', 'a=sendonly',
    'm=video 9 UDP/TLS/RTP/SAVPF 96', 'a=mid:8', 'a=rtpmap:96 VP8/90000', ''].join('\r\n');
  const changed = sfu.withOpusOptions(sdp, { 7: { dtx: true }, 8: { dtx: true } }).split('\r\n');
  assert.ok(changed.includes('a=fmtp:111 minptime=10;useinbandfec=0'));
  assert.ok(changed.includes('a=fmtp:109 minptime=10;useinbandfec=1;usedtx=1'));
  assert.equal(changed.length, sdp.split('\r\n').length);
  const stereo = sfu.withOpusOptions(sdp, { 0: { stereo: true } });
  assert.match(stereo, /a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1;maxaveragebitrate=128000\r\n/);
  const without = 'm=audio 9 X 96\r\na=mid:1\r\na=rtpmap:96 opus/48000/2\r\na=recvonly\r\n';
  assert.equal(sfu.withOpusOptions(without, { 1: { dtx: true } }),
    'm=audio 9 X 96\r\na=mid:1\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1;usedtx=1\r\na=recvonly\r\n');
});

test('video slots grow by four, never shrink, and stop at 49', () => {
  assert.deepEqual([[4, 1], [4, 5], [8, 6], [4, 49], [48, 60], [16, 0]].map(([have, need]) => sfu.slotsToOffer(have, need)), [4, 8, 8, 49, 49, 16]);
});

test('a free slot and a full one are read', () => {
  assert.deepEqual(sfu.normalizeSlot({ mid: '3', kind: 'video', paused: true, reason: 'none' }),
    { mid: '3', kind: 'video', tid: null, pid: null, layer: null, temporalLayer: null, width: 0, height: 0, paused: true, reason: 'none', neededKbps: 0, availableKbps: 0 });
  assert.deepEqual(sfu.normalizeSlot({ mid: '3', kind: 'video', tid: 't', pid: 'p', layer: { s: 1, t: 2, width: 640, height: 360 }, paused: false, reason: 'viewport' }),
    { mid: '3', kind: 'video', tid: 't', pid: 'p', layer: 1, temporalLayer: 2, width: 640, height: 360, paused: false, reason: 'viewport', neededKbps: 0, availableKbps: 0 });
  const { neededKbps, availableKbps } = sfu.normalizeSlot({ mid: '3', paused: false, reason: 'bandwidth', neededKbps: 1900, availableKbps: 620 });
  assert.deepEqual([neededKbps, availableKbps], [1900, 620]);
});

test('reasons are words', () => {
  const say = (reason, more = {}) => sfu.describe({ width: 640, height: 360, reason, ...more });
  assert.equal(say('viewport'), '360p: that is all this tile needs');
  assert.equal(say('bandwidth'), '360p: your connection has no room for more');
  assert.equal(say('bandwidth', { paused: true }), 'Paused: your connection is too slow for it');
  const known = { availableKbps: 623, neededKbps: 1944, pathLossPercent: 4.2, nextLines: 720 };
  assert.equal(say('bandwidth', known), '360p: your downlink is about 620 kbit/s, 4 % loss; 720p needs about 1\u202f900 kbit/s');
  assert.equal(say('bandwidth', { ...known, pathLossPercent: 0.4, nextLines: 0 }), '360p: your downlink is about 620 kbit/s; more needs about 1\u202f900 kbit/s');
  assert.equal(say('bandwidth', { ...known, neededKbps: 0 }), '360p: your downlink is about 620 kbit/s, 4 % loss');
  assert.equal(say('bandwidth', { paused: true, availableKbps: 90, neededKbps: 181 }), 'Paused: your downlink is about 90 kbit/s; the smallest picture needs about 180 kbit/s');
  assert.match(say('codec', { codec: 'h264' }), /this browser has no H\.264/);
  assert.equal(say('none', { width: 720, height: 1280 }), '720p: the best there is');
  for (const reason of ['keyframe', 'hidden', 'unsubscribed', 'muted', 'publisher']) assert.ok(say(reason).length > 5);
  assert.equal(sfu.describe({ sending: [{ width: 320, height: 180, active: true }, { width: 0, height: 0, active: false }] }, true), 'Sending 180p');
});

test('rates are as exact as estimates are', () => {
  const words = [[0, '0 kbit/s'], [7, '7 kbit/s'], [99.6, '100 kbit/s'], [623, '620 kbit/s'], [995, '1\u202f000 kbit/s'], [12_345, '12\u202f000 kbit/s'], [-5, '0 kbit/s'], [NaN, '0 kbit/s'], [undefined, '0 kbit/s']];
  for (const [kbps, text] of words) assert.equal(sfu.rateWords(kbps), text);
});

test('a quality has points, bars and words, those of the worse direction', () => {
  assert.equal(sfu.normalizeQuality({}), null);
  assert.equal(sfu.normalizeQuality(), null);
  const detail = { lossPermille: 40, jitterMs: 3, kbps: 500, text: 'Your downlink loses 4 % of the packets.' };
  const quality = sfu.normalizeQuality({ pid: 'a', up: { score: 50, reason: 'none' }, down: { score: 32, reason: 'loss', detail } });
  assert.deepEqual([quality.score, quality.bars, quality.word], [3.2, 2, 'fair']);
  assert.deepEqual([quality.up.bars, quality.up.word, quality.up.detail], [4, 'excellent', null]);
  assert.equal(quality.down.detail, detail);
  assert.equal(sfu.describeQuality(quality), 'Connection fair: what it receives gets lost');
  assert.equal(sfu.describeQuality(sfu.normalizeQuality({ up: { score: 10, reason: 'silent' } })), 'Connection bad: nothing arrives');
  assert.equal(sfu.describeQuality(sfu.normalizeQuality({ up: { score: 50, reason: 'none' } })), 'Connection excellent');
  assert.equal(sfu.describeQuality(sfu.normalizeQuality({ down: { score: 20, reason: 'later' } })), 'Connection poor', 'a reason that is not known yet');
  assert.equal(sfu.describeQuality(null), '');
  assert.deepEqual([10, 15, 20, 25, 30, 35, 40, 45, 50].map((tenths) => sfu.qualityLevel(tenths / 10).bars), [0, 1, 1, 2, 2, 3, 3, 4, 4]);
});

test('the figures of our connection are rows, without those that nobody knows', () => {
  const detail = { audio: 44, video: 12, lossPermille: 15, rttMs: 80, jitterMs: 3, kbps: 0, estimateKbps: 620, bound: 'receiver', queueMs: 35, text: '' };
  assert.deepEqual(qualityRows({ detail }, false), [
    ['Received', 'nothing'], ['Room for about', '620 kbit/s (your browser says so)'], ['Lost', '1.5 %'], ['There and back', '80 ms'],
    ['Unevenness', '3 ms'], ['Waiting on the way', '35 ms'], ['Sound', '4.4 of 5'], ['Picture', '1.2 of 5'],
  ]);
  assert.deepEqual(qualityRows({ detail: { lossPermille: 0, jitterMs: 0, kbps: 40, bound: 'later', text: '' } }, true), [['Sent', '40 kbit/s'], ['Lost', '0 %'], ['Unevenness', '0 ms']]);
  assert.deepEqual([qualityRows(null, true), qualityRows({ detail: null }, true)], [[], []]);
});

test('a view has one wish per publication, and says what nobody shows', () => {
  const wish = (tid, w, visible, priority = 100, maxFps = 0) => ({ tid, w, h: w / 2, visible, priority, maxFps });
  assert.deepEqual(sfu.collectView([wish('a', 100, false), wish('a', 400, true, 50), wish('b', 10, true, 100, 5)], ['a', 'c']), [
    { tid: 'a', w: 400, h: 200, visible: true, priority: 100 },
    { tid: 'b', w: 10, h: 5, visible: true, priority: 100, maxFps: 5 },
    { tid: 'c', w: 0, h: 0, visible: false, priority: 0 },
  ]);
});

test('rates come from two reports', () => {
  const report = (at, received, sent) => new Map([
    ['in', { id: 'in', type: 'inbound-rtp', kind: 'video', trackIdentifier: 'x', timestamp: at, bytesReceived: received, packetsReceived: 90, packetsLost: 10, codecId: 'c', frameWidth: 640, frameHeight: 360, framesPerSecond: 24.6, jitter: 0.012 }],
    ['out', { id: 'out', type: 'outbound-rtp', mid: '8', rid: 'f', timestamp: at, bytesSent: sent, frameWidth: 1280, frameHeight: 720, active: true, codecId: 'c', qualityLimitationReason: 'cpu' }],
    ['low', { id: 'low', type: 'outbound-rtp', mid: '8', rid: 'q', timestamp: at, bytesSent: 0, frameWidth: 320, frameHeight: 180 }],
    ['c', { id: 'c', type: 'codec', mimeType: 'video/VP8' }],
    ['pair', { id: 'pair', type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.031, availableOutgoingBitrate: 900_000, localCandidateId: 'l' }],
    ['l', { id: 'l', type: 'local-candidate', protocol: 'tcp' }],
  ]);
  const mids = new Map([['x', '3']]);
  const first = sfu.digestStats(report(1000, 0, 0), undefined, mids);
  const second = sfu.digestStats(report(2000, 62_500, 125_000), first.next, mids);
  assert.equal(first.receive.get('3').kbps, 0);
  const { kbps, fps, lossPercent, codec, jitterMs } = second.receive.get('3');
  assert.deepEqual({ kbps, fps, lossPercent, codec, jitterMs }, { kbps: 500, fps: 25, lossPercent: 10, codec: 'vp8', jitterMs: 12 });
  assert.deepEqual(second.send.get('8').map((layer) => layer.rid), ['q', 'f']);
  assert.equal(second.send.get('8')[1].limit, 'cpu');
  assert.deepEqual([second.rttMs, second.protocol, second.availableSendKbps, second.sendKbps], [31, 'tcp', 900, 1000]);
});

test('the socket lives beside the module, or where the application says', () => {
  assert.equal(sfu.socketURL({ room: 'a b' }, 'https://h/sdk/sfu.js'), 'wss://h/v1/rooms/a%20b/signal');
  assert.equal(sfu.socketURL({ room: 'r' }, 'http://h:8080/call/sdk/sfu.js'), 'ws://h:8080/call/v1/rooms/r/signal');
  assert.equal(sfu.socketURL({ room: 'r', server: 'https://x' }, 'http://h/sdk/sfu.js'), 'wss://x/v1/rooms/r/signal');
  assert.equal(sfu.socketURL({ url: 'wss://y/z' }, 'http://h/'), 'wss://y/z');
});

test('the types declare what the module exports, and its methods', () => {
  const types = readFileSync(new URL('../../Sources/Signaling/Web/sdk/sfu.d.ts', import.meta.url), 'utf8');
  const declared = [...types.matchAll(/^export declare (?:const|class|function) (\w+)/gm)].map((match) => match[1]);
  assert.deepEqual(declared.sort(), Object.keys(sfu).sort());
  for (const [, name, body] of types.matchAll(/^export declare class (\w+)[^{]*\{\n([\s\S]*?)^\}/gm)) {
    const methods = [...body.matchAll(/^ {2}(\w+)(?:<.*>)?\(/gm)].map((match) => match[1]);
    for (const method of methods) {
      assert.equal(typeof (method === 'constructor' ? sfu[name] : sfu[name].prototype[method]), 'function', `${name}.${method}`);
    }
    if (name !== 'Room') continue;
    const written = Object.entries(Object.getOwnPropertyDescriptors(sfu.Room.prototype)).filter(([one]) => !/^_|^constructor$/.test(one));
    for (const [one, { value }] of written) if (value) assert.ok(methods.includes(one), `Room.${one} is declared`);
    for (const [one, { get }] of written) if (get) assert.match(body, new RegExp(`readonly ${one}\\b`), `Room.${one} is declared`);
  }
});
