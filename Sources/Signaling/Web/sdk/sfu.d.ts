// Types of sfu.js, the client SDK: one ES module, no dependency. docs/sdk.md is the guide.

export declare const VERSION: string;

export type Source = "camera" | "mic" | "screen" | "screenAudio";
export type Kind = "audio" | "video";

/** Codes of a refused request; `session_lost`, `network` and `timeout` are the SDK's own. */
export type ErrorCode =
  | "bad_request" | "unauthenticated" | "forbidden" | "not_found" | "conflict" | "locked" | "full"
  | "rate_limited" | "too_large" | "unsupported" | "not_ready" | "already_applied" | "expired"
  | "overloaded" | "internal" | "session_lost" | "network" | "timeout";

/** Every error of this module is one of these; `code` is for programs, `message` for people. */
export declare class SFUError extends Error {
  readonly code: string;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly details?: unknown;
}
/** The server refused a request. */
export declare class RequestError extends SFUError {
  readonly code: ErrorCode;
}
/** The server could not be reached. */
export declare class ConnectionError extends SFUError {}
/** The session is over; `closeCode` is the protocol's (41xx: for good, 44xx: fix something first). */
export declare class EndedError extends SFUError {
  readonly closeCode: number;
}
/** The browser or the person refused a device. */
export declare class DeviceError extends SFUError {
  readonly code: "denied" | "no_device" | "in_use" | "insecure" | "unsupported" | "cancelled" | "constraint" | "device";
}

export interface User {
  /** Without one, each tab is a user of its own. */
  uid?: string;
  name?: string;
}

export interface ConnectOptions {
  /** The room's name; the socket's address is then `/v1/rooms/{room}/signal` on `server`. */
  room?: string;
  /** `https://host[:port]`; default: the server that served this module. */
  server?: string | URL;
  /** The socket's whole address, instead of `room` and `server`. */
  url?: string | URL;
  /** A token of the chat server. */
  token?: string;
  /** Asked for a token at the start, again a minute before the stay ends, and when the old one has expired. */
  getToken?: () => string | Promise<string>;
  /** Who joins when the server runs with `--dev` and there is no token. */
  user?: User;
  /** Identifies this tab across reloads; default: kept in `sessionStorage`. */
  deviceId?: string;
  /** Tracks to publish with the first offer. */
  publish?: Array<{ track: MediaStreamTrack } & PublishOptions>;
  /** Receive audio and video without asking for each (default true). */
  autoSubscribe?: boolean;
  /** The loudest voices to hear at once (default 3). */
  audioSlots?: number;
  /** Video slots of the first offer (default 4; 16 on Firefox); more are added on demand, up to 49. */
  videoSlots?: number;
  /** Gives up joining; after a join use `Room.leave`. */
  signal?: AbortSignal;
  /** Dials before the first welcome that may fail (default 4). Afterwards the SDK never gives up. */
  attempts?: number;
  rtcConfiguration?: RTCConfiguration;
  /**
   * Traces for the operator (W3C Trace Context), where the server has a collector: the share of pages that are traced, 0 to 1
   * (default 1), or what makes the `traceparent` of each message, for an application that traces by itself.
   */
  trace?: number | (() => string | undefined);
  /** Another socket class than the browser's. */
  WebSocket?: typeof WebSocket;
}

export interface CaptureOptions {
  deviceId?: string;
  /** A track that was captured before, a preview for instance. */
  track?: MediaStreamTrack;
  /** Start muted: nothing is sent and, for a camera, nothing is captured. */
  muted?: boolean;
  name?: string;
}
export interface CameraOptions extends CaptureOptions {
  /** Default 1280 × 720 at 30. */
  width?: number;
  height?: number;
  frameRate?: number;
  facingMode?: "user" | "environment";
  simulcast?: boolean;
  codec?: VideoCodec;
  scalabilityMode?: string;
}
export interface MicrophoneOptions extends CaptureOptions {
  echoCancellation?: boolean;
  noiseSuppression?: boolean;
  autoGainControl?: boolean;
  /** Discontinuous transmission: silence costs almost nothing (default true). */
  dtx?: boolean;
  /** RED: each packet repeats the one before, so that single losses are not heard (default true). */
  redundancy?: boolean;
}
export interface ScreenOptions {
  /** Share the sound of the tab or system where the browser can (default true). */
  audio?: boolean;
  frameRate?: number;
  /** `detail` (default) keeps text sharp, `motion` keeps video smooth. */
  contentHint?: "detail" | "text" | "motion";
  simulcast?: boolean;
  codec?: VideoCodec;
  scalabilityMode?: string;
}
export type VideoCodec = "vp8" | "h264" | "vp9" | "av1";

