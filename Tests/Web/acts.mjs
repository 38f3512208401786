// What may happen in a life: to the network, the server, the page, and what a person does. Each is tried at any time, and says false where
// there was nothing to do.
import { EVENTS } from './life.mjs';
import { FakeTrack } from './stage.mjs';

/** Something on the road to somebody's session. */
const onSession = (act) => (life, person) => (person.session ? act(life, person.session, person) : false);
const onWire = (act) => (life, person) => (person.wire && !person.wire.isFinished ? act(person.wire, life) : false);
/** Code of a page runs only while it is not frozen. */
const onPage = (act) => (life, person) => (person.page.isFrozen ? false : act(person.page, life, person));
const onRoom = (act) => (life, person) => (person.room && !person.isOver && !person.page.isFrozen ? act(person.room, life, person) : false);

const TRANSIENT = ['greeting', 'rejoining', 'syncing'];

let count = 0;
const mid = () => `m${++count}`;

export const acts = {
  // The network.
  deliver: (life) => life.deliver(1 + life.upTo(life.persons.some((one) => TRANSIENT.includes(one.state)) ? 2 : 7)),
  cut: onWire((wire) => { wire.cut(); }),
  stall: onWire((wire) => { wire.isStalled = true; }),
  /** A proxy that loses something; in a replay, where numbers may be missing, nobody could tell. */
  lose: (life, { wire, state }) => {
    if (state !== 'live' || !wire) return false;
    const at = wire.down.findIndex((one) => typeof one === 'string' && 'seq' in JSON.parse(one));
    if (at < 0) return false;
    wire.down.splice(at, 1);
  },
  offline: onPage((page) => { page.setOnline(false); }),
  online: onPage((page) => { if (page.navigator.onLine) return false; page.setOnline(true); }),
  moveNetwork: onPage((page) => { page.moveNetwork(); }),

  // Time.
  moment: (life) => life.clock.pass(life.upTo(400)),
  seconds: (life) => life.clock.pass(life.upTo(4_000)),
  halfMinute: async (life) => { for (let n = 0; n < 6; n++) { await life.clock.pass(5_000); await life.deliver(4); } },
  minutes: async (life) => { for (let n = 0; n < 12; n++) { await life.clock.pass(10_000); await life.deliver(1); } life.server.reap(); },

  // The page.
  hide: onPage((page) => { page.hide(true); }),
  show: onPage((page) => { if (!page.document.hidden) return false; page.hide(false); }),
  freeze: onPage((page) => { page.freeze(); }),
  thaw: (life, { page }) => { if (!page.isFrozen) return false; page.thaw(life.pick(['resume', 'pageshow', null])); },
  sleep: async (life, { page }) => { page.freeze(); await life.clock.pass(life.upTo(200_000)); page.thaw(life.pick(['resume', null])); },
  reload: (life, person) => {
    if (person.isOver) return false;
    person.page.close({ hides: life.chance(0.7) });
    person.open(person.page.stored);
    person.join();
  },
  /** Another tab with a copy of what this one has stored; where a browser has no locks it takes over. */
  duplicate: (life, person) => {
    if (life.persons.length > 2) return false;
    const { token, renews, heard } = person;
    const other = life.person({ token, renews, stored: new Map(person.page.stored), ...(life.hasLocks ? {} : { heard }) });
    other.join();
  },
  closeTab: (life, person) => {
    if (life.persons.length < 2) return false;
    life.closeTab(person, life.chance(0.7));
  },

  // The person.
  join: onPage((page, life, person) => { if (!person.isOver) return false; person.join({ isHurried: life.chance(0.05) }); }),
  leave: onRoom((room) => { room.leave(); }),
  leaveOn: onRoom((room, life, { call }) => {
    call.leavesOn = life.pick(EVENTS);
  }),
  giveUp: onPage((page, life, { call }) => { if (!call || call.isJoined || call.stop.signal.aborted) return false; call.stop.abort(); }),
  authenticate: onRoom((room, life, person) => { if (person.state !== 'needsUser') return false; room.authenticate(person.token); }),
  ask: onRoom((room, life, { call }) => {
    const one = { n: ++count, call, outcome: 'open' };
    life.asked.push(one);
    call.track(`add ${one.n}`, room.request('add', { n: one.n }), (error) => {
      one.outcome = !error ? 'done' : error.name === 'RequestError' ? 'refused' : 'over';
    });
  }),
  say: onRoom((room, life, { call }) => { call.track('data', room.sendData({ n: count }, { mid: mid() })); }),
  hand: onRoom((room, life, { call }) => { call.track('hand', room.raiseHand(life.chance(0.5))); }),
  rename: onRoom((room, life, { call }) => { call.track('me', room.setName(`name ${++count}`)); }),
  publish: onRoom((room, life, { call }) => {
    if (room.publications.size > 2) return false;
    call.track('publish', room.publish(new FakeTrack('video'), { source: 'camera' }));
  }),
  capture: onRoom((room, life, { call }) => { call.track('capture', life.chance(0.5) ? room.publishMicrophone() : room.publishCamera()); }),
  mute: onRoom((room, life, { call }) => {
    const one = life.pick([...room.publications.values()]);
    if (!one) return false;
    call.track('mute', one.setMuted(life.chance(0.5)));
  }),
  unpublish: onRoom((room, life, { call }) => {
    const [one] = room.publications.values();
    if (!one) return false;
    call.track('unpublish', room.unpublish(one));
  }),
  unplug: onPage((page) => {
    const one = page.tracks.findLast((track) => track.readyState === 'live' && track.onended);
    if (!one) return false;
    one.readyState = 'ended';
    one.onended();
  }),

  // The media.
  ice: onPage((page, life) => {
    const peer = page.peers.findLast((one) => !one.closed && one.localDescription);
    if (!peer) return false;
    peer.ice(life.pick(['checking', 'connected', 'connected', 'disconnected', 'failed']));
  }),
  needMedia: onSession(({ server }, session) => { if (session.waiting) return false; server.tell(session, 'pc.need', { audio: 3, video: 8, reason: 'publications' }); }),
  restartMedia: onSession((life, session) => { if (session.waiting || !session.hasMedia) return false; life.server.restartMedia(session, life.pick(['ice', 'new'])); }),
  mediaAway: ({ server }) => { server.isMediaAway = true; },
  mediaBack: ({ server }) => { if (!server.isMediaAway) return false; server.isMediaAway = false; },

  // The room.
  arrive: (life) => { life.arrives(life.pick([...'abcdefgh'])); },
  depart: (life) => { const pid = life.pick(life.others); if (!pid) return false; life.server.leave(pid); },
  muteOther: (life) => { const pid = life.pick(life.others); if (!pid) return false; life.server.mute(pid, life.chance(0.5)); },
  renameOther: (life) => { const pid = life.pick(life.others); if (!pid) return false; life.server.rename(pid, `name ${++count}`); },
  tell: ({ server }) => { server.flushRoster(); },
  data: ({ server }) => { server.data(mid()); },
  beat: ({ server }) => { server.beat(); },

  // The server and its moderators.
  refuse: ({ server }) => { server.refuses = server.refuses ? null : 'add'; },
  forget: ({ server }) => { server.forget(); },
  reap: ({ server }) => { server.reap(); },
  kill: (life) => { life.server.kill({ media: life.chance(0.6) }); },
  down: ({ server }) => { server.isDown = true; },
  up: ({ server }) => { if (!server.isDown) return false; server.isDown = false; },
  drain: (life) => { if (life.server.isDraining) return false; life.server.drain(life.pick([0, 2_000])); },
  restart: (life) => { if (!life.server.isDraining) return false; life.server.restart(life.chance(0.5)); },
  crowd: ({ server }) => { server.isCrowded = !server.isCrowded; },
  slow: onWire((wire) => { wire.finish(4008, 'events cannot be delivered'); }),
  /** The second time it is no accident. */
  badFrame: onWire((wire) => {
    const { session } = wire;
    if (!session) return false;
    wire.finish(session.isBad ? 4400 : 4002, 'the message cannot be read');
    session.isBad = true;
  }),
  silent: onWire((wire) => { wire.finish(4010, 'nothing was heard of the client'); }),
  upgrade: ({ server }) => { server.isOther = !server.isOther; },
  expire: onSession(({ server }, session) => { server.expire(session); }),
  warn: onSession(({ server }, session) => { if (session.waiting) return false; server.warn(session); }),
  revoke: (life, person) => { const claims = life.server.claims.get(person.token); claims.isRevoked = !claims.isRevoked; },
  outdate: (life, person) => { const claims = life.server.claims.get(person.token); claims.expiresAt = claims.expiresAt === Infinity ? 0 : Infinity; },
  elsewhere: (life, person) => { const claims = life.server.claims.get(person.token); claims.room = claims.room ? undefined : 'another'; },
  alone: (life, person) => { const claims = life.server.claims.get(person.token); claims.isAlone = !claims.isAlone; },
  kick: onSession(({ server }, session) => { server.expel(session, 4100, 'removed'); }),
  closeRoom: ({ server }) => { server.closeRoom(); },
  ban: ({ server }) => { server.ban('me'); },
  pardon: ({ server }) => { if (!server.banned.size) return false; server.banned.clear(); },
  full: ({ server }) => { server.capacity = server.capacity === Infinity ? server.sessions.size : Infinity; },
  lock: (life) => { life.server.isLocked = !life.server.isLocked; life.server.hasLobby = life.chance(0.7); },
  /** In the middle of something. */
  strike: (life, person) => {
    if (![...TRANSIENT, 'waiting', 'needsUser'].includes(person.state)) return false;
    if (person.wire && life.chance(0.7)) person.wire.isFull = true;
    return acts[life.pick(['expire', 'expire', 'expire', 'kick', 'leave', 'giveUp', 'cut', 'ban', 'authenticate'])](life, person);
  },
  forgetUsers: ({ server }) => { server.admitted.clear(); },
  admit: onSession(({ server }, session) => { if (!session.waiting) return false; server.admit(session); }),
  deny: onSession(({ server }, session) => { if (!session.waiting) return false; server.deny(session); }),
  /** A socket with the person's token, and a newer number: another copy of the same page. */
  steal: onSession((life, session) => {
    const [token] = [...life.server.tickets].findLast(([, ticket]) => ticket.made === session.sid) ?? [];
    if (!token) return false;
    const wire = new life.server.WebSocket('ws://test/room', []);
    wire.onopen = () => wire.send(JSON.stringify({ type: 'hello', v: '1.0', data: { resume: { token, attempt: session.attempt + 1, lastSeq: 0 } } }));
    wire.onmessage = () => wire.close();
  }),
};
