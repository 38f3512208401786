// Types of sfu.js, the client SDK: one ES module, no dependency. docs/sdk.md is the guide. The namespace `Protocol` at the
// end is generated from the server's sources (CONTRIBUTING.md says how); everything else is written by hand.

export declare const VERSION: string;

export type Source = Protocol.Source;
export type Kind = Protocol.MediaKind;

/** Codes of a refused request; `session_lost`, `network` and `timeout` are the SDK's own. */
export type ErrorCode = Protocol.ErrorCode | "session_lost" | "network" | "timeout";

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
  readonly layers: Array<Partial<Protocol.LayerObject>>;
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
  /** Nothing is sent of it for now: the uplink carries the voice alone (`Room.uplink`). */
  readonly suspended: boolean;
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
  readonly role?: Protocol.Role;
  readonly attrs: Record<string, string>;
  /** `active`; `reconnecting` while the server does not hear from it; `mediaOnly`, `signalOnly`. */
  readonly conn: Protocol.ConnectionState;
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
  /** How well its media arrives; null: not known, or the room is large. */
  readonly quality: Quality | null;
  get(source: Source): Publication | null;
}

/** What takes most off a score. */
export type QualityReason = Protocol.DirectionQualityReason;

/** One direction of a participant's media. */
export interface DirectionQuality {
  /** 1 (bad) to 5 (excellent); of others in steps of 0.5. */
  readonly score: number;
  readonly reason: QualityReason;
  /** 0 to 4. */
  readonly bars: number;
  readonly word: QualityWord;
  /** The figures, and the reason as a sentence; of ourselves alone. */
  readonly detail: Protocol.ParticipantQualityDetail | null;
}
export type QualityWord = "bad" | "poor" | "fair" | "good" | "excellent";

/** How well somebody's media arrives. Score, bars and word are those of the worse direction. */
export interface Quality {
  /** What it sends; null: nothing to judge by. */
  readonly up: DirectionQuality | null;
  /** What it receives; null: nothing to judge by. */
  readonly down: DirectionQuality | null;
  readonly score: number;
  readonly bars: number;
  readonly word: QualityWord;
}

export type SlotReason = Protocol.SlotStateReason;

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
  /** Where the reason is `bandwidth`: what the next better layer would need with all else that we receive, and what there is; else 0. */
  readonly neededKbps: number;
  readonly availableKbps: number;
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
  /** As in `SlotInfo`; absent for our own. */
  readonly neededKbps?: number;
  readonly availableKbps?: number;
  /** Of all that we receive, as the server says; and the lines of the next larger picture, 0: there is none. */
  readonly pathLossPercent?: number;
  readonly nextLines?: number;
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
  readonly server: Protocol.Diagnosis | { readonly error: unknown };
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
  resumed: { ms: number; outcome: Protocol.WelcomeOutcome };
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
  permissions: { role?: Protocol.Role; grants: Protocol.Grants; by: Participant | null };
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
  /** How well somebody's media arrives changed; null: it is not known any more. */
  quality: { participant: Participant; quality: Quality | null };
  /** The browser wants a click before it plays sound: call `startAudio` from one. */
  audioBlocked: { blocked: boolean };
  /** Our pictures had to give way to our voice, or may come back. */
  uplink: Uplink;
  /** A device of ours stopped or could not be captured again. */
  deviceLost: { publication: LocalPublication; error?: DeviceError };
  /** Something of ours that runs in the background failed; nothing needs to be done. */
  warning: { error: Error };
  /** Every event of the protocol, known or not. */
  message: { name: string; data: any; seq?: number; rev?: number };
  ended: Ended;
}

export interface RequestOptions {
  /** A newer request with the same key replaces it while it waits for a connection. */
  key?: string;
  /** Sent before those that wait already. */
  isFirst?: boolean;
  abort?: AbortSignal;
}

/** How far our pictures had to give way, so that our voice arrives. */
export interface Uplink {
  /** 0: not at all; 1: without the best layer, or at half the rate; 2: the lowest layer alone; 3: the camera is paused, and the voice narrower. */
  readonly level: 0 | 1 | 2 | 3;
  readonly reason: "none" | "loss" | "bandwidth";
  /** The same in words; empty at level 0. */
  readonly text: string;
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
  readonly grants: Protocol.Grants;
  readonly limits: Protocol.WelcomeBounds;
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
  readonly uplink: Uplink;
  /** Sends the camera again although the uplink seemed to carry the voice alone. */
  resumeVideo(): void;
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
  setRole(target: Participant | string, role?: Protocol.Role, grants?: Protocol.GrantsPatch): Promise<void>;
  stopShare(target: Participant | string): Promise<void>;
  setSpotlight(target: Participant | string | null): Promise<void>;
  lock(locked?: boolean, options?: { lobby?: boolean }): Promise<void>;
  unlock(): Promise<void>;
  /** Lets in somebody of `lobby`, or turns it away. */
  admit(target: Waiting | string, admit?: boolean): Promise<void>;
  /** Merged into `meta`; null removes a key. */
  updateRoom(meta: Record<string, string | null>): Promise<void>;
  roster(query?: Protocol.RosterQuery): Promise<Protocol.RosterPage>;

