// The client SDK: one ES module without dependency. It owns the signaling socket, one RTCPeerConnection and what the
// application wants of both (`desired`); it knows nothing of any page. Types: sfu.d.ts, guide: docs/sdk.md.

export const VERSION = '0.1.0';
const PROTOCOL = 'sfu.v1+json';
const MAX_VIDEO_SLOTS = 49;
const WATCHDOG_MS = 25_000;
const PING_MS = 15_000;
const PROBE_MS = 2_000;
const DIAL_MS = 10_000;
const TICK_MS = 5_000;
/** A page whose timer comes that late has slept. */
const SLEPT_MS = 3 * TICK_MS;
const WINDOW_MS = 60_000;
/** A server that is restarted is back within moments: for so long it is dialed often enough to be found at once. */
const EAGER_MS = 30_000;
/** Trouble that lasts longer is said in other words. */
const LONG_MS = 10_000;
const MAX_IN_FLIGHT = 64;
const MAX_QUEUE = 512;
const MAX_RULES = 512;
const MAX_TIMELINE = 256;
const MAX_SEEN_DATA = 1_024;
/** Departed participants and ended tracks of which later news is old. */
const MAX_ENDED = 1_024;
/** Requests that change nothing, or nothing more when they are made again. */
const REPEATABLE = new Set(['sync', 'ping', 'view.update', 'diag.get', 'roster.page']);
/** What a first message may have where the server says nothing else; an offer that makes it longer follows by itself. */
const HELLO_BYTES = 16 * 1_024;
/** How long a reloaded page waits for the one before it to be gone. */
const LOCK_MS = 400;
/** How long the first offer after a reload waits for what was published before it. */
const HOLD_MS = 300;
const DATA_BYTES = 15 * 1_024;
/** Where a connection that works is called slow, or lossy over five seconds. */
const SLOW = { lag: 128, rttMs: 1_500, packets: 50, loss: 0.12 };
const ACK = { events: 32, bytes: 16_384, ms: 2_000 };
const VIEW_MS = 100;
const DEMAND_HOLD_MS = 5_000;
const DEPENDENCY_DESCRIPTOR = 'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';
/** The uplink: how often it is looked at, between two steps down, good before the first step up and at most, relapses. */
const UPLINK_MS = 2_000;
const UPLINK_STEP_MS = 3_500;
const UPLINK_GOOD_MS = 10_000;
const UPLINK_LONGEST_MS = 120_000;
const UPLINK_RELAPSE_MS = 30_000;
/** What a browser estimates while it sends a voice alone is little more than that voice: so long it may take to find more. */
const UPLINK_CLIMB_MS = 20_000;
/** Loss of a voice that is not waited with, just after a picture came back. */
const UPLINK_CLEAR_LOSS = 0.1;
/** Loss that is as high so long after the camera went, sample after sample, has another cause, and is not looked at for a while. */
const UPLINK_BLAME_MS = 10_000;
const UPLINK_BLAME_SAMPLES = 3;
const UPLINK_IMMUNE_MS = 60_000;
/** Bits per second: of a layer that is sent all the same, and below which there is no room for any beside a voice. */
const UPLINK_LEAST = 150_000;
/** Of a voice where there is room for nothing else: still well understood, and half of what browsers take. */
const UPLINK_VOICE = 16_000;
const UPLINK_ROOM = 100_000;
/** Of an estimate that has room for more than one layer, and for how long one without is believed. */
const UPLINK_MORE = 250_000;
const UPLINK_DOUBT_MS = 60_000;
const ICE_GRACE_MS = 2_000;
const ICE_RESTART_MS = 8_000;
const ICE_RESTARTS = 3;
const OLD_PEER_MS = 10_000;
const browser = typeof window !== 'undefined' && typeof document !== 'undefined';
const isFirefox = browser && /Firefox\//.test(navigator.userAgent);

// ─── errors ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Every error of this module; `code` is for programs, `message` for people. */
export class SFUError extends Error {
  constructor(code, message, { retryable = false, retryAfterMs, details, cause } = {}) {
    super(message, cause ? { cause } : undefined);
    this.name = new.target.name;
    Object.assign(this, { code, retryable, retryAfterMs, details });
  }
}
/** The server refused a request. */
export class RequestError extends SFUError {}
/** The server could not be reached. */
export class ConnectionError extends SFUError {}
/** The session is over; `closeCode` is the protocol's. */
export class EndedError extends SFUError {
  constructor(closeCode, reason, text) {
    super(reason, text);
    this.closeCode = closeCode;
  }
}
/** The browser or the person refused a device. */
export class DeviceError extends SFUError {}

const replaced = () => new SFUError('session_lost', 'The connection was replaced meanwhile.', { retryable: true });

const CLOSES = {
  1000: ['closed', 'The server ended the call.'],
  4100: ['kicked', 'You were removed from the call.'],
  4101: ['room_closed', 'The call was closed for everybody.'],
  4102: ['replaced', 'You joined again from this device, so this window left the call.'],
  4103: ['left', 'You left the call.'],
  4104: ['banned', 'You may not join this call.'],
  4111: ['superseded', 'Another connection of yours took over this call.'],
  4400: ['protocol', 'The server did not understand this client. Reloading the page may help.'],
  4401: ['token_invalid', 'This server asks for an invitation (a token), and there is none or it is not valid. Ask for a new one.'],
  4402: ['token_expired', 'Your invitation has expired. Ask for a new one.'],
  4403: ['forbidden', 'Your invitation is for another room, or does not allow joining.'],
  4404: ['no_such_room', 'There is no such room.'],
  4409: ['room_full', 'The room is full or locked.'],
  4426: ['version', 'This page is older than the server. Reload it.'],
};

function endedBy(code, reason) {
  const [name, text] = CLOSES[code] ?? ['closed', 'The server ended the call.'];
  // The server's own words say more where the code covers several causes.
  const more = reason && (!CLOSES[code] || [4400, 4403].includes(code));
  return { code, reason: name, text: more ? `${text} (${reason})` : text };
}

// ─── pure parts ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Milliseconds before dial `attempt` (0 the first after a loss): full jitter, 250 ms · 2ⁿ, at most `cap`. */
export function backoff(attempt, { random = Math.random, cap = 5_000, first = 250 } = {}) {
  return Math.floor(random() * Math.min(cap, first * 2 ** Math.min(attempt, 16)));
}

/** The envelopes of one message: one or more, separated by LF. Lines that are no object are left out. */
export function parseFrame(text) {
  const envelopes = [];
  for (const line of String(text).split('\n')) {
    if (!line.trim()) continue;
    try {
      const value = JSON.parse(line);
      if (value && typeof value === 'object' && !Array.isArray(value)) envelopes.push(value);
    } catch { /* a broken line is as good as none: the sequence shows what is missing */ }
  }
  return envelopes;
}

/** What a close code orders: the hundreds carry the rule. */
export function closeRule(code) {
  if (code === 1000 || (code >= 4100 && code < 4200)) return 'end';
  return code >= 4400 && code < 4500 ? 'fix' : 'resume';
}

/** The machine of `Signal`: by state, what each event leads to. */
export const MACHINE = {
  idle: { connect: 'dialing', end: 'ended' },
  // Before the socket is open no server has said what to mend.
  dialing: { open: 'greeting', fail: 'waiting', end: 'ended' },
  greeting: { welcome: 'syncing', rejoin: 'rejoining', fail: 'waiting', fix: 'needsUser', end: 'ended' },
  // A new session after a lost one: what the application wants is declared before anything else.
  rejoining: { declared: 'syncing', fail: 'waiting', fix: 'needsUser', end: 'ended' },
  syncing: { synced: 'live', fail: 'waiting', fix: 'needsUser', end: 'ended' },
  live: { fail: 'waiting', fix: 'needsUser', end: 'ended' },
  waiting: { connect: 'dialing', end: 'ended' },
  needsUser: { connect: 'dialing', end: 'ended' },
  ended: {},
};
/** The state after an event; an event that means nothing in a state changes nothing. */
export function nextState(state, event) { return MACHINE[state]?.[event] ?? state; }

/**
 * What a closed socket leads to. `next`: `dial` after `delay` ms, `sleep` until the page is looked at, `renew` with another
 * token at once, `ask` the person, or `end`; `forget`: the session's token is worth nothing any more.
 */
export function afterClose(code, {
  bye, dials = 0, attempts = 4, wasWelcomed = false, isResuming = false, canRenew = false, hasRenewed = false,
  isVisible = true, lostMs = 0, windowMs = WINDOW_MS, random = Math.random,
} = {}) {
  const rule = closeRule(code);
  const isToken = code === 4401 || code === 4402;
  if (rule === 'fix') {
    // A refused resume says nothing of our own token yet.
    if (isResuming && [4400, 4401, 4403, 4404].includes(code)) return { next: 'dial', delay: 0, forget: true };
    if (isToken && canRenew && !hasRenewed) return { next: 'renew', forget: code === 4401 };
    if (isToken && wasWelcomed) return { next: 'ask' };
  }
  if (rule !== 'resume') return { next: 'end' };
  if (!wasWelcomed && dials + 1 >= attempts) {
    return { next: 'end', ended: { code: 0, reason: 'unreachable', text: 'The server can’t be reached.' } };
  }
  const isOutside = lostMs > windowMs;
  if (isOutside && !isVisible) return { next: 'sleep' };
  const jitter = backoff(dials, { random, cap: isOutside ? 30_000 : lostMs > EAGER_MS ? 5_000 : 1_500 });
  return { next: 'dial', delay: (bye?.afterMs ?? 0) + (bye?.spreadMs ? Math.floor(random() * bye.spreadMs) : jitter) };
}

const rate = (long) =>
  long >= 1920 ? 2_500_000 : long >= 1280 ? 1_700_000 : long >= 960 ? 1_000_000
    : long >= 640 ? 500_000 : long >= 480 ? 350_000 : 150_000;

/** Several spatial layers in one stream, which replaces simulcast. */
const isLayered = (mode) => /^[LS][2-9]/.test(mode ?? '');
/** The codec to ask for; undefined: whatever the server prefers. Of spatial layers VP8 and H.264 know nothing. */
const wantedCodec = ({ codec, scalabilityMode }) => codec?.toLowerCase() ?? (isLayered(scalabilityMode) ? 'vp9' : undefined);
/** Temporal layers of one simulcast encoding. Without a mode Chromium sends VP9 and AV1 simulcast as one stream. */
const layerMode = ({ codec, scalabilityMode }) => {
  const mode = scalabilityMode ?? (['vp9', 'av1', 'h264'].includes(codec?.toLowerCase()) ? 'L1T2' : undefined);
  return mode ? { scalabilityMode: mode } : {};
};

/** Layers of a camera, lowest first: three from 960 × 540 on, two from 480 × 270 on, else one. */
export function simulcastEncodings(width, height, { simulcast = true, scalabilityMode, maxBitrate, codec } = {}) {
  const long = Math.max(width || 1280, height || 720);
  const top = maxBitrate ?? rate(long);
  const layers = long >= 960 ? [['q', 4], ['h', 2], ['f', 1]] : long >= 480 ? [['q', 2], ['h', 1]] : [];
  if (isLayered(scalabilityMode) || !simulcast || !layers.length) return [{ ...(scalabilityMode ? { scalabilityMode } : {}), maxBitrate: top }];
  return layers.map(([rid, scale]) => ({
    rid, active: true, scaleResolutionDownBy: scale,
    maxBitrate: scale === 1 ? top : Math.min(top, rate(long / scale)),
    ...layerMode({ codec, scalabilityMode }),
  }));
}

/** Layers of a shared screen: a small slow one for thumbnails and the full one. */
export function screenEncodings(width, height, { simulcast = true, scalabilityMode, maxBitrate, codec } = {}) {
  const top = maxBitrate ?? 2_500_000;
  if (isLayered(scalabilityMode) || !simulcast || Math.max(width || 1920, height || 1080) < 960) {
    return [{ ...(scalabilityMode ? { scalabilityMode } : {}), maxBitrate: top }];
  }
  const mode = layerMode({ codec, scalabilityMode });
  return [
    { rid: 'q', active: true, scaleResolutionDownBy: 2, maxBitrate: 500_000, maxFramerate: 8, ...mode },
    { rid: 'h', active: true, scaleResolutionDownBy: 1, maxBitrate: top, ...mode },
  ];
}

/** Encodings that together stay below what the server lets a source send: all of them give up the same share. */
export function withinBitrate(encodings, maximum) {
  if (!maximum) return encodings;
  const wanted = encodings.map(({ maxBitrate }) => maxBitrate ?? maximum / encodings.length);
  const sum = wanted.reduce((total, one) => total + one, 0);
  if (sum <= maximum && encodings.every(({ maxBitrate }) => maxBitrate)) return encodings;
  const share = Math.min(1, maximum / sum);
  return encodings.map((encoding, index) => ({ ...encoding, maxBitrate: Math.floor(wanted[index] * share) }));
}

/**
 * What of `encodings` is sent on an uplink that loses voices, by how far it had to give way: 0 all, 1 without the best
 * layer or at half the rate, 2 the lowest layer alone, 3 no camera, of a screen that layer, slowly, and a narrower voice.
 */
export function withinUplink(encodings, level, source) {
  if (!level) return encodings;
  if (source === 'mic' || source === 'screenAudio') {
    return level < 3 ? encodings : encodings.map((encoding) => ({ ...encoding, maxBitrate: Math.min(encoding.maxBitrate ?? Infinity, UPLINK_VOICE) }));
  }
  const only = encodings.length === 1;
  return encodings.map((encoding, index) => {
    if (level === 1) {
      if (!only) return index === encodings.length - 1 ? { ...encoding, active: false } : encoding;
      return { ...encoding, maxBitrate: Math.floor((encoding.maxBitrate ?? 1_500_000) / 2) };
    }
    if (index > 0 || (level === 3 && source !== 'screen')) return { ...encoding, active: false };
    const [, count, temporal] = /^L([23])T([123])/.exec(encoding.scalabilityMode ?? '') ?? [];
    return {
      ...encoding,
      ...(count ? { scalabilityMode: `L1T${temporal}`, scaleResolutionDownBy: (encoding.scaleResolutionDownBy ?? 1) * 2 ** (count - 1) } : {}),
      maxBitrate: Math.min(encoding.maxBitrate ?? Infinity, UPLINK_LEAST),
      ...(level === 3 ? { maxFramerate: 3 } : source === 'screen' ? { maxFramerate: 5 } : {}),
    };
  });
}

/** What somebody wants of layers that are not sent, he wants of the best one that is. */
export function demandWithin(planned, demand) {
  const place = ({ rid = '' }) => planned.findIndex((one) => (one.rid ?? '') === rid);
  if (!demand.some((wish) => wish.active !== false && planned[place(wish)]?.active === false)) return demand;
  const best = planned.findLastIndex((one) => one.active !== false);
  return demand.map((wish) => (best >= 0 && place(wish) === best ? { rid: wish.rid, active: true } : wish));
}

/** What one report says of our uplink, against the one before it; null where too few packets of a voice were sent to tell. */
export function uplinkSample(report, before) {
  const all = [...report.values()];
  const next = { sent: 0, lost: 0, video: 0, hasReport: false };
  for (const stat of all) {
    if (stat.type === 'outbound-rtp' && stat.kind === 'audio') next.sent += stat.packetsSent ?? 0;
    if (stat.type === 'outbound-rtp' && stat.kind === 'video') next.video += stat.bytesSent ?? 0;
    if (stat.type === 'remote-inbound-rtp' && stat.kind === 'audio') {
      next.lost += stat.packetsLost ?? 0;
      next.hasReport = true;
    }
  }
  const pair = all.find((one) => one.type === 'candidate-pair' && one.nominated && one.availableOutgoingBitrate);
  if (!before?.hasReport || !next.hasReport) return { next, sample: null };
  const sent = next.sent - before.sent;
  // Somebody who listens sends a packet now and then: they are counted together.
  if (sent >= 0 && sent < 40) return { next: before, sample: null };
  const sample = {
    loss: Math.min(1, Math.max(0, (next.lost - before.lost) / sent)),
    available: pair?.availableOutgoingBitrate ?? null,
    sendsVideo: next.video > before.video,
  };
  return { next, sample };
}

/**
 * Whether pictures must give way so that the voice arrives, step by step, and when they may come back: later each time they
 * had to go again. Loss that stays when the camera is off is not ours to mend: then it is sent again.
 */
export class UplinkGuard {
  level = 0; reason = 'none'; loss = 0; available = null;
  #bad = 0; #isNarrow = false; #wasTight = false; #goodSince = null; #wait = UPLINK_GOOD_MS;
  #changedAt = -Infinity; #raisedAt = -Infinity; #lossBefore = 0; #immuneUntil = -Infinity;

