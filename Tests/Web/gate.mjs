// The server of server.mjs with a door: tokens that run out, a waiting room, bans, bounds, restarts with a goodbye, and messages that
// are told again. As docs/protocol.md and the gateway have it; where time passes on the server's side, the test says so.
import { Server } from './server.mjs';

const WINDOW_MS = 60_000;
const SETTLE_MS = 15_000;
/** Few, so that some are lost. */
const RELAY_KEPT = 6;

/** Why somebody is not let in: the close code, and the error that says it in words. */
const refusal = (close, code, message, retryAfterMs) =>
  ({ close, error: { code, message, retryable: ['full', 'overloaded', 'not_ready', 'rate_limited'].includes(code), ...(retryAfterMs ? { retryAfterMs } : {}) } });

export class Gate extends Server {
  /** What tokens say, by token. */
  claims = new Map();
  banned = new Set(); expelled = new Set(); admitted = new Set(); relay = []; relaySeq = 0; sent = new Set();
  isDown = false; isDraining = false; isCrowded = false; isLocked = false; hasLobby = false; isOther = false; isMediaAway = false;
  capacity = Infinity; startedAt = -Infinity;
  /** Requests of this type are refused for a while. */
  refuses = null;

  constructor(random, { now, ...options }) {
    super(random, options);
    this.now = now;
  }

  // Tokens and who may come in.

  issue(token, claims) { this.claims.set(token, { uid: 'me', expiresAt: Infinity, stayMs: 86_400_000, ...claims }); return token; }

  dialed(wire) {
    if (this.isDown || wire.isUnreachable) { wire.cut(); return; }
    super.dialed(wire);
    if (this.isDraining) wire.finish(4000, 'the server is restarting');
  }

  greet(wire, hello) {
    if (wire.session) { wire.finish(4400, 'nothing may be sent before the welcome'); return; }
    try {
      if (this.isOther) throw refusal(4426, 'unsupported', 'this server speaks version 2');
      if (hello.resume) this.resume(wire, hello); else this.verify(wire, hello);
    } catch (reason) {
      if (!reason.close) throw reason;
      wire.say({ type: 'error', data: { error: reason.error, of: 'hello' } });
      wire.finish(reason.close, reason.error.message, reason.error.retryAfterMs ? { afterMs: reason.error.retryAfterMs } : {});
    }
  }

  resume(wire, hello) {
    const ticket = this.tickets.get(hello.resume.token);
    try {
      if (!ticket) throw refusal(4401, 'unauthenticated', 'the resume token is not valid');
      if (this.expelled.has(ticket.made)) throw refusal(4100, 'forbidden', 'a moderator has ended this session');
      const session = [...this.sessions.values()].find((one) => one.sid === ticket.made || one.former.includes(ticket.made));
      // A stay that was lengthened is the session's, not the ticket's.
      if ((session ?? ticket).leavesAt <= this.now()) throw refusal(4402, 'expired', 'the time in the room is over');
      if (session && this.accepts(session, ticket)) this.attach(wire, session, hello, ticket);
      else this.enter(wire, hello, ticket.claims, ticket);
    } catch (reason) {
      if (!reason.close || hello.token === undefined) throw reason;
      this.verify(wire, hello);
    }
  }
  accepts(session, { number }) {
    return !session.isTicketKnown || number === session.number || (!session.isConfirmed && number + 1 === session.number);
  }

  verified(token) {
    const claims = this.claims.get(token);
    if (!claims || claims.isRevoked) throw refusal(4401, 'unauthenticated', 'the token is not valid');
    if (claims.expiresAt <= this.now()) throw refusal(4402, 'expired', 'the token has expired');
    if (claims.room) throw refusal(4403, 'forbidden', 'the token is for another room');
    return claims;
  }
  verify(wire, hello) { this.enter(wire, hello, this.verified(hello.token), null); }