  /** Why somebody is not heard or seen; without a target, what the server knows of us. */
  diag(target?: Participant | Publication | string, options?: { source?: Source }): Promise<Diagnosis>;
  stats(): Promise<RoomStats>;
  /** After the status `needsUser`: comes back with another token, from `getToken` where none is given. */
  authenticate(token?: string): void;
  /** Any request of the protocol. */
  request<T extends keyof Protocol.ClientMessages>(
    type: T, data?: Protocol.ClientMessages[T]["data"], options?: RequestOptions,
  ): Promise<Protocol.ClientMessages[T]["result"]>;
  /** One that these types do not know. */
  request<T extends string>(
    type: T & (T extends keyof Protocol.ClientMessages ? never : unknown), data?: unknown, options?: RequestOptions,
  ): Promise<any>;
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
  encodings: RTCRtpEncodingParameters[], planned: RTCRtpEncodingParameters[], demand: LayerDemand[],
  options?: { rates?: boolean; size?: { width?: number; height?: number }; caps?: boolean },
): boolean;
export declare function withinBitrate(encodings: RTCRtpEncodingParameters[], maximum?: number): RTCRtpEncodingParameters[];
export declare function withinUplink(encodings: RTCRtpEncodingParameters[], level: number, source: Source): RTCRtpEncodingParameters[];
export declare function demandWithin(planned: RTCRtpEncodingParameters[], demand: LayerDemand[]): LayerDemand[];
export interface UplinkSample { loss: number; available: number | null; sendsVideo: boolean }
export declare function uplinkSample(report: Map<string, any>, before?: any): { next: any; sample: UplinkSample | null };
export declare function uplinkText(uplink: { level: number; reason: string; loss?: number; available?: number | null }): string;
/** Decides how far pictures give way; times in milliseconds. */
export declare class UplinkGuard {
  readonly level: 0 | 1 | 2 | 3;
  /** That of voices: one that became narrower is wider again beside a second layer, and not before. */
  readonly voiceLevel: 0 | 1 | 2 | 3;
  readonly reason: Uplink["reason"];
  note(sample: UplinkSample | null, now: number): boolean;
  isTrying(now: number): boolean;
  glance(half: UplinkSample | null, now: number): boolean;
  resume(now: number): boolean;
  reset(): boolean;
}
export declare function withOpusOptions(sdp: string, options: Record<string, { dtx?: boolean; stereo?: boolean }>): string;
export declare function slotsToOffer(have: number, need: number): number;
export declare function describe(info: Partial<ReceiveInfo>, isLocal?: boolean): string;
/** The machine of `Signal`: by state, what each event leads to. */
export declare const MACHINE: Readonly<Record<Signal["state"], Readonly<Record<string, Signal["state"]>>>>;
export declare function nextState(state: string, event: string): string;
/** How many of four bars a score from 1 to 5 is worth. */
export declare function qualityLevel(score: number): { bars: number; word: QualityWord };
/** Somebody's quality in a line, for people. */
export declare function describeQuality(quality: Quality | null): string;
/** "620 kbit/s", as exact as an estimate is. */
export declare function rateWords(kbps: number): string;
export declare function normalizeQuality(message?: Partial<Protocol.ParticipantQuality>): Quality | null;
export declare function normalizeSlot(message: Partial<Protocol.SlotObject>): SlotInfo;
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
  request<T extends keyof Protocol.ClientMessages>(
    type: T, data?: Protocol.ClientMessages[T]["data"], options?: RequestOptions,
  ): Promise<Protocol.ClientMessages[T]["result"]>;
  /** One that these types do not know. */
  request<T extends string>(
    type: T & (T extends keyof Protocol.ClientMessages ? never : unknown), data?: unknown, options?: RequestOptions,
  ): Promise<any>;
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

