// Runs in a page before its own scripts: capture gives a picture of one colour and a tone of one pitch, so that a
// receiver can tell who it sees and hears. `who` = {colour, tone, screen, width, height}.
(who) => {
  const rgb = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

  function picture(colour, width, height, fps) {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d');
    let step = 0;
    const draw = () => {
      context.fillStyle = rgb(colour);
      context.fillRect(0, 0, width, height);
      // Something has to move, or no more frames come. It keeps to the lower edge, out of the way of the measurement.
      context.fillStyle = 'white';
      context.fillRect((step++ * 8) % width, height - 16, 24, 12);
    };
    draw();
    const [track] = canvas.captureStream(fps).getVideoTracks();
    const timer = setInterval(() => { if (track.readyState === 'ended') clearInterval(timer); else draw(); }, 1000 / fps);
    return track;
  }

  let audio = null;
  function tone(frequency) {
    audio ??= new AudioContext();
    audio.resume();
    const oscillator = new OscillatorNode(audio, { frequency });
    // Beats, since a tone that never changes counts as background noise and is not sent at all.
    const volume = new GainNode(audio, { gain: 0.25 });
    const beat = new OscillatorNode(audio, { frequency: 3, type: 'sine' });
    const depth = new GainNode(audio, { gain: 0.2 });
    const out = audio.createMediaStreamDestination();
    beat.connect(depth).connect(volume.gain);
    oscillator.connect(volume).connect(out);
    oscillator.start();
    beat.start();
    return out.stream.getAudioTracks()[0];
  }

  navigator.mediaDevices.getUserMedia = async ({ video, audio: sound }) => {
    const stream = new MediaStream();
    if (video) stream.addTrack(picture(who.colour, who.width ?? 640, who.height ?? 360, who.fps ?? 15));
    if (sound) stream.addTrack(tone(who.tone));
    return stream;
  };
  navigator.mediaDevices.getDisplayMedia = async () => new MediaStream([picture(who.screen, 1280, 720, 8)]);

  const sockets = [];
  window.WebSocket = class extends WebSocket {
    constructor(...given) { super(...given); sockets.push(this); }
  };

  const peers = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...given) { super(...given); peers.push(this); }
  };

  // What the test asks for, in the page of whoever receives.
  const find = (name) => {
    const room = window.sfuRoom;
    if (!room) return null;
    return room.me.name === name ? room.me : [...room.participants.values()].find((one) => one.name === name) ?? null;
  };
  const tileOf = (participant, source) =>
    document.querySelector(`[data-testid=tile][data-pid="${participant?.pid}"][data-source="${source}"]`);
  const ears = new Map();

  window.sfuTest = {
    /** The colour in the middle of somebody's tile, and what the tile says about itself. */
    async look(name, source = 'camera') {
      const participant = find(name);
      const tile = tileOf(participant, source);
      if (!tile) return null;
      const { receive } = await window.sfuRoom.stats();
      const video = tile.querySelector('video');
      const seen = {
        state: tile.dataset.sfuState, silent: tile.classList.contains('silent'), label: tile.getAttribute('aria-label'),
        note: tile.querySelector('.note')?.textContent ?? '', word: tile.querySelector('.label em')?.textContent ?? '', width: video?.videoWidth ?? 0, height: video?.videoHeight ?? 0,
        frames: receive.get(participant.get(source)?.slot?.mid)?.frames ?? 0, colour: null,
      };
      if (!seen.width) return seen;
      const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 36 });
      const context = canvas.getContext('2d', { willReadFrequently: true });
      context.drawImage(video, 0, 0, 64, 36);
      const { data } = context.getImageData(24, 8, 16, 16);
      const sum = [0, 0, 0];
      for (let i = 0; i < data.length; i += 4) for (let c = 0; c < 3; c++) sum[c] += data[i + c];
      seen.colour = sum.map((one) => Math.round(one / (data.length / 4)));
      return seen;
    },

    /** The pitch that arrives from somebody in Hz, the loudest of some moments; 0 for silence. */
    async hear(name, ms = 900) {
      const track = find(name)?.microphone?.track;
      if (!track) return 0;
      audio ??= new AudioContext();
      await audio.resume();
      if (!ears.has(track.id)) {
        const analyser = new AnalyserNode(audio, { fftSize: 8192, smoothingTimeConstant: 0 });
        ears.set(track.id, [analyser, new MediaStreamAudioSourceNode(audio, { mediaStream: new MediaStream([track]) })]);
        ears.get(track.id)[1].connect(analyser);
      }
      const [analyser] = ears.get(track.id);
      const levels = new Float32Array(analyser.frequencyBinCount);
      let best = { level: -75, pitch: 0 };
      for (const end = performance.now() + ms; performance.now() < end;) {
        await new Promise((resolve) => setTimeout(resolve, 60));
        analyser.getFloatFrequencyData(levels);
        for (let bin = 8; bin < levels.length / 3; bin++) {
          if (levels[bin] > best.level) best = { level: levels[bin], pitch: bin * audio.sampleRate / analyser.fftSize };
        }
      }
      return Math.round(best.pitch);
    },

    others: () => [...(window.sfuRoom?.participants.values() ?? [])].map((one) => one.name).sort(),
    status: () => ({ ...window.sfuRoom?.status }),
    slot: (name, source = 'camera') => ({ ...find(name)?.get(source)?.slot }),
    /** As a lost network does it: without a word of why. */
    cutSocket() { sockets.at(-1).close(); },
    /** Who we are for the server, and how often we had to begin anew. */
    async facts() {
      const room = window.sfuRoom;
      if (!room) return null;
      return {
        sid: room.sid, pid: room.me.pid, did: room.did, peers: peers.length, sockets: sockets.length, resumes: (await room.stats()).resumes,
        open: peers.filter((one) => one.connectionState !== 'closed').length, tids: [...room.publications.values()].map((one) => one.tid).sort(),
      };
    },
    /** What is to be read of the connection, and whether anything stands in the way of the call. */
    line() {
      const banner = document.getElementById('banner');
      return { text: banner.classList.contains('show') ? banner.textContent : '', dialogs: document.querySelectorAll('dialog[open]').length,
        call: !document.getElementById('call').hidden, toasts: [...document.querySelectorAll('.toast')].map((one) => one.textContent) };
    },
    /** All that has been said about the connection, and who came and went, since this was first asked for. */
    history: () => (window.sfuHistory ??= (() => {
      const said = [];
      for (const type of ['status', 'joined', 'left']) {
        window.sfuRoom.on(type, (detail) => said.push([type, detail.participant?.name ?? detail.state, detail.what].filter(Boolean).join(' ')));
      }
      return said;
    })()),
    /** The same with times, tracks and words: `at` is the machine's clock in milliseconds. */
    watch: () => (window.sfuWatch ??= (() => {
      const said = [];
      const note = (what, more) => said.push({ at: Date.now(), what, ...more });
      for (const type of ['joined', 'left', 'published', 'unpublished']) {
        window.sfuRoom.on(type, ({ participant, publication, reason }) => note(type, { who: participant.name, source: publication?.source, reason }));
      }
      window.sfuRoom.on('status', ({ state, what, text }) => note('status', { state, part: what, text }));
      window.sfuRoom.on('resumed', ({ ms, outcome }) => note('resumed', { ms, outcome }));
      window.sfuRoom.on('warning', ({ error }) => note('warning', { text: `${error.code} ${error.message}` }));
      return said;
    })()),
    /** What has come over this connection, of everybody together. */
    async received() {
      const { receive } = await window.sfuRoom.stats();
      const sum = (kind, key) => [...receive.values()].filter((one) => one.kind === kind).reduce((total, one) => total + one[key], 0);
      const of = (kind) => ({ packets: sum(kind, 'packets'), lost: sum(kind, 'lost'), frames: sum(kind, 'frames') });
      return { audio: of('audio'), video: of('video') };
    },
    outcomes: () => window.sfuRoom.timeline.filter((one) => one.what === 'welcome').map((one) => one.outcome),
    async resumes() { return (await window.sfuRoom.stats()).resumes; },
    async protocol() { return (await window.sfuRoom.stats()).protocol; },
  };
}
