// One random life of a person's calls: pages, sockets, a server with a door, and what happens to them. What was lived is counted, and what
// must be true of a call, while it lasts and after its end, is asserted here. What happens how often is for the tests.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { settle } from './fakes.mjs';
import { Gate } from './gate.mjs';
import { Clock, Locks, Page } from './page.mjs';
import { randomFrom } from './server.mjs';

const URL = 'ws://test/room';
/** On hearing of any of them somebody may leave. */
export const EVENTS = ['status', 'joined', 'left', 'updated', 'permissions', 'room', 'resumed', 'pending', 'message', 'published', 'warning', 'admitted', 'muted', 'needsUser'];

/** How often what was lived, in all lives that share it. */
export class Lived {
  steps = new Map(); closes = new Map(); outcomes = new Map(); ends = new Map(); acts = new Map();
  static count(map, key) { map.set(key, (map.get(key) ?? 0) + 1); }
}

/** One room from `connect` to its end. */
class Call {
  state = 'idle'; promises = []; room = null; isJoined = false; ended = null; data = []; lost = 0; sids = new Set(); stop = new AbortController();
  constructor(person) { Object.assign(this, { person, page: person.page }); }

  /** Whatever a person asked for is answered in the end, or refused. */
  track(what, promise, then = () => {}) {
    const one = { what, isSettled: false };
    this.promises.push(one);
    promise.then((value) => { one.isSettled = true; then(null, value); }, (error) => { one.isSettled = true; then(error); });
  }
}

/** One tab. */
export class Person {
  call = null; page = null;
  /** What its pages have heard, reloads or not. */
  heard;
  constructor(life, { token, renews = false, stored, heard = new Set() }) {
    Object.assign(this, { life, token, renews, heard });
    this.open(stored);
  }

  open(stored) {
    const { life } = this;
    const person = this;
    const page = new Page({ ...life, stored });
    Object.assign(this, { page, call: null });
    const { prototype } = page.sdk.Room;
    const { _signalChanged: changed, _note: note } = prototype;
    prototype._signalChanged = function stepped(state, how) { if (!page.isClosed) person.stepped(this, state, how); return changed.call(this, state, how); };
    prototype._note = function noted(what, detail = {}) {
      if (page.isClosed) return;
      if (what === 'closed') Lived.count(life.lived.closes, `${detail.code} ${detail.next}`);
      if (what === 'welcome') { Lived.count(life.lived.outcomes, detail.outcome); person.call?.sids.add(detail.sid); }
      note.call(this, what, detail);
    };
  }

  get room() { return this.call?.isJoined ? this.call.room : null; }
  get state() { return this.call?.state ?? 'idle'; }
  get isOver() { return !this.call || this.call.state === 'ended'; }
  get session() { return [...this.life.server.sessions.values()].find((one) => one.sid === this.call?.room?.sid); }
  get wire() { return this.page.wires.findLast((one) => !one.isDead && !one.isLeft); }

  /** A step of the machine, as the SDK says it. */
  stepped(room, state, { from, event }) {
    const { call, life } = this;
    const where = `${life.name}: ${from} ${event} ${state}\n${life.trail.slice(-30).join('\n')}`;
    assert.equal(call.state, from, where);
    assert.equal(this.page.sdk.MACHINE[from][event], state, where);
    Lived.count(life.lived.steps, `${from} ${event}`);
    Object.assign(call, { room, state });
    life.trail.push(`${life.clock.now % 10_000_000} ${event} → ${state}`);
  }

  join({ isHurried = false } = {}) {
    const { page, life } = this;
    const call = new Call(this);
    this.call = call;
    const getToken = () => new Promise((resolve, reject) => {
      page.clock.set(page, () => (life.random() < 0.1 ? reject(new Error('no token today')) : resolve(this.token)), life.upTo(300), { isInner: true });
    });
    const joining = page.sdk.connect({
      url: URL, WebSocket: page.WebSocket, signal: call.stop.signal, ...(this.renews ? { getToken } : { token: this.token }),
    });
    call.track('connect', joining, (error, room) => { if (room) this.joined(call, room); });
    // Whoever gives up at once does so before there is a socket.
    if (isHurried) call.stop.abort();
  }