// begin generated protocol
/** Messages of `sfu.v1+json` and the objects in them, as they are on the wire. */
export declare namespace Protocol {
  /** How a closed socket ended; the hundreds carry the rule: 40xx resume, 41xx stay away, 44xx mend something first. */
  type CloseCode = 1000 | 4000 | 4002 | 4008 | 4009 | 4010 | 4013 | 4100 | 4101 | 4102 | 4103 | 4104 | 4111 | 4400 | 4401 | 4402 | 4403 | 4404 | 4409 | 4426;
  interface Acknowledge {
    /** An alternative to the envelope's `ack`. */
    seq?: number;
  }
  interface Admission {
    pid: string;
    admitted: boolean;
    /** As everybody sees it now, where it was admitted. */
    participant?: ParticipantObject;
    rev: number;
  }
  interface Admit {
    pid: string;
    admit: boolean;
  }
  /** Response to `pc.offer`, and `welcome.pc`. */
  interface Answering {
    gen?: number;
    offerId?: number;
    answer?: string;
    tracks: TrackObject[];
    slots: AnsweringSlot[];
    /** Only in `welcome.pc`: the offer was refused, the session is open all the same. */
    error?: ErrorObject;
  }
  interface AnsweringSlot {
    mid: string;
    kind: MediaKind;
  }
  interface AskToUnmute {
    tid?: string;
    pid?: string;
    source?: Source;
  }
  interface AudioLevels {
    active: AudioLevelsLevel[];
  }
  interface AudioLevelsLevel {
    pid: string;
    /** 0 (silent) to 127. */
    level: number;
  }
  interface Bye {
    code: number;
    reason: string;
    action: ByeAction;
    /** Wait that long before connecting again, milliseconds. */
    afterMs?: number;
    /** Spread the reconnects over so many milliseconds. */
    spreadMs?: number;
  }
  /**
   * `reconnect`: Connect again.
   * `stop`: Do not connect again by yourself.
   * `fix`: Mend the token, the version or the request first.
   */
  type ByeAction = "reconnect" | "stop" | "fix";
  /** What a client may understand beyond the minor version; it lists them in `hello.caps`. Unknown ones are passed over. */
  type Capability = "batch" | (string & {});
  interface ChangeRole {
    pid: string;
    role?: Role;
    /** On top of what the role brings. */
    grants?: GrantsPatch;
  }
  /** The codecs that are forwarded, by the lower-case encoding name of the rtpmap. */
  type CodecName = "opus" | "red" | "vp8" | "vp9" | "h264" | "av1" | (string & {});
  interface ConnectionChange {
    pid: string;
    conn: ConnectionState;
  }
  /** How a participant is connected. */
  type ConnectionState = "active" | "reconnecting" | "mediaOnly" | "signalOnly";
  interface DataReceipt {
    mid: string;
    accepted: boolean;
    /** Sessions that it was queued for, the sender's other devices included. */
    deliveredTo: number;
    /** Its number in the room's relay; absent where it was sent unreliably. */
    relaySeq?: number;
    /** It had been sent before, and this is what came of it then. */
    duplicate?: boolean;
  }
  /** What changed in the room while the client was away. */
  interface Delta {
    /** From 1. */
    page: number;
    of: number;
    fromRev: number;
    rev: number;
    /** Whoever joined or changed. */
    changed: ParticipantObject[];
    left: RosterChangeLeft[];
    /** The client's own receive sections; in the first page. */
    slots?: SlotObject[];
    speakers?: Speakers;
    /** Of everybody about whom it is known; on the first page. */
    qualities?: ParticipantQuality[];
    /** On the first page. */
    standing?: Standing;
    /** As in a snapshot. */
    relay?: RelayReport;
  }
  interface Diagnose {
    /** A track. */
    tid?: string;
    /** What a participant publishes: the `source`, the microphone where it is missing. */
    pid?: string;
    source?: Source;
  }
  interface Diagnosis {
    signal: DiagnosisSignal;
    /** Absent where nothing has been negotiated. */
    media?: DiagnosisMedia;
    slots: SlotObject[];
    permissions: Permissions;
    /** Empty where no target was named. */
    chain: DiagnosisStep[];
    verdict: DiagnosisVerdict;
  }
  interface DiagnosisMedia {
    transport: TransportState;
    /** The client's number of its PeerConnection. */
    gen?: number;
    negotiating: boolean;
    audioSlots: number;
    videoSlots: number;
    /** How well what the client sends and receives arrives; absent: nothing to judge by. */
    up?: ParticipantQualityDirection;
    down?: ParticipantQualityDirection;
  }
  /** All fields are optional: a client says what it knows. */
  interface DiagnosisReport {
    lastSeq?: number;
    gaps?: number;
    resumes?: number;
    /** From the loss of the socket to the last event of the resume, milliseconds. */
    timeToResumeMs?: number;
    note?: string;
  }
  interface DiagnosisSignal {
    /** Newest event that was sent. */
    seq: number;
    ack: number;
    /** Everything that waits for the socket. */
    waiting: number;
    waitingState: number;
    waitingEphemeral: number;
    /** Critical events that are unsent or not acknowledged. */
    unacknowledged: number;
    unacknowledgedBytes: number;
    /** Requests without a response. */
    unanswered: number;
    /** Ephemeral events that were dropped, by type. */
    shed: Record<string, number>;
    overflows: number;
    badFrames: number;
    /** Times that the session came back on another socket. */
    resumes: number;
  }
  /** One question on the way from the source to the client, in order. */
  interface DiagnosisStep {
    step: string;
    ok: boolean;
    detail?: string;
  }
  interface DiagnosisVerdict {
    code: VerdictCode;
    /** For people. */
    text: string;
  }
  /**
   * What holds the estimate where it is.
   * `start`: What was assumed at first.
   * `receiver`: The peer's own estimate.
   * `draining`: The path fell, and its queue drains.
   * `silence`: Nothing is heard of what was sent.
   * `backlog`: What waits in front of a stream connection.
   * `maximum`: As much as the server ever sends to one session.
   */
  type DirectionQualityBound = "start" | "delay" | "loss" | "receiver" | "draining" | "silence" | "backlog" | "maximum" | (string & {});
  /**
   * What takes most off the score.
   * `none`: Nothing that anybody would notice.
   * `loss`: Packets that do not arrive.
   * `delay`: The way takes long.
   * `jitter`: Packets come unevenly, and the player has to wait for them.
   * `bandwidth`: The path carries too little for what is to be shown.
   * `frozen`: Pictures stood still.
   * `layer`: Layers that somebody wants are not sent, or few pictures; up alone.
   * `silent`: Nothing comes that should.
   */
  type DirectionQualityReason = "none" | "loss" | "delay" | "jitter" | "bandwidth" | "frozen" | "layer" | "silent" | (string & {});
  /** A result that says nothing more than that it was done. */
  interface Done {
    ok: boolean;
  }
  /** One list for responses, REST and WHIP. */
  type ErrorCode = "bad_request" | "unauthenticated" | "forbidden" | "not_found" | "conflict" | "locked" | "full" | "rate_limited" | "too_large" | "unsupported" | "not_ready" | "already_applied" | "expired" | "overloaded" | "internal" | (string & {});
  interface ErrorObject {
    code: ErrorCode;
    message: string;
    retryable: boolean;
    retryAfterMs?: number;
  }
  /** The stay ends soon unless `auth.refresh` brings another token. */
  interface Expiring {
    inMs: number;
  }
  interface ForceMute {
    /** One track. */
    tid?: string;
    /** What a participant publishes, all of it or one `source`. */
    pid?: string;
    source?: Source;
    /** What everybody publishes who does not moderate: the `source`, microphones where it is missing. */
    all?: boolean;
    /** true: the publisher cannot unmute; false: it can again; absent: as it is. */
    lockMuted?: boolean;
  }
  interface ForceMuted {
    tid: string;
    pid: string;
    source: Source;
    muted: boolean;
    /** The receiver cannot unmute. */
    locked: boolean;
    by?: string;
    rev: number;
  }
  /** What a participant may do. Everything is denied unless it is said. */
  interface Grants {
    /** The sources that may be published; empty: none. */
    publish: Source[];
    subscribe: boolean;
    data: boolean;
    /** Not in anybody's roster. */
    hidden: boolean;
    moderate: boolean;
    record: boolean;
    /** Receives what the same user publishes. */
    self: boolean;
  }
  /** What of the grants changes; what is absent stays. */
  interface GrantsPatch {
    publish?: Source[];
    subscribe?: boolean;
    data?: boolean;
    moderate?: boolean;
    record?: boolean;
  }
  interface Heartbeat {
    /** The newest event that was sent: a larger number than the last one seen is a loss. */
    seq: number;
    rev: number;
    /** Ephemeral events dropped since the session began. */
    shed: number;
    /** Events that wait for this session. */
    lag: number;
  }
  interface Hello {
    token?: string;
    /** To come back to a session. With a `token` as well, a resume that is refused becomes a new join. */
    resume?: HelloResume;
    /** Only in development, instead of a token. */
    user?: HelloUser;
    device?: HelloDevice;
    client?: HelloClient;
    /** What the client understands beyond the minor version, "batch" for instance. */
    caps?: string[];
    /** The first offer may ride along. */
    pc?: Offering;
  }
  interface HelloClient {
    sdk?: string;
    ver?: string;
    ua?: string;
    os?: string;
    net?: string;
  }
  interface HelloDevice {
    /** Stable per tab or installation: a second join with the same one replaces the first. */
    did?: string;
    kind?: string;
    name?: string;
  }
  interface HelloResume {
    /** The newest `welcome.resume.token`. */
    token: string;
    /** Raised with each hello: the highest one has the session. */
    attempt: number;
    /** The newest event that was applied. */
    lastSeq: number;
  }
  interface HelloUser {
    uid: string;
    name?: string;
  }
  interface Kick {
    pid: string;
    reason?: string;
    /** Keeps the user out of this room for so many seconds. */
    banSec?: number;
  }
  /** One encoding of a track, or one spatial layer of an encoding that has several. */
  interface LayerObject {
    rid?: string;
    /** Spatial layer within the encoding, 0 the lowest and in simulcast. */
    s: number;
    live: boolean;
    width: number;
    height: number;
    /** 0: unknown. */
    fps: number;
    kbps: number;
  }
  interface Leave {
    reason?: string;
  }
  /**
   * `left`: The participant said so.
   * `timeout`: Nothing was heard from it any more.
   * `replaced`: The same device joined again, or the token said that there is one session per user.
   * `expired`: Its token's time in the room is over.
   * `closed`: The room was closed, or it was moved to another one.
   * `protocol`: It did not read what was sent to it, or sent what cannot be understood.
   * `media`: Its only transport, a WHIP session, ended.
   */
  type LeaveReason = "left" | "timeout" | "replaced" | "expired" | "kicked" | "closed" | "protocol" | "media" | "shutdown" | (string & {});
  /** Somebody waits no more. */
  interface LobbyResolved {
    pid: string;
    uid: string;
    by?: string;
  }
  interface LobbyWaiting {
    waiting: WaitingObject;
  }
  interface LockRoom {
    locked: boolean;
    /** Whether those who come to the locked room may wait to be admitted; absent: as it is. */
    lobby?: boolean;
  }
  type MediaKind = "audio" | "video";
  interface MuteTrack {
    tid?: string;
    cid?: string;
    muted: boolean;
  }
  /** What an m-section of the offer means to the room. */
  interface OfferedTrack {
    mid: string;
    cid: string;
    kind?: MediaKind;
    source?: Source;
    name?: string;
    muted?: boolean;
    /** The video codec that it is to be sent with, before the server's own preference: "vp9" for instance. One that the server does not accept, or the offer does not have, changes nothing. */
    codec?: string;
  }
  interface Offering {
    /** Counts the client's PeerConnections: another number is another PeerConnection. */
    gen?: number;
    offerId?: number;
    /** SDP text, in `sdp` or in `offer`. */
    sdp?: string;
    offer?: string;
    tracks?: OfferedTrack[];
    iceRestart?: boolean;
  }
  /** Who caused a change: other devices of the same user recognise their own doing. */
  interface Origin {
    pid: string;
    /** Request id of the session that caused it. */
    id?: number;
  }
  /** `data` of an `error` message. */
  interface OutgoingError {
    error: ErrorObject;
    /** The type of the refused message, if it could be read. */
    of?: string;
  }
  interface ParticipantObject {
    pid: string;
    uid: string;
    did?: string;
    name?: string;
    role: Role;
    /** What it runs on, "web" or "whip" for instance. */
    kind: string;
    attrs?: Record<string, string>;
    conn: ConnectionState;
    /** When the hand was raised, milliseconds since 1970; absent while it is down. */
    hand?: number;
    tracks: TrackObject[];
    /** Milliseconds since 1970. */
    joinedAt: number;
    rev: number;
  }
  /** How well a participant's media arrives; without `up` and `down` nothing is known any more. */
  interface ParticipantQuality {
    pid: string;
    /** What it sends to the server; absent: nothing to judge by. */
    up?: ParticipantQualityDirection;
    /** What it receives from the server; absent: nothing to judge by. */
    down?: ParticipantQualityDirection;
  }
  interface ParticipantQualityDetail {
    /** Scores of audio and video alone, tenths; absent: there is none. */
    audio?: number;
    video?: number;
    /** Packets that did not arrive at first, of a thousand. */
    lossPermille: number;
    /** Milliseconds; absent: unknown. */
    rttMs?: number;
    jitterMs: number;
    /** What is sent or received at the moment. */
    kbps: number;
    /** What the path carries, as far as is known; absent: unknown. */
    estimateKbps?: number;
    /** How long packets wait in front of the narrowest link, milliseconds. */
    queueMs?: number;
    /** What holds the estimate where it is; absent: there is no estimate. */
    bound?: DirectionQualityBound;
    /** The reason for people, in English. */
    text: string;
  }
  interface ParticipantQualityDirection {
    /** Tenths of a point: 10 (bad) to 50 (excellent). Of others in steps of half a point. */
    score: number;
    /** What takes most off the score. */
    reason: DirectionQualityReason;
    /** Of oneself alone. */
    detail?: ParticipantQualityDetail;
  }
  interface ParticipantResult {
    participant: ParticipantObject;
  }
  /** What somebody may do now. */
  interface Permissions {
    role: Role;
    grants: Grants;
    /** Own tracks that ended because they may not be published any more. */
    ended?: string[];
    /** `pid` of who changed it; absent: the server. */
    by?: string;
    rev: number;
  }
  interface Ping {
    /** The client's own time, sent back as it is. */
    t?: number;
    rttMs?: number;
  }
  interface Pong {
    t?: number;
    /** Milliseconds since 1970. */
    serverTime: number;
  }
  interface PublishTrack {
    cid: string;
    /** The m-section that carries it, if the last offer has one to spare. */
    mid?: string;
    kind: MediaKind;
    source?: Source;
    name?: string;
    muted?: boolean;
  }
  interface RaiseHand {
    raised: boolean;
  }
  interface React {
    emoji: string;
  }
  interface Reaction {
    pid: string;
    uid: string;
    emoji: string;
  }
  interface RefreshToken {
    token: string;
  }
  interface Refreshed {
    /** How long the participant may stay from now on, milliseconds. */
    stayMs: number;
    role: Role;
    grants: Grants;
  }
  /** What a snapshot or a delta says about reliable messages that the client may have missed. */
  interface RelayReport {
    /** The messages above `from` up to `to` follow as `data`; some of them may be known. */
    from: number;
    to: number;
    /** Messages of these that are gone for good: at most so many of them were for this client. */
    lost: number;
    /** The server has forgotten what it had: others that were on their way may be lost, too. */
    unknown?: boolean;
  }
  interface RelayedData {
    /** `pid`; absent where the server sent it. */
    from?: string;
    uid?: string;
    topic: string;
    mid: string;
    payload: unknown;
    /** Counts the room's reliable messages. A member does not get those that are for others. */
    relaySeq?: number;
    /** It was sent by another device of the receiver's user. */
    self?: boolean;
  }
  interface Removal {
    pid: string;
    uid: string;
    /** Milliseconds since 1970. */
    bannedUntil?: number;
    rev: number;
  }
  /** Ends a replay: from here on no number is missing. */
  interface Replayed {
    upTo: number;
  }
  interface RestartNeeded {
    mode: RestartNeededMode;
    reason: string;
  }
  /**
   * `ice`: `restartIce()` on the same PeerConnection.
   * `new`: The server has forgotten the PeerConnection: a new one, with another `gen`.
   */
  type RestartNeededMode = "ice" | "new";
  type Role = "viewer" | "speaker" | "moderator" | "recorder" | "agent" | (string & {});
  interface RoleResult {
    /** Absent where nobody sees the participant. */
    participant?: ParticipantObject;
    permissions: Permissions;
  }
  /** The receiver is asked to go to another room. */
  interface RoomMove {
    room: string;
    /** Opens that room, for a minute. */
    token: string;
    reason?: string;
  }
  interface RoomObject {
    id: string;
    rev: number;
    /** Changes when revisions start anew. */
    epoch: string;
    meta?: Record<string, string>;
    /** Nobody comes in but moderators and those who are in already. */
    locked: boolean;
    /** Who comes to the locked room may wait to be admitted. */
    lobby: boolean;
    /** `pid` of whom everybody should see large. */
    spotlight?: string;
    /** Fewer than the server's own bound. */
    maxParticipants?: number;
  }
  interface RoomResult {
    room: RoomObject;
  }
  interface RoomUpdated {
    room: RoomObject;
    by?: string;
  }
  interface RosterChange {
    joined: ParticipantObject[];
    updated: ParticipantObject[];
    left: RosterChangeLeft[];
  }
  interface RosterChangeLeft {
    pid: string;
    reason: LeaveReason;
    rev: number;
  }
  interface RosterPage {
    participants: ParticipantObject[];
    /** Absent on the last page. */
    next?: string;
    /** How many match the filter. */
    total: number;
    rev: number;
  }
  interface RosterQuery {
    /** `next` of the page before. */
    after?: string;
    /** At most 500; 100 where it is missing. */
    limit?: number;
    filter?: RosterQueryFilter;
  }
  /** All that are named must hold. */
  interface RosterQueryFilter {
    uid?: string;
    role?: Role;
    /** Part of the name, without regard to case. */
    name?: string;
    hand?: boolean;
    /** Publishes this. */
    source?: Source;
  }
  interface SendData {
    /** Participants by `pid` or users by `uid`; absent: everybody. */
    to?: string[];
    topic: string;
    /** The sender's own name for the message: the same one again is not sent again. */
    mid?: string;
    /** Any JSON of at most 15 KiB. */
    payload: unknown;
    /** true where it is missing: arrives exactly once, in order. false: arrives soon or never. */
    reliable?: boolean;
  }
  /** A receive section and what it carries; `tid` and `pid` are absent while it is free. */
  interface SlotObject {
    mid: string;
    kind: MediaKind;
    tid?: string;
    pid?: string;
    /** Absent before the first frame. */
    layer?: SlotObjectLayer;
    paused: boolean;
    reason: SlotStateReason;
    /** Where the reason is `bandwidth`: what the next better layer would need, with all else that is sent to this client. */
    neededKbps?: number;
    /** And what there is. */
    availableKbps?: number;
  }
  interface SlotObjectLayer {
    /** Spatial layer or simulcast encoding, 0 the lowest. */
    s: number;
    /** Highest temporal layer that is forwarded; absent for audio. */
    t?: number;
    width: number;
    height: number;
  }
  type SlotStateReason = "none" | "bandwidth" | "viewport" | "publisher" | "keyframe" | "hidden" | "unsubscribed" | "muted" | "codec" | (string & {});
  interface SlotsNeeded {
    /** How many receive sections the next offer should have. */
    audio: number;
    video: number;
    reason: SlotsNeededReason;
  }
  type SlotsNeededReason = "publications" | (string & {});
  interface Snapshot {
    /** From 1. */
    page: number;
    of: number;
    rev: number;
    participants: ParticipantObject[];
    /** The client's own receive sections; in the first page. */
    slots?: SlotObject[];
    speakers?: Speakers;
    /** Of everybody about whom it is known; on the first page. */
    qualities?: ParticipantQuality[];
    /** On the first page. */
    standing?: Standing;
    /** What of the relay follows and what is lost; on the first page, absent where nothing was missed. */
    relay?: RelayReport;
  }
  type Source = "camera" | "mic" | "screen" | "screenAudio";
  /** Bits per second of all encodings of a publication together, without headers; absent: no maximum. */
  interface SourceBitrates {
    camera?: number;
    mic?: number;
    screen?: number;
    screenAudio?: number;
  }
  interface Speakers {
    /** `pid`, absent while nobody has spoken. */
    dominant?: string;
    /** Those who speak now, loudest first. */
    active: AudioLevelsLevel[];
  }
  interface Spotlight {
    /** Absent or null: nobody. */
    pid?: string | null;
  }
  /** What a snapshot says beside participants and slots: the room itself, and what concerns its receiver alone. */
  interface Standing {
    room: RoomObject;
    me: Permissions;
    /** The receiver waits to be admitted. */
    waiting?: boolean;
    /** Those who wait; only for who may admit them. */
    lobby?: WaitingObject[];
    /** Not answered yet. */
    unmute?: UnmuteRequest[];
    move?: RoomMove;
  }
  interface StopShare {
    pid: string;
  }
  interface StoppedTracks {
    pid: string;
    tids: string[];
    rev: number;
  }
  interface SubscriptionResults {
    /** In the order of `set`. */
    results: SubscriptionResultsItem[];
    auto: boolean;
  }
  interface SubscriptionResultsItem {
    ok: boolean;
    error?: ErrorObject;
  }
  /** What the client wants, whatever became of its session. */
  interface Synchronize {
    desired: SynchronizeDesired;
  }
  interface SynchronizeDesired {
    /** All tracks of the client; those that are not listed end. */
    publications?: PublishTrack[];
    /** All rules; those that are not listed are forgotten. */
    subscriptions?: UpdateSubscriptions;
    view?: UpdateView;
    hand?: boolean;
    /** All attributes; those that are not listed are removed. */
    attrs?: Record<string, string>;
  }
  interface Synchronized {
    tracks: TrackObject[];
    /** `cid`s of tracks that have no m-section: the next offer has to carry them. */
    missing: string[];
  }
  /** Which encodings of a track anybody wants to receive: the publisher sends these and no others. */
  interface TrackDemand {
    tid: string;
    /** All encodings, lowest first. */
    layers: TrackDemandLayer[];
  }
  interface TrackDemandLayer {
    /** Absent where the track has one encoding without a name. */
    rid?: string;
    active: boolean;
    /** Size of the largest tile that it is for, device pixels; absent: no bound. */
    maxW?: number;
    maxH?: number;
    /** Frames per second that anybody asks for; absent: no bound. */
    maxFps?: number;
  }
  interface TrackLayers {
    tid: string;
    pid: string;
    codec?: CodecName;
    layers: LayerObject[];
  }
  interface TrackMuted {
    tid: string;
    pid: string;
    muted: boolean;
    /** `pid` of the moderator who did it, or "server". */
    by?: string;
    /** The publisher cannot unmute it. */
    locked?: boolean;
    rev: number;
    origin?: Origin;
  }
  interface TrackObject {
    tid: string;
    pid: string;
    /** The publisher's stable key. */
    cid?: string;
    /** The publisher's m-section; only in answers to the publisher. */
    mid?: string;
    kind: MediaKind;
    source: Source;
    name?: string;
    muted: boolean;
    /** `pid` of the moderator who muted it, or "server"; absent where the publisher did. */
    mutedBy?: string;
    /** The publisher cannot unmute it. */
    locked?: boolean;
    /** Known after the first packet. */
    codec?: CodecName;
    layers?: LayerObject[];
    rev: number;
  }
  interface TrackResult {
    track: TrackObject;
  }
  interface TrackSelector {
    tid?: string;
    cid?: string;
  }
  interface TracksResult {
    tracks: TrackObject[];
  }
  interface TracksStopped {
    tids: string[];
    by?: string;
    rev: number;
  }
  /**
   * `new`: No authenticated check yet.
   * `connecting`: ICE has a path, DTLS runs.
   * `disconnected`: No authenticated check for 10 s; media still flows if it can.
   */
  type TransportState = "new" | "connecting" | "connected" | "disconnected" | "failed" | (string & {});
  interface TrickledCandidate {
    gen?: number;
    mid?: string;
    candidate?: string;
  }
  /** Asks the receiver to unmute; stays until its track of that source is muted or unmuted by its own request. */
  interface UnmuteRequest {
    pid: string;
    source: Source;
    /** Absent where nothing is published from that source yet. */
    tid?: string;
    by?: string;
    rev: number;
  }
  interface Unpublished {
    tid: string;
  }
  /** What is absent stays as it is. */
  interface UpdateMe {
    name?: string;
    /** Merged into what is there; null removes a key. */
    attrs?: Record<string, string | null>;
  }
  interface UpdateRoom {
    /** Merged into what is there; null removes a key. */
    meta?: Record<string, string | null>;
  }
  interface UpdateSubscriptions {
    set?: UpdateSubscriptionsRule[];
    /** Whether tracks without a rule are received. */
    auto?: boolean;
  }
  /** A track by `tid`, or what a participant publishes by `pid`, all of it or one `source`. */
  interface UpdateSubscriptionsRule {
    tid?: string;
    pid?: string;
    source?: Source;
    on: boolean;
  }
  interface UpdateView {
    tiles: UpdateViewTile[];
  }
  /** Without `tid`: the participant's camera, or its `source`. */
  interface UpdateViewTile {
    tid?: string;
    pid?: string;
    source?: Source;
    /** Device pixels. */
    w?: number;
    h?: number;
    visible?: boolean;
    /** 0–255, higher first. */
    priority?: number;
    /** Frames per second that are enough; 0 or absent: as many as there are. */
    maxFps?: number;
  }
  /**
   * `noMedia`, `notConnected`, `slow`, `notAllowed`, `unsubscribed`, `noSlot`, `paused`: On the receiver's side.
   * `bandwidth`, `poorDownlink`, `poorUplink`: Its path has no room for the next better layer; or brings what is sent badly, one way or the other.
   * `notInRoom`, `waiting`, `notPublishing`, `muted`, `mutedByModerator`, `senderNotConnected`, `nothingArrives`: On the sender's side.
   * `ownUser`: The rule that nobody receives its own user.
   * `notHeard`: There are louder ones.
   */
  type VerdictCode = "ok" | "noMedia" | "notConnected" | "slow" | "notAllowed" | "unsubscribed" | "noSlot" | "paused" | "bandwidth" | "poorDownlink" | "poorUplink" | "notInRoom" | "waiting" | "notPublishing" | "muted" | "mutedByModerator" | "senderNotConnected" | "nothingArrives" | "poorSender" | "ownUser" | "notHeard" | (string & {});
  /** Somebody who waits to be admitted. */
  interface WaitingObject {
    pid: string;
    uid: string;
    name?: string;
    /** Milliseconds since 1970. */
    since: number;
  }
  interface Welcome {
    outcome: WelcomeOutcome;
    sid: string;
    pid: string;
    uid: string;
    resume?: WelcomeResume;
    /** The next event has the number after this one; with `replay` the client's own. */
    seq: number;
    /** With `replay`: up to here numbers may be missing, of states that newer ones have replaced. */
    upTo?: number;
    /** The highest request id that was executed in this session. */
    ackedId: number;
    /** The server has just restarted: whoever is missing may still come back for so long, milliseconds. */
    settleMs?: number;
    room: RoomObject;
    role: Role;
    grants: Grants;
    limits: WelcomeBounds;
    /** Milliseconds between heartbeats. */
    hb: number;
    /** Those of `hello.caps` that the server serves on this socket; absent: none. */
    caps?: Capability[];
    /** The participant waits to be admitted: it hears nothing of the room, and may not send media yet. */
    waiting?: boolean;
    /** Answer to `hello.pc`. */
    pc?: Answering;
    /** Milliseconds since 1970. */
    serverTime: number;
  }
  interface WelcomeBounds {
    /** Largest `hello`, bytes: an offer that is larger comes after it. */
    hello: number;
    /** Largest client message, bytes. */
    message: number;
    /** The same where it carries SDP, bytes. */
    offer: number;
    /** Requests that may wait for a response. */
    inflight: number;
    /** Messages per second in the long run. */
    rate: number;
    /** What publications may send. What is far above for long is not forwarded. */
    bitrates?: SourceBitrates;
  }
  /**
   * `fresh`: A new session: a snapshot follows.
   * `replay`: What was missed follows, then `replayed`.
   * `delta`: A `delta` follows: what changed in the room.
   * `snapshot`: A snapshot follows; media and session are as they were.
   * `rejoin`: The session is gone and another one was made: a new PeerConnection is needed. A snapshot follows.
   */
  type WelcomeOutcome = "fresh" | "replay" | "delta" | "snapshot" | "rejoin";
  interface WelcomeResume {
    /** Opaque; another one with each welcome. */
    token: string;
    /** How long the session waits for it without socket and media, milliseconds. */
    windowMs: number;
  }
  /** What a client sends. Requests have an `id`: 1, 2, 3 … without a gap. */
  interface ClientEnvelope<T extends keyof ClientMessages = keyof ClientMessages> {
    type: T;
    id?: number;
    /** Every event up to this `seq` was applied. */
    ack?: number;
    /** In `hello`. */
    v?: string;
    trace?: string;
    data?: ClientMessages[T]["data"];
  }
  /** What the server sends by itself. */
  interface ServerEnvelope<T extends keyof ServerMessages = keyof ServerMessages> {
    type: T;
    seq?: number;
    rev?: number;
    ts?: number;
    /** In `welcome`. */
    v?: string;
    trace?: string;
    data: ServerMessages[T];
  }
  /** The response to the request with the `id` `re`: `data`, or `error`. */
  interface ResponseEnvelope<T extends keyof ClientMessages = keyof ClientMessages> {
    re: number;
    rev?: number;
    data?: ClientMessages[T]["result"];
    error?: ErrorObject;
  }
  /** By type: the `data` that a client sends, and the `data` of the response; `void`: there is none. */
  interface ClientMessages {
    /** First message of a connection: who joins and with what. Within 5 s, at most 64 KiB. Answered by `welcome`, or by `error` and a close code. With `token`, `resume` or both; in development `user` instead of a token. `pc` is an offer that rides along. */
    "hello": { data: Hello; result: void };
    /** Every event up to `seq` was applied. The envelope's `ack` says the same on any message. */
    "ack": { data: Acknowledge; result: void };
    /** Is the way to the server open? Without `id` a `pong` answers. */
    "ping": { data: Ping; result: Pong };
    /** The participant leaves for good. Close 4103 follows. */
    "leave": { data: Leave; result: Done };
    /** Negotiates the PeerConnection. At most 256 KiB, and 4 may wait. See Negotiation. */
    "pc.offer": { data: Offering; result: Answering };
    /** A candidate of the client. Never needed: the server is ICE-lite. */
    "pc.candidate": { data: TrickledCandidate; result: void };
    /** Announces a track, or gives one back its m-section after `track.unpublish`. */
    "track.publish": { data: PublishTrack; result: TrackResult };
    /** Ends a track. `tid` or `cid`. */
    "track.unpublish": { data: TrackSelector; result: Unpublished };
    /** Mutes or unmutes a track. `tid` or `cid`. */
    "track.mute": { data: MuteTrack; result: TrackResult };
    /** Switches tracks on and off; declarative and idempotent. A rule is about a `tid`, or a `pid`, all of it or one `source`. At most 512 in one message. */
    "sub.update": { data: UpdateSubscriptions; result: SubscriptionResults };
    /** The tiles on the screen; the last one wins. A tile shows a `tid`, or the `source` of a `pid`. At most 512. See Views. */
    "view.update": { data: UpdateView; result: Done };
    /** The whole of what the client wants, after it lost its session; declarative and idempotent. The whole of each that is named; what is absent stays as it is. */
    "sync": { data: Synchronize; result: Synchronized };
    /** Another token (JWT) of the same user and room, before the stay ends. */
    "auth.refresh": { data: RefreshToken; result: Refreshed };
    /** Changes the own name and attributes. `attrs` is merged, null removes a key; 8 KiB in all. */
    "me.update": { data: UpdateMe; result: ParticipantResult };
    /** Changes what the room says about itself. `meta` is merged, null removes a key; 8 KiB in all. */
    "room.update": { data: UpdateRoom; result: RoomResult };
    /** Raises or lowers the own hand. */
    "hand": { data: RaiseHand; result: ParticipantResult };
    /** Shows everybody a reaction for a moment. `emoji` has at most 32 bytes. */
    "reaction": { data: React; result: Done };
    /** Reads the roster, a page at a time. `limit` is at most 500. */
    "roster.page": { data: RosterQuery; result: RosterPage };
    /** Mutes what others publish. `tid`, or `pid` and perhaps `source`, or `all: true`: microphones unless `source`, of all who do not moderate. */
    "mod.mute": { data: ForceMute; result: TracksResult };
    /** Asks somebody to unmute, and allows it where it was not. `tid`, or `pid` and `source`. */
    "mod.unmuteRequest": { data: AskToUnmute; result: UnmuteRequest };
    /** Puts somebody out of the room. */
    "mod.kick": { data: Kick; result: Removal };
    /** Changes what somebody may do, at once. */
    "mod.role": { data: ChangeRole; result: RoleResult };
    /** Locks or unlocks the room. */
    "mod.lock": { data: LockRoom; result: RoomResult };
    /** Ends the screen that somebody shares. */
    "mod.stopShare": { data: StopShare; result: StoppedTracks };
    /** Says whom everybody should see large. `pid`, or null. */
    "mod.spotlight": { data: Spotlight; result: RoomResult };
    /** Lets in who waits, or turns it away. */
    "mod.admit": { data: Admit; result: Admission };
    /** Sends a message of the application to others in the room. `payload` is any JSON of at most 15 KiB. See Messages of the application. */
    "data.send": { data: SendData; result: DataReceipt };
    /** Why is this not heard or seen? Nothing, or `tid`, or `pid` and `source`. See Diagnosis. */
    "diag.get": { data: Diagnose; result: Diagnosis };
    /** What the client found out about itself; counted and logged. */
    "diag.report": { data: DiagnosisReport; result: void };
  }
  /** By type: the `data` that the server sends. */
  interface ServerMessages {
    /** The session is open. Carries `v` in its envelope. See Resuming. */
    "welcome": Welcome;
    /** The whole room in pages; replaces what the client knew. Whoever is in no page is gone. `slots`, `speakers`, `qualities`, `standing` and `relay` on the first page. */
    "snapshot": Snapshot;
    /** What changed since the revision that the client had. Apply `changed`, then `left`, which is on the last page. `slots`, `speakers`, `qualities`, `standing` and `relay` on the first. */
    "delta": Delta;
    /** Ends a replay. From here on no number is missing. */
    "replayed": Replayed;
    /** Who joined, changed or left. Told together after 50 ms (250 ms above 50 participants, 1 s above 250). */
    "roster": RosterChange;
    /** The server wants more receive sections. Please offer that many. */
    "pc.need": SlotsNeeded;
    /** The server wants an ICE restart or a new PeerConnection. */
    "pc.restart": RestartNeeded;
    /** The stay ends soon: another token is needed. 60 s before; `auth.refresh` answers it. */
    "auth.expiring": Expiring;
    /** A track was muted or unmuted. To everybody but the session that did it. */
    "track.muted": TrackMuted;
    /** What a track sends at the moment. Of video alone; lowest first. */
    "track.layers": TrackLayers;
    /** What a receive section carries, and why no more. One section for each event. */
    "slots": SlotObject;
    /** Which encodings of a track of the client anybody wants; the others may be switched off. To the publisher alone; lowest first. */
    "demand": TrackDemand;
    /** The dominant speaker and those who speak. Loudest first, level 0–127. */
    "speakers": Speakers;
    /** How well a participant's media arrives, in both directions, and why no better. Of oneself with figures, when it changes and every 10 s; of others in steps, in rooms of up to 100 participants. See Quality. */
    "quality": ParticipantQuality;
    /** How a participant is connected. */
    "conn": ConnectionChange;
    /** Audio levels, at most ten times a second. */
    "levels": AudioLevels;
    /** Sign of life when nothing else is sent. After 10 s; a `seq` above the last one seen is a loss. */
    "hb": Heartbeat;
    /** Answers a `ping` without id. */
    "pong": Pong;
    /** The server closes the socket. See Close codes. */
    "bye": Bye;
    /** A message that cannot be answered by its id was refused. */
    "error": OutgoingError;
    /** The room was locked, unlocked or described anew. */
    "room.updated": RoomUpdated;
    /** Please go to another room. With that token, within 10 s. */
    "room.move": RoomMove;
    /** What the client may do has changed. To the one concerned. */
    "me.permissions": Permissions;
    /** A moderator muted a track of the client, or changed whether it may unmute. */
    "mod.muted": ForceMuted;
    /** A moderator asks the client to unmute. Stays until its next `track.mute` of that source. */
    "mod.unmuteRequest": UnmuteRequest;
    /** A moderator ended tracks of the client. */
    "mod.stopped": TracksStopped;
    /** Somebody waits to be admitted; to who may admit. */
    "lobby.waiting": LobbyWaiting;
    /** Somebody was admitted; to who may admit, and to the one who waited. */
    "lobby.admitted": LobbyResolved;
    /** Somebody was turned away; to who may admit, and to the one who waited. */
    "lobby.denied": LobbyResolved;
    /** Somebody who waited has gone; to who may admit. */
    "lobby.left": LobbyResolved;
    /** A message of the application; one that was sent unreliably is ephemeral and has no `relaySeq`. */
    "data": RelayedData;
    /** Somebody shows a reaction. */
    "reaction": Reaction;
  }
}
// end generated protocol