  enter(wire, hello, claims, ticket) {
    const did = ticket?.did ?? hello.device?.did;
    if (this.isCrowded) throw refusal(4013, 'overloaded', 'the server is short of memory', 5_000);
    if (this.banned.has(claims.uid)) throw refusal(4104, 'forbidden', 'banned from this room for another 60 s');
    const own = [...this.sessions.values()].filter((one) => one.claims.uid === claims.uid);
    const replaced = own.filter((one) => did !== undefined && one.did === did);
    if (claims.isAlone && own.length > replaced.length) throw refusal(4403, 'conflict', 'this user is in the room already');
    if (this.sessions.size - replaced.length >= this.capacity) throw refusal(4409, 'full', 'the room is full', 10_000);
    const isKnown = own.some((one) => !one.waiting) || this.admitted.has(claims.uid);
    const waits = !isKnown && (claims.lobby || this.isLocked);
    if (waits && !claims.lobby && !this.hasLobby) throw refusal(4409, 'locked', 'the room is locked');
    const isFree = ticket && ![...this.sessions.values()].some((one) => one.pid === ticket.pid);
    const session = this.made({
      pid: isFree ? ticket.pid : `pa_${++this.count}`, claims, did, attempt: hello.resume?.attempt ?? 0, waiting: waits, mayMissRelay: !!ticket,
      leavesAt: ticket?.leavesAt ?? this.now() + claims.stayMs,
    });
    this.take(session, wire);
    if (!waits) this.appear(session);
    for (const other of replaced) { other.wire?.finish(4102, 'the same user joined again from here'); this.remove(other, 'replaced'); }
    this.welcome(session, ticket ? 'rejoin' : 'fresh', { seq: 0, ...this.riding(session, hello.pc) });
    this.snapshot(session);
  }

  made(session) {
    const made = {
      sid: `se_${++this.count}`, seq: 0, floor: 0, log: [], lastId: 0, answers: new Map(), knows: [], wire: null, batch: { joined: [], updated: [], left: [] },
      number: 0, isTicketKnown: true, isConfirmed: true, former: [], relayKnown: 0, mayMissRelay: false, hasMedia: false, wantsMedia: null, lostAt: 0,
      expires: false, ...session,
    };
    this.sessions.set(made.sid, made);
    return made;
  }
  take(session, wire) { session.wire = wire; wire.session = session; }

  appear(session) {
    session.relayKnown = this.relaySeq;
    this.admitted.add(session.claims.uid);
    this.join({ pid: session.pid, uid: session.claims.uid });
  }

  // The waiting room.

  get hearing() { return super.hearing.filter((session) => !session.waiting); }
  admit(session) {
    if (!session.waiting) return;
    session.waiting = false;
    this.appear(session);
    session.knows = [];
    session.batch = { joined: [], updated: [], left: [] };
    this.tell(session, 'lobby.admitted', { pid: session.pid, uid: session.claims.uid, by: 'a' });
    this.snapshot(session);
  }
  deny(session) {
    if (!session.waiting) return;
    this.tell(session, 'lobby.denied', { pid: session.pid, uid: session.claims.uid, by: 'a' });
    this.expel(session, 4100, 'not admitted');
  }

  // The end of sessions.

  remove(session, reason = 'left') {
    if (!this.sessions.delete(session.sid)) return;
    session.wire = null;
    if (!session.waiting) this.leave(session.pid, reason);
  }
  end(session) { session.wire?.finish(4103, 'left'); this.remove(session); }
  expel(session, code, words) {
    for (const sid of [session.sid, ...session.former]) this.expelled.add(sid);
    this.admitted.delete(session.claims.uid);
    session.wire?.finish(code, words);
    this.remove(session, 'kicked');
  }
  ban(uid) { this.banned.add(uid); for (const one of this.of(uid)) this.expel(one, 4104, 'banned'); }
  of(uid) { return [...this.sessions.values()].filter((one) => one.claims.uid === uid); }
  closeRoom() { for (const one of [...this.sessions.values()]) this.expel(one, 4101, 'the room was closed'); }
  expire(session) {
    session.leavesAt = this.now();
    for (const ticket of this.tickets.values()) if (ticket.made === session.sid || session.former.includes(ticket.made)) ticket.leavesAt = session.leavesAt;
    session.wire?.finish(4402, 'the time in the room is over');
    this.remove(session, 'expired');
  }
  /** Whoever has been away for longer than the window is gone. */
  reap() {
    for (const one of [...this.sessions.values()]) if (!one.wire && this.now() - one.lostAt >= WINDOW_MS) this.remove(one, 'timeout');
  }
  lost(wire) {
    if (wire.session?.wire === wire) wire.session.lostAt = this.now();
    super.lost(wire);
  }

  // Restarts.