  joined(call, room) {
    Object.assign(call, { room, isJoined: true });
    room.on('data', ({ mid }) => { call.data.push(mid); this.heard.add(mid); });
    room.on('dataLost', ({ lost }) => { call.lost += lost; });
    room.on('ended', (ended) => { call.ended = ended; });
    for (const type of ['status', 'resumed', 'needsUser', 'admitted']) {
      room.on(type, () => assert.equal(call.ended, null, `${this.life.name}: ${type} after the end`));
    }
    for (const type of EVENTS) {
      room.on(type, () => {
        if (call.leavesOn !== type) return;
        call.leavesOn = null;
        Lived.count(this.life.lived.acts, `leave on ${type}`);
        room.leave();
      });
    }
  }

  /** A call that has ended leaves nothing. */
  async checkEnd() {
    const { call, page, life } = this;
    if (!call || call.state !== 'ended' || call.isChecked) return;
    call.isChecked = true;
    const where = () => `${life.name}\n${life.trail.slice(-30).join('\n')}`;
    assert.deepEqual(page.left().filter((what) => !what.includes('capture')), [], where());
    assert.equal(getEventListeners(call.stop.signal, 'abort').length, 0, `${where()}: the signal is listened to`);
    const sockets = page.wires.length;
    for (const goesOn of [false, true]) {
      if (goesOn) this.goOn();
      await life.clock.pass(3_000);
      assert.deepEqual(page.left(), [], where());
      assert.deepEqual(call.promises.filter((one) => !one.isSettled).map((one) => one.what), [], where());
    }
    assert.equal(page.wires.length, sockets, `${where()}: dialed after the end`);
    if (call.isJoined) {
      assert.equal(call.room.status.state, 'ended', where());
      assert.equal(call.room.pending.size, 0, where());
      Lived.count(life.lived.ends, call.ended.reason);
    } else Lived.count(life.lived.ends, 'never joined');
    this.checkData();
    this.page.peers = this.page.peers.filter((one) => !one.closed);
    this.page.wires = [];
  }

  /** Applications may not have noticed yet. */
  goOn() {
    const { call } = this;
    if (!call.isJoined) return;
    const { room } = call;
    call.track('a capture after the end', room.publishCamera());
    call.track('a hand after the end', room.raiseHand());
    call.track('data after the end', room.sendData('late'));
    for (const one of room.publications.values()) {
      call.track('a mute after the end', one.setMuted(!one.muted));
      call.track('the end of what was published', room.unpublish(one));
    }
    room.react('👋');
    room.authenticate();
  }

  checkData() {
    const { call, life } = this;
    assert.equal(new Set(call.data).size, call.data.length, `${life.name}: data came twice`);
  }

  /** In the end the client knows what the server knows. */
  checkSame() {
    const { call, room, session, life } = this;
    const { server } = life;
    const where = `${life.name}\n${life.trail.slice(-40).join('\n')}`;
    assert.ok(session?.wire, `${where}: no session`);
    assert.equal(room.me.pid, session.pid, where);
    const theirs = [...server.members.values()].filter((one) => one.pid !== session.pid);
    assert.deepEqual(facts(room.participants.values()), facts(theirs), where);
    const me = server.members.get(session.pid);
    assert.deepEqual([room.me.hand, me.hand !== undefined], [room.desired.hand, room.desired.hand], where);
    assert.deepEqual([room.me.name, room.desired.name ?? me.name], [me.name, me.name], where);
    const tracks = (list) => [...list].map(({ cid, muted }) => `${cid} ${muted}`).sort();
    assert.deepEqual(tracks(room.publications.values()), tracks(me.tracks), where);
    for (const one of room.publications.values()) assert.equal(one.pending, false, where);
    assert.equal(room.pending.size, 0, where);
    assert.deepEqual(call.promises.filter((one) => !one.isSettled).map((one) => one.what), [], where);
    const missing = session.due.filter((mid) => !this.heard.has(mid));
    assert.ok(missing.length <= call.lost, `${where}: ${missing} were lost, and ${call.lost} are said to be`);
    this.checkData();
  }
}

const facts = (members) => [...members].map((one) => {
  const tracks = [...(one.tracks ?? one.publications.values())].map((track) => `${track.tid} ${track.muted}`).sort();
  return `${one.pid} ${one.uid} ${one.name} ${tracks.join()}`;
}).sort();

/** A server whose sessions remember what they were to be told. */
class Remembering extends Gate {
  made(session) { return super.made({ due: [], ...session }); }
  data(mid) {
    for (const session of this.hearing) session.due.push(mid);
    super.data(mid);
  }
}

export class Life {
  persons = []; trail = []; asked = []; locks = new Locks(); clock = new Clock();

