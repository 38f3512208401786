// A server as the protocol describes it, small and in memory: sessions that are resumed by replay, delta, snapshot or rejoin, over
// sockets that deliver late, or never. It knows no media. The test says when anything happens.
import assert from 'node:assert/strict';
import { faultOfClient } from './contract.mjs';

/** mulberry32: the same numbers for the same seed. */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const TOMBSTONES = 12;
const ACTIONS = { 40: 'reconnect', 41: 'stop', 44: 'fix' };

/** One direction of each is a queue: what is in it when the wire is cut is lost. */
class Wire {
  up = []; down = []; isOpen = false; isDead = false; session = null;
  /** The server has closed it; the client hears so after what is on its way. */
  isFinished = false;
  /** The client has closed it. */
  isLeft = false;
  /** It takes no more bytes of the server: what waits when it is closed is not sent any more. */
  isFull = false;
  /** The network takes what is sent, and nothing arrives. */
  isStalled = false;
  constructor(server, url, protocols) {
    Object.assign(this, { server, url, protocols });
    server.wires.push(this);
  }
  send(text) { if (!this.isDead) this.up.push(text); }
  /** What was sent before still arrives, if anything does. */
  close() {
    this.isLeft = true;
    if (!this.isOpen || !this.up.length) this.die();
  }
  die() {
    if (this.isDead) return;
    this.isDead = true;
    this.server.lost(this);
  }
  say(envelope) { if (!this.isDead && !this.isFinished && !this.isLeft) this.down.push(JSON.stringify(envelope)); }
  /** Both ends learn of it; `code` is what the client's end sees. */
  cut(code = 1006) {
    if (this.isDead) return;
    this.die();
    this.closed({ code, reason: '' });
  }
  /** The server says why, and closes. */
  finish(code, reason, more = {}) {
    if (this.isDead || this.isFinished) return;
    this.server.lost(this);
    if (this.isFull) this.down.length = Math.floor(this.server.random() * (this.down.length + 1));
    else this.say({ type: 'bye', data: { code, reason, action: ACTIONS[Math.floor(code / 100)], ...more } });
    this.isFinished = true;
    this.down.push({ code, reason });
  }
  arrive(next) {
    if (this.isLeft) return;
    if (typeof next === 'string') { this.onmessage?.({ data: next }); return; }
    this.isDead = true;
    this.closed(next);
  }
  closed(event) { this.onclose?.(event); }
  /** Whether the network, or its own page, has something to do with it. */
  get isBusy() { return !this.isDead && !this.isStalled && (!this.isOpen || this.up.length > 0 || this.down.length > 0); }
}

export class Server {
  wires = []; members = new Map(); gone = []; sessions = new Map(); tickets = new Map(); rev = 0; epoch = 'e1'; count = 0;
  executed = []; counts = { replay: 0, delta: 0, snapshot: 0, rejoin: 0, fresh: 0, gaps: 0, refused: 0 };

  /** `log`: how many events a session keeps; with few, deltas are common. */
  constructor(random = Math.random, { log = 8 } = {}) {
    Object.assign(this, { random, logSize: log });
    const server = this;
    this.WebSocket = class extends Wire { constructor(url, protocols) { super(server, url, protocols); } };
  }

  get wire() { return this.wires.at(-1); }

  // The network: one thing at a time.

  /** Opens or delivers on some wire; false where there is nothing to do. */
  step() {
    const busy = this.wires.filter((wire) => wire.isBusy);
    if (!busy.length) return false;
    const wire = busy[Math.floor(this.random() * busy.length)];
    if (!wire.isOpen) this.dialed(wire);
    else if (wire.up.length && (!wire.down.length || this.random() < 0.5)) this.hear(wire);
    else wire.arrive(wire.down.shift());
    return true;
  }
  hear(wire) {
    const text = wire.up.shift();
    for (const line of wire.isFinished ? [] : text.split('\n')) this.receive(wire, JSON.parse(line));
    if (wire.isLeft && !wire.up.length) wire.die();
  }
  dialed(wire) { wire.isOpen = true; wire.onopen?.(); }

  // The room.

  touch(member) { member.rev = ++this.rev; }
  join(member) {
    this.members.set(member.pid, { uid: `u_${member.pid}`, name: member.pid, kind: 'web', conn: 'active', tracks: [], joinedAt: 1, ...member });
    this.touch(this.members.get(member.pid));
    this.changed({ joined: [member.pid] });
  }
  leave(pid) {
    if (!this.members.delete(pid)) return;
    this.gone.push({ pid, reason: 'left', rev: ++this.rev });
    if (this.gone.length > TOMBSTONES) this.gone.shift();
    this.changed({ left: [this.gone.at(-1)] });
  }
  rename(pid, name) { const one = this.members.get(pid); one.name = name; this.touch(one); this.changed({ updated: [pid] }); }
  mute(pid, muted) {
    const one = this.members.get(pid);
    const [track] = one.tracks;
    track.muted = muted;
    this.touch(one);
    track.rev = one.rev;
    for (const session of this.hearing) {
      if (session.pid !== pid) this.tell(session, 'track.muted', { tid: track.tid, pid, muted, rev: track.rev }, { key: `mute ${track.tid}` });
    }
  }
  data(mid) { for (const session of this.hearing) this.tell(session, 'data', { from: 'server', uid: 'server', topic: '', mid, payload: mid }); }