  kill({ media = true } = {}) {
    for (const wire of this.wires) wire.cut();
    this.restart(media);
  }
  /** Says goodbye to all, and takes nobody until `restart`. */
  drain(spreadMs) {
    this.isDraining = true;
    for (const wire of this.wires) if (wire.isOpen) wire.finish(4000, 'the server is restarting', { spreadMs });
  }
  /** The gateway forgets; what the media plane goes on with it is told. */
  restart(media) {
    this.isDraining = false;
    for (const wire of this.wires) this.lost(wire);
    const former = [...this.sessions.values()];
    super.kill({ media });
    // Revisions of another epoch may well be lower.
    this.rev = Math.floor(this.random() * 3);
    for (const one of this.members.values()) { this.touch(one); for (const track of one.tracks) track.rev = one.rev; }
    this.startedAt = this.now();
    Object.assign(this, { relay: [], relaySeq: 0, sent: new Set() });
    this.admitted.clear();
    for (const { pid, claims, did, attempt, number, leavesAt, sid, former: older, waiting, hasMedia } of former) {
      if (waiting) continue;
      if (!media || !hasMedia) { this.members.delete(pid); continue; }
      this.admitted.add(claims.uid);
      this.made({ pid, claims, did, attempt, number, leavesAt, former: [...older, sid], isTicketKnown: false, mayMissRelay: true, hasMedia, lostAt: this.now() });
    }
  }

  // Coming back.

  attach(wire, session, { resume, pc }, ticket) {
    if (resume.attempt <= session.attempt) { this.counts.refused += 1; wire.finish(4111, 'a newer connection has the session'); return; }
    session.wire?.finish(4111, 'the session was resumed elsewhere');
    const isSame = ticket.made === session.sid;
    if (isSame && resume.lastSeq >= session.floor) this.acknowledged(session, resume.lastSeq);
    this.arriving = this.riding(session, pc);
    super.attach(wire, session, { lastSeq: isSame ? resume.lastSeq : -1, attempt: resume.attempt });
    this.arriving = {};
    if (session.wantsMedia) this.tell(session, 'pc.restart', { mode: session.wantsMedia, reason: 'failed' });
    if (session.expires) this.tell(session, 'auth.expiring', { inMs: 1 });
  }
  arriving = {};

  /** What becomes of an offer that came with the hello. */
  riding(session, pc) {
    if (!pc) return {};
    const { gen, offerId } = pc;
    if (session.waiting || this.isMediaAway || (pc.iceRestart && !session.hasMedia)) {
      return { pc: { gen, offerId, tracks: [], slots: [], error: { code: 'not_ready', message: 'the server has forgotten this PeerConnection', retryable: true } } };
    }
    return { pc: this.execute(session, 'pc.offer', pc) };
  }

  welcome(session, outcome, more) {
    this.counts[outcome] += 1;
    const token = `t${++this.count}`;
    const { sid, pid, did, claims, leavesAt } = session;
    this.tickets.set(token, { made: sid, number: ++session.number, pid, did, claims: { ...claims, lobby: session.waiting }, leavesAt });
    Object.assign(session, { isTicketKnown: true, isConfirmed: false });
    const settleMs = ['snapshot', 'rejoin'].includes(outcome) ? this.startedAt + SETTLE_MS - this.now() : 0;
    session.wire.say({
      type: 'welcome', v: '1.0',
      data: {
        outcome, sid, pid, uid: claims.uid, room: { id: 'r', rev: this.rev, epoch: this.epoch, locked: this.isLocked, lobby: this.hasLobby }, role: 'speaker',
        grants: { publish: ['camera', 'mic'], moderate: false }, limits: { inflight: 64 }, hb: 10_000, ackedId: session.lastId,
        resume: { token, windowMs: WINDOW_MS }, ...(session.waiting ? { waiting: true } : {}), ...(settleMs > 0 ? { settleMs } : {}), ...this.arriving, ...more,
      },
    });
  }

  snapshot(session) {
    if (!session.waiting) { super.snapshot(session); return; }
    this.tell(session, 'snapshot', { page: 1, of: 1, rev: this.rev, participants: [], ...this.beside(session) });
    session.knows = [];
  }
  get pageCount() { return 1 + Math.floor(this.random() * 4); }

  // Messages of the application: told again to whoever lost events.