export interface PublishOptions {
  source?: Source;
  name?: string;
  /** Default true for video; the number of layers follows the resolution. */
  simulcast?: boolean;
  /** Instead of the SDK's own choice, lowest layer first. */
  encodings?: RTCRtpEncodingParameters[];
  /** What it is sent with where browser and server can; default: what the server prefers, VP8. */
  codec?: VideoCodec;
  /** `L3T3_KEY` and the like: one stream with layers instead of simulcast, for VP9 (the default then) and AV1. `L1T2` or
   * `L1T3`: that many temporal layers in each simulcast encoding. */
  scalabilityMode?: string;
  muted?: boolean;
  dtx?: boolean;
  stereo?: boolean;
  /** RED for audio (default true, but not for stereo). */
  redundancy?: boolean;
  maxBitrate?: number;
  contentHint?: string;
  /** How to capture again after a mute that released the device. */
  recapture?: () => Promise<MediaStreamTrack>;
  /** Stop the track when it is unpublished (default: only tracks that the SDK captured). */
  stopTrack?: boolean;
}

/** A stream of packets that a participant sends: what `publish` makes and what others receive. */
export declare class Publication {
  /** The server's id; empty while a publication of ours is pending. */
  readonly tid: string;
  /** The client's stable key (ours only). */
  readonly cid?: string;
  readonly participant: Participant;
  readonly kind: Kind;
  readonly source: Source;
  readonly name?: string;
  readonly muted: boolean;
  /** `pid` of the moderator who muted it, or `server`; null where its publisher did. */
  readonly mutedBy: string | null;
  /** Its publisher cannot unmute it. */
  readonly locked: boolean;
  /** MIME subtype in lower case, once known. */
  readonly codec?: string;
  readonly width?: number;
  readonly height?: number;
  /** Frames per second of the best layer, once known. */
  readonly fps?: number;
  /** Encodings, or the spatial layers `s` of one encoding, lowest first. */
  readonly layers: Array<{ rid?: string; s?: number; live?: boolean; width?: number; height?: number; fps?: number; kbps?: number }>;
  readonly isLocal: boolean;
  /** Ours: the captured track. Others': the slot's track while a slot carries it. */
  readonly track: MediaStreamTrack | null;
  /** Others' only: the slot that carries it now. */
  readonly slot: SlotInfo | null;
}

export declare class LocalPublication extends Publication {
  /** Waits for the server's confirmation. */
  readonly pending: boolean;
  /** Whether the server still has to confirm it, or its newest mute. */
  readonly unconfirmed: boolean;
  readonly sender: RTCRtpSender | null;
  /** Simulcast layers, lowest first; empty for a single encoding. */
  readonly rids: string[];
  /** What the server wants of it, once it has said so; encodings that are not `active` are switched off. */
  readonly demand: LayerDemand[] | null;
  mute(): Promise<void>;
  unmute(): Promise<void>;
  setMuted(muted: boolean): Promise<void>;
  /** Another camera, canvas or file in the same publication, without a new negotiation. */
  replaceTrack(track: MediaStreamTrack): Promise<void>;
  unpublish(): Promise<void>;
}

export interface LayerDemand {
  readonly rid?: string;
  readonly active: boolean;
  /** The largest tile that it is for, device pixels. */
  readonly maxW?: number;
  readonly maxH?: number;
  readonly maxFps?: number;
}