  // The roster is told in batches, when the test says so.
  changed(change) {
    for (const { batch } of this.hearing) for (const [key, list] of Object.entries(change)) batch[key].push(...list);
  }
  flushRoster() {
    for (const session of this.hearing) {
      const { joined, updated, left } = session.batch;
      session.batch = { joined: [], updated: [], left: [] };
      if (!joined.length && !updated.length && !left.length) continue;
      const objects = (pids) => [...new Set(pids)].filter((pid) => this.members.has(pid)).map((pid) => this.seen(pid, session));
      this.tell(session, 'roster', { joined: objects(joined), updated: objects(updated), left: left.filter(({ pid }) => !this.members.has(pid)) });
    }
  }
  seen(pid) { return structuredClone(this.members.get(pid)); }

  // Sessions.

  /** Those that are told what happens in the room. */
  get hearing() { return [...this.sessions.values()]; }

  tell(session, type, data, { key } = {}) {
    const event = { seq: ++session.seq, rev: this.rev, type, data, key };
    session.log.push(event);
    if (session.log.length > this.logSize) { session.log = []; session.floor = session.seq; }
    // With which event a client knows the whole room, up to which revision.
    if (['roster', 'snapshot', 'delta'].includes(type) && (data.page ?? 1) === (data.of ?? 1)) session.knows.push({ seq: event.seq, rev: event.rev });
    if (session.knows.length > 64) session.knows.shift();
    session.wire?.say({ seq: event.seq, rev: event.rev, type, data });
  }

  lost(wire) {
    if (wire.session?.wire === wire) wire.session.wire = null;
  }

  /** The gateway dies; `media` says whether the media of the sessions goes on. */
  kill({ media = true } = {}) {
    for (const wire of this.wires) wire.cut();
    const former = [...this.sessions.values()];
    this.sessions.clear();
    this.epoch = `e${++this.count}`;
    this.rev = 1_000 * this.count;
    this.gone = [];
    for (const one of this.members.values()) { this.touch(one); for (const track of one.tracks) track.rev = one.rev; }
    for (const ticket of this.tickets.values()) ticket.isKnown = media && former.some((session) => session.pid === ticket.pid);
  }

  receive(wire, envelope) {
    assert.equal(faultOfClient(envelope), null, JSON.stringify(envelope).slice(0, 300));
    const { type, id, ack, data = {} } = envelope;
    if (type === 'hello') { this.greet(wire, data); return; }
    const { session } = wire;
    if (session?.wire !== wire) return;
    if (ack !== undefined) this.acknowledged(session, ack);
    if (id === undefined) { this.notified(session, type, data); return; }
    if (id <= session.lastId) { wire.say({ re: id, ...(session.answers.get(id) ?? { error: { code: 'already_applied', message: 'forgotten' } }) }); return; }
    if (id !== session.lastId + 1) { this.counts.gaps += 1; wire.cut(4002); return; }
    session.lastId = id;
    const answer = this.answer(session, type, data);
    session.answers.set(id, answer);
    wire.say({ re: id, ...answer });
  }
  acknowledged(session, ack) {
    session.log = session.log.filter((event) => event.seq > ack || (session.floor = Math.max(session.floor, event.seq), false));
  }
  notified(session, type) { if (type === 'leave') this.end(session); }
  answer(session, type, data) { return { data: this.execute(session, type, data) }; }

  execute(session, type, data) {
    this.executed.push({ type, data, sid: session.sid });
    const me = this.members.get(session.pid);
    if (type === 'hand') {
      me.hand = data.raised ? 7 : undefined;
      this.touch(me);
      this.changed({ updated: [session.pid] });
      return { participant: this.seen(session.pid) };
    }
    if (type === 'pc.offer') {
      me.tracks = data.tracks.map((one) => ({ tid: `tr_${one.cid}`, pid: me.pid, rev: 0, ...one }));
      this.touch(me);
      for (const track of me.tracks) track.rev = me.rev;
      return { gen: data.gen, offerId: data.offerId, answer: 'v=0', tracks: structuredClone(me.tracks), slots: [] };
    }
    if (type === 'track.mute') {
      const track = me.tracks.find((one) => one.cid === data.cid);
      if (!track) return {};
      track.muted = data.muted;
      this.touch(me);
      track.rev = me.rev;
      return { track: structuredClone(track) };
    }
    return type === 'sync' ? { tracks: [], missing: data.desired.publications.map((one) => one.cid) } : { ok: true };
  }