  constructor(seed, lived, { log = [3, 8, 24][seed % 3], hasLocks = true } = {}) {
    const random = randomFrom(seed);
    Object.assign(this, { name: `seed ${seed}`, lived, random, hasLocks });
    this.server = new Remembering(random, { log, now: () => this.clock.now });
    for (const pid of ['a', 'b', 'c']) this.arrives(pid);
  }

  arrives(pid) {
    if (this.server.members.has(pid)) return;
    this.server.join({ pid, tracks: [{ tid: `t_${pid}`, pid, kind: 'video', source: 'camera', muted: false, rev: this.server.rev }] });
  }

  pick(list) { return list[Math.floor(this.random() * list.length)]; }
  upTo(most) { return Math.floor(this.random() * most); }
  chance(share) { return this.random() < share; }
  get others() { return [...this.server.members.keys()].filter((pid) => pid.length === 1); }

  person(options) {
    const person = new Person(this, options);
    this.persons.push(person);
    return person;
  }

  closeTab(person, hides = true) {
    person.page.close({ hides });
    this.persons.splice(this.persons.indexOf(person), 1);
  }

  /** One thing happens. */
  async step(acts, weights) {
    const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
    let dice = this.random() * total;
    const [name] = Object.entries(weights).find(([, weight]) => (dice -= weight) < 0);
    const did = await acts[name](this, this.pick(this.persons));
    if (did !== false) { Lived.count(this.lived.acts, name); if (name !== 'deliver') this.trail.push(`  ${name}`); }
    await settle();
    for (const person of this.persons) await person.checkEnd();
  }

  async deliver(times) { for (let n = 0; n < times && this.server.step(); n++) await settle(); }
  async calm() { for (let n = 0; n < 500; n++) { await settle(); if (!this.server.step()) { await settle(); if (!this.server.step()) return; } } }

  /** Everything works again, and everybody comes back; then all of them know the same. */
  async heal() {
    const { server } = this;
    // Without locks tabs are one device, and of these only one can be in the room.
    while (!this.hasLocks && this.persons.length > 1) this.closeTab(this.persons[0]);
    if (server.isDraining) server.restart(true);
    Object.assign(server, { isDown: false, isCrowded: false, isLocked: false, isOther: false, isMediaAway: false, refuses: null, capacity: Infinity });
    server.banned.clear();
    for (const claims of server.claims.values()) Object.assign(claims, { isRevoked: false, expiresAt: Infinity, room: undefined, isAlone: false });
    for (const { page, call } of this.persons) {
      if (call) call.leavesOn = null;
      page.thaw();
      page.setOnline(true);
      page.hide(false);
    }
    for (const wire of server.wires) if (wire.isStalled) wire.cut();
    for (const session of server.sessions.values()) if (session.leavesAt < Infinity) session.leavesAt = Infinity;
    for (let n = 0; n < 60; n++) {
      await this.calm();
      for (const session of server.sessions.values()) if (session.waiting) server.admit(session);
      for (const person of this.persons) {
        await person.checkEnd();
        if (person.isOver) person.join();
        if (person.state === 'needsUser') person.room?.authenticate(person.token);
        for (const peer of person.page.peers) if (!peer.closed && peer.localDescription && peer.iceConnectionState !== 'connected') peer.ice('connected');
      }
      await this.clock.pass(2_500);
      server.flushRoster();
      server.beat();
      if (n > 12 && this.persons.every((one) => one.state === 'live')) break;
    }
    server.flushRoster();
    await this.calm();
  }

  check() {
    for (const person of this.persons) {
      assert.equal(person.state, 'live', `${this.name}\n${this.trail.slice(-60).join('\n')}`);
      person.checkSame();
    }
    const executed = new Map();
    for (const { type, data } of this.server.executed) if (type === 'add') executed.set(data.n, (executed.get(data.n) ?? 0) + 1);
    for (const { n, call, outcome } of this.asked) {
      const times = executed.get(n) ?? 0;
      const where = `${this.name}: add ${n} ${outcome} and executed ${times} times`;
      if (outcome === 'done') assert.ok(times >= 1, where);
      // A request is one as long as its session is.
      if (call.sids.size <= 1) assert.ok(times <= (outcome === 'refused' ? 0 : 1), where);
    }
  }

  async leave() {
    for (const person of this.persons) {
      person.room.leave();
      await settle();
      await person.checkEnd();
      assert.equal(person.state, 'ended');
    }
    await this.calm();
    const uids = [...this.server.sessions.values()].filter((one) => one.wire).map((one) => one.pid);
    assert.deepEqual(uids, [], `${this.name}: who has left is still there\n${this.trail.slice(-60).join('\n')}`);
  }
}