export declare class Participant {
  readonly pid: string;
  readonly uid: string;
  readonly name: string;
  readonly kind: string;
  readonly role?: string;
  readonly attrs: Record<string, unknown>;
  /** `active`; `reconnecting` while the server does not hear from it; `mediaOnly`, `signalOnly`. */
  readonly conn: "active" | "reconnecting" | "mediaOnly" | "signalOnly";
  readonly hand: boolean;
  /** When it raised its hand, `Date.now()` of the server; null while it is down. */
  readonly handAt: number | null;
  readonly joinedAt?: number;
  readonly isLocal: boolean;
  readonly speaking: boolean;
  /** 0 to 1, while speaking. */
  readonly level: number;
  readonly publications: ReadonlyMap<string, Publication>;
  readonly camera: Publication | null;
  readonly microphone: Publication | null;
  readonly screen: Publication | null;
  get(source: Source): Publication | null;
}

export type SlotReason =
  | "none" | "bandwidth" | "viewport" | "publisher" | "keyframe" | "hidden" | "unsubscribed" | "muted" | "codec";

/** A receive section of the connection and what the server puts into it. */
export interface SlotInfo {
  readonly mid: string;
  readonly kind: Kind;
  readonly tid: string | null;
  readonly pid: string | null;
  /** Spatial layer, 0 the lowest. */
  readonly layer: number | null;
  /** The highest temporal layer, 0 the lowest. */
  readonly temporalLayer: number | null;
  readonly width: number;
  readonly height: number;
  readonly paused: boolean;
  readonly reason: SlotReason;
}

/** What the server sends to a tile, and why no more. */
export interface TileLayer {
  readonly spatial: number;
  readonly temporal: number | null;
  readonly width: number;
  readonly height: number;
  readonly reason: SlotReason;
}

/** What a tile receives (or, for our own, sends). */
export interface ReceiveInfo {
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly kbps: number;
  readonly codec: string;
  readonly layer: number | null;
  readonly temporalLayer: number | null;
  readonly layers: number;
  /** The most that the sender has; zeros: unknown. null for our own. */
  readonly offered: { readonly width: number; readonly height: number; readonly fps: number } | null;
  readonly paused: boolean;
  readonly reason: SlotReason;
  readonly lossPercent: number;
  readonly jitterMs: number;
  /** The reason in words, for people. */
  readonly text: string;
  /** Our own publications: what each layer sends. */
  readonly sending?: Array<{ rid: string; width: number; height: number; fps: number; kbps: number; active: boolean; limit?: string }>;
}

export interface TileOptions {
  source?: Source;
  /** 0–255, higher first (default 100). */
  priority?: number;
  maxFps?: number;
  /** false: `attach`: no size is measured, the best layer is asked for. */
  observe?: boolean;
}

export type TileState =
  /** Nothing published. */
  | "empty"
  /** Muted by its publisher. */
  | "muted"
  /** Published, no frame yet. */
  | "waiting"
  | "playing"
  /** The server pauses it; `info().text` says why. */
  | "paused";

/** A rectangle that shows a publication. Fires `change` when state or target changed. */
export declare class Tile extends EventTarget {
  readonly element: HTMLElement;
  readonly video: HTMLVideoElement;
  readonly state: TileState;
  readonly publication: Publication | null;
  target: Participant | Publication | null;
  priority: number;
  /** Frames per second that are enough; 0: as many as there are. */
  maxFps: number;
  readonly layer: TileLayer | null;
  info(): ReceiveInfo | null;
  close(): void;
}

export type Ended = { code: number; reason: string; text: string };

/** `state` is for programs, `text` for people. */
export interface Status {
  readonly state: "connecting" | "waiting" | "live" | "degraded" | "reconnecting" | "syncing" | "needsUser" | "ended";
  /** What is being reconnected: with `signal` alone sound and picture go on. What is degraded: `signal` or `audio`. */
  readonly what?: "signal" | "media" | "both" | "audio";
  /** `Date.now()` of the change; while reconnecting, of the loss. */
  readonly since: number;
  readonly text: string;
  readonly ended?: Ended;
}

