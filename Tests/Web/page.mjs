// Browser pages that a test plays: each loads the SDK anew, with a window, timers, sockets, connections and devices of its own. What a
// page has is counted, so that a test sees what is left of a call. A page can be hidden, frozen, offline, reloaded and duplicated.
import { readFileSync } from 'node:fs';
import { FakePeer, FakeStream, FakeTrack } from './stage.mjs';
import { settle } from './fakes.mjs';

const text = readFileSync(new URL('../../Sources/Signaling/Web/sdk/sfu.js', import.meta.url), 'utf8');
const exported = [...text.matchAll(/^export (?:async )?(?:const|function|class) (\w+)/gm)].map((match) => match[1]);
const body = text.replace(/^export (?=async|const|function|class)/gm, '').replace('import.meta.url', '"https://sfu.example.org/sdk/sfu.js"');
/** What the module finds in a browser, and may be another one in each page. */
const GLOBALS = [
  'window', 'document', 'navigator', 'sessionStorage', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'Math', 'AbortSignal',
  'RTCPeerConnection', 'MediaStream',
];
const evaluate = new Function(...GLOBALS, `"use strict";\n${body}\nreturn { ${exported.join(', ')} };`);

/** The time of all pages. */
export class Clock {
  now = 1_800_000_000_000;
  #timers = new Set();
  set(page, run, ms, more) {
    if (page.isClosed) return null;
    const timer = { page, run, at: this.now + Math.max(0, Number(ms) || 0), from: new Error().stack, ...more };
    this.#timers.add(timer);
    return timer;
  }
  clear(timer) { this.#timers.delete(timer); }
  /** Those that a page has set; not those of the browser itself. */
  of(page) { return [...this.#timers].filter((one) => one.page === page && !one.isInner); }
  forget(page) { for (const one of [...this.#timers]) if (one.page === page) this.#timers.delete(one); }
  /** What is due in a page that is frozen waits. */
  async pass(ms) {
    await settle();
    const end = this.now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter((one) => one.at <= end && !one.page.isFrozen).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.now = Math.max(this.now, next.at);
      if (next.every) next.at = this.now + next.every; else this.#timers.delete(next);
      next.run();
      await settle();
    }
    this.now = end;
    await settle();
  }
}

/** Something with listeners. */
class Ears {
  #list = [];
  get count() { return this.#list.length; }
  addEventListener(type, run, { once = false } = {}) { this.#list.push({ type, run, once }); }
  removeEventListener(type, run) { this.#list = this.#list.filter((one) => one.type !== type || one.run !== run); }
  dispatch(type, event = {}) {
    for (const one of this.#list.filter((each) => each.type === type)) {
      if (one.once) this.#list = this.#list.filter((each) => each !== one);
      one.run(event);
    }
  }
}

/** The locks of an origin: pages wait for them in turn. */
export class Locks {
  #held = new Map(); #waiting = [];
  request(page, name, { signal }, use) {
    return new Promise((resolve, reject) => {
      const one = { page, name, start: () => { this.#held.set(name, page); resolve(use()); } };
      signal?.addEventListener('abort', () => { this.#waiting = this.#waiting.filter((each) => each !== one); reject(signal.reason); });
      this.#waiting.push(one);
      this.#grant();
    });
  }
  release(page) {
    for (const [name, holder] of [...this.#held]) if (holder === page) this.#held.delete(name);
    this.#waiting = this.#waiting.filter((one) => one.page !== page);
    this.#grant();
  }
  #grant() {
    for (const one of [...this.#waiting]) {
      if (this.#held.has(one.name)) continue;
      this.#waiting = this.#waiting.filter((each) => each !== one);
      one.start();
    }
  }
}

export class Page {
  isFrozen = false; isClosed = false; wires = []; peers = []; tracks = []; sounds = new Set();
  window = new Ears(); document = new Ears(); connection = new Ears();

  /** `stored`: what its tab has stored; `random` is the one of the test, so that a seed is always the same run. */
  constructor({ clock, locks, hasLocks, server, random, stored = new Map() }) {
    Object.assign(this, { clock, locks, server, random, stored });
    const page = this;
    Object.assign(this.document, { hidden: false, createElement: () => this.#audio(), body: { append: (element) => this.sounds.add(element) } });
    this.navigator = {
      userAgent: 'test', onLine: true, connection: this.connection,
      locks: hasLocks ? { request: (...more) => locks.request(page, ...more) } : undefined,
      mediaDevices: { getUserMedia: (wanted) => this.#capture(wanted) },
    };
    this.WebSocket = class extends server.WebSocket {
      missed = null;
      constructor(...more) { super(...more); page.wires.push(this); if (page.isClosed) this.die(); }
      get isUnreachable() { return !page.navigator.onLine; }
      get isBusy() { return super.isBusy && (!page.isFrozen || (this.isOpen && this.up.length > 0 && !this.down.length)); }
      closed(event) { if (page.isFrozen) this.missed = event; else super.closed(event); }
    };
    this.sdk = this.#load();
  }

  #load() {
    const { clock, random } = this;
    const page = this;
    const set = (more) => (run, ms) => clock.set(page, run, ms, more(ms));
    const clear = (timer) => clock.clear(timer);
    class PageDate extends Date { static now() { return clock.now; } }
    // A browser takes a while for each description; where the connection is closed meanwhile it never answers (WebRTC §4.4.1.5).
    const slowly = (peer, work) => new Promise((resolve, reject) => {
      if (peer.closed) { reject(new DOMException('closed', 'InvalidStateError')); return; }
      const run = () => { if (!peer.closed) work().then(resolve, reject); };
      clock.set(page, run, random() < 0.5 ? 0 : Math.floor(random() * 300), { isInner: true });
    });
    class PagePeer extends FakePeer {
      constructor() { super(); page.peers.push(this); }
      setLocalDescription(description) { return slowly(this, () => super.setLocalDescription(description)); }
      setRemoteDescription(description) { return slowly(this, () => super.setRemoteDescription(description)); }
    }
    const storage = {
      getItem: (key) => this.stored.get(key) ?? null, 
      setItem: (key, value) => { if (!this.isClosed) this.stored.set(key, value); }, removeItem: (key) => { if (!this.isClosed) this.stored.delete(key); },
    };
    const timeout = (ms) => {
      const stop = new AbortController();
      clock.set(page, () => stop.abort(new DOMException('late', 'TimeoutError')), ms, { isInner: true });
      return stop.signal;
    };
    const maths = Object.assign(Object.create(Math), { random });
    const given = {
      window: this.window, document: this.document, navigator: this.navigator, sessionStorage: storage, Date: PageDate, Math: maths, AbortSignal: { timeout },
      setTimeout: set(() => ({})), setInterval: set((ms) => ({ every: ms })), clearTimeout: clear, clearInterval: clear,
      RTCPeerConnection: PagePeer, MediaStream: FakeStream,
    };
    return evaluate(...GLOBALS.map((name) => given[name]));
  }

  #audio() {
    const audio = { dataset: {}, play: async () => {}, remove: () => this.sounds.delete(audio) };
    return audio;
  }

  /** The person takes a while to allow it. */
  #capture({ video }) {
    return new Promise((resolve) => {
      this.clock.set(this, () => {
        const track = new FakeTrack(video ? 'video' : 'audio');
        this.tracks.push(track);
        resolve({ getVideoTracks: () => (video ? [track] : []), getAudioTracks: () => (video ? [] : [track]) });
      }, Math.floor(this.random() * 800), { isInner: true });
    });
  }

  // What happens to a page.

  hide(hidden) {
    if (this.document.hidden === hidden) return;
    this.document.hidden = hidden;
    this.document.dispatch('visibilitychange');
  }
  setOnline(isOnline) {
    if (this.navigator.onLine === isOnline) return;
    this.navigator.onLine = isOnline;
    // What was under way goes nowhere, and nobody says so.
    if (!isOnline) for (const wire of this.wires) wire.isStalled = true;
    this.window.dispatch(isOnline ? 'online' : 'offline');
  }
  moveNetwork() {
    for (const wire of this.wires) wire.isStalled = true;
    this.connection.dispatch('change');
  }
  freeze() { this.isFrozen = true; }
  /** `event`: what the browser says of it. */
  thaw(event = 'resume') {
    if (!this.isFrozen) return;
    this.isFrozen = false;
    for (const wire of this.wires) {
      const { missed } = wire;
      wire.missed = null;
      if (missed) wire.closed(missed);
    }
    if (event === 'pageshow') this.window.dispatch('pageshow', { persisted: true }); else if (event) this.document.dispatch(event);
  }
  /** The page is gone: reloaded, left or crashed. What it had on its way may still arrive; what it would have done later does nothing. */
  close({ hides = true } = {}) {
    if (hides && !this.isFrozen) this.window.dispatch('pagehide', { persisted: false });
    this.isClosed = true;
    this.clock.forget(this);
    for (const wire of this.wires) { wire.onopen = wire.onmessage = wire.onclose = null; wire.close(); }
    this.locks.release(this);
  }

  /** What is left of calls, in words; empty: nothing. */
  left() {
    const found = [];
    for (const timer of this.clock.of(this)) found.push(`timer ${timer.from.split('\n').slice(2, 6).join(' ')}`);
    for (const wire of this.wires) if (!wire.isDead && !wire.isLeft) found.push('socket');
    for (const peer of this.peers) if (!peer.closed) found.push('connection');
    for (const track of this.tracks) if (track.readyState === 'live') found.push(`${track.kind} capture`);
    for (const [name, one] of Object.entries({ window: this.window, document: this.document, network: this.connection })) {
      if (one.count) found.push(`${one.count} listeners of ${name}`);
    }
    if (this.sounds.size) found.push(`${this.sounds.size} audio elements`);
    return found;
  }
}
