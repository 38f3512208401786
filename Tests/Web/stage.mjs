// A room above a socket and a peer connection that the test plays.
import { FakeSocket, person, settle, snapshot, welcome } from './fakes.mjs';

export class FakeStream { constructor(tracks) { this.tracks = tracks; } }
export class FakeTrack {
  constructor(kind, settings = {}) { Object.assign(this, { kind, settings, enabled: true, readyState: 'live', id: `${kind}${++FakeTrack.count}` }); }
  static count = 0;
  getSettings() { return this.settings; }
  stop() { this.readyState = 'ended'; }
}
export class FakePeer {
  static all = [];
  /** Throws where a browser would refuse. */
  static refuses = null;
  static extensions = [];
  transceivers = []; signalingState = 'stable'; iceConnectionState = 'new'; connectionState = 'new'; closed = false;
  constructor() { FakePeer.all.push(this); }
  addTransceiver(trackOrKind, { direction, sendEncodings = [] }) {
    const kind = trackOrKind.kind ?? trackOrKind;
    const sender = {
      track: trackOrKind.kind ? trackOrKind : null, encodings: sendEncodings,
      async replaceTrack(next) { this.track = next; },
      getParameters() { return { encodings: structuredClone(this.encodings) }; },
      async setParameters({ encodings }) { FakePeer.refuses?.(encodings); this.encodings = encodings; this.changes = (this.changes ?? 0) + 1; },
    };
    const transceiver = {
      mid: null, direction, sender, receiver: { track: new FakeTrack(kind) }, codecs: null, extensions: [],
      setCodecPreferences(codecs) { this.codecs = codecs.map((one) => one.mimeType.split('/')[1].toLowerCase()); },
      getHeaderExtensionsToNegotiate() { return structuredClone(FakePeer.extensions); },
      setHeaderExtensionsToNegotiate(list) { this.extensions = list; },
    };
    this.transceivers.push(transceiver);
    return transceiver;
  }
  async createOffer({ iceRestart }) { return { type: 'offer', sdp: iceRestart ? 'restart' : 'offer' }; }
  async setLocalDescription(description) {
    if (description.type === 'rollback') { this.signalingState = 'stable'; return; }
    this.localDescription = description;
    this.signalingState = 'have-local-offer';
    this.transceivers.forEach((one, index) => { one.mid ??= String(index); });
  }
  async setRemoteDescription() { this.signalingState = 'stable'; }
  ice(state) { this.iceConnectionState = state; this.oniceconnectionstatechange?.(); }
  async getStats() { return new Map(); }
  close() { this.closed = true; }
}
globalThis.RTCPeerConnection = FakePeer;
globalThis.MediaStream = FakeStream;
export const sfu = await import('../../Sources/Signaling/Web/sdk/sfu.js');

export const reset = () => { FakeSocket.all = []; FakePeer.all = []; };

export async function join(t, participants = [], options = {}, greeting = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const joining = sfu.connect({ url: 'ws://test', user: { uid: 'me', name: 'Me' }, deviceId: 'd', WebSocket: FakeSocket, ...options });
  await settle();
  await greet(participants, greeting);
  const room = await joining;
  t.after(() => room.leave());
  const seen = [];
  for (const type of ['joined', 'left', 'published', 'unpublished', 'muted', 'unmuted', 'status', 'warning']) {
    room.on(type, (detail) => seen.push([type, detail.participant?.pid ?? detail.state ?? detail.error?.code, detail.publication?.source].filter(Boolean).join(' ')));
  }
  return { room, seen, socket: FakeSocket.last };
}
export async function greet(participants, more) {
  await FakeSocket.last.open();
  await settle();
  FakeSocket.last.say(welcome(more), snapshot(1, [person('pa_me', [], { name: 'Me' }), ...participants]));
  await settle();
}
/** Answers the newest offer the way the server does. */
export async function answer(more = {}) {
  const offer = FakeSocket.last.requests('pc.offer').at(-1);
  const tracks = offer.data.tracks.map((one) => ({ ...one, tid: `tr_${one.cid}`, pid: 'pa_me', rev: 5 }));
  FakeSocket.last.say({ re: offer.id, data: { gen: offer.data.gen, offerId: offer.data.offerId, answer: 'v=0', tracks, slots: [], ...more } });
  await settle();
  return offer.data;
}