export interface RoomStats {
  readonly rttMs: number | null;
  readonly signalRttMs: number | null;
  readonly protocol: string | null;
  readonly sendKbps: number;
  readonly receiveKbps: number;
  readonly availableSendKbps: number | null;
  /** By mid. */
  readonly receive: ReadonlyMap<string, { kind: Kind; width: number; height: number; fps: number; kbps: number; codec: string; packets: number; lost: number; lossPercent: number; jitterMs: number; frames: number; level: number; freezes: number }>;
  /** By cid. */
  readonly send: ReadonlyMap<string, NonNullable<ReceiveInfo["sending"]>>;
  readonly resumes: number;
  readonly lastSeq: number;
}

/** Somebody who waits to be let in. */
export interface Waiting {
  readonly pid: string;
  readonly uid: string;
  readonly name?: string;
  readonly since: number;
}

export interface DataMessage {
  /** null: the server, or somebody who has left. */
  from: Participant | null;
  pid?: string;
  uid?: string;
  topic: string;
  mid: string;
  payload: any;
  /** It was sent by another device of our own user. */
  self: boolean;
}

export interface DataReceipt {
  readonly mid: string;
  readonly accepted: boolean;
  /** Sessions that it was queued for; unknown (0) for an unreliable one. */
  readonly deliveredTo: number;
  readonly relaySeq?: number;
  readonly duplicate?: boolean;
}

/** Something that happened to the connection. `at` is `Date.now()`. */
export interface TimelineEntry {
  readonly at: number;
  /** `closed`, `welcome`, `resumed`, `gap`, `slept`, `network`, `media`, `status`, `applied`, `warning`, `ended`. */
  readonly what: string;
  readonly [detail: string]: any;
}

export interface Diagnosis {
  /** In one sentence; `code` is `ok` where nothing was found. */
  readonly verdict: { readonly code: string; readonly text: string };
  /** The server's answer to `diag.get`, or `{ error }`. */
  readonly server: any;
  readonly local: any;
  readonly timeline: readonly TimelineEntry[];
}

/** Everything that the application wants, whatever became of the session. */
export interface Desired {
  readonly publications: ReadonlyArray<{ cid: string; kind: Kind; source: Source; muted: boolean; name?: string }>;
  readonly subscriptions: { readonly auto: boolean; readonly set: readonly any[] };
  readonly view: { readonly tiles: readonly any[] };
  readonly hand: boolean;
  readonly name?: string;
  readonly attrs?: Record<string, string | null>;
}

export interface RoomEvents {
  status: Status;
  /** We came back after a loss. */
  resumed: { ms: number; outcome: "replay" | "delta" | "snapshot" | "rejoin" | "fresh" };
  /** The token has expired and there is no other one: ask for one, then `authenticate`. */
  needsUser: Ended;
  /** The stay ends in so many milliseconds; with `getToken` nothing needs to be done. */
  tokenExpiring: { inMs: number };
  /** Something that we want waits for the server's word, or has it. */
  pending: { key: string; isPending: boolean };
  /** A moderator let us in. */
  admitted: Record<string, never>;
  data: DataMessage;
  /** So many reliable messages are lost for good: we were away for too long. */
  /** `isUnknown`: the server was restarted, and more than `lost` may be gone. */
  dataLost: { lost: number; isUnknown: boolean };
  reaction: { participant: Participant | null; uid: string; emoji: string };
  /** Lock, waiting room, spotlight or meta changed. */
  room: { locked: boolean; hasLobby: boolean; spotlight: string | null; meta: Record<string, string>; by: Participant | null };
  /** What we may do changed. */
  permissions: { role?: string; grants: any; by: Participant | null };
  /** For those who may admit: who waits now, and what changed. */
  lobby: { waiting: Waiting[]; change?: "waiting" | "admitted" | "denied" | "left"; who?: { pid: string; uid?: string; name?: string } };
  /** A moderator muted a publication of ours, or changed whether we may unmute it. */
  forceMuted: { publication: LocalPublication; muted: boolean; locked: boolean; by: Participant | null };
  /** A moderator asks us to unmute. */
  unmuteRequest: { source: Source; publication: LocalPublication | null; by: Participant | null };
  /** The server ended a publication of ours. */
  stopped: { publication: LocalPublication; by: Participant | null };
  /** The server asks us to go to another room, with a token that opens it. */
  move: { room: string; token: string; reason?: string };
  joined: { participant: Participant };
  left: { participant: Participant; reason?: string };
  updated: { participant: Participant };
  published: { publication: Publication; participant: Participant };
  unpublished: { publication: Publication; participant: Participant };
  muted: { publication: Publication; participant: Participant };
  unmuted: { publication: Publication; participant: Participant };
  speakers: { dominant: Participant | null; active: Participant[] };
  slots: { slots: SlotInfo[] };
  /** The browser wants a click before it plays sound: call `startAudio` from one. */
  audioBlocked: { blocked: boolean };
  /** A device of ours stopped or could not be captured again. */
  deviceLost: { publication: LocalPublication; error?: DeviceError };
  /** Something of ours that runs in the background failed; nothing needs to be done. */
  warning: { error: Error };
  /** Every event of the protocol, known or not. */
  message: { name: string; data: any; seq?: number; rev?: number };
  ended: Ended;
}

