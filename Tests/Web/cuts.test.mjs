// A room over a network that is cut at random, under a server that dies at random. Nothing critical is lost or doubled, every
// request is executed once, and in the end the client knows what the server knows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settle } from './fakes.mjs';
import { Server, randomFrom } from './server.mjs';
import { FakeTrack, reset, sfu } from './stage.mjs';

const STEPS = 160;

/** Runs one seed; `kills` says how often the server dies, of 1000 steps. Returns what it went through. */
async function run(t, seed, kills) {
  reset();
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const random = randomFrom(seed);
  // The client's jitter, too: a seed is always the same run.
  t.mock.method(Math, 'random', random);
  const server = new Server(random, { log: [3, 8, 24][seed % 3] });
  for (const pid of ['a', 'b', 'c']) server.join({ pid, tracks: [{ tid: `t_${pid}`, pid, kind: 'video', source: 'camera', muted: false, rev: 1 }] });
  const state = { cuts: 0, kills: 0, data: [], asked: 0, answered: 0, joins: 0, ended: null };
  const joining = sfu.connect({ url: `ws://test/${seed}`, deviceId: `d${seed}`, WebSocket: server.WebSocket });
  const calm = async () => { for (let i = 0; i < 400; i++) { await settle(); if (!server.step()) { await settle(); if (!server.step()) return; } } };
  await calm();
  const room = await joining;
  room.on('data', ({ mid }) => state.data.push(mid));
  room.on('ended', (ended) => { state.ended = ended; });
  const camera = room.publish(new FakeTrack('video'));
  camera.catch(() => {});
  const ask = (n) => { state.asked += 1; room.request('add', { n }).then(() => { state.answered += 1; }, () => {}); };
  const pick = (list) => list[Math.floor(random() * list.length)];
  const others = () => [...server.members.keys()].filter((pid) => pid.length === 1);
  for (let step = 0; step < STEPS; step++) {
    const dice = random() * 1_000;
    if (dice < kills) { state.kills += 1; server.kill({ media: random() < 0.6 }); }
    else if (dice < 90) { state.cuts += 1; server.wire.cut(); }
    else if (dice < 130) ask(step);
    else if (dice < 180 && others().length) server.mute(pick(others()), random() < 0.5);
    else if (dice < 220 && others().length) server.rename(pick(others()), `name ${step}`);
    else if (dice < 250 && others().length) server.leave(pick(others()));
    else if (dice < 290) { const pid = pick([...'abcdefgh']); if (!server.members.has(pid)) server.join({ pid, tracks: [{ tid: `t_${pid}`, pid, kind: 'video', source: 'camera', muted: false, rev: server.rev }] }); }
    else if (dice < 320) server.flushRoster();
    else if (dice < 350) server.data(`m${step}`);
    else if (dice < 370) room.raiseHand(random() < 0.5).catch(() => {});
    else if (dice < 390) { const [mine] = room.publications.values(); mine?.setMuted(random() < 0.5).catch(() => {}); }
    else if (dice < 470) t.mock.timers.tick(Math.floor(random() * 2_500));
    else { for (let n = random() * 6; n > 0; n--) { server.step(); await settle(); } }
    await settle();
  }
  // Calm again: everything that waits arrives.
  for (let i = 0; i < 12; i++) { await calm(); t.mock.timers.tick(2_500); server.flushRoster(); }
  await calm();
  assert.equal(state.ended, null);
  assert.equal(room.status.state === 'ended', false);
  return { room, server, state, finish: async () => { await room.leave(); t.mock.timers.reset(); } };
}

const facts = (members) => [...members].map((one) => {
  const [track] = [...(one.tracks ?? one.publications.values())];
  return `${one.pid} ${one.name} ${track ? `${track.tid} ${track.muted}` : ''}`;
}).sort();

function check({ room, server, state }, seed, isExact) {
  const [session] = server.sessions.values();
  const where = `seed ${seed}`;
  assert.equal(server.sessions.size, 1, where);
  const theirs = [...server.members.values()].filter((one) => one.pid !== session.pid);
  assert.deepEqual(facts(room.participants.values()), facts(theirs), where);
  assert.equal(state.answered, state.asked, where);
  const added = server.executed.filter((one) => one.type === 'add').map((one) => one.data.n);
  assert.equal(new Set(added).size, state.asked, where);
  assert.equal(new Set(state.data).size, state.data.length, `${where}: data came twice`);
  assert.equal(room.me.hand, room.desired.hand, where);
  assert.equal(server.members.get(session.pid).hand !== undefined, room.desired.hand, where);
  const [mine] = room.publications.values();
  const told = server.members.get(session.pid).tracks[0];
  assert.deepEqual([told?.cid, told?.muted], [mine.cid, mine.muted], where);
  assert.equal(room.pending.size, 0, where);
  assert.equal(server.counts.gaps, 0, where);
  assert.equal(server.counts.refused, 0, where);
  if (isExact) assert.equal(added.length, state.asked, `${where}: a request was executed twice`);
}

test('over cuts, each request is executed once and the client ends up knowing what the server knows', async (t) => {
  const total = { cuts: 0, replay: 0, delta: 0, snapshot: 0, data: 0 };
  for (let seed = 1; seed <= 120; seed++) {
    const done = await run(t, seed, 0);
    check(done, seed, true);
    total.cuts += done.state.cuts;
    for (const outcome of ['replay', 'delta', 'snapshot']) total[outcome] += done.server.counts[outcome];
    await done.finish();
  }
  // All of it happened, or the test says nothing.
  assert.ok(total.cuts > 500 && total.replay > 100 && total.delta > 20, JSON.stringify(total));
});

test('a server that dies is found again, with its media or without', async (t) => {
  const total = { kills: 0, snapshot: 0, rejoin: 0 };
  for (let seed = 1_001; seed <= 1_080; seed++) {
    const done = await run(t, seed, 25);
    check(done, seed, false);
    total.kills += done.state.kills;
    for (const outcome of ['snapshot', 'rejoin']) total[outcome] += done.server.counts[outcome];
    await done.finish();
  }
  assert.ok(total.kills > 100 && total.snapshot > 40 && total.rejoin > 20, JSON.stringify(total));
});