  data(mid) {
    this.relay.push({ n: ++this.relaySeq, mid });
    if (this.relay.length > RELAY_KEPT) this.relay.shift();
    for (const session of this.hearing) this.tellData(session, this.relay.at(-1));
  }
  tellData(session, { n, mid }) { this.tell(session, 'data', { from: 'server', uid: 'server', topic: '', mid, payload: mid, relaySeq: n }); }
  acknowledged(session, ack) {
    for (const { seq, data } of session.log) if (seq <= ack && data.relaySeq) session.relayKnown = Math.max(session.relayKnown, data.relaySeq);
    super.acknowledged(session, ack);
  }
  beside(session) {
    const standing = { room: { id: 'r', rev: this.rev, epoch: this.epoch, locked: this.isLocked, lobby: this.hasLobby }, ...(session.waiting ? { waiting: true } : {}) };
    const { relayKnown: from, mayMissRelay } = session;
    const lost = Math.max(0, (this.relay[0]?.n ?? this.relaySeq + 1) - 1 - from);
    if (session.waiting || (!mayMissRelay && !lost && this.relaySeq <= from)) return { slots: [], standing };
    return { slots: [], standing, relay: { from, to: Math.max(from, this.relaySeq), lost, ...(mayMissRelay ? { unknown: true } : {}) } };
  }
  pages(session, ...more) {
    super.pages(session, ...more);
    session.mayMissRelay = false;
    for (const message of this.relay.filter(({ n }) => n > session.relayKnown)) this.tellData(session, message);
  }

  // What is sent.

  receive(wire, envelope) {
    const { session } = wire;
    if (session?.wire === wire) session.isConfirmed = true;
    super.receive(wire, envelope);
  }
  notified(session, type, data) {
    if (type === 'ping') session.wire.say({ type: 'pong', data: { t: data.t, serverTime: this.now() } });
    super.notified(session, type, data);
  }

  answer(session, type, data) {
    try {
      return super.answer(session, type, data);
    } catch (reason) {
      if (!reason.error) throw reason;
      return { error: reason.error };
    }
  }

  execute(session, type, data) {
    const me = this.members.get(session.pid);
    if (session.waiting) throw refusal(0, 'not_ready', 'you wait to be admitted');
    if (type === this.refuses) throw refusal(0, 'rate_limited', 'too many messages', 1_000);
    if (type === 'pc.offer') {
      if (this.isMediaAway) throw refusal(0, 'not_ready', 'the media plane does not answer', 1_000);
      Object.assign(session, { hasMedia: true, wantsMedia: null });
    }
    if (type === 'auth.refresh') {
      const { stayMs } = this.verified(data.token);
      Object.assign(session, { leavesAt: this.now() + stayMs, expires: false });
      return { stayMs, role: 'speaker', grants: { publish: ['camera', 'mic'], moderate: false } };
    }
    if (type === 'me.update') {
      if (data.name !== undefined) this.rename(session.pid, data.name);
      me.attrs = { ...me.attrs, ...data.attrs };
      return { participant: this.seen(session.pid) };
    }
    if (type === 'data.send') return this.relays(session, data);
    if (type === 'sync') return this.declare(session, me, data.desired);
    const result = super.execute(session, type, data);
    // The others see what is published, and what is muted.
    if (type === 'pc.offer') this.changed({ updated: [session.pid] });
    if (type === 'track.mute' && result.track) {
      const { tid, pid, muted, rev } = result.track;
      for (const other of this.hearing) if (other !== session) this.tell(other, 'track.muted', { tid, pid, muted, rev }, { key: `mute ${tid}` });
    }
    return result;
  }

  /** Once, however often it is sent: by the user's device and its own name for it. */
  relays(session, { mid }) {
    const key = `${session.claims.uid} ${session.did} ${mid}`;
    const isNew = !this.sent.has(key);
    this.sent.add(key);
    return { mid, accepted: true, deliveredTo: 0, ...(isNew ? {} : { duplicate: true }) };
  }

  declare(session, me, { publications = [], hand }) {
    me.tracks = publications.map((wish) => {
      const had = me.tracks.find((one) => one.cid === wish.cid);
      return { ...(had ?? { tid: `tr_${wish.cid}`, pid: me.pid }), ...wish };
    });
    if (hand !== undefined) me.hand = hand ? 7 : undefined;
    this.touch(me);
    for (const track of me.tracks) track.rev = me.rev;
    this.changed({ updated: [session.pid] });
    return { tracks: structuredClone(me.tracks), missing: me.tracks.filter((one) => one.mid === undefined).map((one) => one.cid) };
  }

  // What happens to sessions while nobody asks.

  /** Answers that are old are forgotten. */
  forget() { for (const session of this.sessions.values()) session.answers.clear(); }
  warn(session) { session.expires = true; this.tell(session, 'auth.expiring', { inMs: 60_000 }); }
  restartMedia(session, mode) {
    session.wantsMedia = mode;
    if (mode === 'new') session.hasMedia = false;
    this.tell(session, 'pc.restart', { mode, reason: mode === 'new' ? 'forgotten' : 'failed' });
  }
  beat() { for (const { wire, seq } of this.sessions.values()) wire?.say({ type: 'hb', data: { seq, rev: this.rev, shed: 0, lag: 0 } }); }
}