export declare class Room extends EventTarget {
  readonly name: string;
  readonly sid: string;
  readonly status: Status;
  readonly me: Participant;
  /** The others, by pid. */
  readonly participants: ReadonlyMap<string, Participant>;
  /** Ours, by cid. */
  readonly publications: ReadonlyMap<string, LocalPublication>;
  readonly slots: ReadonlyMap<string, SlotInfo>;
  readonly speakers: { readonly dominant: Participant | null; readonly active: readonly Participant[] };
  readonly grants: any;
  readonly limits: any;
  /** We wait to be let in; `admitted` tells when. What is published meanwhile is sent then. */
  readonly waiting: boolean;
  /** Nobody new comes in. */
  readonly locked: boolean;
  /** Who comes to the locked room waits in `lobby`. */
  readonly hasLobby: boolean;
  readonly meta: Record<string, string>;
  /** `pid` of whom everybody should see large. */
  readonly spotlight: string | null;
  readonly lobby: ReadonlyMap<string, Waiting>;
  /** Keys of what we want and the server has not confirmed yet. */
  readonly pending: ReadonlySet<string>;
  readonly desired: Desired;
  /** What happened to the connection, newest last; at most 256 entries. */
  readonly timeline: readonly TimelineEntry[];
  readonly audioBlocked: boolean;
  readonly peerConnection: RTCPeerConnection | null;

  /** Returns the function that removes the listener. */
  on<E extends keyof RoomEvents>(event: E, listener: (detail: RoomEvents[E]) => void): () => void;
  once<E extends keyof RoomEvents>(event: E): Promise<RoomEvents[E]>;
  /** All events until the room has ended. */
  [Symbol.asyncIterator](): AsyncIterator<{ [E in keyof RoomEvents]: { type: E } & RoomEvents[E] }[keyof RoomEvents]>;

  publish(track: MediaStreamTrack, options?: PublishOptions): Promise<LocalPublication>;
  publishCamera(options?: CameraOptions): Promise<LocalPublication>;
  publishMicrophone(options?: MicrophoneOptions): Promise<LocalPublication>;
  /** The screen and, where the browser captured it, its sound. */
  publishScreen(options?: ScreenOptions): Promise<LocalPublication[]>;
  unpublish(publication: LocalPublication | Source): Promise<void>;
  /** Switches a device without a new negotiation. */
  setDevice(kind: "camera" | "microphone" | "speaker", deviceId: string): Promise<void>;

  /** Shows a participant (its camera) or a publication, at the size that the element has. */
  tile(element: HTMLElement, target: Participant | Publication | null, options?: TileOptions): Tile;
  /** As `tile`, at the best layer, without watching the element. */
  attach(element: HTMLElement, target: Participant | Publication | null, options?: TileOptions): Tile;

