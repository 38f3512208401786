// Runs in a page of the server's origin: somebody who sends or watches one camera, made with the SDK's public API
// alone, and what a measurement of layer switching asks it. It knows no conference page and no protocol.
// Times are milliseconds since 1970, so that those of two pages on one machine compare.
() => {
  const DECODED = ['freezeCount', 'totalFreezesDuration', 'framesDecoded', 'framesDropped', 'keyFramesDecoded', 'pliCount',
    'firCount', 'nackCount', 'packetsReceived', 'packetsLost', 'retransmittedPacketsReceived'];
  const now = (at = performance.now()) => performance.timeOrigin + at;
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const until = async (check, ms, what) => {
    for (const end = performance.now() + ms; ;) {
      const found = await check();
      if (found) return found;
      if (performance.now() > end) throw new Error(`${what} did not happen in ${ms} ms`);
      await sleep(50);
    }
  };

  const sdk = new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.type = 'module';
    script.textContent = "import * as sdk from '/sdk/sfu.js';"
      + "window.sfuSDK = sdk; window.dispatchEvent(new Event('sfu-sdk'));";
    window.addEventListener('sfu-sdk', () => resolve(window.sfuSDK), { once: true });
    script.onerror = () => reject(new Error('the SDK does not load'));
    document.head.append(script);
  });

  /** Much detail that drifts, and something that moves: key frames as large as a camera's. */
  function picture(width, height, fps) {
    const backdrop = Object.assign(document.createElement('canvas'), { width: width + 64, height: height + 64 });
    const paint = backdrop.getContext('2d');
    let seed = 1;
    const random = (below) => { seed = (seed * 48271) % 2147483647; return seed % below; };
    paint.fillStyle = 'rgb(90 110 130)';
    paint.fillRect(0, 0, backdrop.width, backdrop.height);
    for (let i = 0; i < 900; i++) {
      paint.fillStyle = `rgb(${random(256)} ${random(256)} ${random(256)} / 0.5)`;
      paint.fillRect(random(backdrop.width), random(backdrop.height), 4 + random(90), 4 + random(50));
    }
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d');
    let step = 0;
    const draw = () => {
      step += 1;
      context.drawImage(backdrop, Math.round(-32 - 30 * Math.sin(step / 40)), Math.round(-32 - 30 * Math.cos(step / 55)));
      context.fillStyle = 'white';
      context.fillRect((step * 7) % width, height / 3, width / 8, height / 8);
    };
    draw();
    // Every picture that is drawn: a limit of the same rate makes Firefox leave out every other one.
    const [track] = canvas.captureStream().getVideoTracks();
    setInterval(draw, 1000 / fps);
    return track;
  }

  let room = null;
  let publication = null;
  let tile = null;
  let box = null;
  let askedAt = 0;
  let offs = null;
  let newest = { rtp: null, width: 0 };
  let gaps = [];
  const listeners = new Set();

  function watchFrames(_, { width, height, rtpTimestamp, presentationTime }) {
    tile.video.requestVideoFrameCallback(watchFrames);
    const waited = presentationTime - newest.at;
    if (waited > 150) gaps.push({ shown: waited, sent: ((rtpTimestamp - newest.rtp) >>> 0) / 90, from: newest.width, to: width });
    newest = { rtp: rtpTimestamp, width, height, at: presentationTime };
    for (const listener of listeners) listener(newest);
  }

  /** The first frame that `wants` takes, or null after `ms`. */
  const frame = (wants, ms) => new Promise((resolve) => {
    const done = (found) => { clearTimeout(timer); listeners.delete(listener); resolve(found); };
    const listener = (one) => { if (wants(one)) done(one); };
    const timer = setTimeout(() => done(null), ms);
    listeners.add(listener);
  });

  window.stage = {
    /** Whether this browser has an encoder of that name. */
    canSend: (codec) => RTCRtpSender.getCapabilities('video').codecs
      .some((one) => one.mimeType.toLowerCase() === `video/${codec.toLowerCase()}`),

    async join(name, who) {
      const { connect } = await sdk;
      room = await connect({ room: name, user: { name: who }, videoSlots: 1, audioSlots: 1 });
      const { request } = room;
      room.request = (type, data) => {
        if (type === 'view.update') askedAt = performance.now();
        return request.call(room, type, data);
      };
      window.addEventListener('pagehide', () => room.leave());
    },
    leave: () => room?.leave(),
    status: () => room?.status.text,

    // Sending.

    /** Without `dynacast` it goes on to send what nobody watches, as a sender does that knows of no demand. */
    async publish({ width, height, fps, dynacast, ...options }) {
      publication = await room.publish(picture(width, height, fps), { source: 'camera', ...options });
      if (!dynacast) publication.applyDemand = () => Promise.resolve();
    },

    /** What each encoding has sent, largest last. */
    async layers() {
      const report = [...(await room.peerConnection.getStats()).values()];
      const mime = (id) => report.find((one) => one.id === id)?.mimeType;
      return report.filter((one) => one.type === 'outbound-rtp' && one.kind === 'video').map((one) => ({
        rid: one.rid ?? '', active: one.active, bytes: one.bytesSent ?? 0, frames: one.framesSent ?? one.framesEncoded ?? 0,
        width: one.frameWidth ?? 0, height: one.frameHeight ?? 0, fps: one.framesPerSecond ?? 0,
        keyFrames: one.keyFramesEncoded ?? 0, plis: one.pliCount ?? 0, limit: one.qualityLimitationReason,
        mode: one.scalabilityMode, encoder: one.encoderImplementation,
        codec: mime(one.codecId)?.split('/')[1],
      })).sort((a, b) => a.width - b.width || a.bytes - b.bytes);
    },
    demand: () => publication?.demand ?? null,

    /**
     * Begins to wait until the encodings `rids` send nothing: their statistics say inactive (where they say it at all)
     * and no byte goes out for half a second. `offResult` gives when the last byte went, or null after `ms`.
     */
    expectOff(rids, ms) {
      offs = (async () => {
        const seen = new Map();
        for (const end = performance.now() + ms; performance.now() < end;) {
          const layers = (await this.layers()).filter((one) => rids.includes(one.rid));
          for (const { rid, bytes } of layers) {
            if (seen.get(rid)?.bytes !== bytes) seen.set(rid, { bytes, at: performance.now() });
          }
          const isOff = ({ rid, active }) => active !== true && performance.now() - seen.get(rid).at > 500;
          if (layers.length === rids.length && layers.every(isOff)) {
            return now(Math.max(...layers.map(({ rid }) => seen.get(rid).at)));
          }
          await sleep(50);
        }
        return null;
      })();
    },
    /** The same for spatial layers of one stream: its only encoding is sent in this mode. The last packet is not seen. */
    expectMode(mode, ms) {
      const check = async () => (await this.layers())[0]?.mode === mode && now();
      offs = until(check, ms, mode).catch(() => null);
    },
    offResult: () => offs,

    // Watching.

    async watch(ms = 15_000) {
      const find = () => [...room.participants.values()].find((one) => one.camera)?.camera;
      const camera = await until(find, ms, 'a camera to watch');
      box = document.createElement('div');
      // The picture is painted at one size whatever the tile's size is: it is the decoder that is measured.
      const style = document.createElement('style');
      style.textContent = '#tile { position: absolute; left: 0; top: 0 }'
        + '#tile video { position: fixed; left: 0; top: 0; width: 320px; height: 180px }';
      document.head.append(style);
      box.id = 'tile';
      document.body.append(box);
      tile = room.tile(box, camera);
      tile.video.requestVideoFrameCallback(watchFrames);
    },

    /**
     * Gives the tile another size, 0 hides it. With `least` or `most`: waits for the first frame of at least or most that
     * width that is newer than the change, at most `ms`. `took` is null if none came.
     */
    async resize({ width, height, least = 0, most = Infinity, ms = 10_000 }) {
      const before = newest.rtp;
      const found = frame((one) => one.rtp !== before && one.width >= least && one.width <= most, ms);
      const at = performance.now();
      askedAt = 0;
      Object.assign(box.style, { width: `${width}px`, height: `${height}px` });
      const changed = { at: now(at) };
      if (!width) return changed;
      const one = await found;
      return { ...changed, took: one && one.at - at, asked: askedAt ? askedAt - at : null, width: one?.width ?? newest.width };
    },

    /** Hides the tile and waits until no packet comes for half a second. */
    async hide(ms = 5_000) {
      const { at } = await this.resize({ width: 0, height: 0 });
      let last = at;
      await until(async () => {
        last = (await this.received()).newest ?? last;
        return now() - Math.max(last, at) > 500;
      }, ms, 'the end of the packets');
      return { at, took: Math.max(0, last - at) };
    },

    /** What the receiver counted until now, of all sections for pictures together. */
    async received() {
      const report = [...(await room.peerConnection.getStats()).values()];
      const all = report.filter((one) => one.type === 'inbound-rtp' && one.kind === 'video');
      const total = (name) => all.reduce((sum, one) => sum + (one[name] ?? 0), 0);
      const sum = Object.fromEntries(DECODED.map((name) => [name, total(name)]));
      const fastest = all.reduce((best, one) => ((one.framesPerSecond ?? 0) > (best?.framesPerSecond ?? 0) ? one : best), null);
      const last = Math.max(...all.map((one) => one.lastPacketReceivedTimestamp ?? 0));
      return { ...sum, fps: fastest?.framesPerSecond ?? 0, width: newest.width, newest: last, at: now() };
    },
    /** Pauses in the picture of more than 150 ms since the last call, and how far apart the sender's clock puts their ends. */
    gaps() { const found = gaps; gaps = []; return found; },
    /** The widths of the camera's layers that are sent now, as the server says, lowest first. */
    widths: () => tile.publication.layers.filter((one) => one.live).map((one) => one.width),
    shown: () => ({ ...newest, layer: tile?.layer ?? null, text: tile?.info()?.text ?? '' }),
  };
}
