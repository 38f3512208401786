// Random lives of calls over everything that can become of a connection. Every step of the client's machine is taken in them, and is counted.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { acts } from './acts.mjs';
import { Life, Lived } from './life.mjs';
import { sfu } from './stage.mjs';

const lived = new Lived();
const STEPS = 200;

/** What happens in every life, and how often. */
const ALWAYS = {
  deliver: 300, moment: 60, seconds: 50, cut: 20, ask: 30, say: 10, hand: 15, rename: 8, publish: 12, mute: 15, unpublish: 4, arrive: 20, depart: 15, muteOther: 20,
  renameOther: 20, tell: 25, data: 25, beat: 15, ice: 15, join: 60, authenticate: 25, pardon: 20, strike: 40,
};
const PROFILES = {
  network: { cut: 40, stall: 20, lose: 20, offline: 10, online: 30, moveNetwork: 10, halfMinute: 12, minutes: 4, hide: 8, show: 15, freeze: 6, thaw: 25, sleep: 6, slow: 5, badFrame: 10, silent: 5, down: 4, up: 20, leave: 3, refuse: 8 },
  door: { expire: 14, warn: 8, revoke: 12, outdate: 12, elsewhere: 5, kick: 7, ban: 5, pardon: 12, closeRoom: 4, full: 8, lock: 8, forgetUsers: 8, admit: 12, deny: 5, upgrade: 4, crowd: 6, steal: 5, leave: 3, cut: 30 },
  server: { kill: 14, drain: 8, restart: 30, down: 5, up: 25, mediaAway: 8, mediaBack: 20, restartMedia: 8, needMedia: 6, forget: 10, reap: 5, minutes: 3, leave: 3, expire: 8, kick: 4, authenticate: 40 },
  page: { reload: 12, leave: 10, leaveOn: 25, giveUp: 10, capture: 12, unplug: 4, hide: 8, show: 12, freeze: 4, thaw: 20, mediaAway: 6, mediaBack: 12, lose: 10, kill: 5, expire: 4, restartMedia: 4 },
  tabs: { duplicate: 20, closeTab: 6, reload: 8, leave: 6, alone: 3, cut: 40, kill: 6, steal: 6, expire: 5, hide: 6, show: 10, sleep: 3, kick: 4, ban: 3, lock: 4, admit: 10 },
};

async function live(name, seed, { weights, ...options }) {
  const life = new Life(seed, lived, options);
  life.name = `${name}, seed ${seed}`;
  const isLobby = seed % 5 === 0;
  life.server.issue('k1', { lobby: isLobby });
  const person = life.person({ token: 'k1', renews: seed % 2 === 0 });
  person.join();
  for (let n = 0; n < STEPS; n++) await life.step(acts, weights);
  await life.heal();
  life.check();
  await life.leave();
}

const LIVES = 60;
const lifeOf = (index, n) => {
  const [name, weights] = Object.entries(PROFILES)[index];
  return live(name, 1_000 * index + n, { weights: { ...ALWAYS, ...weights }, hasLocks: name !== 'tabs' || n % 2 === 0 });
};
for (const [index, name] of Object.keys(PROFILES).entries()) {
  test(`lives of which much is ${name}: what is asked is answered, what is told arrives once, and the end leaves nothing`, async () => {
    for (let n = 1; n <= LIVES; n++) await lifeOf(index, n);
  });
}

/** Every step that the machine's table allows. */
const steps = Object.entries(sfu.MACHINE).flatMap(([state, events]) => Object.keys(events).map((event) => `${state} ${event}`));
const missing = (wanted, map) => wanted.filter((one) => !map.has(one));

test('every step of the machine is taken in these lives', async () => {
  // What is rare may have been left out by chance: a few more.
  for (let n = LIVES + 1; n <= 2 * LIVES && missing(steps, lived.steps).length; n++) {
    for (const index of Object.keys(PROFILES).keys()) await lifeOf(index, n);
  }
  assert.deepEqual(missing(steps, lived.steps), []);
  assert.deepEqual(missing([...lived.steps.keys()], new Map(steps.map((one) => [one, 1]))), []);
});

/** Codes that no life can bring, and what of docs/protocol.md, or of the lives, would have to change for that. */
const UNLIVED = {
  1000: ({ protocol }) => !/^\| 1000 \|/m.test(protocol),
  // Whoever leaves has closed the socket, and does not wait for the server to do so.
  4103: () => lived.ends.has('left'),
  4404: ({ protocol }) => /^\| 4404 \| fix \| Reserved/m.test(protocol),
};

test('every way to lose a socket, to come back and to end is lived', () => {
  const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  const codes = read('Sources/Signaling/Web/sdk/sfu.d.ts').match(/type CloseCode = ([^;]+);/)[1].split(' | ');
  const closed = new Map([...lived.closes.keys()].map((one) => [one.split(' ')[0], 1]));
  assert.deepEqual(missing(codes, closed), Object.keys(UNLIVED));
  const protocol = read('docs/protocol.md');
  for (const [code, isTrue] of Object.entries(UNLIVED)) assert.ok(isTrue({ protocol }), code);
  const closes = [
    '1006 dial', '1006 sleep', '1006 end', '4000 dial', '4002 dial', '4008 dial', '4009 dial', '4010 dial', '4013 dial', '4100 end', '4101 end', '4102 end',
    '4104 end', '4111 end', '4401 dial', '4401 renew', '4401 ask', '4401 end', '4402 renew', '4402 ask', '4402 end', '4403 end', '4409 end', '4426 end',
  ];
  assert.deepEqual(missing(closes, lived.closes), []);
  assert.deepEqual(missing(['fresh', 'replay', 'delta', 'snapshot', 'rejoin'], lived.outcomes), []);
  assert.deepEqual(missing(['left', 'never joined', 'kicked', 'denied', 'banned', 'room_closed', 'replaced', 'superseded'], lived.ends), []);
  assert.deepEqual(missing(Object.keys(acts), lived.acts), []);
});