  subscribe(target: Participant | Publication, on?: boolean): Promise<void>;
  unsubscribe(target: Participant | Publication): Promise<void>;
  /** 0 to 1, of everything a participant sends. */
  setVolume(participant: Participant | string, volume: number): void;
  /** To be called in a click after `audioBlocked`. */
  startAudio(): Promise<void>;
  /** Attributes that are null are removed. */
  updateMe(change: { name?: string; attrs?: Record<string, string | null> }): Promise<void>;
  setName(name: string): Promise<void>;
  raiseHand(raised?: boolean): Promise<void>;
  /** Shown to everybody for a moment, or lost with the connection. */
  react(emoji: string): void;
  /** Any JSON of at most 15 KiB. Reliable (the default): exactly once, also over lost connections. */
  sendData(payload: unknown, options?: {
    to?: Participant | string | Array<Participant | string>; topic?: string; reliable?: boolean; mid?: string;
  }): Promise<DataReceipt>;

  // For those with the grant `moderate`; a target is a participant, its pid, or a publication where that makes sense.
  /** `lock`: it cannot unmute by itself. */
  mute(target: Participant | Publication | string, options?: { source?: Source; lock?: boolean }): Promise<void>;
  /** Everybody who does not moderate. */
  muteAll(options?: { source?: Source; lock?: boolean }): Promise<void>;
  askToUnmute(target: Participant | Publication | string, options?: { source?: Source }): Promise<void>;
  kick(target: Participant | string, options?: { reason?: string; banSeconds?: number }): Promise<void>;
  setRole(target: Participant | string, role?: string, grants?: Record<string, unknown>): Promise<void>;
  stopShare(target: Participant | string): Promise<void>;
  setSpotlight(target: Participant | string | null): Promise<void>;
  lock(locked?: boolean, options?: { lobby?: boolean }): Promise<void>;
  unlock(): Promise<void>;
  /** Lets in somebody of `lobby`, or turns it away. */
  admit(target: Waiting | string, admit?: boolean): Promise<void>;
  /** Merged into `meta`; null removes a key. */
  updateRoom(meta: Record<string, string | null>): Promise<void>;
  roster(query?: { after?: string; limit?: number; filter?: Record<string, unknown> }): Promise<{
    participants: any[]; next?: string; total: number; rev: number;
  }>;

  /** Why somebody is not heard or seen; without a target, what the server knows of us. */
  diag(target?: Participant | Publication | string, options?: { source?: Source }): Promise<Diagnosis>;
  stats(): Promise<RoomStats>;
  /** After the status `needsUser`: comes back with another token, from `getToken` where none is given. */
  authenticate(token?: string): void;
  /** Any request of the protocol. `key`: a newer one replaces it while it waits for a connection. */
  request(type: string, data?: unknown, options?: { key?: string; isFirst?: boolean; abort?: AbortSignal }): Promise<any>;
  leave(reason?: string): Promise<void>;
}

/** Resolves when the room's members are known, or when we wait to be let in; media may still be connecting (`status` says so). */
export declare function connect(options: ConnectOptions): Promise<Room>;
/** Whether `connect` with the same options would come back as the participant that this tab was before a reload. */
export declare function resumable(options: ConnectOptions): Promise<boolean>;

export interface DeviceList {
  cameras: MediaDeviceInfo[];
  microphones: MediaDeviceInfo[];
  speakers: MediaDeviceInfo[];
}
export declare function listDevices(): Promise<DeviceList>;
export declare function captureCamera(options?: CameraOptions): Promise<MediaStreamTrack>;
export declare function captureMicrophone(options?: MicrophoneOptions): Promise<MediaStreamTrack>;
/** Camera and microphone with one question; `error` says why one or both are missing. */
export declare function captureBoth(options: { camera?: CameraOptions | false; microphone?: MicrophoneOptions | false }): Promise<{
  camera: MediaStreamTrack | null; microphone: MediaStreamTrack | null; error: DeviceError | null;
}>;
/** Reports the level of a track, 0 to 1, some 20 times a second; returns the function that stops it. */
export declare function meter(track: MediaStreamTrack, listener: (level: number) => void): () => void;
export declare function supported(): { ok: boolean; screen: boolean; sinkId: boolean; missing: string[] };

