// Every example of docs/sdk.md runs, in order of the page, against a server that answers everything.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { settle } from './fakes.mjs';
import { Server } from './server.mjs';
import { FakeTrack, reset, sfu } from './stage.mjs';

const text = readFileSync(new URL('../../docs/sdk.md', import.meta.url), 'utf8');
const examples = [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map((match) => ({
  code: match[1], heading: text.slice(0, match.index).match(/^#+ (.*)$/gm).at(-1),
}));

/** As much of an element as the examples use. */
const element = () => ({
  hidden: false, textContent: '', classList: { toggle() {} }, append() {}, prepend() {}, remove() {}, dataset: {},
  getBoundingClientRect: () => ({ width: 640, height: 360 }),
});

/** The page that an example stands in: a room with a friend, and what the example's application has. */
async function stage(t) {
  reset();
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const video = () => Object.assign(element(), { play: async () => {}, addEventListener() {} });
  globalThis.HTMLVideoElement = class {};
  globalThis.document = { createElement: (tag) => (tag === 'video' ? video() : element()), pictureInPictureElement: null, hidden: false };
  const server = new Server(() => 0.3);
  for (const pid of ['friend', 'other']) {
    server.join({ pid, name: pid, tracks: ['mic', 'screen'].map((source) => ({ tid: `${pid}-${source}`, pid, kind: source === 'mic' ? 'audio' : 'video', source, muted: false, rev: 1 })) });
  }
  const stopped = { now: false };
  const running = (async () => {
    while (!stopped.now) {
      await new Promise((resolve) => setImmediate(resolve));
      for (let i = 0; i < 20 && server.step(); i++) await settle();
    }
  })();
  const media = { getUserMedia: async ({ video: wantsVideo, audio }) => stream(wantsVideo, audio), getDisplayMedia: async () => stream(true, true) };
  const stream = (hasVideo, hasAudio) => ({
    getVideoTracks: () => (hasVideo ? [new FakeTrack('video', { width: 1280, height: 720 })] : []), getAudioTracks: () => (hasAudio ? [new FakeTrack('audio')] : []),
  });
  const connect = (options) => sfu.connect({ ...options, server: 'https://sfu.example.org', WebSocket: server.WebSocket });
  const room = await connect({ room: 'docs' });
  const track = (kind) => new FakeTrack(kind, { width: 1280, height: 720 });
  const recapture = async () => track('audio');
  const [camera, mic] = await Promise.all([room.publish(track('video'), { recapture }), room.publish(track('audio'), { recapture })]);
  t.after(async () => {
    await room.leave();
    stopped.now = true;
    await running;
    delete globalThis.document;
    delete globalThis.HTMLVideoElement;
  });
  return {
    server, media,
    names: {
      connect, resumable: sfu.resumable, room, camera, mic, friend: room.participants.get('friend'), grid: element(), line: element(), mute: element(), resume: element(), console: { info() {}, warn() {} },
      document: globalThis.document, canvas: { captureStream: () => ({ getVideoTracks: () => [track('video')] }) }, deviceId: 'camera-2',
      getToken: async () => 'token', fetch: async () => ({ text: async () => 'token' }), askForInvitation: async () => 'token',
      show() {}, paint() {}, point() {}, greet() {}, isFriend: () => true, describeQuality: sfu.describeQuality,
    },
  };
}

for (const [index, { code, heading }] of examples.entries()) {
  test(`docs/sdk.md, example ${index + 1}: ${heading.replace(/^#+ /, '')}`, async (t) => {
    const { names, server } = await stage(t);
    const { room } = names;
    // Capture is the browser's: here the tracks are given.
    for (const name of ['publishCamera', 'publishMicrophone', 'publishScreen', 'setDevice']) {
      const kind = name === 'publishMicrophone' ? 'audio' : 'video';
      t.mock.method(sfu.Room.prototype, name, async function publishing(options = {}) {
        if (name === 'setDevice') return undefined;
        const source = { publishCamera: 'camera', publishMicrophone: 'mic', publishScreen: 'screen' }[name];
        const made = await this.publish(new FakeTrack(kind, { width: 1280, height: 720 }), { ...options, source, recapture: async () => new FakeTrack(kind) });
        return name === 'publishScreen' ? [made] : made;
      });
    }
    room.grants.publish = ['camera', 'mic', 'screen'];
    const body = code.replace(/^import .*$/gm, '');
    const declared = [...body.matchAll(/^const (?:\{([^}]*)\}|\[([^\]]*)\]|(\w+)) =/gm)].flatMap((match) => (match[1] ?? match[2] ?? match[3]).split(',').map((name) => name.trim()));
    const given = Object.keys(names).filter((name) => !declared.includes(name));
    const run = new (async () => {}).constructor(...given, `${body}\nreturn { ${declared.join(', ')} };`);
    const isEndless = /for await/.test(body);
    const running = run(...given.map((name) => names[name]));
    if (isEndless) { await settle(); await room.leave(); }
    const made = await running;
    // What listeners do is part of the example, too.
    server.join({ pid: 'late' });
    server.data('m');
    server.flushRoster();
    const rest = async () => { for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve)); };
    await rest();
    for (const [type, detail] of Object.entries({
      status: room.status, pending: { key: 'x' }, resumed: { ms: 1, outcome: 'replay' }, reaction: { participant: names.friend, emoji: '👏' },
      lobby: { waiting: [{ pid: 'w', uid: 'w' }] }, data: { from: names.friend, topic: 'pointer', payload: {} },
    })) room._emit(type, detail);
    await names.mute.onclick?.();
    await rest();
    if (made.room && made.room !== room) await made.room.leave();
  });
}

test('the page has examples', () => { assert.ok(examples.length >= 10, `${examples.length}`); });