  /** Takes a sample in; whether the level changed. */
  note(sample, now) {
    if (!sample) return false;
    Object.assign(this, { loss: sample.loss, available: sample.available });
    const lacksRoom = sample.sendsVideo && sample.available !== null && sample.available < UPLINK_ROOM;
    const isBad = sample.loss >= 0.05 || (lacksRoom && now - this.#raisedAt >= UPLINK_CLIMB_MS);
    const isGood = sample.loss < 0.02 && !lacksRoom;
    this.#bad = isBad ? this.#bad + 1 : 0;
    this.#goodSince = isGood ? this.#goodSince ?? now : null;
    // What came back too early had less room than there is now: the uplink is another one.
    if (this.#wasTight && (sample.available ?? 0) >= UPLINK_MORE) {
      this.#wasTight = false;
      this.#wait = UPLINK_GOOD_MS;
    }
    const isAsBad = this.#bad >= UPLINK_BLAME_SAMPLES && sample.loss >= 0.7 * this.#lossBefore;
    if (this.level === 3 && isAsBad && now - this.#changedAt >= UPLINK_BLAME_MS) {
      this.#immuneUntil = now + UPLINK_IMMUNE_MS;
      return this.#go(0, 'none', now);
    }
    if (isBad && this.level < 3 && (sample.sendsVideo || this.level > 0) && now >= this.#immuneUntil) {
      const isSevere = sample.loss >= 0.2;
      const isRelapse = now - this.#raisedAt < UPLINK_RELAPSE_MS;
      // After nothing but a step up there is one cause to think of, and no second report to wait for.
      const isTold = isSevere || this.#bad >= 2 || this.isTrying(now);
      if (!isTold || now - this.#changedAt < UPLINK_STEP_MS) return false;
      // It came back too early.
      if (isRelapse) {
        this.#wait = Math.min(this.#wait * 2, UPLINK_LONGEST_MS);
        this.#wasTight = (sample.available ?? Infinity) < UPLINK_MORE;
      }
      // What went with the picture was the picture's.
      this.#lossBefore = isRelapse ? Math.max(this.#lossBefore, sample.loss) : sample.loss;
      return this.#go(isSevere ? Math.max(2, this.level + 1) : this.level + 1, sample.loss >= 0.05 ? 'loss' : 'bandwidth', now);
    }
    // A second layer, and a voice that is wider again, need room that most browsers know of.
    const hasMore = this.level === 3 || sample.available === null || sample.available >= UPLINK_MORE;
    if (this.level > 0 && isGood && now - this.#goodSince >= (hasMore ? this.#wait : Math.max(this.#wait, UPLINK_DOUBT_MS))) {
      this.#raisedAt = this.#goodSince = now;
      return this.#go(this.level - 1, this.reason, now);
    }
    if (this.level === 0 && isGood && now - this.#changedAt >= UPLINK_LONGEST_MS) this.#wait = UPLINK_GOOD_MS;
    return false;
  }

  /** The level of our voices: one that became narrower is wider again beside a second layer, and not before. */
  get voiceLevel() { return this.level === 2 && this.#isNarrow ? 3 : this.level; }

  /** Whether a step up is the last thing that happened, not long ago. */
  isTrying(now) { return this.#changedAt === this.#raisedAt && now - this.#raisedAt < UPLINK_RELAPSE_MS; }

  /** Takes half a sample in: what it says counts where a step up has clearly failed. */
  glance(half, now) { return (half?.loss ?? 0) >= UPLINK_CLEAR_LOSS && this.isTrying(now) && this.note(half, now); }

  /** Somebody wants to be seen all the same: one layer, and a while to try. */
  resume(now) {
    if (this.level < 3) return false;
    this.#immuneUntil = now + UPLINK_CLIMB_MS;
    return this.#go(2, this.reason, now);
  }

  /** Another connection, or nothing is sent any more. */
  reset() {
    const had = this.level;
    Object.assign(this, { level: 0, reason: 'none' });
    this.#bad = 0;
    this.#isNarrow = false;
    this.#goodSince = null;
    return had > 0;
  }

  #go(level, reason, now) {
    this.level = level;
    this.reason = level ? reason : 'none';
    if (level !== 1 && level !== 2) this.#isNarrow = level === 3;
    this.#bad = 0;
    this.#changedAt = now;
    return true;
  }
}

/** What becomes of our pictures, in words; empty where nothing does. */
export function uplinkText({ level, reason, loss = 0, available = null }) {
  if (!level) return '';
  const why = reason === 'loss' ? `your connection loses ${Math.round(loss * 100)} % of what you say`
    : `your connection carries about ${Math.round((available ?? 0) / 1000)} kbit/s`;
  if (level === 3) return `Your camera is paused so that you can be heard: ${why}.`;
  return `Your picture is sent smaller so that you can be heard: ${why}.`;
}

/**
 * What one stream with spatial layers is sent as for a tile of `maxW` × `maxH`: the layers that remain keep their sizes.
 * They would take all the bits of those that go. They get half as many again as in simulcast: with fewer, AV1 leaves out
 * pictures behind the key frame that the change begins with.
 */
function spatialLayers({ scalabilityMode, scaleResolutionDownBy = 1, maxBitrate }, { maxW, maxH }, { width, height }) {
  const [, count, temporal, key = ''] = /^L([23])T([123])(_KEY)?$/.exec(scalabilityMode ?? '') ?? [];
  if (!count || !width || !height) return {};
  const fills = (layers) => {
    const scale = scaleResolutionDownBy * 2 ** (count - layers);
    return maxW > 0 && maxH > 0 && (width / scale >= maxW || height / scale >= maxH);
  };
  let layers = 1;
  while (layers < count && !fills(layers)) layers += 1;
  const scale = scaleResolutionDownBy * 2 ** (count - layers);
  const isWhole = layers === Number(count);
  return {
    scalabilityMode: `L${layers}T${temporal}${layers > 1 ? key : ''}`,
    scaleResolutionDownBy: scale,
    maxBitrate: isWhole ? maxBitrate : Math.min(maxBitrate ?? Infinity, 1.5 * rate(Math.max(width, height) / scale)),
  };
}

/**
 * Changes `encodings` of a sender to what is wanted of them; whether there was anything to change. `planned` is what the
 * application chose and is never exceeded; what `demand` does not name is wanted as planned. `size` of the picture: one
 * stream with spatial layers goes without those that are larger than any tile.
 */
export function applyLayers(encodings, planned, demand, { rates = true, size, caps = false } = {}) {
  let changed = false;
  encodings.forEach((encoding, index) => {
    const same = (one) => (one.rid ?? '') === (encoding.rid ?? '');
    const plan = planned.find(same) ?? (planned.length === encodings.length ? planned[index] : undefined) ?? {};
    const wish = demand.find(same) ?? {};
    const active = plan.active !== false && wish.active !== false;
    const limits = [plan.maxFramerate, wish.maxFps].filter((limit) => limit > 0);
    const limit = limits.length ? Math.min(...limits) : undefined;
    if ((encoding.active ?? true) !== active) { encoding.active = active; changed = true; }
    for (const [key, value] of Object.entries(size && active ? spatialLayers(plan, wish, size) : {})) {
      if ((encoding[key] ?? (key === 'scaleResolutionDownBy' ? 1 : undefined)) === value) continue;
      if (value === undefined) delete encoding[key]; else encoding[key] = value;
      changed = true;
    }
    for (const key of caps && active && !isLayered(plan.scalabilityMode) ? ['maxBitrate', 'scalabilityMode', 'scaleResolutionDownBy'] : []) {
      if (encoding[key] === plan[key] || (plan[key] === undefined && key !== 'maxBitrate')) continue;
      if (plan[key] === undefined) delete encoding[key]; else encoding[key] = plan[key];
      changed = true;
    }
    if (!rates || encoding.maxFramerate === limit) return;
    changed = true;
    if (limit === undefined) delete encoding.maxFramerate; else encoding.maxFramerate = limit;
  });
  return changed;
}

/** The answer with what we want of our own Opus encoders, by mid: the other side's fmtp governs them (RFC 7587 §6.1). */
export function withOpusOptions(sdp, options) {
  const sections = sdp.split(/(?=^m=)/m);
  return sections.map((section) => {
    const wanted = options[/^a=mid:(\S+)/m.exec(section)?.[1] ?? ''];
    const payload = /^a=rtpmap:(\d+) opus\/48000/im.exec(section)?.[1];
    if (!wanted || !section.startsWith('m=audio') || !payload) return section;
    const add = { useinbandfec: 1, ...(wanted.dtx ? { usedtx: 1 } : {}) };
    if (wanted.stereo) Object.assign(add, { stereo: 1, 'sprop-stereo': 1, maxaveragebitrate: 128_000 });
    const line = new RegExp(`^a=fmtp:${payload} (.*?)(\r?)$`, 'm');
    const has = line.exec(section);
    const kept = (has?.[1] ?? '').split(';').map((p) => p.trim()).filter((p) => p && !(p.split('=')[0] in add));
    const fmtp = `a=fmtp:${payload} ${[...kept, ...Object.entries(add).map(([k, v]) => `${k}=${v}`)].join(';')}`;
    if (has) return section.replace(line, `${fmtp}$2`);
    return section.replace(/^(a=rtpmap:\d+ opus\/48000.*?)(\r?)\n/im, (_, map, cr) => `${map}${cr}\n${fmtp}${cr}\n`);
  }).join('');
}

/** How many video slots an offer has when `need` are wanted: steps of four, never fewer than before. */
export function slotsToOffer(have, need) {
  return Math.min(MAX_VIDEO_SLOTS, Math.max(have, Math.ceil(Math.max(0, need) / 4) * 4));
}

/** A slot as this module keeps it, whatever optional fields the message left out. */
export function normalizeSlot(raw) {
  return {
    mid: String(raw.mid), kind: raw.kind ?? 'video', tid: raw.tid ?? null, pid: raw.pid ?? null,
    layer: raw.layer?.s ?? null, temporalLayer: raw.layer?.t ?? null, width: raw.layer?.width ?? 0, height: raw.layer?.height ?? 0,
    paused: raw.paused ?? false, reason: raw.reason ?? 'none', neededKbps: raw.neededKbps ?? 0, availableKbps: raw.availableKbps ?? 0,
  };
}

/** As exact as an estimate is: "620 kbit/s", "1 900 kbit/s". */
export function rateWords(kbps) {
  const rounded = Number(Math.max(0, kbps || 0).toPrecision(2));
  return `${String(Math.round(rounded)).replace(/\B(?=(\d{3})+$)/g, '\u202f')} kbit/s`;
}

const LEVELS = ['bad', 'poor', 'fair', 'good', 'excellent'];
/** How many of four bars a score from 1 to 5 is worth, and in a word. */
export function qualityLevel(score) {
  const bars = [1.4, 2.4, 3.4, 4.3].filter((least) => score >= least).length;
  return { bars, word: LEVELS[bars] };
}

/** The server's `quality` as the room has it: scores from 1 to 5, the figures of our own. */
export function normalizeQuality({ up, down } = {}) {
  const direction = (one) => one && {
    score: one.score / 10, reason: one.reason ?? 'none', ...qualityLevel(one.score / 10), detail: one.detail ?? null,
  };
  if (!up && !down) return null;
  const both = { up: direction(up) ?? null, down: direction(down) ?? null };
  const score = Math.min(both.up?.score ?? 5, both.down?.score ?? 5);
  return { ...both, score, ...qualityLevel(score) };
}

const COMPLAINTS = {
  loss: ['what it sends gets lost', 'what it receives gets lost'], delay: ['far away', 'far away'], jitter: ['uneven', 'uneven'],
  bandwidth: ['too little room to send', 'too little room to receive'], frozen: ['pictures with gaps', 'pictures stand still'],
  layer: ['smaller pictures than wanted', 'smaller pictures than wanted'], silent: ['nothing arrives', 'not reached'],
};
/** The quality of somebody in a line: "Connection fair: what it sends gets lost". */
export function describeQuality(quality) {
  if (!quality) return '';
  const { up, down } = quality;
  const isUp = !!up && (!down || up.score <= down.score);
  const complaint = quality.bars < 4 && COMPLAINTS[(isUp ? up : down).reason]?.[isUp ? 0 : 1];
  return `Connection ${quality.word}${complaint ? `: ${complaint}` : ''}`;
}

const codecWord = (name) => ({ h264: 'H.264', h265: 'H.265', opus: 'Opus' })[name?.toLowerCase()] ?? (name || '').toUpperCase();
const lines = (info) => Math.min(info.width || 0, info.height || 0) || info.height || 0;

/** Why a tile shows what it shows, in words. */
export function describe(info, isLocal = false) {
  if (isLocal) {
    const live = (info.sending ?? []).filter((layer) => layer.active && layer.height);
    if (!live.length) return info.reason === 'muted' ? 'Camera is off' : 'Nobody watches, so nothing is sent';
    return `Sending ${live.map((layer) => `${lines(layer)}p`).join(', ')}`;
  }
  const p = lines(info) ? `${lines(info)}p` : 'Low resolution';
  switch (info.reason) {
    case 'muted': return 'Camera is off';
    case 'hidden': return 'Hidden, so nothing is sent';
    case 'unsubscribed': return 'Not subscribed';
    case 'codec': return `Can’t be shown: this browser has no ${codecWord(info.codec) || 'decoder for it'}`;
    case 'keyframe': return 'Waiting for a full picture';
    case 'bandwidth': return describeBandwidth(info, p);
    case 'viewport': return `${p}: that is all this tile needs`;
    case 'publisher': return info.paused ? 'The sender sends nothing now' : `${p}: the sender sends no more`;
    default: return info.paused ? 'Paused' : `${p}: the best there is`;
  }
}

/** "360p: your downlink is about 620 kbit/s, 4 % loss; 720p needs about 1 900 kbit/s". */
function describeBandwidth({ paused, availableKbps, neededKbps, pathLossPercent = 0, nextLines = 0 }, p) {
  const what = paused ? 'Paused' : p;
  if (!availableKbps) return paused ? 'Paused: your connection is too slow for it' : `${p}: your connection has no room for more`;
  const loss = pathLossPercent >= 1 ? `, ${Math.round(pathLossPercent)} % loss` : '';
  const next = nextLines ? `${nextLines}p` : paused ? 'the smallest picture' : 'more';
  const needs = neededKbps ? `; ${next} needs about ${rateWords(neededKbps)}` : '';
  return `${what}: your downlink is about ${rateWords(availableKbps)}${loss}${needs}`;
}

/** The status of a room as people should see it, out of what its two halves say. */
export function describeStatus({ isLive, isOpen, isDialing, hasMedia, wasLive, isWaiting, isBlocked, isOffline, isLong, slow }) {
  if (isWaiting && isOpen) return { state: 'waiting', text: 'Waiting for somebody to let you in…' };
  if (!wasLive) {
    const text = isBlocked ? 'Sound and picture can’t get through: the server’s media port may be blocked. Still trying…'
      : isOpen ? 'Connecting sound and picture…' : isOffline ? 'You are offline. Check your network.'
        : isDialing ? 'Connecting…' : 'The server doesn’t answer. Trying again…';
    return { state: 'connecting', text };
  }
  if (isOpen && hasMedia) {
    if (!isLive) return { state: 'syncing', text: 'Back again. Catching up…' };
    if (slow === 'signal') return { state: 'degraded', what: 'signal', text: 'The connection to the server is slow.' };
    if (slow === 'audio') return { state: 'degraded', what: 'audio', text: 'Your connection loses sound. The others may be hard to understand.' };
    return { state: 'live', text: 'Connected' };
  }
  if (isOffline && !isOpen) return { state: 'reconnecting', what: 'both', text: 'You are offline. The call goes on by itself when the network is back.' };
  const [what, soon, later] = hasMedia
    ? ['signal', 'Reconnecting to the server. You can go on talking.', 'The server doesn’t answer. You can go on talking. Still trying…']
    : isOpen ? ['media', 'Reconnecting sound and picture…', 'Sound and picture don’t get through. Check your network. Still trying…']
      : ['both', 'Connection lost. Reconnecting…', 'The server can’t be reached. The call goes on by itself when it is back.'];
  return { state: 'reconnecting', what, text: isLong ? later : soon };
}

/** Packets of all voices, of the receive statistics. */
export function audioCounts(receive) {
  const voices = [...receive.values()].filter((one) => one.kind === 'audio');
  const sum = (key) => voices.reduce((total, one) => total + one[key], 0);
  return { packets: sum('packets'), lost: sum('lost') };
}
/** Whether so much sound was lost between two counts that words go missing. */
export function losesAudio(before, now) {
  const packets = now.packets - before.packets;
  const lost = now.lost - before.lost;
  return lost > 0 && packets + lost >= SLOW.packets && lost / (packets + lost) > SLOW.loss;
}

/** One wish per publication out of many tiles: the largest size, visible if one is, the highest priority. */
export function collectView(wishes, untiled = []) {
  const byTid = new Map();
  for (const wish of wishes) {
    const had = byTid.get(wish.tid);
    if (!had) { byTid.set(wish.tid, { ...wish }); continue; }
    had.visible ||= wish.visible;
    had.w = Math.max(had.w, wish.w);
    had.h = Math.max(had.h, wish.h);
    had.priority = Math.max(had.priority, wish.priority);
    had.maxFps = had.maxFps && wish.maxFps ? Math.max(had.maxFps, wish.maxFps) : 0;
  }
  for (const tid of untiled) if (!byTid.has(tid)) byTid.set(tid, { tid, w: 0, h: 0, visible: false, priority: 0, maxFps: 0 });
  return [...byTid.values()].map(({ maxFps, ...tile }) => (maxFps ? { ...tile, maxFps } : tile));
}

const randomId = (length = 12) => {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(bytes, (b) => 'abcdefghijkmnpqrstuvwxyz23456789'[b & 31]).join('');
};

const randomHex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, '0')).join('');

let pageTrace = null;
/**
 * W3C `traceparent`s of a page: one trace as long as it lives, each time another span. Undefined where this page is not among
 * the `share` that is traced.
 */
export function traceparent(share = 1) {
  pageTrace ??= { id: randomHex(16), dice: parseInt(randomHex(4), 16) / 2 ** 32 };
  return pageTrace.dice < share ? `00-${pageTrace.id}-${randomHex(8)}-01` : undefined;
}

/** Calls `tick` every `ms` from a worker, whose timers a hidden page does not slow down. */
function ticker(ms, tick) {
  let interval = null;
  const plain = () => { interval ??= setInterval(tick, ms); };
  if (!browser || typeof Worker === 'undefined') { plain(); return () => clearInterval(interval); }
  let worker = null;
  try {
    const url = URL.createObjectURL(new Blob(['onmessage=e=>setInterval(()=>postMessage(0),e.data)'], { type: 'text/javascript' }));
    worker = new Worker(url);
    worker.onmessage = tick;
    worker.onerror = plain;
    worker.postMessage(ms);
    URL.revokeObjectURL(url);
  } catch { plain(); }
  return () => { worker?.terminate(); clearInterval(interval); };
}

// ─── signaling ───────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * The socket's machine: idle → dialing → greeting → syncing → live, back by `waiting`, out by `ended`. It keeps the
 * session's counters (request ids, event sequence, acknowledgements) across sockets, so that a resume loses nothing.
 * It knows envelopes and the session, and nothing of what they are about.
 */
export class Signal {
  state = 'idle';
  sid = ''; epoch = ''; lastSeq = 0; rev = 0; rttMs = null; resumes = 0; lostAt = 0; lag = 0;
  #ws = null; #dials = 0; #attempt = 0; #resume = null; #welcomed = false; #renewed = false; #isResuming = false; #renew = false;
  #lastId = 0; #pending = new Map(); #queue = []; #inflight = MAX_IN_FLIGHT; #upTo = 0; #isReplaying = false; #isSnapshotDone = false; #nextEpoch = '';
  #traces = true; #unacked = 0; #unackedBytes = 0; #timers = {}; #heard = 0; #pinged = 0; #ticked = 0; #dialedAt = 0; #stopTicker = null; #bye = null;

  /**
   * `hello` makes the first message's data, with `resume` in it where there is one; `session` is told what a reloaded
   * page needs to come back, `saved` is what it was told before the reload; `trace` gives a `traceparent` for each hello and request.
   * @param {{url: string, hello: (resume: object|null, renew: boolean) => Promise<object>, attempts?: number, saved?: object|null,
   *   canRenew?: boolean, visible?: () => boolean, trace?: () => string|undefined, WebSocket?: any, random?: () => number, now?: () => number,
   *   on: {welcome: Function, event: Function, state: Function, ended: Function, refused?: Function, needsUser?: Function,
   *   resumed?: Function, session?: Function, note?: Function}}} options
   */
  constructor({
    url, hello, on, attempts = 4, saved = null, canRenew = false, visible = () => true, trace = () => undefined,
    WebSocket = globalThis.WebSocket, random = Math.random, now = () => Date.now(),
  }) {
    Object.assign(this, { url, hello, on, attempts, canRenew, visible, trace, WebSocket, random, now });
    if (!saved?.token) return;
    this.#resume = { token: saved.token, windowMs: saved.windowMs };
    this.#attempt = saved.attempt ?? 0;
    this.sid = saved.sid ?? '';
  }

  get open() { return this.state === 'live' || this.state === 'syncing' || this.state === 'rejoining'; }
  /** Types of the requests that wait for their answers, or for a connection. */
  get waiting() { return [...this.#pending.values(), ...this.#queue].filter((one) => !one.isOver).map((one) => one.type); }

  start() {
    if (this.state !== 'idle') return;
    this.#ticked = this.now();
    this.#stopTicker = ticker(TICK_MS, () => this.tick());
    this.#dial();
  }

  #note(what, detail) { this.on.note?.(what, detail); }

  #go(event, info) {
    const from = this.state;
    const state = nextState(from, event);
    if (state === from) return;
    this.state = state;
    this.on.state(state, { from, event, ...info });
  }

  // One socket after another.

  #dial() {
    clearTimeout(this.#timers.retry);
    this.#go('connect');
    if (this.state !== 'dialing') return;
    let ws = null;
    try {
      ws = new this.WebSocket(this.url, [PROTOCOL]);
    } catch (error) {
      this.#failed(4400, error.message);
      return;
    }
    this.#ws = ws;
    this.#bye = null;
    this.#isResuming = false;
    this.#dialedAt = this.now();
    const mine = () => this.#ws === ws;
    this.#timers.dial = setTimeout(() => mine() && this.#drop(4010, 'no answer'), DIAL_MS);
    ws.onopen = () => mine() && this.#greet(ws, mine);
    ws.onmessage = (message) => mine() && this.#receive(message.data);
    ws.onclose = (event) => {
      if (!mine()) return;
      this.#detach(ws);
      if (this.state === 'dialing') { this.#failed(1006, event.reason); return; }
      const isMute = !event.code || [1000, 1005, 1006].includes(event.code);
      this.#failed((isMute && this.#bye?.code) || (event.code === 1005 ? 1006 : event.code || 1006), event.reason || this.#bye?.reason);
    };
    ws.onerror = () => {};
  }

  async #greet(ws, mine) {
    this.#go('open');
    const attempt = ++this.#attempt;
    const resume = this.#resume && { token: this.#resume.token, attempt, lastSeq: this.lastSeq };
    this.#isResuming = !!resume;
    // Before it is sent: a page that is reloaded now must not use the same number again.
    this.#tellSession();
    let data;
    try {
      data = await this.hello(resume, this.#renew);
    } catch (error) {
      if (mine()) { this.#detach(ws, 1000); this.#failed(4401, error.message); }
      return;
    }
    if (!mine() || this.state !== 'greeting') return;
    this.#renew = false;
    this.#send({ type: 'hello', v: '1.0', ...this.#traced(this.trace()), data });
  }

  #traced(trace) { return trace ? { trace } : {}; }

  #detach(ws, code) {
    for (const name of ['dial', 'probe', 'ack']) { clearTimeout(this.#timers[name]); this.#timers[name] = undefined; }
    ws.onopen = ws.onmessage = ws.onclose = null;
    if (this.#ws === ws) this.#ws = null;
    if (code !== undefined) try { ws.close(code); } catch { /* already closed */ }
  }

  /** Gives up a socket that we no longer believe in. */
  #drop(code, reason) {
    const ws = this.#ws;
    if (!ws) return;
    this.#detach(ws);
    try { ws.close(code, reason); } catch { /* already closed */ }
    this.#failed(code, reason);
  }

  #failed(code, reason) {
    if (this.state === 'ended') return;
    this.lostAt ||= this.now();
    const verdict = afterClose(code, {
      bye: this.#bye, dials: this.#dials, attempts: this.attempts, wasWelcomed: this.#welcomed, isResuming: this.#isResuming,
      canRenew: this.canRenew, hasRenewed: this.#renewed, isVisible: this.visible(), random: this.random,
      lostMs: this.now() - this.lostAt, windowMs: this.#resume?.windowMs,
    });
    this.#note('closed', { code, reason, next: verdict.next, ...(verdict.delay === undefined ? {} : { delay: verdict.delay }) });
    this.#isResuming = false;
    if (verdict.forget) this.#forgetSession();
    switch (verdict.next) {
      case 'end': this.#end(verdict.ended ?? endedBy(code, reason)); return;
      case 'ask':
        this.#go('fix', { code, reason });
        if (this.state === 'needsUser') this.on.needsUser?.(endedBy(code, reason));
        return;
      case 'renew':
        this.#renewed = this.#renew = true;
        this.#go('fix', { code, reason });
        this.#dial();
        return;
      default:
        this.#dials += 1;
        this.#go('fail', { code, reason, delay: verdict.delay });
        // Whoever hears of it may have left.
        if (this.state !== 'waiting') return;
        // A hidden page that lost its session long ago sleeps until somebody looks at it.
        if (verdict.next === 'dial') this.#timers.retry = setTimeout(() => this.#dial(), verdict.delay);
    }
  }

  #end(ended) {
    if (this.state === 'ended') return;
    clearTimeout(this.#timers.retry);
    this.#stopTicker?.();
    const ws = this.#ws;
    if (ws) this.#detach(ws, 1000);
    const error = new EndedError(ended.code, ended.reason, ended.text);
    for (const entry of [...this.#pending.values(), ...this.#queue]) entry.settle(error);
    this.#pending.clear();
    this.#queue = [];
    this.#forgetSession();
    this.#note('ended', { code: ended.code, reason: ended.reason });
    this.#go('end');
    this.on.ended(ended);
  }

  #forgetSession() {
    this.#resume = null;
    this.#tellSession();
  }

  #tellSession() {
    const { token, windowMs } = this.#resume ?? {};
    this.on.session?.(token ? { token, windowMs, sid: this.sid, attempt: this.#attempt } : null);
  }

  #send(envelope) {
    try { this.#ws?.send(JSON.stringify(envelope)); } catch { /* onclose follows */ }
  }

  // Requests and notifications.

  /**
   * A request with exactly one answer, however often it has to be sent for that. `key`: a newer one replaces it while
   * it has not been sent; `isFirst`: before everything that waits; `abort`: a signal that makes it void.
   */
  request(type, data = {}, { key, isFirst = false, abort } = {}) {
    if (this.state === 'ended') return Promise.reject(new EndedError(0, 'ended', 'The call has ended.'));
    if (abort?.aborted) return Promise.reject(replaced());
    const same = key && this.#queue.find((one) => one.key === key);
    if (same) { same.data = data; return same.promise; }
    if (this.#queue.length >= MAX_QUEUE) {
      return Promise.reject(new SFUError('overloaded', 'Too much waits for the connection to come back.', { retryable: true }));
    }
    const entry = { type, data, key, isOver: false };
    // Its number is used up once it was sent: the entry stays, so that the server sees no gap after a resume.
    const giveUp = () => {
      this.#queue = this.#queue.filter((one) => one !== entry);
      entry.settle(replaced());
    };
    entry.promise = new Promise((resolve, reject) => {
      entry.settle = (error, value) => {
        if (entry.isOver) return;
        entry.isOver = true;
        abort?.removeEventListener('abort', giveUp);
        if (error) reject(error); else resolve(value);
      };
    });
    abort?.addEventListener('abort', giveUp);
    if (isFirst) this.#queue.unshift(entry); else this.#queue.push(entry);
    this.#flush();
    return entry.promise;
  }

  #flush() {
    while (this.open && this.#queue.length && this.#pending.size < this.#inflight) {
      const entry = this.#queue.shift();
      const id = ++this.#lastId;
      this.#pending.set(id, entry);
      this.#sendRequest(id, entry);
    }
  }

  #sendRequest(id, entry) {
    const { type, data } = entry;
    // Sent again it is the same request, and the same span.
    if (this.#traces) entry.trace ??= this.trace();
    this.#send({ id, type, ack: this.lastSeq, ...this.#traced(this.#traces && entry.trace), data });
    this.#acked();
  }

  notify(type, data = {}) {
    if (this.open) { this.#send({ type, ack: this.lastSeq, data }); this.#acked(); }
  }

  #acked() {
    this.#unacked = this.#unackedBytes = 0;
    clearTimeout(this.#timers.ack);
    this.#timers.ack = undefined;
  }

  #count(bytes) {
    this.#unacked += 1;
    this.#unackedBytes += bytes;
    const ack = () => { this.#send({ type: 'ack', ack: this.lastSeq }); this.#acked(); };
    if (this.#unacked >= ACK.events || this.#unackedBytes >= ACK.bytes) ack();
    else this.#timers.ack ??= setTimeout(ack, ACK.ms);
  }

  // What the server says.

  #receive(text) {
    this.#heard = this.now();
    const envelopes = parseFrame(text);
    const bytes = Math.ceil(text.length / (envelopes.length || 1));
    for (const envelope of envelopes) {
      if (!this.#ws) return;
      this.#handle(envelope, bytes);
    }
  }

  #handle(envelope, bytes) {
    const { type, re, seq } = envelope;
    const data = envelope.data ?? {};
    if (re !== undefined) { this.#answer(envelope); return; }
    switch (type) {
      case 'welcome':
        // A server that records nothing of the session names no trace: then there is none to go on with.
        this.#traces = envelope.trace !== undefined;
        this.#welcome(data);
        return;
      case 'pong': if (typeof data.t === 'number') this.rttMs = Math.max(0, this.now() - data.t); return;
      // A hello is refused by `error`, and again by the close code that follows.
      case 'error': this.on.refused?.(data); return;
      case 'bye': this.#bye = { ...data, spreadMs: data.spreadMs ?? data.reconnect?.spreadMs }; return;
      default: break;
    }
    if (!this.open) return;
    if (type === 'hb') { this.#heartbeat(data); return; }
    if (type === 'replayed') { this.#replayed(data.upTo ?? this.#upTo); return; }
    if (seq !== undefined && !this.#inOrder(seq, bytes)) return;
    const isPaged = (data.page ?? 1) < (data.of ?? 1);
    if (!isPaged) this.#knows(type, Math.max(data.rev ?? 0, envelope.rev ?? 0));
    this.on.event(type, data, envelope);
    if ((type === 'snapshot' || type === 'delta') && !isPaged) this.#snapshotDone();
  }

  /**
   * Up to which revision, of which epoch, everything is known: rosters and deltas go on from there, a whole snapshot begins. A
   * single value says nothing of what was before it, and half a snapshot nothing of who has left.
   */
  #knows(type, rev) {
    if (type === 'snapshot') {
      this.epoch = this.#nextEpoch;
      this.rev = rev;
    } else if ((type === 'roster' || type === 'delta') && this.epoch === this.#nextEpoch) this.rev = Math.max(this.rev, rev);
  }

  /** Whether an event is the next one. In a replay superseded values are left out, and there alone may numbers be missing. */
  #inOrder(seq, bytes) {
    if (seq <= this.lastSeq) return false;
    if (seq !== this.lastSeq + 1 && !(this.#isReplaying && seq <= this.#upTo)) {
      this.#note('gap', { expected: this.lastSeq + 1, got: seq });
      this.#drop(4009, 'sequence gap');
      return false;
    }
    this.lastSeq = seq;
    this.#count(bytes);
    return true;
  }

  #heartbeat({ seq, lag = 0 }) {
    this.lag = lag;
    if (this.state !== 'live' || !(seq > this.lastSeq)) return;
    this.#note('gap', { expected: this.lastSeq, got: seq });
    this.#drop(4009, 'sequence gap');
  }

  #welcome(data) {
    if (this.state !== 'greeting') return;
    clearTimeout(this.#timers.dial);
    const outcome = data.outcome ?? 'fresh';
    const isAnew = outcome === 'fresh' || outcome === 'rejoin';
    const isSame = !isAnew && data.sid === this.sid;
    const isAgain = this.#welcomed;
    this.sid = data.sid;
    if (outcome !== 'replay') this.lastSeq = data.seq ?? 0;
    this.#nextEpoch = data.room?.epoch ?? '';
    if (isAgain && !isAnew) this.resumes += 1;
    this.#resume = data.resume?.token ? { token: data.resume.token, windowMs: data.resume.windowMs } : isAnew ? null : this.#resume;
    this.#inflight = Math.min(MAX_IN_FLIGHT, data.limits?.inflight ?? MAX_IN_FLIGHT);
    this.#welcomed = true;
    this.#isReplaying = outcome === 'replay';
    this.#upTo = data.upTo ?? 0;
    this.#isSnapshotDone = false;
    this.#heard = this.#pinged = this.now();
    this.#tellSession();
    this.#note('welcome', { outcome, sid: data.sid, seq: this.lastSeq });
    // A waiting room is no room yet: there is nothing to declare, and no snapshot.
    const declares = isAgain && !isSame && !data.waiting;
    this.#go(declares ? 'rejoin' : 'welcome');
    if (isSame) {
      // The session may have been another page's before a reload: it goes on counting where the server is.
      this.#lastId = Math.max(this.#lastId, data.ackedId ?? 0);
      for (const [id, entry] of this.#pending) this.#sendRequest(id, entry);
    } else {
      this.#lastId = isAnew ? 0 : data.ackedId ?? 0;
      this.#queue.unshift(...[...this.#pending.values()].filter((entry) => !entry.isOver));
      this.#pending.clear();
    }
    this.on.welcome(data, { outcome, isAnew, isSame, isAgain, declares });
    this.#flush();
    if (data.waiting) this.#snapshotDone();
    else if (this.#isReplaying && !(this.#upTo > this.lastSeq)) this.#replayed(this.#upTo);
  }

  #replayed(upTo) {
    if (!this.#isReplaying) return;
    this.#isReplaying = false;
    // The newest numbers may be among those that were left out.
    this.lastSeq = Math.max(this.lastSeq, upTo);
    this.#snapshotDone();
  }

  #snapshotDone() {
    this.#isSnapshotDone = true;
    if (this.state === 'syncing') this.#synced();
  }

  /** What the application wants was declared to a new session. */
  declared() {
    if (this.state !== 'rejoining') return;
    this.#go('declared');
    if (this.#isSnapshotDone) this.#synced();
  }

  #synced() {
    const ms = this.lostAt ? this.now() - this.lostAt : 0;
    const wasLost = this.lostAt > 0;
    this.#dials = 0;
    this.lostAt = 0;
    this.#renewed = false;
    this.#go('synced');
    if (wasLost && this.state === 'live') this.on.resumed?.({ ms, sid: this.sid, lastSeq: this.lastSeq });
  }

  #answer({ re, data, error }) {
    const entry = this.#pending.get(re);
    if (!entry) return;
    this.#pending.delete(re);
    if (error) entry.settle(new RequestError(error.code ?? 'internal', error.message ?? 'The server refused.', error));
    else entry.settle(null, data ?? {});
    this.#flush();
  }

  // Signs of life.

  /** Every five seconds: silence is the only sign that a page sees of a dead socket. */
  tick() {
    const now = this.now();
    const slept = now - this.#ticked > SLEPT_MS;
    this.#ticked = now;
    if (slept) { this.#note('slept'); this.probe(); return; }
    if (!this.open) return;
    if (now - this.#heard > WATCHDOG_MS) this.#drop(4010, 'silence');
    else if (now - this.#pinged >= PING_MS) this.ping();
  }

  ping() {
    this.#pinged = this.now();
    this.notify('ping', { t: this.now(), ...(this.rttMs === null ? {} : { rttMs: Math.round(this.rttMs) }) });
  }

  /** The network or the page changed: either the server answers within two seconds or we dial anew. */
  probe() {
    if (this.state === 'waiting') { this.#dials = 0; this.#dial(); return; }
    if (this.state === 'dialing' || this.state === 'greeting') {
      // A dial from before the change may wait for a packet that was lost long ago.
      if (this.now() - this.#dialedAt < PROBE_MS) return;
      this.#drop(4010, 'no answer');
      if (this.state === 'waiting') this.#dial();
      return;
    }
    if (!this.open) return;
    const asked = this.now();
    this.ping();
    clearTimeout(this.#timers.probe);
    this.#timers.probe = setTimeout(() => { if (this.open && this.#heard < asked) this.#drop(4010, 'no answer'); }, PROBE_MS);
  }

  /** The page goes, perhaps to be reloaded: the session is left as it is. */
  suspend() {
    this.#stopTicker?.();
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    if (this.#ws) this.#detach(this.#ws, 1000);
  }

  /** Dials again after `needsUser`; `hello` is asked for another token. */
  again() {
    if (this.state !== 'needsUser') return;
    this.#renew = true;
    this.#dial();
  }

  leave(reason = 'left') {
    this.notify('leave', { reason });
    this.#end({ ...endedBy(4103), reason });
  }
}

// ─── devices ─────────────────────────────────────────────────────────────────────────────────────────────────────

const DEVICE_ERRORS = {
  NotAllowedError: ['denied', 'Access was refused. Allow camera and microphone for this page in the address bar, or in the system’s privacy settings, and try again.'],
  NotFoundError: ['no_device', 'No such device was found. Is it plugged in?'],
  NotReadableError: ['in_use', 'Another application uses it, or the system does not give it away.'],
  OverconstrainedError: ['constraint', 'The device cannot do what was asked of it.'],
  AbortError: ['device', 'The device stopped for an unknown reason.'],
};
function deviceError(error, what) {
  if (error instanceof DeviceError) return error;
  const [code, text] = DEVICE_ERRORS[error?.name] ?? ['device', error?.message || 'The device does not work.'];
  return new DeviceError(what === 'screen' && code === 'denied' ? 'cancelled' : code, text, { retryable: true, cause: error });
}
async function capture(method, constraints, what) {
  const devices = browser ? navigator.mediaDevices : undefined;
  if (!devices?.[method]) {
    const secure = browser && window.isSecureContext;
    throw new DeviceError(secure ? 'unsupported' : 'insecure', secure
      ? 'This browser cannot capture that.' : 'Browsers give camera and microphone only to pages with https:// or on localhost.');
  }
  try {
    return await devices[method](constraints);
  } catch (error) {
    throw deviceError(error, what);
  }
}

const videoConstraints = ({ deviceId, width = 1280, height = 720, frameRate = 30, facingMode } = {}) => ({
  width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: frameRate },
  ...(deviceId ? { deviceId: { exact: deviceId } } : { facingMode: facingMode ?? 'user' }),
});
const audioConstraints = ({ deviceId, echoCancellation = true, noiseSuppression = true, autoGainControl = true } = {}) => ({
  echoCancellation, noiseSuppression, autoGainControl, ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
});

/** @param {import('./sfu.d.ts').CameraOptions} [options] */
export async function captureCamera(options) {
  return (await capture('getUserMedia', { video: videoConstraints(options) })).getVideoTracks()[0];
}

/** @param {import('./sfu.d.ts').MicrophoneOptions} [options] */
export async function captureMicrophone(options) {
  return (await capture('getUserMedia', { audio: audioConstraints(options) })).getAudioTracks()[0];
}

/** Both with one question to the person; where one is missing or fails, the other is tried alone. */
export async function captureBoth({ camera, microphone }) {
  const none = { camera: null, microphone: null, error: null };
  if (!camera && !microphone) return none;
  if (camera && microphone) {
    try {
      const stream = await capture('getUserMedia', { audio: audioConstraints(microphone), video: videoConstraints(camera) });
      return { ...none, camera: stream.getVideoTracks()[0] ?? null, microphone: stream.getAudioTracks()[0] ?? null };
    } catch (error) {
      if (['denied', 'insecure', 'unsupported'].includes(error.code)) return { ...none, error };
    }
  }
  const result = { ...none };
  const one = async (name, take, options) => {
    try {
      result[name] = await take(options).catch((error) => {
        if (options.deviceId && ['no_device', 'constraint'].includes(error.code)) return take({ ...options, deviceId: undefined });
        throw error;
      });
    } catch (error) { result.error = error; }
  };
  if (microphone) await one('microphone', captureMicrophone, microphone);
  if (camera) await one('camera', captureCamera, camera);
  return result;
}

/** What can be chosen; labels are empty until a capture was allowed. */
export async function listDevices() {
  const all = browser && navigator.mediaDevices?.enumerateDevices ? await navigator.mediaDevices.enumerateDevices() : [];
  const of = (kind) => all.filter((device) => device.kind === kind && device.deviceId);
  return { cameras: of('videoinput'), microphones: of('audioinput'), speakers: of('audiooutput') };
}

export function supported() {
  const missing = [];
  if (typeof RTCPeerConnection === 'undefined') missing.push('WebRTC');
  if (typeof WebSocket === 'undefined') missing.push('WebSocket');
  if (!browser || !navigator.mediaDevices?.getUserMedia) missing.push('camera and microphone');
  return {
    ok: typeof RTCPeerConnection !== 'undefined' && typeof WebSocket !== 'undefined', missing,
    screen: browser && !!navigator.mediaDevices?.getDisplayMedia,
    sinkId: browser && 'setSinkId' in HTMLMediaElement.prototype,
  };
}

let meterContext = null;
/** Reports a track's level, 0 to 1, some 20 times a second. */
export function meter(track, listener) {
  if (!browser || typeof AudioContext === 'undefined') return () => {};
  meterContext ??= new AudioContext();
  meterContext.resume().catch(() => {});
  const source = meterContext.createMediaStreamSource(new MediaStream([track]));
  const analyser = meterContext.createAnalyser();
  analyser.fftSize = 1024;
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let shown = 0;
  const interval = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    const decibel = 10 * Math.log10(sum / samples.length + 1e-10);
    const level = Math.min(1, Math.max(0, (decibel + 60) / 50));
    shown = Math.max(level, shown * 0.8);
    listener(shown < 0.01 ? 0 : shown);
  }, 50);
  return () => { clearInterval(interval); source.disconnect(); };
}

// ─── this tab ────────────────────────────────────────────────────────────────────────────────────────────────────

const storage = {
  get(key) { try { return JSON.parse(sessionStorage.getItem(key)); } catch { return null; } },
  set(key, value) {
    try {
      if (value === null) sessionStorage.removeItem(key); else sessionStorage.setItem(key, JSON.stringify(value));
    } catch { /* no storage: a reload joins anew */ }
  },
};

let tabDevice = null;
const devicesInUse = new Set();
/** Stable for a tab across reloads; a duplicated tab finds the lock taken and becomes a device of its own. */
function deviceOfTab() {
  tabDevice ??= (async () => {
    const stored = storage.get('sfu.did');
    if (typeof stored === 'string' && await holdLock(stored)) return stored;
    const did = `d_${randomId()}`;
    await holdLock(did);
    storage.set('sfu.did', did);
    return did;
  })();
  return tabDevice;
}

/** Held until the page goes. The page before a reload may hold it for another moment. */
function holdLock(name) {
  if (!browser || !navigator.locks) return true;
  return new Promise((resolve) => {
    navigator.locks.request(`sfu.${name}`, { signal: AbortSignal.timeout(LOCK_MS) }, () => {
      resolve(true);
      return new Promise(() => {});
    }).catch((error) => resolve(!['AbortError', 'TimeoutError'].includes(error?.name)));
  });
}

async function claimDevice(wanted) {
  const did = wanted ?? await deviceOfTab();
  let free = did;
  for (let n = 2; devicesInUse.has(free); n++) free = `${did}-${n}`;
  devicesInUse.add(free);
  return free;
}

/** What a page before a reload left behind: enough to come back as the same participant within the server's window. */
const sessionKey = (did) => `sfu.session.${did}`;
function savedSession(did, url) {
  const saved = storage.get(sessionKey(did));
  const isUsable = saved?.token && saved.url === url && Date.now() - saved.at < (saved.windowMs ?? WINDOW_MS);
  return isUsable ? saved : null;
}

/**
 * Whether `connect` with the same options would come back as the participant that this tab was before a reload.
 * @param {import('./sfu.d.ts').ConnectOptions} options
 */
export async function resumable(options) {
  const did = options.deviceId ?? await deviceOfTab();
  return !devicesInUse.has(did) && savedSession(did, socketURL(options)) !== null;
}

// ─── what is published ───────────────────────────────────────────────────────────────────────────────────────────

/** A stream that a participant sends. */
export class Publication {
  tid = ''; kind = 'video'; source = 'camera'; name; muted = false; mutedBy = null; locked = false; codec; layers = []; rev = 0; slot = null;
  constructor(participant) { this.participant = participant; }
  get isLocal() { return false; }
  get width() { return Math.max(0, ...this.layers.map((layer) => layer.width ?? 0)) || undefined; }
  get height() { return Math.max(0, ...this.layers.map((layer) => layer.height ?? 0)) || undefined; }
  get fps() { return Math.max(0, ...this.layers.map((layer) => (layer.live === false ? 0 : layer.fps ?? 0))) || undefined; }
  get track() { return this.slot ? this.participant.room._trackOf(this.slot.mid) : null; }

  /** Takes over what a newer object of the server says. */
  _apply(object) {
    if (object.rev !== undefined && object.rev < this.rev) return;
    this.rev = object.rev ?? this.rev;
    this.tid = object.tid ?? this.tid;
    this.kind = object.kind ?? this.kind;
    this.source = object.source ?? this.source;
    this.name = object.name ?? this.name;
    this.codec = object.codec?.toLowerCase() ?? this.codec;
    this.layers = object.layers ?? this.layers;
    if (object.muted !== undefined) { this.mutedBy = object.mutedBy ?? null; this.locked = object.locked ?? false; }
  }
}

/** A stream of ours: what the application wants, and the sender that carries it. */
export class LocalPublication extends Publication {
  transceiver = null; pending = true; demand = null;
  #tail = Promise.resolve(); #track = null; #hold = null; #wantsMuted = false; #isReleased = false; #uplink = 0; #caps = false;

  constructor(participant, track, options) {
    super(participant);
    const { source, muted = false, name } = options;
    this.kind = options.kind ?? track?.kind;
    this.source = source ?? (this.kind === 'audio' ? 'mic' : 'camera');
    Object.assign(this, { cid: participant.room._cid(this.source), options, muted, name });
    this.done = new Promise((resolve, reject) => { this.accept = resolve; this.refuse = reject; });
    this.done.catch(() => {});
    this.wantedCodec = this.kind === 'video' ? wantedCodec(options) : undefined;
    // Each packet of a voice repeats the one before: a lost one costs nothing. Music would double its rate.
    this.redundancy = this.kind === 'audio' && (options.redundancy ?? !(options.stereo ?? this.source === 'screenAudio'));
    this.#use(track ?? null);
    this.planned = this.#plan();
    this.encodings = this.#within();
  }

  get isLocal() { return true; }
  get track() { return this.#track; }
  get sender() { return this.transceiver?.sender ?? null; }
  get rids() { return this.encodings.flatMap((encoding) => encoding.rid ?? []); }
  /** Whether the server still has to confirm it, or its newest mute. */
  get unconfirmed() { return this.pending || this.participant.room.pending.has(`mute:${this.cid}`); }
  /** What a section that another publication leaves must have been made for to carry this one. */
  get shape() {
    const modes = this.encodings.map(({ rid = '', scalabilityMode = '' }) => `${rid}/${scalabilityMode}`);
    return [this.kind, modes, this.wantedCodec, this.redundancy].join();
  }

  #plan() {
    const { options, kind, source } = this;
    if (options.encodings) return options.encodings;
    // What is left of a bad uplink is the voice's first.
    if (kind === 'audio') return [{ priority: 'high', networkPriority: 'high', ...(options.maxBitrate ? { maxBitrate: options.maxBitrate } : {}) }];
    const settings = this.#track?.getSettings?.() ?? {};
    const size = [settings.width ?? options.width, settings.height ?? options.height];
    return source === 'screen' ? screenEncodings(...size, options) : simulcastEncodings(...size, options);
  }

  /** The plan within what the server lets this source send. */
  #within() {
    const maximum = this.participant.room.limits?.bitrates?.[this.source];
    // Without a wish of ours the browser's own default is far below.
    if (!maximum || this.planned.every(({ maxBitrate }) => !maxBitrate && this.kind === 'audio')) return this.planned;
    return withinBitrate(this.planned, this.redundancy ? Math.floor(maximum / 2) : maximum);
  }

  /** The server says what may be sent, or the uplink what can be. */
  _limit({ uplink = this.#uplink } = {}) {
    const within = this.#within();
    if (uplink === this.#uplink && within.every(({ maxBitrate }, index) => maxBitrate === this.encodings[index]?.maxBitrate)) return;
    this.encodings = within;
    this.#uplink = uplink;
    this.#caps = true;
    this.#serial(() => this.#applyLayers(this.demand ?? []));
  }

  /** Nothing is sent of it, since the uplink carries no more than the voice. */
  get suspended() { return this.kind === 'video' && this.source !== 'screen' && this.#uplink === 3; }

  #use(track) {
    if (this.#track) this.#track.onended = null;
    this.#track = track;
    if (!track) return;
    track.enabled = !this.muted;
    const hint = this.options.contentHint ?? (this.source === 'screen' ? 'detail' : '');
    if (hint && this.kind === 'video') track.contentHint = hint;
    track.onended = () => this.participant.room._trackEnded(this);
  }

  /** One change after another: setParameters, replaceTrack and capture do not mix. */
  #serial(work) {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => {});
    return result;
  }

  mute() { return this.setMuted(true); }
  unmute() { return this.setMuted(false); }

  async setMuted(muted) {
    const { room } = this.participant;
    const releases = this.kind === 'video' && this.options.recapture;
    this.#wantsMuted = muted;
    if (muted) this.#mark(true);
    await this.#serial(async () => {
      // Whoever changes their mind meanwhile is not unmuted on the way.
      if (this.#wantsMuted !== muted) return;
      if (!muted && !this.#track && this.options.recapture) {
        const track = await this.options.recapture();
        if (this.#isReleased) {
          track.stop();
          throw new SFUError('cancelled', 'It was unpublished meanwhile.');
        }
        this.#use(track);
        await this.sender?.replaceTrack(track);
        await this.#startAnew();
      }
      if (muted && releases && this.muted) {
        const old = this.#track;
        this.#use(null);
        old?.stop();
        await this.sender?.replaceTrack(null);
      }
      if (!muted) this.#mark(false);
      room._changed();
    });
    if (this.tid) await this.#tellMuted();
  }

  async #tellMuted() {
    const { room } = this.participant;
    try {
      // By its own key, which is the same in every session.
      this._apply((await room._confirm(`mute:${this.cid}`, 'track.mute', { cid: this.cid, muted: this.muted })).track ?? {});
    } catch (error) {
      if (error.code !== 'forbidden' || this.muted) { room._warn(error); return; }
      // A moderator keeps us muted.
      this.#mark(true);
      room._changed();
      throw error;
    }
  }

  #mark(muted) {
    if (this.muted === muted) return;
    this.muted = muted;
    if (this.#track) this.#track.enabled = !muted;
    this.participant.room._emit(muted ? 'muted' : 'unmuted', { publication: this, participant: this.participant });
  }

  replaceTrack(track) {
    return this.#serial(async () => {
      if (this.#isReleased) {
        if (this.options.stopTrack) track?.stop();
        return;
      }
      const old = this.#track;
      this.#use(track);
      await this.sender?.replaceTrack(track);
      if (old && old !== track && this.options.stopTrack) old.stop();
      await this.#startAnew();
      this.participant.room._changed();
    });
  }

  /**
   * Which encodings somebody watches, as the server says: the others are switched off, and these on, at once. The sizes
   * of layers stay as they are. Never rejects: a server takes what comes.
   */
  applyDemand(layers) {
    this.forgetDemand();
    this.demand = layers;
    return this.#serial(() => this.#applyLayers(layers));
  }

  /** A new section or connection begins with everything on. */
  forgetDemand() {
    clearTimeout(this.#hold);
    this.#hold = null;
    this.demand = null;
  }

  /** Another picture: all layers go out until the server has seen them and says again which it needs. */
  async #startAnew() {
    const before = this.demand;
    if (!before) return;
    this.forgetDemand();
    // It says nothing where nothing changed for it.
    this.#hold = setTimeout(() => this.applyDemand(before), DEMAND_HOLD_MS);
    await this.#applyLayers([]);
  }

  async #applyLayers(demand) {
    const { sender } = this;
    const apply = async (options) => {
      // To be read anew each time: browsers refuse parameters that are not their newest.
      const parameters = sender?.getParameters?.();
      const planned = withinUplink(this.encodings, this.#uplink, this.source);
      if (!parameters?.encodings?.length || !applyLayers(parameters.encodings, planned, demandWithin(planned, demand), { ...options, caps: this.#caps })) return;
      await sender.setParameters(parameters);
    };
    try {
      const { width, height } = this.track?.getSettings?.() ?? {};
      await apply({ size: { width, height } }).catch(() => apply({ rates: false }));
    } catch (error) {
      if (sender === this.sender) this.participant.room._emit('warning', { error });
    }
  }

  unpublish() { return this.participant.room.unpublish(this); }
  release() {
    this.#isReleased = true;
    this.forgetDemand();
    const track = this.#track;
    this.#use(null);
    if (this.options.stopTrack) track?.stop();
  }
}

/** Somebody in the room, ourselves included. */
export class Participant {
  pid = ''; uid = ''; did; name = ''; kind = 'web'; role; attrs = {}; conn = 'active'; joinedAt; rev = 0;
  speaking = false; level = 0; handAt = null; publications = new Map();
  constructor(room, isLocal = false) { Object.assign(this, { room, isLocal }); }

  get(source) {
    for (const publication of this.publications.values()) if (publication.source === source) return publication;
    return null;
  }
  get camera() { return this.get('camera'); }
  get microphone() { return this.get('mic'); }
  get screen() { return this.get('screen'); }
  /** How well its media arrives; null: not known. */
  get quality() { return this.room._qualities.get(this.pid) ?? null; }

  /** Whether it has raised its hand; `handAt` says when. */
  get hand() { return this.handAt !== null; }

  _apply({ pid, uid, did, name, kind, role, attrs, conn, joinedAt, rev }) {
    const next = { pid, uid, did, name, kind, role, attrs, conn, joinedAt, rev };
    for (const [key, value] of Object.entries(next)) if (value !== undefined) this[key] = value;
    this.name ||= this.uid;
  }
}

// ─── media ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Codecs of a section, the wanted ones first, without those that only make the offer long. */
function preferCodecs(transceiver, kind, first, isSender) {
  if (!transceiver.setCodecPreferences) return;
  const name = (codec) => codec.mimeType.split('/')[1].toLowerCase();
  const rank = (codec) => { const place = first.indexOf(name(codec)); return place < 0 ? first.length : place; };
  // Some browsers take of a sender only what they can receive, too.
  for (const source of isSender ? [globalThis.RTCRtpSender, globalThis.RTCRtpReceiver] : [globalThis.RTCRtpReceiver]) {
    const all = source?.getCapabilities?.(kind)?.codecs;
    if (!all) continue;
    const useful = all.filter((codec) => {
      if (['ulpfec', 'flexfec-03', 'h265'].includes(name(codec)) || (kind === 'video' && name(codec) === 'red')) return false;
      if (name(codec) === 'h264') return /packetization-mode=1/.test(codec.sdpFmtpLine ?? '');
      return name(codec) !== 'vp9' || !/profile-id=[1-3]/.test(codec.sdpFmtpLine ?? '');
    });
    try {
      transceiver.setCodecPreferences([...useful].sort((a, b) => rank(a) - rank(b)));
      return;
    } catch { /* the next list, or the browser's own order */ }
  }
}

/** Offers a header extension that the browser knows and does not offer by itself. */
function offerExtension(transceiver, uri) {
  try {
    const all = transceiver.getHeaderExtensionsToNegotiate?.() ?? [];
    const one = all.find((extension) => extension.uri === uri);
    if (one?.direction !== 'stopped') return;
    one.direction = 'sendrecv';
    transceiver.setHeaderExtensionsToNegotiate(all);
  } catch { /* without it, then */ }
}

/** One RTCPeerConnection: the slots, the senders, and offers one at a time. */
class Peer {
  offerId = 0; closed = false; retired = false; connected = false; byMid = new Map();
  #dirty = false; #restart = false; #running = false; #waiters = []; #offered = []; #timer = null; #restarts = 0; #spare = []; #audio = new Map();
  #abort = new AbortController(); #held = null; #pause = null; #isMounted = false; #riding = null; #isAnswered = false; needsRestart = false;

  constructor(room, gen) {
    Object.assign(this, { room, gen });
    this.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', rtcpMuxPolicy: 'require', ...room.options.rtcConfiguration });
    this.pc.oniceconnectionstatechange = () => this.#ice();
    this.pc.onconnectionstatechange = () => { if (this.pc.connectionState === 'failed') this.#ice('failed'); };
    this.slots = [];
    this.addSlots('audio', room.options.audioSlots ?? 3);
    // Firefox binds receive decoders only to the sections of its first offer.
    this.addSlots('video', room.options.videoSlots ?? (isFirefox ? 16 : 4));
  }

  get over() { return this.closed || this.retired; }
  /** No offer of it was answered yet. */
  get isNew() { return !this.#isAnswered; }
  count(kind) { return this.slots.filter((slot) => slot.kind === kind).length; }

  addSlots(kind, total) {
    for (let have = this.count(kind); have < total; have++) {
      const transceiver = this.pc.addTransceiver(kind, { direction: 'recvonly' });
      preferCodecs(transceiver, kind, kind === 'video' ? ['vp8'] : ['opus', 'red'], false);
      // It tells a decoder which of the layers of AV1 and VP9 are left out.
      if (kind === 'video') offerExtension(transceiver, DEPENDENCY_DESCRIPTOR);
      this.slots.push({ kind, transceiver, track: transceiver.receiver.track });
    }
  }

  /** A section for a publication: an idle one of the same shape, or a new one. */
  async send(publication) {
    const { kind, track } = publication;
    const spare = this.#spare.findIndex((one) => one.shape === publication.shape);
    if (spare >= 0) {
      const [{ transceiver }] = this.#spare.splice(spare, 1);
      publication.transceiver = transceiver;
      transceiver.direction = 'sendonly';
      // Nobody watches what is gone: its layers may have been switched off.
      const parameters = transceiver.sender.getParameters();
      parameters.encodings?.forEach((encoding, index) => {
        delete encoding.maxFramerate;
        Object.assign(encoding, { active: true }, publication.encodings[index]);
      });
      await transceiver.sender.setParameters(parameters).catch(() => {});
      await transceiver.sender.replaceTrack(track);
      return;
    }
    const add = (sendEncodings) => this.pc.addTransceiver(track ?? kind, { direction: 'sendonly', sendEncodings });
    try {
      publication.transceiver = add(publication.encodings);
    } catch {
      // An older browser that refuses an encoding's details still sends the layers.
      publication.transceiver = add(publication.encodings.map(({ rid, scaleResolutionDownBy, maxBitrate }) => ({
        ...(rid ? { rid } : {}), ...(scaleResolutionDownBy ? { scaleResolutionDownBy } : {}), ...(maxBitrate ? { maxBitrate } : {}),
      })));
    }
    const voice = publication.redundancy ? ['red', 'opus'] : ['opus', 'red'];
    preferCodecs(publication.transceiver, kind, kind === 'video' ? [publication.wantedCodec ?? 'vp8'] : voice, true);
  }

  /** Idle sections stay in the connection and are used again: a stopped one would only make the SDP longer. */
  async unsend(publication) {
    const { transceiver } = publication;
    publication.transceiver = null;
    if (!transceiver || this.closed) return;
    transceiver.direction = 'inactive';
    await transceiver.sender.replaceTrack(null).catch(() => {});
    this.#spare.push({ shape: publication.shape, transceiver });
  }

  /** Resolves when an offer that contains everything wanted so far has been answered. */
  negotiate({ iceRestart = false } = {}) {
    if (this.over) return Promise.reject(replaced());
    this.#dirty = true;
    this.#restart ||= iceRestart;
    const result = new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
    this.#run();
    return result;
  }

  /** Offers nothing until it is released, so that what is published in the meantime is in the first offer. */
  hold(ms) { this.#held = setTimeout(() => this.release(), ms); }
  release() {
    clearTimeout(this.#held);
    this.#held = null;
    this.#run();
  }

  async #run() {
    if (this.#running || this.#held !== null) return;
    this.#running = true;
    for (let failures = 0; this.#dirty && !this.over;) {
      this.#dirty = false;
      const waiters = this.#offered = this.#waiters.splice(0);
      try {
        await this.#offer();
        failures = 0;
        for (const waiter of waiters) waiter.resolve();
      } catch (error) {
        if (this.pc.signalingState === 'have-local-offer') await this.pc.setLocalDescription({ type: 'rollback' }).catch(() => {});
        // A server that cannot now, without its media plane for instance, can later: what is published waits.
        if (error.retryable && error.code !== 'session_lost' && !this.over) {
          this.#waiters.unshift(...waiters);
          await this.#wait(Math.max(error.retryAfterMs ?? 0, backoff(failures + 1, { cap: 2_000 })));
          failures += 1;
          this.#dirty = true;
          continue;
        }
        // The server has answered, and what it said is lost: nothing can be built on this connection any more.
        const isUnknown = error.code === 'already_applied' && !this.over;
        for (const waiter of waiters) waiter.reject(isUnknown ? replaced() : error);
        if (isUnknown) { this.room._newPeer(); break; }
        const refused = this.room._pendingPublications();
        if (this.over || !refused.length) continue;
        for (const publication of refused) await this.room._refusePublication(publication, error);
        this.#dirty = true;
      }
    }
    this.#running = false;
  }

  /** No longer than the connection is of use. */
  #wait(ms) {
    return new Promise((resolve) => { this.#pause = { resolve, timer: setTimeout(resolve, ms) }; });
  }

  async #offer() {
    const iceRestart = this.#restart;
    this.#restart = false;
    const made = await this.#make(iceRestart);
    const { sdp: offer, ...rest } = made.data;
    await this.#take(await this.room.request('pc.offer', { ...rest, offer }, { abort: this.#abort.signal }), made);
  }

  async #make(iceRestart) {
    const { pc, room } = this;
    await pc.setLocalDescription(await pc.createOffer({ iceRestart }));
    const sending = [...room.publications.values()].filter((one) => one.transceiver?.mid);
    const tracks = sending.map(({ transceiver, cid, kind, source, name, muted, wantedCodec: codec }) =>
      ({ mid: transceiver.mid, cid, kind, source, muted, ...(name ? { name } : {}), ...(codec ? { codec } : {}) }));
    return {
      sending, told: new Map(sending.map((one) => [one.cid, one.muted])),
      data: { gen: this.gen, offerId: ++this.offerId, sdp: pc.localDescription.sdp, tracks, ...(iceRestart ? { iceRestart } : {}) },
    };
  }

  async #take(answer, { sending, told }) {
    const { pc, room } = this;
    if (this.over) throw replaced();
    const opus = {};
    for (const { kind, source, options, transceiver } of sending) {
      if (kind === 'audio' && transceiver) {
        opus[transceiver.mid] = { dtx: options.dtx ?? source === 'mic', stereo: options.stereo ?? source === 'screenAudio' };
      }
    }
    await pc.setRemoteDescription({ type: 'answer', sdp: withOpusOptions(answer.answer, opus) });
    if (this.over) throw replaced();
    this.#isAnswered = true;
    for (const slot of this.slots) {
      if (slot.mid === undefined && slot.transceiver.mid !== null) {
        slot.mid = slot.transceiver.mid;
        this.byMid.set(slot.mid, slot);
        if (slot.kind === 'audio' && browser) this.#play(slot);
      }
    }
    const named = new Map((answer.tracks ?? []).map((track) => [track.cid, track]));
    for (const publication of sending) {
      const object = named.get(publication.cid);
      // Ended meanwhile, by us or by the server: an answer does not bring it back.
      if (room.publications.get(publication.cid) !== publication) continue;
      if (!object?.tid) {
        if (publication.pending) await room._refusePublication(publication, new RequestError('unsupported', 'The server did not take this track.'));
        continue;
      }
      room._published(publication, object);
      if (publication.muted !== told.get(publication.cid)) {
        room._quietly(room._confirm(`mute:${publication.cid}`, 'track.mute', { cid: publication.cid, muted: publication.muted }));
      }
    }
    room._slotsChanged();
  }

  /** An offer that restarts ICE, to ride in a hello. Null while another one is under way: then it follows by itself. */
  async restartOffer() {
    if (this.over || this.#running || !this.#isAnswered || this.pc.signalingState !== 'stable') { this.needsRestart = true; return null; }
    this.#running = this.#isMounted = true;
    this.needsRestart = true;
    try {
      this.#riding = await this.#make(true);
      return this.#riding.data;
    } catch (error) {
      this.room._warn(error);
      await this.dismount();
      return null;
    }
  }

  /** The socket that the offer rode on is lost, or the offer was too long for it. */
  async dismount() {
    if (!this.#isMounted) return;
    this.#isMounted = false;
    this.#riding = null;
    if (this.pc.signalingState === 'have-local-offer') await this.pc.setLocalDescription({ type: 'rollback' }).catch(() => {});
    this.#running = false;
    this.#run();
  }

  // Sound plays in elements of our own: which voice a slot carries changes, the element does not.
  #play(slot) {
    const audio = document.createElement('audio');
    audio.autoplay = true;
    audio.hidden = true;
    audio.dataset.sfuMid = slot.mid;
    audio.srcObject = new MediaStream([slot.track]);
    document.body.append(audio);
    this.#audio.set(slot.mid, audio);
    this.room._sink(audio);
    audio.play().catch((error) => { if (error.name === 'NotAllowedError') this.room._audioBlocked(true); });
  }

  setVolume(mid, volume) { const audio = this.#audio.get(mid); if (audio) audio.volume = Math.min(1, Math.max(0, volume)); }
  audioElements() { return [...this.#audio.values()]; }

  #ice(forced) {
    if (this.closed) return;
    const state = forced ?? this.pc.iceConnectionState;
    if (state === 'connected' || state === 'completed') {
      clearTimeout(this.#timer);
      this.connected = true;
      this.#restarts = 0;
      this.room._mediaChanged(this);
      return;
    }
    if (state === 'disconnected') {
      this.room._probe();
      // Whoever heard of a lost socket may have left.
      if (this.closed) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#recover(), ICE_GRACE_MS);
    } else if (state === 'failed') {
      this.#recover();
    }
    if (state === 'failed' || state === 'disconnected') this.connected = false;
    this.room._mediaChanged(this);
  }

  /** An ICE restart keeps keys and streams; if three bring nothing, a new connection does. */
  #recover() {
    if (this.over) return;
    const iceWorks = ['connected', 'completed'].includes(this.pc.iceConnectionState);
    const dtlsFailed = iceWorks && this.pc.connectionState === 'failed';
    if (iceWorks && !dtlsFailed) return;
    if (!this.room._signalOpen) { this.needsRestart = true; return; }
    if (this.#riding) return;
    if (dtlsFailed || this.#restarts >= ICE_RESTARTS) {
      this.room._newPeer();
      return;
    }
    this.#restarts += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#recover(), ICE_RESTART_MS);
    this.room._quietly(this.negotiate({ iceRestart: true }));
  }

  /** Signaling is back, perhaps with the answer to the offer that rode in the hello. */
  async resumed(answer) {
    const riding = this.#riding;
    if (riding) {
      this.#riding = null;
      if (answer?.answer && (answer.offerId ?? this.offerId) === this.offerId) {
        this.needsRestart = false;
        try { await this.#take(answer, riding); } catch (error) { this.needsRestart = true; this.room._warn(error); }
        this.room._note('media', { about: 'ICE restarted with the hello' });
      }
      await this.dismount();
    }
    if (this.over || !(this.needsRestart || (!riding && ['disconnected', 'failed'].includes(this.pc.iceConnectionState)))) return;
    this.needsRestart = false;
    this.#restarts += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#recover(), ICE_RESTART_MS);
    this.room._quietly(this.negotiate({ iceRestart: true }));
  }

  /** Negotiates no more, and plays on until it is closed. */
  retire() {
    this.retired = true;
    this.#abort.abort();
    clearTimeout(this.#timer);
    clearTimeout(this.#held);
    clearTimeout(this.#pause?.timer);
    this.#pause?.resolve();
    // A browser never answers for a connection that was closed meanwhile.
    for (const waiter of [...this.#offered, ...this.#waiters.splice(0)]) waiter.reject(replaced());
  }

  close() {
    if (this.closed) return;
    this.retire();
    this.closed = true;
    for (const audio of this.#audio.values()) { audio.srcObject = null; audio.remove(); }
    this.#audio.clear();
    this.pc.oniceconnectionstatechange = this.pc.onconnectionstatechange = null;
    this.pc.close();
  }
}

/** The numbers of a statistics report, against the one before it. */
export function digestStats(report, before, trackToMid = new Map()) {
  const next = { at: 0, bytes: new Map() };
  const receive = new Map();
  const send = new Map();
  const all = [...report.values()];
  const codec = (id) => all.find((one) => one.id === id)?.mimeType?.split('/')[1]?.toLowerCase() ?? '';
  const kbps = (stat, bytes) => {
    next.bytes.set(stat.id, { at: stat.timestamp, bytes });
    const had = before?.bytes.get(stat.id);
    return had && stat.timestamp > had.at ? Math.max(0, Math.round((bytes - had.bytes) * 8 / (stat.timestamp - had.at))) : 0;
  };
  for (const stat of all) {
    if (stat.type === 'inbound-rtp') {
      const mid = stat.mid ?? trackToMid.get(stat.trackIdentifier);
      if (mid === undefined) continue;
      const lost = Math.max(0, stat.packetsLost ?? 0);
      const packets = stat.packetsReceived ?? 0;
      receive.set(mid, {
        kind: stat.kind, width: stat.frameWidth ?? 0, height: stat.frameHeight ?? 0, fps: Math.round(stat.framesPerSecond ?? 0),
        kbps: kbps(stat, stat.bytesReceived ?? 0), codec: codec(stat.codecId), packets, lost,
        lossPercent: packets + lost ? Math.round(1000 * lost / (packets + lost)) / 10 : 0, jitterMs: Math.round((stat.jitter ?? 0) * 1000),
        frames: stat.framesDecoded ?? 0, level: stat.audioLevel ?? 0, freezes: stat.freezeCount ?? 0,
      });
    } else if (stat.type === 'outbound-rtp' && stat.mid !== undefined) {
      const limit = stat.qualityLimitationReason;
      const layer = {
        rid: stat.rid ?? '', width: stat.frameWidth ?? 0, height: stat.frameHeight ?? 0, fps: Math.round(stat.framesPerSecond ?? 0),
        kbps: kbps(stat, stat.bytesSent ?? 0), active: stat.active !== false, codec: codec(stat.codecId),
        ...(limit && limit !== 'none' ? { limit } : {}),
      };
      send.set(stat.mid, [...(send.get(stat.mid) ?? []), layer]);
    }
  }
  for (const layers of send.values()) layers.sort((a, b) => a.width - b.width);
  const pair = all.find((one) => one.type === 'candidate-pair' && one.nominated && one.state === 'succeeded' && one.currentRoundTripTime !== undefined)
    ?? all.find((one) => one.type === 'candidate-pair' && one.nominated && one.state === 'succeeded');
  const local = all.find((one) => one.id === pair?.localCandidateId);
  const total = (map, of) => [...map.values()].flatMap(of).reduce((sum, one) => sum + one.kbps, 0);
  return {
    next, receive, send,
    rttMs: pair?.currentRoundTripTime === undefined ? null : Math.round(pair.currentRoundTripTime * 1000),
    protocol: local?.protocol ?? null,
    availableSendKbps: pair?.availableOutgoingBitrate ? Math.round(pair.availableOutgoingBitrate / 1000) : null,
    receiveKbps: total(receive, (one) => [one]), sendKbps: total(send, (layers) => layers),
  };
}

// ─── tiles ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** A rectangle that shows a publication and tells the server how large it is. */
export class Tile extends EventTarget {
  state = 'empty'; publication = null; width = 0; height = 0;
  #target; #priority; #maxFps; #inView = true; #resize = null; #intersection = null; #own = false; #track = null; #frame = 0;
  #watching = false; #playing = false; #shown = null;

  constructor(room, element, target, { source, priority = 100, maxFps = 0, observe = true } = {}) {
    super();
    Object.assign(this, { room, element, source, observe });
    this.#priority = priority;
    this.#maxFps = maxFps;
    this.#own = !(element instanceof HTMLVideoElement);
    this.video = this.#own ? document.createElement('video') : element;
    this.video.autoplay = this.video.playsInline = this.video.muted = true;
    if (this.#own) element.prepend(this.video);
    this.#target = target;
    if (observe) this.#observe();
    this.refresh();
  }

  get target() { return this.#target; }
  set target(target) { this.#target = target; this.refresh(); this.room._viewChanged(); }
  get priority() { return this.#priority; }
  set priority(priority) { if (priority !== this.#priority) { this.#priority = priority; this.room._viewChanged(); } }
  get maxFps() { return this.#maxFps; }
  set maxFps(maxFps) { if (maxFps !== this.#maxFps) { this.#maxFps = maxFps; this.room._viewChanged(); } }

  /** What the server sends of the publication now; null while it sends nothing, and for our own. */
  get layer() {
    const slot = this.publication?.slot;
    if (!slot || slot.layer === null) return null;
    const { layer: spatial, temporalLayer: temporal, width, height, reason } = slot;
    return { spatial, temporal, width, height, reason };
  }

  #observe() {
    const measure = (width, height) => {
      const isGone = this.width * this.height > 0 && width * height === 0;
      this.width = width;
      this.height = height;
      this.room._viewChanged(isGone);
    };
    if (typeof ResizeObserver !== 'undefined') {
      this.#resize = new ResizeObserver(([entry]) => measure(entry.contentRect.width, entry.contentRect.height));
      this.#resize.observe(this.element);
    }
    const box = this.element.getBoundingClientRect();
    measure(box.width, box.height);
    if (typeof IntersectionObserver !== 'undefined') {
      this.#intersection = new IntersectionObserver((entries) => {
        this.#inView = entries[entries.length - 1].isIntersecting;
        this.room._viewChanged(!this.#inView);
      });
      this.#intersection.observe(this.element);
    }
  }

  /** What this tile asks for; null while it shows nothing of anybody else. */
  wish(pageHidden) {
    const { publication } = this;
    if (!publication || publication.isLocal || !publication.tid || publication.kind !== 'video' || !this.observe) return null;
    const scale = globalThis.devicePixelRatio || 1;
    const floating = document.pictureInPictureElement === this.video;
    const visible = floating || (!pageHidden && this.#inView && this.width > 0 && this.height > 0);
    return {
      tid: publication.tid, w: Math.round(this.width * scale), h: Math.round(this.height * scale),
      visible, priority: this.priority, maxFps: this.maxFps,
    };
  }

  /** Finds the publication, its slot and its track anew; called whenever one of them may have changed. */
  refresh() {
    const target = this.#target;
    const publication = target instanceof Publication ? target : target?.get(this.source ?? 'camera') ?? null;
    this.publication = publication;
    let track = publication?.track ?? null;
    // While a new connection comes up the old picture stays.
    if (!track && publication && !publication.isLocal && this.room._rebuilding && this.#track?.readyState === 'live') track = this.#track;
    if (track !== this.#track) {
      this.#track = track;
      this.#frame += 1;
      this.#watching = this.#playing = false;
      this.video.srcObject = track ? new MediaStream([track]) : null;
    }
    if (publication?.muted) { this.#frame += 1; this.#watching = this.#playing = false; }
    else if (track && !this.#watching) this.#watch();
    const slot = publication?.slot;
    const state = !publication ? 'empty' : publication.muted ? 'muted'
      : slot?.paused && ['bandwidth', 'codec', 'publisher'].includes(slot.reason) ? 'paused'
        : this.#playing && track ? 'playing' : 'waiting';
    const changed = state !== this.state || publication !== this.#shown;
    this.state = state;
    this.#shown = publication;
    this.element.dataset.sfuState = state;
    if (changed) this.dispatchEvent(new CustomEvent('change'));
  }

  /** A tile plays when the first frame of this publication is on the screen, not when somebody says so. */
  #watch() {
    const generation = this.#frame;
    this.#watching = true;
    const seen = () => {
      if (generation !== this.#frame) return;
      this.#playing = true;
      this.refresh();
    };
    this.video.play?.().catch(() => {});
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(seen);
    else this.video.addEventListener('loadeddata', seen, { once: true });
  }

  info() { return this.publication ? this.room._info(this.publication) : null; }

  close() {
    this.#resize?.disconnect();
    this.#intersection?.disconnect();
    this.#frame += 1;
    this.video.srcObject = null;
    if (this.#own) this.video.remove();
    this.room._closeTile(this);
  }
}

// ─── room ────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * A call that we are in. What the application wants (publications, mutes, subscriptions, tiles, hand, name) outlives
 * sockets, sessions and connections; all three are rebuilt from it. What is confirmed comes from the server alone, and
 * of two versions of an object the one with the higher `rev` counts.
 */
export class Room extends EventTarget {
  sid = ''; grants = {}; limits = {}; audioBlocked = false; locked = false; hasLobby = false; meta = {}; waiting = false; spotlight = null;
  participants = new Map(); publications = new Map(); slots = new Map(); speakers = { dominant: null, active: [] }; _qualities = new Map();
  /** Who waits to be admitted, by pid; empty for those who may not admit. */
  lobby = new Map();
  /** Keys of what we want and the server has not confirmed yet: `mute:…`, `hand`, `me`, `subscribe:…`. */
  pending = new Set();
  /** What happened to the connection, newest last. */
  timeline = [];
  _rebuilding = false;
  #signal; #peer = null; #gen = 0; #old = null; #oldTimer = null; #byTid = new Map(); #linked = []; #seen = null; #joined = null;
  #tiles = new Set(); #usesTiles = false; #view = { timer: null, isNow: false, sent: '', busy: false, again: false }; #demands = new Map();
  #subscriptions = new Map(); #auto; #volumes = new Map(); #devices = {}; #sinkId = ''; #hidden = false; #hideTimer = null;
  #guard = new UplinkGuard(); #uplinkStats = null;
  #stats = null; #statsAt = 0; #statsWork = null; #unlisten = []; #queues = new Set(); #iceFailed = false; #wasLive = false;
  #saved = null; #session = null; #savedCids = {}; #epoch = ''; #outcome = ''; #settle = { ms: 0, timer: null, pids: new Set() };
  #wants = { hand: false, me: {} }; #confirming = new Map(); #seenData = new Set(); #networkChanged = false; #troubleAt = 0;
  #slow = ''; #heardAudio = null; #gaps = 0; #lostRelay = 0; #ended = new Map(); #syncing = null;

  constructor(options, did) {
    super();
    this.options = options;
    this.did = did;
    this.name = options.room ?? '';
    this.url = socketURL(options);
    this.me = new Participant(this, true);
    this.#auto = options.autoSubscribe ?? true;
    this.#saved = savedSession(did, this.url);
    this.#gen = this.#saved?.gen ?? 0;
    this.#savedCids = { ...this.#saved?.cids };
    this.status = { state: 'connecting', since: Date.now(), text: 'Connecting…' };
    for (const { track, ...rest } of options.publish ?? []) this.#want(track, rest);
  }

  get peerConnection() { return this.#peer?.pc ?? null; }
  get _signalOpen() { return this.#signal.open; }

  // Events.

  _emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
    for (const queue of this.#queues) queue({ ...detail, type });
  }
  on(type, listener) {
    const wrapped = (event) => listener(event.detail);
    this.addEventListener(type, wrapped);
    return () => this.removeEventListener(type, wrapped);
  }
  once(type) {
    return new Promise((resolve) => this.addEventListener(type, (event) => resolve(event.detail), { once: true }));
  }
  async *[Symbol.asyncIterator]() {
    const waiting = [];
    let wake = () => {};
    const queue = (event) => { waiting.push(event); wake(); };
    this.#queues.add(queue);
    try {
      while (true) {
        while (waiting.length) {
          const event = waiting.shift();
          yield event;
          if (event.type === 'ended') return;
        }
        if (this.status.state === 'ended') return;
        await new Promise((resolve) => { wake = resolve; });
      }
    } finally {
      this.#queues.delete(queue);
    }
  }

  // Joining and leaving.

  _join() {
    const { options } = this;
    return new Promise((resolve, reject) => {
      this.#joined = { resolve, reject };
      this.#signal = new Signal({
        url: this.url, attempts: options.attempts ?? 4, canRenew: !!options.getToken, saved: this.#saved,
        visible: () => !browser || !document.hidden, WebSocket: options.WebSocket ?? globalThis.WebSocket,
        trace: typeof options.trace === 'function' ? options.trace : () => traceparent(options.trace),
        hello: (resume, renew) => this.#hello(resume, renew),
        on: {
          welcome: (data, how) => this.#welcome(data, how),
          event: (type, data, envelope) => this.#event(type, data, envelope),
          refused: ({ error }) => { if (error) this._warn(new RequestError(error.code, error.message, error)); },
          state: (state, how) => this._signalChanged(state, how),
          needsUser: (ended) => this.#emitNeedsUser(ended),
          resumed: (how) => this.#resumed(how),
          session: (session) => { this.#session = session; this.#save(); },
          note: (what, detail) => this._note(what, detail),
          ended: (ended) => this.#end(ended),
        },
      });
      const giveUp = () => {
        reject(new SFUError('cancelled', 'Joining was given up: the server did not let us in in time.', { retryable: true }));
        this.leave('aborted');
      };
      this.#joined.over = () => options.signal?.removeEventListener('abort', giveUp);
      // It may have been given up while the device was looked for.
      if (options.signal?.aborted) { giveUp(); return; }
      options.signal?.addEventListener('abort', giveUp, { once: true });
      this.#listen();
      this.#signal.start();
    });
  }

  async #hello(resume, renew) {
    const { options } = this;
    const caps = ['batch'];
    const device = { did: this.did, kind: 'web' };
    if (resume) {
      // The session's token says who we are; a new one beside it may have to make a new session.
      const hello = { resume, caps, ...(renew ? { token: await this.#newToken(), device } : {}) };
      const pc = await this.#restartOffer();
      if (!pc) return hello;
      const whole = { ...hello, pc };
      const bytes = new TextEncoder().encode(JSON.stringify({ type: 'hello', v: '1.0', data: whole })).length;
      if (bytes <= (this.limits.hello ?? HELLO_BYTES)) return whole;
      await this.#peer.dismount();
      return hello;
    }
    const client = { sdk: 'js', ver: VERSION, ...(browser ? { ua: navigator.userAgent.slice(0, 200), net: navigator.connection?.effectiveType } : {}) };
    const token = renew || !options.token ? await this.#newToken() : options.token;
    const who = token ? { token } : { user: { uid: options.user?.uid ?? this.did, name: options.user?.name } };
    return { ...who, device, caps, client };
  }

  async #newToken() {
    const token = await this.options.getToken?.();
    if (token) this.options = { ...this.options, token };
    return token ?? this.options.token;
  }

  /** The path of the media may be another one: its restart rides in the hello. */
  async #restartOffer() {
    const peer = this.#peer;
    if (!peer || (peer.connected && !peer.needsRestart && !this.#networkChanged)) return null;
    return peer.restartOffer();
  }

  _signalChanged(state) {
    if (state === 'waiting' || state === 'needsUser') this.#peer?.dismount();
    this.#updateStatus();
    if (state !== 'live') return;
    this.#viewAnew();
    this.#reconcile();
  }

  #emitNeedsUser(ended) {
    this.#updateStatus(ended);
    this._emit('needsUser', ended);
    if (!this.#joined) return;
    // Nobody has the room yet who could bring another token.
    this.#joined.reject(new EndedError(ended.code, ended.reason, ended.text));
    this.leave(ended.reason);
  }

  /** After the status `needsUser`: comes back with another token, from `getToken` where none is given. */
  authenticate(token) {
    if (token) this.options = { ...this.options, token, getToken: this.options.getToken ?? (() => token) };
    this.#signal.again();
  }

  /** What a reload of this page needs to come back as the same participant. */
  #save() {
    const key = sessionKey(this.did);
    if (!this.#session) { storage.set(key, null); return; }
    storage.set(key, { ...this.#session, url: this.url, gen: this.#gen, cids: this.#cidsNow(), at: Date.now() });
  }

  #listen() {
    this.#heardAudio = null;
    const quality = setInterval(() => this.#quality(), TICK_MS);
    let halves = 0;
    const uplink = setInterval(() => this.#watchUplink(++halves % 2 > 0), UPLINK_MS / 2);
    this.#unlisten.push(() => clearInterval(quality), () => clearInterval(uplink));
    if (!browser) return;
    const listen = (target, type, handler) => {
      target?.addEventListener?.(type, handler);
      this.#unlisten.push(() => target?.removeEventListener?.(type, handler));
    };
    const probe = () => this._probe();
    const moved = () => { this.#networkChanged = true; this._note('network', { online: navigator.onLine }); probe(); };
    listen(window, 'online', moved);
    listen(window, 'offline', () => {
      this._note('network', { online: false });
      if (this.#signal.open) probe();
      this.#updateStatus();
    });
    listen(navigator.connection, 'change', moved);
    listen(window, 'pageshow', probe);
    listen(document, 'resume', probe);
    listen(window, 'pagehide', (event) => { if (!event.persisted) this.#pageCloses(); });
    this.#watchPixelRatio();
    listen(document, 'visibilitychange', () => {
      clearTimeout(this.#hideTimer);
      const apply = () => { this.#hidden = document.hidden; this._viewChanged(true); };
      // A glance at another tab costs no key frames.
      if (document.hidden) { this.#save(); this.#hideTimer = setTimeout(apply, 1_500); }
      else { apply(); probe(); }
    });
  }

  /**
   * Nobody can tell a reload from the end of a page. A media connection that was up is closed in order: the server sees that, waits a
   * few seconds for the page to come back, and then the participant has left. Without one we leave at once, and come back all the same.
   */
  #pageCloses() {
    if (!this.#session || storage.get(sessionKey(this.did)) === null) { this.leave('pagehide'); return; }
    this.#save();
    if (!this.#peer?.connected) this.#signal.notify('leave', { reason: 'pagehide' });
    // Some browsers have closed the socket by now; what is saved does not depend on it.
    this.#signal.suspend();
    this.#peer?.close();
  }

  /** A window that moves to another screen has as many CSS pixels as before, and other pixels. */
  #watchPixelRatio() {
    const query = globalThis.matchMedia?.(`(resolution: ${globalThis.devicePixelRatio || 1}dppx)`);
    const changed = () => { this._viewChanged(); this.#watchPixelRatio(); };
    query?.addEventListener?.('change', changed, { once: true });
    this.#unlisten.push(() => query?.removeEventListener?.('change', changed));
  }

  _probe() { this.#signal.probe(); }

  async leave(reason = 'left') {
    if (this.status.state !== 'ended') this.#signal.leave(reason);
  }

  #end(how) {
    const ended = this.waiting && how.code === 4100 ? { ...how, reason: 'denied', text: 'You were not let in.' } : how;
    for (const off of this.#unlisten.splice(0)) off();
    clearTimeout(this.#view.timer);
    clearTimeout(this.#hideTimer);
    clearTimeout(this.#oldTimer);
    clearTimeout(this.#settle.timer);
    for (const publication of this.publications.values()) publication.release();
    this.#old?.close();
    this.#peer?.close();
    devicesInUse.delete(this.did);
    this.#setStatus({ state: 'ended', text: ended.text, ended });
    this._emit('ended', ended);
    const error = ended.code ? new EndedError(ended.code, ended.reason, ended.text)
      : new ConnectionError(ended.reason, ended.text, { retryable: true });
    for (const publication of this.publications.values()) publication.refuse(error);
    this.#joined?.reject(error);
    this.#joined?.over();
    this.#joined = null;
  }

  #setStatus(next) {
    const now = this.status;
    if (now.state === next.state && now.what === next.what && now.text === next.text) return;
    this.status = { since: Date.now(), ...next };
    this._note('status', { state: next.state, ...(next.what ? { part: next.what } : {}) });
    this._emit('status', this.status);
  }

  #updateStatus(ended) {
    const { state, open } = this.#signal;
    if (state === 'ended') return;
    const media = !!(this.#peer?.connected || (this._rebuilding && this.#old?.connected));
    if (state === 'needsUser' && (ended || this.status.state === 'needsUser')) {
      this.#setStatus({ state: 'needsUser', text: ended?.text ?? this.status.text, ...(ended ? { ended } : {}) });
      return;
    }
    const status = describeStatus({
      isLive: state === 'live', isOpen: open, isDialing: state !== 'waiting', hasMedia: media, wasLive: this.#wasLive,
      isWaiting: this.waiting, isBlocked: this.#iceFailed, slow: this.#slow, isOffline: browser && navigator.onLine === false,
      isLong: this.#troubleAt > 0 && Date.now() - this.#troubleAt >= LONG_MS,
    });
    // Trouble has one beginning, however it changes.
    this.#troubleAt = ['reconnecting', 'syncing'].includes(status.state) ? this.#troubleAt || this.#signal.lostAt || Date.now() : 0;
    this.#setStatus(this.#troubleAt ? { ...status, since: this.#troubleAt } : status);
  }

  #welcome(data, { outcome, isAnew, isAgain, declares }) {
    this.sid = data.sid;
    this.name = data.room?.id ?? this.name;
    this.limits = data.limits ?? {};
    for (const publication of this.publications.values()) publication._limit();
    this.#outcome = outcome;
    this.#settle.ms = data.settleMs ?? 0;
    this.#networkChanged = false;
    if ((data.room?.epoch ?? '') !== this.#epoch) this.#forgetRevisions(data.room?.epoch ?? '');
    this.me._apply({ pid: data.pid, uid: data.uid, role: data.role, name: this.me.name || this.options.user?.name });
    this.#permit({ role: data.role, grants: data.grants ?? {} });
    this.#roomObject(data.room ?? {});
    this.#view.sent = '';
    const wasWaiting = this.waiting;
    this.waiting = data.waiting ?? false;
    if (this.waiting) { this.#arrive(); return; }
    // Whoever heard of the above may have left.
    if (!this.#signal.open) return;
    this.#connectMedia(isAnew, data.pc);
    if (wasWaiting) this._emit('admitted', {});
    if (declares) this.#declare();
    else if (!isAgain) this.#subscribeAsWanted();
  }

  #connectMedia(isAnew, answer) {
    if (isAnew || !this.#peer) this._newPeer(); else this._quietly(this.#peer.resumed(answer));
  }

  #subscribeAsWanted() {
    const set = [...this.#subscriptions.values()];
    if (set.length || !this.#auto) this._quietly(this.request('sub.update', { set, auto: this.#auto }));
  }

  /** We were let in from the waiting room. */
  #admitted() {
    if (!this.waiting) return;
    this.waiting = false;
    if (!this.#peer) { this._newPeer(); this.#subscribeAsWanted(); }
    this._emit('admitted', {});
    this.#updateStatus();
    // What was wanted before could not be told.
    this.#reconcile();
  }

  /** Numbers of another epoch cannot be compared. */
  #forgetRevisions(epoch) {
    this.#epoch = epoch;
    this.#ended.clear();
    for (const one of [this.me, ...this.participants.values()]) {
      one.rev = 0;
      for (const publication of one.publications.values()) publication.rev = 0;
    }
  }

  /** Everything that is wanted, as one declaration; the server makes it so, whatever it knew before. */
  get desired() {
    const { hand, me } = this.#wants;
    return {
      publications: [...this.publications.values()].map(({ cid, kind, source, name, muted }) => ({ cid, kind, source, muted, ...(name ? { name } : {}) })),
      subscriptions: { auto: this.#auto, set: [...this.#subscriptions.values()] },
      view: { tiles: this.#usesTiles ? this.#tilesWanted() : [] },
      hand, ...me,
    };
  }

  /** Tells the server `desired`; what it answers counts by its revisions. Resolves with the cids that need an offer. */
  async #sync(options) {
    const { name, attrs, ...rest } = this.desired;
    // To the server a list of attributes is the whole of them.
    const all = attrs && Object.fromEntries(Object.entries({ ...this.me.attrs, ...attrs }).filter(([, value]) => value !== null));
    const desired = { ...rest, ...(all ? { attrs: all } : {}) };
    const { tracks = [], missing = [] } = await this.request('sync', { desired }, options);
    for (const object of tracks) {
      const mine = this.publications.get(object.cid);
      if (!mine || object.rev < mine.rev) continue;
      mine._apply(object);
      // A moderator has muted it meanwhile, for good.
      if (object.muted && object.locked && !mine.muted) this._quietly(mine.setMuted(true));
    }
    if (missing.length) this._note('media', { about: 'to be offered', cids: missing });
    return missing;
  }

  async #declare() {
    try {
      await this.#sync({ isFirst: true });
    } catch (error) {
      if (error.code !== 'session_lost') this._warn(error);
    }
    this.#signal.declared();
  }

  /**
   * What a request was answered is lost, though not what it did. What only asks is asked again, and what the server knows by
   * its name is said again; for the rest everything wanted is declared, and the answer is empty. Several share a declaration.
   */
  async #applied(type, data, options) {
    this._note('applied', { type });
    if (REPEATABLE.has(type) || (type === 'data.send' && data.mid !== undefined)) return this.#signal.request(type, data, options);
    this.#syncing ??= this.#sync({ isFirst: true }).then(async (missing) => {
      const { hand } = this.#wants;
      if (hand !== this.me.hand) this.me.handAt = hand ? Date.now() : null;
      this._emit('updated', { participant: this.me });
      const peer = this.#peer;
      if (missing.length && peer && !peer.isNew) this._quietly(peer.negotiate());
    }).finally(() => { this.#syncing = null; });
    await this.#syncing;
    return {};
  }

  /** What a session that the server made anew does not know yet. */
  #reconcile() {
    if (this.waiting) return;
    const { hand, me } = this.#wants;
    if (hand !== this.me.hand && !this.pending.has('hand')) this._quietly(this.raiseHand(hand));
    const differs = (me.name !== undefined && me.name !== this.me.name)
      || Object.entries(me.attrs ?? {}).some(([key, value]) => (this.me.attrs[key] ?? null) !== value);
    if (differs && !this.pending.has('me')) this._quietly(this.updateMe(me));
  }

  #resumed({ ms, lastSeq }) {
    const { resumes } = this.#signal;
    this._note('resumed', { ms, outcome: this.#outcome });
    this._emit('resumed', { ms, outcome: this.#outcome });
    this.#signal.notify('diag.report', { lastSeq, gaps: this.#gaps, resumes, timeToResumeMs: ms, note: this.#outcome });
  }

  _note(what, detail = {}) {
    if (what === 'gap') this.#gaps += 1;
    this.timeline.push({ at: Date.now(), what, ...detail });
    if (this.timeline.length > MAX_TIMELINE) this.timeline.shift();
  }
  _warn(error) {
    this._note('warning', { code: error.code, text: error.message });
    this._emit('warning', { error });
  }

  /** A new connection with everything wanted; the old one plays until the new one does. */
  _newPeer() {
    const before = this.#peer;
    before?.retire();
    if (before?.connected && !this.#old) this.#old = before;
    else before?.close();
    clearTimeout(this.#oldTimer);
    if (this.#old) this.#oldTimer = setTimeout(() => this.#dropOld(), OLD_PEER_MS);
    this._rebuilding = !!this.#old;
    const peer = new Peer(this, ++this.#gen);
    this.#peer = peer;
    // After a reload the others go on seeing the same tracks if the first offer has them.
    if (!before && Object.keys(this.#savedCids).length) peer.hold(HOLD_MS);
    this._note('media', { about: 'new connection', gen: this.#gen });
    this.#save();
    this.slots.clear();
    this.#demands.clear();
    // Nothing is known of its network, and its senders begin with everything on.
    if (this.#guard.reset()) this.#uplinkChanged();
    this.#uplinkStats = null;
    for (const publication of this.publications.values()) {
      publication.forgetDemand();
      Object.assign(publication, { transceiver: null, tid: '', rev: 0, pending: true });
      peer.send(publication);
    }
    this._quietly(peer.negotiate());
    this._slotsChanged();
  }

  #dropOld() {
    const old = this.#old;
    clearTimeout(this.#oldTimer);
    this.#old = null;
    this._rebuilding = false;
    old?.close();
    this._slotsChanged();
    this.#updateStatus();
  }

  _mediaChanged(peer) {
    if (peer === this.#peer) {
      this.#iceFailed = !peer.connected && (this.#iceFailed || peer.pc.iceConnectionState === 'failed');
      this.#wasLive ||= peer.connected;
      if (peer.connected && this.#old) this.#dropOld();
      this._note('media', { ice: peer.pc.iceConnectionState });
    }
    this.#updateStatus();
  }

  /** Waits for nothing: a failure is a warning, since `desired` is tried again with the next connection. */
  _quietly(promise) {
    return promise.catch((error) => { if (error.code !== 'session_lost' && !(error instanceof EndedError)) this._warn(error); });
  }

  /** A request for something that is wanted: until it is confirmed its key is in `pending`, and a newer wish replaces it. */
  async _confirm(key, type, data) {
    const mark = {};
    this.#confirming.set(key, mark);
    this.#setPending(key, true);
    try {
      return await this.request(type, data, { key });
    } finally {
      if (this.#confirming.get(key) === mark) { this.#confirming.delete(key); this.#setPending(key, false); }
    }
  }

  #setPending(key, isPending) {
    if (this.pending.has(key) === isPending) return;
    if (isPending) this.pending.add(key); else this.pending.delete(key);
    this._emit('pending', { key, isPending });
  }

  async request(type, data, options) {
    try {
      return await this.#signal.request(type, data, options);
    } catch (error) {
      // Of an offer there is nothing to be declared: who made it makes another connection.
      if (error.code !== 'already_applied' || type === 'pc.offer') throw error;
      return this.#applied(type, data, options);
    }
  }

  // Events of the protocol.

  #event(type, data, envelope) {
    if (this.waiting && type === 'snapshot' && !data.standing?.waiting) this.#admitted();
    switch (type) {
      case 'snapshot': this.#snapshot(data); break;
      case 'delta': this.#delta(data); break;
      case 'roster': this.#roster(data); break;
      case 'slots': this.#setSlots([data]); break;
      case 'speakers': this.#speakers(data); break;
      case 'quality': this.#qualityChanged(data); break;
      case 'levels': for (const { pid, level } of data.active ?? []) { const one = this.#find(pid); if (one) one.level = level / 127; } break;
      case 'conn': this.#change(data.pid, (one) => { one.conn = data.conn; }); break;
      case 'track.muted': this.#muted(data); break;
      case 'track.layers': this.#change(data.pid, () => this.#byTid.get(data.tid)?._apply({ codec: data.codec, layers: data.layers })); break;
      case 'pc.need': this.#need(data); break;
      case 'pc.restart': this.#restartMedia(data); break;
      case 'demand': this.#demand(data); break;
      case 'auth.expiring': this._quietly(this.#refreshToken(data.inMs)); break;
      default: this.#peopleEvent(type, data);
    }
    this._emit('message', { name: type, data, seq: envelope.seq, rev: envelope.rev });
  }

  #peopleEvent(type, data) {
    switch (type) {
      case 'data': this.#data(data); break;
      case 'reaction': this._emit('reaction', { participant: this.#find(data.pid) ?? null, uid: data.uid, emoji: data.emoji }); break;
      case 'room.updated': this.#roomObject(data.room ?? {}, data.by); break;
      case 'room.move': this._emit('move', data); break;
      case 'me.permissions': this.#permit(data); break;
      case 'mod.muted': this.#forceMuted(data); break;
      case 'mod.unmuteRequest': this.#askedToUnmute(data); break;
      case 'mod.stopped': for (const tid of data.tids ?? []) this.#endOwn(tid, data.by); break;
      case 'lobby.waiting': this.#lobbyChanged('waiting', data.waiting ?? data); break;
      case 'lobby.admitted': if (data.pid === this.me.pid) this.#admitted(); else this.#lobbyChanged('admitted', data); break;
      case 'lobby.denied': this.#lobbyChanged('denied', data); break;
      case 'lobby.left': this.#lobbyChanged('left', data); break;
      default: break;
    }
  }

  #find(pid) { return pid === this.me.pid ? this.me : this.participants.get(pid); }
  #ownByTid(tid) { return tid ? [...this.publications.values()].find((one) => one.tid === tid) : undefined; }
  #change(pid, change) {
    const participant = this.#find(pid);
    if (!participant) return;
    change(participant);
    this._emit('updated', { participant });
  }

  // Who is here.

  #snapshot(data) {
    if ((data.page ?? 1) === 1) this.#seen = new Set();
    for (const object of data.participants ?? []) this.#upsert(object);
    this.#ownState((data.page ?? 1) === 1 ? { ...data, speakers: data.speakers ?? {}, qualities: data.qualities ?? [] } : data);
    if ((data.page ?? 1) < (data.of ?? 1)) return;
    const missing = [...this.participants.keys()].filter((pid) => !this.#seen?.has(pid));
    this.#seen = null;
    this.#missing(missing);
    this.#arrive();
  }

  #delta(data) {
    this.#roster({ updated: data.changed, left: data.left });
    this.#ownState((data.page ?? 1) === 1 ? { ...data, qualities: data.qualities ?? [] } : data);
    if ((data.page ?? 1) >= (data.of ?? 1)) this.#arrive();
  }

  /** What snapshots and deltas say beside the roster. */
  #ownState({ slots, speakers, qualities, standing, relay }) {
    if (slots) this.#setSlots(slots);
    if (speakers) this.#speakers(speakers);
    if (qualities) {
      const gone = [...this._qualities.keys()].filter((pid) => !qualities.some((one) => one.pid === pid));
      for (const one of [...gone.map((pid) => ({ pid })), ...qualities]) this.#qualityChanged(one);
    }
    if (relay?.lost > 0 || relay?.unknown) {
      this.#lostRelay += relay.lost;
      this._emit('dataLost', { lost: relay.lost, isUnknown: relay.unknown === true });
    }
    if (!standing) return;
    this.#roomObject(standing.room ?? {});
    if (standing.me) this.#permit(standing.me);
    this.lobby.clear();
    for (const one of standing.lobby ?? []) this.lobby.set(one.pid, one);
    this._emit('lobby', { waiting: [...this.lobby.values()] });
    for (const wish of standing.unmute ?? []) this.#askedToUnmute(wish);
    if (standing.move) this._emit('move', standing.move);
  }

  /** Members in no page are gone; after a restart of the server they may still be on their way back. */
  #missing(pids) {
    if (this.status.state === 'ended') return;
    const settle = this.#settle;
    clearTimeout(settle.timer);
    settle.pids = new Set(settle.ms > 0 ? pids : []);
    if (!settle.pids.size) { for (const pid of pids) this.#remove(pid, 'left'); return; }
    for (const pid of pids) this.#change(pid, (one) => { one.conn = 'reconnecting'; });
    settle.timer = setTimeout(() => { for (const pid of settle.pids) this.#remove(pid, 'timeout'); settle.pids.clear(); }, settle.ms);
    settle.ms = 0;
  }

  #arrive() {
    this.#joined?.resolve(this);
    this.#joined?.over();
    this.#joined = null;
  }

  #roster({ joined = [], updated = [], left = [] }) {
    for (const object of [...joined, ...updated]) this.#upsert(object);
    for (const one of left) {
      const pid = one.pid ?? one;
      const known = this.participants.get(pid);
      if (one.rev < known?.rev) continue;
      this.#bury(pid, one.rev);
      if (known) this.#remove(pid, one.reason);
    }
  }

  /** Whatever is said of it with no higher revision is old news. */
  #bury(id, rev) {
    if (rev === undefined || rev < this.#ended.get(id)) return;
    this.#ended.delete(id);
    this.#ended.set(id, rev);
    if (this.#ended.size > MAX_ENDED) this.#ended.delete(this.#ended.keys().next().value);
  }
  #isOver(id, rev) { return this.#ended.has(id) && rev !== undefined && rev <= this.#ended.get(id); }

  #upsert(object) {
    if (this.#isOver(object.pid, object.rev)) return;
    // Also those who come while the pages of a snapshot do.
    this.#seen?.add(object.pid);
    this.#settle.pids.delete(object.pid);
    if (object.pid === this.me.pid) { this.#upsertMe(object); return; }
    let participant = this.participants.get(object.pid);
    for (const pid of participant ? [] : object.replaces ?? []) {
      participant = this.participants.get(pid);
      if (participant) {
        this.participants.delete(pid);
        this.#settle.pids.delete(pid);
        this.participants.set(object.pid, participant);
        break;
      }
    }
    const isNew = !participant;
    participant ??= new Participant(this);
    if (!isNew && participant.pid === object.pid && object.rev !== undefined && object.rev < participant.rev) return;
    participant._apply(object);
    participant.attrs = object.attrs ?? {};
    participant.handAt = object.hand ?? null;
    this.participants.set(participant.pid, participant);
    this._emit(isNew ? 'joined' : 'updated', { participant });
    if (object.tracks) this.#tracks(participant, object.tracks.filter((one) => !this.#isOver(one.tid, one.rev ?? object.rev)), object.rev);
  }

  #upsertMe(object) {
    if (object.rev !== undefined && object.rev < this.me.rev) return;
    const isFirst = this.me.rev === 0 && this.#outcome !== 'fresh' && !this.#wants.hand && !this.pending.has('hand');
    this.me._apply(object);
    this.me.attrs = object.attrs ?? {};
    this.me.handAt = object.hand ?? null;
    // A page that was reloaded, and a moderator who lowers hands: what the server says is what we want.
    if (!this.pending.has('hand') && (isFirst || this.#signal.state === 'live')) this.#wants.hand = this.me.hand;
    for (const track of object.tracks ?? []) { const mine = this.publications.get(track.cid); if (mine?.tid === track.tid) mine._apply(track); }
    this._emit('updated', { participant: this.me });
  }

  #tracks(participant, objects, rev) {
    const keep = new Set(objects.map((object) => object.tid));
    for (const [tid, publication] of participant.publications) if (!keep.has(tid)) this.#removePublication(publication, rev);
    for (const object of objects) {
      let publication = participant.publications.get(object.tid);
      const isNew = !publication;
      publication ??= new Publication(participant);
      const muted = object.muted ?? false;
      const stale = object.rev !== undefined && object.rev < publication.rev;
      publication._apply(object);
      if (isNew) {
        publication.muted = muted;
        participant.publications.set(object.tid, publication);
        this.#byTid.set(object.tid, publication);
        this._emit('published', { publication, participant });
      } else if (!stale) this.#setMuted(publication, muted);
    }
    this._slotsChanged();
  }

  #setMuted(publication, muted) {
    if (publication.muted === muted) return;
    publication.muted = muted;
    this._emit(muted ? 'muted' : 'unmuted', { publication, participant: publication.participant });
  }

  #muted({ tid, muted, rev, by, locked }) {
    const own = this.#ownByTid(tid);
    // Somebody else muted us; only we unmute ourselves.
    if (own) { if (muted && !own.muted) this._quietly(own.setMuted(true)); return; }
    const publication = this.#byTid.get(tid);
    if (!publication || (rev !== undefined && rev < publication.rev)) return;
    publication._apply({ rev, muted, mutedBy: by, locked });
    this.#setMuted(publication, muted);
    this._refreshTiles();
  }

  /** `rev`: of the news that it has ended. */
  #removePublication(publication, rev) {
    this.#bury(publication.tid, Math.max(publication.rev, rev ?? 0));
    publication.participant.publications.delete(publication.tid);
    this.#byTid.delete(publication.tid);
    this._emit('unpublished', { publication, participant: publication.participant });
  }

  #remove(pid, reason) {
    const participant = this.participants.get(pid);
    if (!participant) return;
    for (const publication of [...participant.publications.values()]) this.#removePublication(publication);
    this.participants.delete(pid);
    this._qualities.delete(pid);
    this._emit('left', { participant, reason });
    this._slotsChanged();
  }

  #speakers({ dominant, active = [] }) {
    for (const one of this.speakers.active) { one.speaking = false; one.level = 0; }
    const speaking = active.map(({ pid, level }) => {
      const one = this.#find(pid);
      if (one) { one.speaking = true; one.level = level / 127; }
      return one;
    }).filter(Boolean);
    this.speakers = { dominant: this.#find(dominant) ?? null, active: speaking };
    this._emit('speakers', this.speakers);
  }

  /** Of a participant on a later page, too: who asks for it before that finds none. */
  #qualityChanged({ pid, ...said }) {
    const quality = normalizeQuality(said);
    if (quality) this._qualities.set(pid, quality); else if (!this._qualities.delete(pid)) return;
    const participant = this.#find(pid);
    if (!participant) return;
    this._emit('quality', { participant, quality });
    if (participant.isLocal) this._refreshTiles();
  }

  #restartMedia({ mode }) {
    const peer = this.#peer;
    // It may have been said of the connection before this one, which nothing has come of yet.
    if (!peer || peer.isNew) return;
    if (mode === 'new') this._newPeer(); else this._quietly(peer.negotiate({ iceRestart: true }));
  }

  #need({ audio = 0, video = 0 }) {
    const peer = this.#peer;
    if (!peer) return;
    const before = peer.slots.length;
    peer.addSlots('audio', Math.min(audio, 16));
    peer.addSlots('video', slotsToOffer(peer.count('video'), video));
    if (peer.slots.length > before) this._quietly(peer.negotiate());
  }

  #demand({ tid, layers = [] }) {
    const own = this.#ownByTid(tid);
    if (own) own.applyDemand(layers);
    // It may come while the answer that names the track is still being applied.
    else if (!this.#ended.has(tid) && this.#demands.size < 64) this.#demands.set(tid, layers);
  }

  async #refreshToken(inMs) {
    this._emit('tokenExpiring', { inMs });
    if (!this.options.getToken) return;
    const token = await this.#newToken();
    const { role, grants } = await this.request('auth.refresh', { token });
    if (grants) this.#permit({ role, grants });
  }

  // The room and what may be done in it.

  #roomObject({ meta, locked, lobby, spotlight }, by) {
    const next = {
      meta: meta ?? this.meta, locked: locked ?? this.locked, hasLobby: lobby ?? this.hasLobby,
      spotlight: locked === undefined ? this.spotlight : spotlight ?? null,
    };
    const isChanged = Object.entries(next).some(([key, value]) => JSON.stringify(this[key]) !== JSON.stringify(value));
    Object.assign(this, next);
    if (isChanged) this._emit('room', { ...next, by: this.#find(by) ?? null });
  }

  #permit({ role, grants, ended = [], by }) {
    const isChanged = JSON.stringify([this.me.role, this.grants]) !== JSON.stringify([role ?? this.me.role, grants ?? this.grants]);
    if (role) this.me.role = role;
    this.grants = grants ?? this.grants;
    for (const tid of ended) this.#endOwn(tid, by);
    if (!this.grants.moderate) this.lobby.clear();
    if (isChanged) this._emit('permissions', { role: this.me.role, grants: this.grants, by: this.#find(by) ?? null });
  }

  /** The server has ended a publication of ours. */
  #endOwn(tid, by) {
    const own = this.#ownByTid(tid);
    if (!own) return;
    this.#bury(tid, own.rev);
    const { transceiver } = own;
    this.#forgetPublication(own);
    own.refuse(new RequestError('forbidden', 'It may not be published any more.'));
    this._emit('stopped', { publication: own, by: this.#find(by) ?? null });
    if (this.#peer && transceiver) this.#peer.unsend(own).then(() => this._quietly(this.#peer.negotiate()));
  }

  #forceMuted({ tid, muted, locked = false, by }) {
    const own = this.#ownByTid(tid);
    if (!own) return;
    Object.assign(own, { locked, mutedBy: muted ? by ?? 'server' : null });
    if (muted && !own.muted) this._quietly(own.setMuted(true));
    this._emit('forceMuted', { publication: own, muted, locked, by: this.#find(by) ?? null });
  }

  #askedToUnmute({ source = 'mic', tid, by }) {
    this._emit('unmuteRequest', { source, publication: this.#ownByTid(tid) ?? this.me.get(source), by: this.#find(by) ?? null });
  }

  #lobbyChanged(what, one) {
    if (what === 'waiting') this.lobby.set(one.pid, one);
    else if (!this.lobby.delete(one.pid)) return;
    this._emit('lobby', { waiting: [...this.lobby.values()], change: what, who: one });
  }

  /** Once, however often the server has to say it: by sender and the sender's own name for it. */
  #data({ from, uid, topic, mid, payload, self: isOwn = false }) {
    const key = `${uid ?? from ?? ''} ${mid}`;
    if (mid !== undefined) {
      if (this.#seenData.has(key)) return;
      this.#seenData.add(key);
      if (this.#seenData.size > MAX_SEEN_DATA) this.#seenData.delete(this.#seenData.values().next().value);
    }
    this._emit('data', { from: this.#find(from) ?? null, pid: from, uid, topic, mid, payload, self: isOwn });
  }

  // What people do.

  /** What is refused for good is wanted no more: said again with each session, it would be refused with each. */
  #wish(promise, takeBack) {
    const { waiting } = this;
    return promise.then(({ participant }) => { if (participant) this.#upsert(participant); }, (error) => {
      if (error instanceof RequestError && !error.retryable) takeBack();
      // The answer of the waiting room, which comes after the admission.
      if (error.code === 'not_ready' && waiting && !this.waiting) this.#reconcile();
      throw error;
    });
  }

  raiseHand(raised = true) {
    this.#wants.hand = raised;
    return this.#wish(this._confirm('hand', 'hand', { raised }), () => { if (this.#wants.hand === raised) this.#wants.hand = this.me.hand; });
  }

  /** Attributes that are null are removed. */
  updateMe({ name, attrs }) {
    const { me } = this.#wants;
    this.#wants.me = { ...me, ...(name === undefined ? {} : { name }), ...(attrs ? { attrs: { ...me.attrs, ...attrs } } : {}) };
    return this.#wish(this._confirm('me', 'me.update', this.#wants.me), () => {
      const wanted = this.#wants.me;
      if (wanted.name === name) delete wanted.name;
      for (const [key, value] of Object.entries(attrs ?? {})) if (wanted.attrs[key] === value) delete wanted.attrs[key];
    });
  }
  setName(name) { return this.updateMe({ name }); }

  /** Shown to everybody for a moment, or lost with the connection. */
  react(emoji) { this.#signal.notify('reaction', { emoji }); }

  /** A message of the application, any JSON. A reliable one arrives exactly once, also over lost connections and sessions. */
  async sendData(payload, { to, topic = '', reliable = true, mid = randomId() } = {}) {
    if (new TextEncoder().encode(JSON.stringify(payload) ?? 'null').length > DATA_BYTES) {
      throw new SFUError('too_large', 'A message has at most 15 KiB.');
    }
    const people = [to ?? []].flat().map((one) => one.pid ?? one);
    const message = { topic, mid, payload: payload ?? null, reliable, ...(people.length ? { to: people } : {}) };
    if (reliable) return this.request('data.send', message);
    this.#signal.notify('data.send', message);
    return { mid, accepted: this._signalOpen, deliveredTo: 0 };
  }

  // What moderators do; each needs the grant `moderate`.

  #target(target) { return target instanceof Publication ? { tid: target.tid } : { pid: target.pid ?? target }; }
  #tell(objects) {
    for (const object of objects ?? []) {
      const known = this.#byTid.get(object.tid);
      if (!known || object.rev < known.rev) continue;
      known._apply(object);
      this.#setMuted(known, object.muted ?? known.muted);
    }
    this._refreshTiles();
  }

  /** Mutes a publication, or a participant's microphone or other `source`. `lock`: only a moderator lets it unmute. */
  async mute(target, { source = 'mic', lock } = {}) {
    const which = this.#target(target);
    const { tracks } = await this.request('mod.mute', { ...which, ...(which.pid ? { source } : {}), ...(lock === undefined ? {} : { lockMuted: lock }) });
    this.#tell(tracks);
  }
  /** Mutes everybody who does not moderate. */
  async muteAll({ source = 'mic', lock } = {}) {
    const { tracks } = await this.request('mod.mute', { all: true, source, ...(lock === undefined ? {} : { lockMuted: lock }) });
    this.#tell(tracks);
  }
  async askToUnmute(target, { source = 'mic' } = {}) {
    const which = this.#target(target);
    await this.request('mod.unmuteRequest', { ...which, ...(which.pid ? { source } : {}) });
  }
  async kick(target, { reason, banSeconds } = {}) {
    const { pid, rev } = await this.request('mod.kick', { pid: target.pid ?? target, reason, banSec: banSeconds });
    this.#roster({ left: [{ pid: pid ?? target.pid ?? target, reason: 'kicked', rev }] });
  }
  async setRole(target, role, grants) {
    const { participant } = await this.request('mod.role', { pid: target.pid ?? target, role, grants });
    if (participant) this.#upsert(participant);
  }
  async stopShare(target) {
    const { tids = [], rev } = await this.request('mod.stopShare', { pid: target.pid ?? target });
    for (const tid of tids) { const known = this.#byTid.get(tid); if (known) this.#removePublication(known, rev); }
    this._slotsChanged();
  }
  /** Shows a participant large to everybody; null: nobody. */
  async setSpotlight(target) { this.#roomObject((await this.request('mod.spotlight', { pid: target?.pid ?? target ?? null })).room ?? {}, this.me.pid); }
  /** `lobby`: whether those who come to the locked room may wait to be let in. */
  async lock(locked = true, { lobby } = {}) {
    this.#roomObject((await this.request('mod.lock', { locked, ...(lobby === undefined ? {} : { lobby }) })).room ?? {}, this.me.pid);
  }
  unlock() { return this.lock(false); }
  /** Lets in somebody of `lobby`, or turns it away. */
  async admit(target, admit = true) {
    const pid = target.pid ?? target;
    const { participant } = await this.request('mod.admit', { pid, admit });
    if (participant) this.#upsert(participant);
    this.#lobbyChanged(admit ? 'admitted' : 'denied', { pid });
  }
  /** Merged into `meta`; null removes a key. */
  async updateRoom(meta) { this.#roomObject((await this.request('room.update', { meta })).room ?? {}, this.me.pid); }
  /** The roster in pages, for rooms that are too large to be told whole. */
  roster(query = {}) { return this.request('roster.page', query); }

  // Why.

  /** Why somebody is not heard or seen: what the server says, what this browser says, and a verdict in words. */
  async diag(target, { source } = {}) {
    const which = target ? this.#target(target) : {};
    const server = await this.request('diag.get', { ...which, ...(which.pid && source ? { source } : {}) }).catch((error) => ({ error }));
    const publication = target instanceof Publication ? target : this.#find(which.pid)?.get(source ?? 'mic') ?? null;
    const numbers = await this.stats();
    const local = {
      status: this.status, lastSeq: this.#signal.lastSeq, rev: this.#signal.rev, rttMs: this.#signal.rttMs, resumes: this.#signal.resumes,
      gaps: this.#gaps, dataLost: this.#lostRelay, waiting: this.#signal.waiting, ice: this.#peer?.pc.iceConnectionState ?? null, gen: this.#gen,
      slot: publication?.slot ?? null, receives: numbers.receive.get(publication?.slot?.mid) ?? null,
    };
    return { server, local, timeline: [...this.timeline], verdict: this.#verdict(server, publication) };
  }

  #verdict(server, publication) {
    if (server.error) return { code: 'noServer', text: this.status.state === 'live' ? server.error.message : this.status.text };
    if (!this.#peer?.connected) return { code: 'noMedia', text: this.status.text };
    const isSound = publication?.kind === 'audio';
    const found = server.verdict ?? { code: 'ok', text: '' };
    if (found.code !== 'ok' || !isSound) return found;
    if (this.audioBlocked) return { code: 'audioBlocked', text: 'The browser plays no sound before a click in the page.' };
    if (this.#volumes.get(publication.participant.pid) === 0) return { code: 'volume', text: 'Its volume is set to zero here.' };
    return found;
  }

  /** Every five seconds: whether what works works well, and what has been broken for long. */
  async #quality() {
    if (this.#troubleAt) this.#updateStatus();
    if (!['live', 'degraded'].includes(this.status.state)) { this.#heardAudio = null; return; }
    const { receive } = await this.stats().catch(() => ({ receive: new Map() }));
    const before = this.#heardAudio;
    this.#heardAudio = audioCounts(receive);
    const { lag, rttMs } = this.#signal;
    this.#slow = lag > SLOW.lag || rttMs > SLOW.rttMs ? 'signal' : before && losesAudio(before, this.#heardAudio) ? 'audio' : '';
    this.#updateStatus();
  }

  // Slots: which publication each receive section carries.

  #setSlots(list) {
    for (const raw of list) {
      const slot = normalizeSlot(raw);
      this.slots.set(slot.mid, slot);
    }
    this._slotsChanged(list.length > 0);
  }

  _slotsChanged(emit = false) {
    for (const publication of this.#linked) publication.slot = null;
    this.#linked = [];
    for (const slot of this.slots.values()) {
      const publication = slot.tid && this.#byTid.get(slot.tid);
      if (publication) { publication.slot = slot; this.#linked.push(publication); }
      if (slot.kind === 'audio') this.#peer?.setVolume(slot.mid, this.#volumes.get(slot.pid) ?? 1);
    }
    this._refreshTiles();
    if (emit) this._emit('slots', { slots: [...this.slots.values()] });
  }

  _trackOf(mid) { return this.#peer?.byMid.get(mid)?.track ?? null; }
  _refreshTiles() {
    for (const tile of this.#tiles) tile.refresh();
    this._viewChanged();
  }
  _changed() { this._refreshTiles(); }

  // Publishing.

  /** A stable name; after a reload the one that the same source had, so that the others see the same publication. */
  _cid(source) {
    const { [source]: saved } = this.#savedCids;
    delete this.#savedCids[source];
    return saved ?? `${source}-${randomId(8)}`;
  }
  #cidsNow() { return { ...this.#savedCids, ...Object.fromEntries([...this.publications.values()].map((one) => [one.source, one.cid])) }; }

  #want(track, options) {
    const publication = new LocalPublication(this.me, track, options);
    this.publications.set(publication.cid, publication);
    this.me.publications.set(publication.cid, publication);
    if (this.#session) this.#save();
    return publication;
  }

  async publish(track, options = {}) {
    if (this.status.state === 'ended') {
      if (options.stopTrack) track?.stop();
      throw new EndedError(0, 'ended', 'The call has ended.');
    }
    const source = options.source ?? (track.kind === 'audio' ? 'mic' : 'camera');
    if (Array.isArray(this.grants.publish) && !this.grants.publish.includes(source)) {
      if (options.stopTrack) track?.stop();
      throw new RequestError('forbidden', `You may not publish ${source} in this room.`);
    }
    const publication = this.#want(track, options);
    this._emit('published', { publication, participant: this.me });
    this._refreshTiles();
    const peer = this.#peer;
    if (peer) {
      await peer.send(publication);
      this._quietly(peer.negotiate());
      if (!Object.keys(this.#savedCids).length) peer.release();
    }
    return publication.done;
  }

  async #publishDevice(source, kind, take, options) {
    const existing = this.me.get(source);
    if (existing) { await existing.setMuted(options.muted ?? false); return existing; }
    const { track: given, ...rest } = options;
    this.#devices[source] = options.deviceId ?? this.#devices[source];
    const recapture = async () => {
      const deviceId = this.#devices[source];
      try {
        return await take({ ...rest, deviceId });
      } catch (error) {
        if (!deviceId || !['no_device', 'constraint'].includes(error.code)) throw error;
        return take({ ...rest, deviceId: undefined });
      }
    };
    const track = given ?? (options.muted ? null : await recapture());
    return this.publish(track, { ...rest, kind, source, recapture, stopTrack: true });
  }

  publishCamera(options = {}) { return this.#publishDevice('camera', 'video', captureCamera, options); }
  publishMicrophone(options = {}) { return this.#publishDevice('mic', 'audio', captureMicrophone, options); }

  async publishScreen({ audio = true, frameRate, contentHint = 'detail', ...rest } = {}) {
    const stream = await capture('getDisplayMedia', {
      video: { frameRate: { ideal: frameRate ?? (contentHint === 'motion' ? 30 : 15) } },
      audio: audio && { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      selfBrowserSurface: 'exclude', surfaceSwitching: 'include', systemAudio: 'include',
    }, 'screen');
    const [video] = stream.getVideoTracks();
    const [sound] = stream.getAudioTracks();
    const made = [this.publish(video, { ...rest, contentHint, source: 'screen', stopTrack: true })];
    if (sound) made.push(this.publish(sound, { source: 'screenAudio', stopTrack: true }));
    return Promise.all(made);
  }

  async unpublish(which) {
    const publication = which instanceof LocalPublication ? which : this.me.get(which);
    if (!publication || !this.#forgetPublication(publication)) return;
    publication.refuse(new SFUError('cancelled', 'It was unpublished before the server confirmed it.'));
    if (publication.tid) this._quietly(this.request('track.unpublish', { cid: publication.cid }));
    const peer = this.#peer;
    if (!peer || !publication.transceiver) return;
    await peer.unsend(publication);
    await this._quietly(peer.negotiate());
  }

  #forgetPublication(publication) {
    if (!this.publications.delete(publication.cid)) return false;
    this.me.publications.delete(publication.cid);
    publication.release();
    if (this.#session) this.#save();
    this._emit('unpublished', { publication, participant: this.me });
    this._refreshTiles();
    return true;
  }

  _pendingPublications() { return [...this.publications.values()].filter((one) => one.pending && one.transceiver); }

  async _refusePublication(publication, error) {
    this.#forgetPublication(publication);
    publication.refuse(error);
    this._emit('warning', { error });
    await this.#peer?.unsend(publication);
  }

  _published(publication, object) {
    publication._apply(object);
    if (!publication.pending) return;
    publication.pending = false;
    publication.accept(publication);
    const demand = this.#demands.get(publication.tid);
    if (demand) publication.applyDemand(demand);
    this.#demands.delete(publication.tid);
    publication._limit({ uplink: this.#uplinkLevel(publication) });
    this._refreshTiles();
  }

  /** A capture ended by itself: the person stopped sharing, or unplugged a device. */
  async _trackEnded(publication) {
    if (publication.source.startsWith('screen')) {
      await this.unpublish(publication);
      if (publication.source === 'screen') await this.unpublish('screenAudio');
      return;
    }
    if (publication.muted) return;
    try {
      if (!publication.options.recapture) throw new DeviceError('device', 'The track ended.');
      await publication.replaceTrack(await publication.options.recapture());
    } catch (error) {
      await publication.setMuted(true);
      this._emit('deviceLost', { publication, error: deviceError(error) });
    }
  }

  async setDevice(kind, deviceId) {
    if (kind === 'speaker') {
      this.#sinkId = deviceId;
      await Promise.all((this.#peer?.audioElements() ?? []).map((audio) => this._sink(audio)));
      return;
    }
    const source = kind === 'microphone' ? 'mic' : 'camera';
    const before = this.#devices[source];
    this.#devices[source] = deviceId;
    const publication = this.me.get(source);
    if (!publication?.options.recapture || !publication.track) return;
    // Phones do not open two cameras at once.
    publication.track.stop();
    try {
      await publication.replaceTrack(await publication.options.recapture());
    } catch (error) {
      this.#devices[source] = before;
      await publication.replaceTrack(await publication.options.recapture());
      throw error;
    }
  }

  async _sink(audio) {
    if (this.#sinkId && audio.setSinkId) await audio.setSinkId(this.#sinkId).catch((error) => this._emit('warning', { error }));
  }

  setVolume(participant, volume) {
    this.#volumes.set(participant.pid ?? participant, volume);
    this._slotsChanged();
  }

  // The uplink.

  /** How far our pictures had to give way to our voice, 0 not at all, and why. */
  get uplink() {
    const { level, reason, loss, available } = this.#guard;
    return { level, reason, text: uplinkText({ level, reason, loss, available }) };
  }

  /** Sends the camera again although the uplink seemed to carry the voice alone. */
  resumeVideo() { if (this.#guard.resume(Date.now())) this.#uplinkChanged(); }

  async #watchUplink(isHalf) {
    if (isHalf && !this.#guard.isTrying(Date.now())) return;
    const peer = this.#peer;
    const sent = (kind) => [...this.publications.values()].some((one) => one.kind === kind && one.sender && one.track && !one.muted && !one.pending);
    if (!peer?.connected || !sent('audio') || !sent('video')) {
      // Without a voice there is nothing to give way to.
      this.#uplinkStats = null;
      if (this.#guard.reset()) this.#uplinkChanged();
      return;
    }
    const report = await peer.pc.getStats().catch(() => null);
    if (!report || peer !== this.#peer || peer.closed) return;
    const { next, sample } = uplinkSample(report, this.#uplinkStats);
    if (!isHalf) this.#uplinkStats = next;
    if (isHalf ? this.#guard.glance(sample, Date.now()) : this.#guard.note(sample, Date.now())) this.#uplinkChanged();
  }

  #uplinkLevel({ kind }) { return kind === 'audio' ? this.#guard.voiceLevel : this.#guard.level; }

  #uplinkChanged() {
    const { uplink } = this;
    for (const publication of this.publications.values()) publication._limit({ uplink: this.#uplinkLevel(publication) });
    this._note('uplink', { level: uplink.level, reason: uplink.reason });
    this._emit('uplink', uplink);
  }

  _audioBlocked(blocked) {
    if (this.audioBlocked === blocked) return;
    this.audioBlocked = blocked;
    this._emit('audioBlocked', { blocked });
  }
  async startAudio() {
    await Promise.all((this.#peer?.audioElements() ?? []).map((audio) => audio.play()));
    this._audioBlocked(false);
  }

  // What we want to see.

  tile(element, target, options = {}) {
    const tile = new Tile(this, element, target, options);
    this.#tiles.add(tile);
    this.#usesTiles ||= tile.observe;
    this._viewChanged();
    return tile;
  }
  attach(element, target, options = {}) { return this.tile(element, target, { ...options, observe: false }); }
  _closeTile(tile) { if (this.#tiles.delete(tile)) this._viewChanged(true); }

  async subscribe(target, on = true) {
    const rule = target instanceof Publication ? { tid: target.tid, on } : { pid: target.pid, on };
    this.#subscriptions.set(rule.tid ?? rule.pid, rule);
    // The oldest one may be of somebody who left long ago.
    if (this.#subscriptions.size > MAX_RULES) this.#subscriptions.delete(this.#subscriptions.keys().next().value);
    const { results = [] } = await this._confirm(`subscribe:${rule.tid ?? rule.pid}`, 'sub.update', { set: [rule], auto: this.#auto });
    const refused = results.find((result) => !result.ok)?.error;
    if (refused) throw new RequestError(refused.code, refused.message, refused);
  }
  unsubscribe(target) { return this.subscribe(target, false); }

  #viewAnew() { this.#view.sent = ''; this._viewChanged(); }
  /** Growing and moving tiles are told together in a moment; what is hidden, or comes back, with this turn's changes. */
  _viewChanged(now = false) {
    const view = this.#view;
    if (!this.#usesTiles || this.status.state === 'ended' || (view.timer && (view.isNow || !now))) return;
    clearTimeout(view.timer);
    view.isNow = now;
    view.timer = setTimeout(() => { view.timer = null; this.#sendView(); }, now ? 0 : VIEW_MS);
  }

  #tilesWanted() {
    const shown = new Set([...this.#tiles].map((tile) => tile.publication?.tid).filter(Boolean));
    const wishes = [...this.#tiles].map((tile) => tile.wish(this.#hidden)).filter(Boolean);
    const untiled = [...this.#byTid.values()].filter((one) => one.kind === 'video' && !shown.has(one.tid)).slice(0, 500);
    return collectView(wishes, untiled.map((one) => one.tid)).slice(0, MAX_RULES);
  }

  async #sendView() {
    if (!this.#signal.open || this.waiting) return;
    const view = this.#view;
    if (view.busy) { view.again = true; return; }
    const tiles = this.#tilesWanted();
    const text = JSON.stringify(tiles);
    if (text === view.sent) return;
    view.sent = text;
    view.busy = true;
    await this.request('view.update', { tiles }).catch(() => { view.sent = ''; });
    view.busy = false;
    if (view.again) { view.again = false; this._viewChanged(true); }
  }

  // Numbers.

  async stats() {
    if (this.#statsWork) return this.#statsWork;
    if (this.#stats && Date.now() - this.#statsAt < 400) return this.#stats;
    this.#statsWork = this.#takeStats();
    try { return await this.#statsWork; } finally { this.#statsWork = null; }
  }

  async #takeStats() {
    const peer = this.#peer;
    const report = peer && !peer.closed ? await peer.pc.getStats() : new Map();
    const byTrack = new Map((peer?.slots ?? []).map((slot) => [slot.track.id, slot.mid]));
    const { send, next, ...rest } = digestStats(report, this.#stats?._next, byTrack);
    const byCid = new Map();
    for (const publication of this.publications.values()) {
      const layers = send.get(publication.transceiver?.mid);
      if (layers) byCid.set(publication.cid, layers);
    }
    this.#stats = { ...rest, send: byCid, signalRttMs: this.#signal.rttMs, resumes: this.#signal.resumes, lastSeq: this.#signal.lastSeq };
    Object.defineProperty(this.#stats, '_next', { value: next });
    this.#statsAt = Date.now();
    return this.#stats;
  }

  /** Slot and latest statistics of a publication in one object; call `stats` now and then to keep it fresh. */
  _info(publication) {
    if (publication.isLocal) {
      const sending = this.#stats?.send.get(publication.cid) ?? [];
      const top = sending.findLast((layer) => layer.height) ?? {};
      const info = {
        width: top.width ?? 0, height: top.height ?? 0, fps: top.fps ?? 0, codec: top.codec ?? '', layer: null, temporalLayer: null, layers: sending.length,
        offered: null,
        kbps: sending.reduce((sum, layer) => sum + layer.kbps, 0), paused: publication.muted, reason: publication.muted ? 'muted' : 'none',
        lossPercent: 0, jitterMs: 0, sending,
      };
      return { ...info, text: describe(info, true) };
    }
    const { slot } = publication;
    const numbers = (slot && this.#stats?.receive.get(slot.mid)) ?? {};
    const reason = publication.muted ? 'muted' : slot?.reason ?? 'keyframe';
    const info = {
      width: numbers.width || slot?.width || 0, height: numbers.height || slot?.height || 0, fps: numbers.fps ?? 0, kbps: numbers.kbps ?? 0,
      codec: (reason === 'codec' ? publication.codec : numbers.codec || publication.codec) ?? '', layer: slot?.layer ?? null,
      temporalLayer: slot?.temporalLayer ?? null, layers: publication.layers.length,
      offered: { width: publication.width ?? 0, height: publication.height ?? 0, fps: publication.fps ?? 0 }, paused: slot?.paused ?? true, reason,
      lossPercent: numbers.lossPercent ?? 0, jitterMs: numbers.jitterMs ?? 0,
      neededKbps: slot?.neededKbps ?? 0, availableKbps: slot?.availableKbps ?? 0,
      pathLossPercent: (this.me.quality?.down?.detail?.lossPermille ?? 0) / 10, nextLines: 0,
    };
    // What is next may be more pictures of the same size.
    const bigger = publication.layers.filter((layer) => layer.live !== false && lines(layer) > (info.paused ? 0 : lines(info)));
    if (bigger.length) info.nextLines = Math.min(...bigger.map(lines));
    return { ...info, text: describe(info) };
  }
}

/** The socket's address: given whole, or by room, on the server that this module came from. */
export function socketURL({ url, room, server }, base = import.meta.url) {
  const address = url ? new URL(url, base)
    : new URL(`v1/rooms/${encodeURIComponent(room ?? '')}/signal`, server ? new URL(server) : new URL('../', base));
  address.protocol = address.protocol.replace('http', 'ws');
  return address.href;
}

/**
 * Joins a room. Resolves when its members are known; media may still be connecting, as `room.status` says.
 * @param {import('./sfu.d.ts').ConnectOptions} options
 * @returns {Promise<import('./sfu.d.ts').Room>}
 */
export async function connect(options) {
  if (!options?.url && !options?.room) throw new SFUError('bad_request', 'connect needs a room or a url.');
  if (options.signal?.aborted) throw new SFUError('cancelled', 'Joining was given up.');
  return new Room(options, await claimDevice(options.deviceId))._join();
}
