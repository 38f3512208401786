// An application in TypeScript, as strict as it gets: `tsc` checks it against sfu.d.ts, nobody runs it. Lines below
// `@ts-expect-error` must be wrong: otherwise the types would take anything.
import {
  connect, DeviceError, EndedError, RequestError, resumable, type ConnectOptions, type Participant, type Protocol, type Publication, type Room, type Status,
} from '../../../Sources/Signaling/Web/sdk/sfu.js';

export async function join(name: string, token: string): Promise<Room> {
  const options: ConnectOptions = { room: name, getToken: async () => token, videoSlots: 9 };
  if (await resumable(options)) console.info('coming back');
  const room = await connect(options);
  room.on('status', (status: Status) => show(status.text));
  room.on('left', ({ participant, reason }) => show(`${participant.name} ${reason ?? 'left'}`));
  room.on('permissions', ({ grants }) => { if (!grants.publish.includes('screen')) show('no screen'); });
  const stop = room.on('data', ({ from, payload, topic }) => show(`${from?.uid ?? 'server'} ${topic} ${String(payload)}`));
  await publish(room);
  stop();
  for await (const event of room) if (event.type === 'ended') show(event.text);
  return room;
}

async function publish(room: Room): Promise<void> {
  try {
    const camera = await room.publishCamera({ width: 1280, codec: 'vp9', scalabilityMode: 'L3T3_KEY' });
    await camera.mute();
  } catch (error) {
    if (error instanceof DeviceError && error.code === 'denied') show(error.message);
    else if (error instanceof RequestError && error.retryable) show(error.code);
    else if (error instanceof EndedError) show(`${error.closeCode}`);
    else throw error;
  }
}

export function grid(room: Room, element: HTMLElement): number {
  let largest = 0;
  for (const participant of room.participants.values()) {
    const camera: Publication | null = participant.camera;
    if (!camera || camera.muted) continue;
    const tile = room.tile(element, participant, { priority: 200, maxFps: 15 });
    tile.addEventListener('change', () => show(tile.info()?.text ?? tile.state));
    for (const layer of camera.layers) largest = Math.max(largest, layer.width ?? 0);
  }
  return largest;
}

/** Requests know their messages. */
export async function protocol(room: Room, who: Participant): Promise<string> {
  const { participant } = await room.request('hand', { raised: true });
  const page: Protocol.RosterPage = await room.request('roster.page', { limit: 10, filter: { role: 'speaker' } });
  const removal = await room.request('mod.kick', { pid: who.pid, banSec: 60 });
  await room.request('mod.spotlight', { pid: null });
  const later: unknown = await room.request('later.thing', { anything: [1] });
  return `${participant.rev} ${page.total} ${removal.bannedUntil ?? 0} ${String(later)}`;
}

/** A client of one's own reads envelopes. */
export function read(envelope: Protocol.ServerEnvelope<'roster'> | Protocol.ServerEnvelope<'bye'>): string {
  if (envelope.type === 'bye') return (envelope as Protocol.ServerEnvelope<'bye'>).data.action;
  const { joined, left } = (envelope as Protocol.ServerEnvelope<'roster'>).data;
  return joined.map((one) => one.uid).concat(left.map((one) => one.reason)).join();
}

export function advise(code: Protocol.CloseCode): string { return code === 4426 ? 'reload' : 'wait'; }

export async function wrong(room: Room): Promise<void> {
  // @ts-expect-error a text is no boolean
  await room.request('hand', { raised: 'yes' });
  // @ts-expect-error there is no such field in the result
  (await room.request('hand', { raised: true })).hand;
  // @ts-expect-error a source has one of four names
  await room.publish(new MediaStreamTrack(), { source: 'smell' });
  // @ts-expect-error there is no such event
  room.on('nothing', () => {});
  // @ts-expect-error participants cannot be changed from outside
  room.me.name = 'other';
  // @ts-expect-error 4999 is no close code
  advise(4999);
  const hello: Protocol.ClientEnvelope<'hello'> = { type: 'hello', v: '1.0', data: { token: 't', caps: ['batch'] } };
  // @ts-expect-error another message has other data
  const mute: Protocol.ClientEnvelope<'track.mute'> = { type: 'track.mute', id: 1, data: hello.data };
  show(mute.type);
}

function show(text: string): void { console.info(text); }