  end(session) {
    this.sessions.delete(session.sid);
    this.leave(session.pid);
  }

  greet(wire, { resume }) {
    const ticket = resume && this.tickets.get(resume.token);
    if (resume && !ticket) { wire.cut(4401); return; }
    if (!ticket) { this.open(wire, 'fresh', `pa_${++this.count}`, 0); return; }
    const session = this.sessions.get(ticket.sid);
    if (!session) {
      if (ticket.isKnown) this.open(wire, 'snapshot', ticket.pid, resume.attempt);
      else this.open(wire, 'rejoin', ticket.pid, resume.attempt);
      return;
    }
    if (resume.attempt <= session.attempt) { this.counts.refused += 1; wire.cut(4111); return; }
    // Numbers of a session before this one say nothing about it.
    this.attach(wire, session, { ...resume, ...(ticket.made === session.sid ? {} : { lastSeq: -1 }) });
  }

  open(wire, outcome, pid, attempt) {
    const sid = `se_${++this.count}`;
    const session = { sid, pid, attempt, seq: 0, floor: 0, log: [], lastId: 0, answers: new Map(), knows: [], wire, batch: { joined: [], updated: [], left: [] } };
    this.sessions.set(sid, session);
    for (const ticket of this.tickets.values()) if (ticket.pid === pid) ticket.sid = sid;
    wire.session = session;
    if (!this.members.has(pid) || outcome === 'rejoin') this.join({ pid });
    session.batch = { joined: [], updated: [], left: [] };
    this.welcome(session, outcome, { seq: 0 });
    this.snapshot(session);
  }

  attach(wire, session, { lastSeq, attempt }) {
    session.wire?.cut(4111);
    Object.assign(session, { wire, attempt });
    wire.session = session;
    if (lastSeq >= session.floor && lastSeq <= session.seq) {
      this.welcome(session, 'replay', { seq: lastSeq, upTo: session.seq });
      const later = session.log.filter((event) => event.seq > lastSeq);
      const isNewest = (event, index) => !event.key || !later.slice(index + 1).some((other) => other.key === event.key);
      for (const { key, ...event } of later.filter(isNewest)) wire.say(event);
      wire.say({ type: 'replayed', data: { upTo: session.seq } });
      return;
    }
    const rev = session.knows.findLast((one) => one.seq <= lastSeq)?.rev;
    session.log = [];
    session.floor = session.seq;
    session.batch = { joined: [], updated: [], left: [] };
    // What lies between is never told: the client counts on from here, and knows no more than before.
    session.knows = rev === undefined ? [] : [{ seq: session.seq, rev }];
    const isCovered = rev !== undefined && (this.gone.length < TOMBSTONES || rev >= this.gone[0].rev);
    this.welcome(session, isCovered ? 'delta' : 'snapshot', { seq: session.seq });
    if (!isCovered) { this.snapshot(session); return; }
    const changed = [...this.members.values()].filter((one) => one.rev > rev).map((one) => this.seen(one.pid));
    const left = this.gone.filter((one) => one.rev > rev && !this.members.has(one.pid));
    this.pages(session, 'delta', 'changed', changed, { fromRev: rev }, { left });
  }

  welcome(session, outcome, more) {
    this.counts[outcome] += 1;
    const token = `t${++this.count}`;
    this.tickets.set(token, { made: session.sid, sid: session.sid, pid: session.pid, isKnown: true });
    session.wire.say({
      type: 'welcome', v: '1.0',
      data: {
        outcome, sid: session.sid, pid: session.pid, uid: 'me', room: { id: 'r', rev: this.rev, epoch: this.epoch }, role: 'speaker',
        grants: { publish: ['camera', 'mic'], moderate: true }, limits: { inflight: 64 }, hb: 10_000, ackedId: session.lastId,
        resume: { token, windowMs: 60_000 }, ...more,
      },
    });
  }

  snapshot(session) {
    this.pages(session, 'snapshot', 'participants', [...this.members.keys()].map((pid) => this.seen(pid)));
  }

  /** `each` is on every page, `last` on the last one. */
  pages(session, type, key, people, each = {}, last = {}) {
    const of = this.pageCount;
    const size = Math.ceil(people.length / of);
    for (let page = 1; page <= of; page++) {
      const beside = { ...(page === 1 ? this.beside(session) : {}), ...(page === of ? last : {}) };
      this.tell(session, type, { page, of, rev: this.rev, ...each, [key]: people.slice((page - 1) * size, page * size), ...beside });
    }
  }
  get pageCount() { return 2; }
  /** What first pages say beside the people. */
  beside() { return { slots: [] }; }
}