// Pure parts, exported for tests and for those who build their own client.
export declare function backoff(attempt: number, options?: { random?: () => number; cap?: number; first?: number }): number;
export declare function parseFrame(text: string): any[];
export declare function closeRule(code: number): "resume" | "end" | "fix";
/** What a closed socket leads to: another dial, sleep, another token, a question, or the end. */
export declare function afterClose(code: number, known?: {
  bye?: { afterMs?: number; spreadMs?: number } | null; dials?: number; attempts?: number; wasWelcomed?: boolean; isResuming?: boolean;
  canRenew?: boolean; hasRenewed?: boolean; isVisible?: boolean; lostMs?: number; windowMs?: number; random?: () => number;
}): { next: "dial" | "sleep" | "renew" | "ask" | "end"; delay?: number; forget?: boolean; ended?: Ended };
export declare function describeStatus(known: {
  isLive?: boolean; isOpen?: boolean; isDialing?: boolean; hasMedia?: boolean; wasLive?: boolean; isWaiting?: boolean; isBlocked?: boolean;
  isOffline?: boolean; isLong?: boolean; slow?: string;
}): Pick<Status, "state" | "what" | "text">;
/** A `traceparent` of this page's one trace; undefined where the page is not among the `share` (0 to 1) that is traced. */
export declare function traceparent(share?: number): string | undefined;
export declare function audioCounts(receive: ReadonlyMap<string, { kind: string; packets: number; lost: number }>): { packets: number; lost: number };
export declare function losesAudio(before: { packets: number; lost: number }, now: { packets: number; lost: number }): boolean;
export declare function simulcastEncodings(width: number, height: number, options?: PublishOptions): RTCRtpEncodingParameters[];
export declare function screenEncodings(width: number, height: number, options?: PublishOptions): RTCRtpEncodingParameters[];
export declare function applyLayers(
  encodings: RTCRtpEncodingParameters[], planned: RTCRtpEncodingParameters[], demand: LayerDemand[], options?: { rates?: boolean },
): boolean;
export declare function withOpusOptions(sdp: string, options: Record<string, { dtx?: boolean; stereo?: boolean }>): string;
export declare function slotsToOffer(have: number, need: number): number;
export declare function describe(info: Partial<ReceiveInfo>, isLocal?: boolean): string;
export declare function nextState(state: string, event: string): string;
export declare function normalizeSlot(message: any): SlotInfo;
export declare function collectView(
  wishes: Array<{ tid: string; w: number; h: number; visible: boolean; priority: number; maxFps: number }>, untiled?: string[],
): Array<{ tid: string; w: number; h: number; visible: boolean; priority: number; maxFps?: number }>;
export declare function digestStats(report: Map<string, any>, before?: any, trackToMid?: Map<string, string>): any;
export declare function socketURL(options: Pick<ConnectOptions, "url" | "room" | "server">, base?: string): string;
/** The signaling machine alone: one session over many sockets. */
export declare class Signal {
  constructor(options: any);
  readonly state: "idle" | "dialing" | "greeting" | "rejoining" | "syncing" | "live" | "waiting" | "needsUser" | "ended";
  readonly open: boolean;
  readonly sid: string;
  readonly epoch: string;
  readonly lastSeq: number;
  readonly rev: number;
  readonly rttMs: number | null;
  readonly resumes: number;
  /** When the last socket was lost; 0 while there is one. */
  readonly lostAt: number;
  /** Events that wait for us at the server, as its last heartbeat said. */
  readonly lag: number;
  /** Types of the requests without an answer. */
  readonly waiting: string[];
  start(): void;
  request(type: string, data?: unknown, options?: { key?: string; isFirst?: boolean; abort?: AbortSignal }): Promise<any>;
  notify(type: string, data?: unknown): void;
  /** What is wanted was told to a new session: the machine goes on from `rejoining`. */
  declared(): void;
  ping(): void;
  probe(): void;
  tick(): void;
  /** Dials again from `needsUser`. */
  again(): void;
  suspend(): void;
  leave(reason?: string): void;
}
