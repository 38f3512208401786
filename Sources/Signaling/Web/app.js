// The conference page: lobby, tiles, controls. It speaks to the server by the SDK alone and knows no protocol.
import * as sfu from './sdk/sfu.js';
import { chooseVisible, clock, gridCapacity, packFocus, packGrid, pictureLine, rect, roomName } from './layout.js';
import { PeopleView, showReaction } from './people.js';
import { ConnectionView, makeBars, paintBars } from './quality.js';
import { $, fillSelect, gather, icon, make, paintAvatar, setText, store, toast, told } from './ui.js';

/** Camera and microphone before there is a call; hands its tracks over when one begins. */
class Lobby {
  camera = null; microphone = null; stopMeter = () => {};
  wantsCamera = store.get('camera') !== 'off'; wantsMic = store.get('mic') !== 'off';
  devices = { camera: store.get('device.camera') ?? undefined, microphone: store.get('device.microphone') ?? undefined, speaker: store.get('device.speaker') ?? undefined };

  constructor(onJoin) {
    this.onJoin = onJoin;
    const query = new URLSearchParams(location.search);
    // Somebody may have typed before this ran.
    $('name').value ||= query.get('name') ?? store.get('name') ?? '';
    $('room').value = query.get('room') ?? '';
    this.invited = !!$('room').value;
    if (!this.invited) $('room').value = roomName();
    // A token comes in the fragment, which browsers send to nobody, and does not stay in the address bar.
    const token = new URLSearchParams(location.hash.slice(1)).get('token');
    if (token) { $('token').value = token; history.replaceState(null, '', location.pathname + location.search); }
    $('new-room').onclick = () => { $('room').value = roomName(); };
    $('name').oninput = () => this.paint();
    $('lobby-mic').onclick = () => this.toggle('mic');
    $('lobby-camera').onclick = () => this.toggle('camera');
    $('preview-retry').onclick = () => this.open();
    $('lobby-cameras').onchange = (event) => this.choose('camera', event.target.value);
    $('lobby-microphones').onchange = (event) => this.choose('microphone', event.target.value);
    $('join-form').onsubmit = (event) => { event.preventDefault(); this.submit(true); };
    $('join-listen').onclick = () => this.submit(false);
  }

  submit(withMedia) {
    const name = $('name').value.trim();
    const room = $('room').value.trim();
    if (!name || !room) {
      this.error(name ? 'Which room? A word is enough.' : 'Please tell the others your name.');
      $(name ? 'room' : 'name').focus();
      return;
    }
    store.set('name', name);
    this.error('');
    this.onJoin({ name, room, token: $('token').value.trim() || undefined, withMedia });
  }

  show(notice = '') {
    $('lobby').hidden = false;
    $('call').hidden = $('returning').hidden = true;
    setText($('lobby-title'), notice ? 'Join again?' : this.invited ? `Join ${$('room').value}` : 'Ready to join?');
    $('lobby-notice').hidden = !notice;
    setText($('lobby-notice'), notice);
    this.busy(false);
    this.open();
    if (!$('name').value) $('name').focus();
  }

  busy(busy) {
    $('join').disabled = $('join-listen').disabled = busy;
    setText($('join'), busy ? 'Joining…' : 'Join');
  }
  error(text) { setText($('lobby-error'), text); $('lobby-error').hidden = !text; }
  askToken(text) { $('token-field').hidden = false; this.error(text); $('token').focus(); }

  async open() {
    this.problem = '';
    const { camera, microphone, error } = await sfu.captureBoth({
      camera: this.wantsCamera && !this.camera && { deviceId: this.devices.camera },
      microphone: this.wantsMic && !this.microphone && { deviceId: this.devices.microphone },
    });
    this.camera ??= camera;
    this.microphone ??= microphone;
    if (error) this.problem = error.message;
    if ($('lobby').hidden) { this.close(); return; }
    this.listen();
    this.paint();
    await this.list();
  }

  async list() {
    const { cameras, microphones } = await sfu.listDevices();
    const known = (list) => list.filter((device) => device.label);
    // Without a permission devices have no names; there is nothing to choose then.
    document.querySelector('.selects').hidden = !known([...cameras, ...microphones]).length;
    fillSelect($('lobby-cameras'), known(cameras).length ? cameras : [], this.camera?.getSettings().deviceId ?? this.devices.camera, 'Camera');
    fillSelect($('lobby-microphones'), known(microphones).length ? microphones : [], this.microphone?.getSettings().deviceId ?? this.devices.microphone, 'Microphone');
  }

  listen() {
    this.stopMeter();
    this.stopMeter = () => {};
    this.level(0);
    if (this.microphone) this.stopMeter = sfu.meter(this.microphone, (level) => this.level(level));
  }
  level(level) {
    $('lobby-meter').firstElementChild.style.setProperty('--level', level.toFixed(2));
    $('lobby-meter').setAttribute('aria-valuenow', Math.round(level * 100));
    setText($('meter-word'), !this.microphone ? 'Microphone is off' : level > 0.35 ? 'We hear you' : 'Say something');
  }

  async toggle(what) {
    const camera = what === 'camera';
    const track = camera ? this.camera : this.microphone;
    const on = !track;
    if (camera) this.wantsCamera = on; else this.wantsMic = on;
    store.set(what, on ? 'on' : 'off');
    if (track) {
      track.stop();
      if (camera) this.camera = null; else this.microphone = null;
      this.listen();
      this.paint();
    } else await this.open();
  }

  async choose(kind, deviceId) {
    this.devices[kind] = deviceId;
    store.set(`device.${kind}`, deviceId);
    if (kind === 'camera') { this.camera?.stop(); this.camera = null; this.wantsCamera = true; }
    else { this.microphone?.stop(); this.microphone = null; this.wantsMic = true; }
    await this.open();
  }

  paint() {
    const video = $('preview');
    if ((video.srcObject?.getVideoTracks()[0] ?? null) !== this.camera) video.srcObject = this.camera ? new MediaStream([this.camera]) : null;
    $('preview-empty').hidden = !!this.camera;
    paintAvatar($('preview-avatar'), $('name').value);
    setText($('preview-note'), this.problem || 'Camera is off');
    $('preview-retry').hidden = !this.problem;
    $('lobby-mic').setAttribute('aria-pressed', !!this.microphone);
    $('lobby-camera').setAttribute('aria-pressed', !!this.camera);
  }

  /** Hands the tracks over; who has them stops them. */
  take() {
    const { camera, microphone } = this;
    this.camera = this.microphone = null;
    this.stopMeter();
    return { camera, microphone };
  }
  close() {
    const { camera, microphone } = this.take();
    camera?.stop();
    microphone?.stop();
    $('preview').srcObject = null;
  }
}

/** One picture on the stage. */
class TileView {
  constructor(call, key, participant, source) {
    Object.assign(this, { call, key, participant, source });
    this.name = make('span');
    this.state = make('em');
    this.bars = makeBars();
    // Why it is no better, for those who want to know: a word, and the sentence behind it.
    this.why = make('button', { className: 'why', type: 'button', hidden: true, onclick: () => this.explain() });
    this.why.dataset.testid = 'why-small';
    this.note = make('div', { className: 'note', hidden: true });
    this.hand = make('div', { className: 'raised', hidden: true, ariaHidden: 'true' }, icon('hand'));
    this.info = make('div', { className: 'info' });
    this.pin = make('button', { className: 'pin', type: 'button', onclick: () => call.pin(key) }, icon('pin'));
    this.avatar = make('div', { className: 'avatar', ariaHidden: 'true' });
    this.element = make('div', { className: 'tile new' },
      this.avatar, this.note, this.info, this.hand, make('div', { className: 'label' }, icon('mic-off'), this.name, this.state, this.bars, this.why), this.pin);
    Object.assign(this.element.dataset, { testid: 'tile', pid: participant.pid, source, key });
    this.element.ondblclick = () => call.pin(key);
    $('tiles').append(this.element);
    this.tile = call.room.tile(this.element, participant, { source, priority: source === 'screen' ? 200 : 100 });
    this.tile.addEventListener('change', () => this.paint());
    this.paint();
    requestAnimationFrame(() => this.element.classList.remove('new'));
  }

  place({ x, y, w, h }, { pip = false, focus = false, thumbnail = false } = {}) {
    const { style, classList } = this.element;
    style.setProperty('transform', `translate(${x}px, ${y}px)`);
    style.setProperty('width', `${w}px`);
    style.setProperty('height', `${h}px`);
    classList.toggle('pip', pip);
    classList.toggle('contain', focus);
    this.tile.priority = this.source === 'screen' ? 200 : focus ? 180 : this.participant.speaking ? 140 : 100;
    // Beside a large picture nobody looks at thumbnails for long.
    this.tile.maxFps = thumbnail ? 15 : 0;
  }

  paint() {
    const { participant, tile, element, source } = this;
    const screen = source === 'screen';
    const name = participant.isLocal ? 'You' : participant.name;
    setText(this.name, screen ? `${name} — screen` : name);
    // Somebody whose sound and picture are not there yet, as after a restart of the server.
    const isComing = participant.conn === 'signalOnly' && !participant.isLocal && !screen;
    setText(this.state, participant.conn === 'reconnecting' ? 'reconnecting…' : isComing ? 'connecting…' : '');
    this.state.className = isComing ? 'later' : '';
    element.classList.toggle('own', participant.isLocal);
    this.hand.hidden = screen || !participant.hand;
    element.classList.toggle('away', participant.conn === 'reconnecting');
    paintAvatar(this.avatar, participant.name);
    const mic = participant.microphone;
    element.classList.toggle('silent', !screen && (!mic || mic.muted));
    element.classList.toggle('speaking', !screen && participant.speaking && !mic?.muted);
    element.classList.toggle('pinned', this.call.pinned === this.key);
    element.dataset.pid = participant.pid;
    element.dataset.tid = tile?.publication?.tid ?? '';
    element.setAttribute('role', 'group');
    element.setAttribute('aria-label', `${name}${screen ? ', screen' : ''}${!mic || mic.muted ? ', microphone off' : ''}${participant.hand ? ', hand raised' : ''}`);
    tile?.video.classList.toggle('mirror', participant.isLocal && this.call.mirrored);
    const pinned = this.call.pinned === this.key;
    const verb = pinned ? 'Show everybody alike' : 'Show large';
    if (this.pin.title !== verb) { this.pin.title = verb; this.pin.ariaLabel = `${verb}: ${name}`; this.pin.replaceChildren(icon(pinned ? 'unpin' : 'pin')); }
    const paused = tile?.state === 'paused' ? tile.info()?.text : screen && tile?.state === 'waiting' ? 'The screen is on its way…' : '';
    this.note.hidden = !paused;
    setText(this.note, paused ?? '');
    this.paintQuality();
  }

  /** Bars where something is worth seeing, and why the server sends no more where our own way is to blame. */
  paintQuality() {
    const { participant, tile, source } = this;
    paintBars(this.bars, source === 'screen' ? null : participant.quality, { least: 2 });
    const info = !participant.isLocal && tile?.state !== 'empty' ? tile?.info() : null;
    const isLimited = !!info && info.reason === 'bandwidth' && !info.paused;
    this.why.hidden = !isLimited;
    if (!isLimited) return;
    const [word] = info.text.split(':');
    setText(this.why, word);
    if (this.why.title !== info.text) { this.why.title = info.text; this.why.ariaLabel = info.text; }
  }

  /** Where there is no pointer to rest on it: the sentence, for a while. */
  explain() {
    toast(this.why.title, { ms: 7_000 });
  }

  paintInfo() {
    const info = this.tile.info();
    if (!info) { setText(this.info, this.tile.state === 'empty' ? 'Camera is off' : ''); return; }
    const loss = info.lossPercent >= 1 ? ` · ${info.lossPercent} % lost` : '';
    const size = pictureLine(info);
    const rate = info.kbps && !info.paused ? `${info.kbps} kbit/s${loss}` : '';
    this.info.replaceChildren(...[size && make('b', { textContent: size }), rate, rate && make('br'), info.text].filter(Boolean));
  }

  remove() { this.tile.close(); this.element.remove(); }
}

/** The call on the screen, as long as its room lasts. */
class Call {
  views = new Map(); pinned = null; visible = []; mirrored = store.get('mirror') !== 'off'; started = Date.now();
  #frame = 0; #intervals = []; #off = []; #stopMeter = () => {}; #metered = null; #wakeLock = null; #banner = null;
  #joined = gather(700, (names) => told(names, 'joined', 'joined').forEach((line) => toast(line)));
  #left = gather(700, (names) => told(names, 'left', 'left').forEach((line) => toast(line)));

  constructor(room, lobby) {
    this.room = room;
    this.lobby = lobby;
    this.people = new PeopleView(room);
    this.connection = new ConnectionView(room);
    this.more = make('div', { className: 'tile overflow', hidden: true, onclick: () => this.act('people') });
    $('tiles').append(this.more);
    const on = (type, listener) => this.#off.push(room.on(type, listener));
    on('status', () => this.paintStatus());
    on('pending', () => this.paintButtons());
    this.peopleEvents(on);
    on('joined', ({ participant }) => { this.#joined(participant.name); this.changed(); });
    on('left', ({ participant }) => { this.#left(participant.name); this.changed(); });
    for (const type of ['updated', 'published', 'unpublished', 'muted', 'unmuted']) on(type, () => this.changed());
    on('published', ({ publication, participant }) => {
      if (publication.source === 'screen' && !participant.isLocal) toast(`${participant.name} shares a screen`);
    });
    on('speakers', () => { for (const view of this.views.values()) view.paint(); this.people.paint(); if (this.crowded) this.changed(); });
    on('uplink', () => this.paintUplink());
    on('quality', ({ participant }) => {
      for (const view of this.views.values()) if (view.participant === participant) view.paintQuality();
      if (participant.isLocal) this.connection.notePath(this.stats);
      this.people.paint();
    });
    on('audioBlocked', ({ blocked }) => { $('hear').hidden = !blocked; });
    on('deviceLost', ({ publication, error }) => toast(`${publication.source === 'mic' ? 'Microphone' : 'Camera'} stopped. ${error?.message ?? ''}`, { problem: true }));
    on('warning', ({ error }) => { if (error.name !== 'SFUError') console.warn(error); });
    on('ended', (ended) => this.end(ended));
    const resize = new ResizeObserver(() => this.layout());
    resize.observe($('stage'));
    this.#off.push(() => resize.disconnect());
    this.#intervals.push(setInterval(() => this.second(), 1_000));
    $('hear').hidden = !room.audioBlocked;
    $('hear').onclick = () => room.startAudio().catch((error) => toast(error.message, { problem: true }));
    setText($('room-name'), room.name);
    $('lobby').hidden = $('returning').hidden = true;
    $('call').hidden = false;
    this.keepAwake();
    this.update();
    this.paintStatus();
  }

  peopleEvents(on) {
    const { room } = this;
    const who = (one) => one?.name ?? 'A moderator';
    for (const type of ['lobby', 'permissions', 'room', 'admitted']) on(type, () => this.changed());
    on('reaction', ({ participant, emoji }) => {
      const view = participant && this.views.get(participant.isLocal ? 'me:camera' : `${participant.pid}:camera`);
      showReaction(emoji, view?.element, participant?.name ?? '');
    });
    on('forceMuted', ({ publication, muted, locked, by }) => {
      const what = publication.source === 'mic' ? 'microphone' : publication.source;
      if (muted) toast(`${who(by)} muted your ${what}${locked ? ' for now' : ''}`);
      else if (!locked) toast(`You may use your ${what} again`);
    });
    on('unmuteRequest', ({ source, by }) => this.askToUnmute(source, who(by)));
    on('stopped', ({ publication, by }) => toast(`${who(by)} stopped your ${publication.source === 'screen' ? 'screen sharing' : publication.source}`));
    on('room', ({ locked, by }) => { if (by && !by.isLocal && locked !== this.wasLocked) toast(`${by.name} ${locked ? 'locked' : 'unlocked'} the call`); this.wasLocked = locked; });
    on('dataLost', ({ lost, isUnknown }) => console.warn(`${isUnknown ? 'some' : lost} messages may have been lost while we were away`));
    on('needsUser', ({ text }) => { room.leave(); this.lobby.askToken(text); });
    on('move', ({ room: next, token }) => { this.next = { room: next, token, name: room.me.name, withMedia: !!(room.me.microphone || room.me.camera) }; room.leave('moved'); });
    this.wasLocked = room.locked;
  }

  askToUnmute(source, by) {
    setText($('unmute-text'), `${by} asks you to ${source === 'mic' ? 'unmute' : 'turn your camera on'}`);
    $('unmute').hidden = false;
    $('unmute-yes').onclick = () => { $('unmute').hidden = true; this.toggle(source === 'mic' ? 'mic' : 'camera'); };
    $('unmute-no').onclick = () => { $('unmute').hidden = true; };
  }

  // A burst of events is one repaint.
  changed() { this.#frame ||= requestAnimationFrame(() => { this.#frame = 0; this.update(); }); }

  update() {
    const { room } = this;
    const { me } = room;
    this.remember();
    const wanted = new Map();
    const others = [...room.participants.values()].filter((one) => one.publications.size || !['whep', 'recorder'].includes(one.kind));
    const hasFace = (one) => (one.camera && !one.camera.muted ? 0 : 1);
    if (others.length > 12) others.sort((a, b) => hasFace(a) - hasFace(b));
    for (const participant of others) if (participant.screen) wanted.set(`${participant.pid}:screen`, [participant, 'screen']);
    for (const participant of others) if (participant.camera || !participant.screen) wanted.set(`${participant.pid}:camera`, [participant, 'camera']);
    wanted.set('me:camera', [room.me, 'camera']);
    for (const [key, view] of this.views) if (!wanted.has(key)) { view.remove(); this.views.delete(key); }
    this.keys = [...wanted.keys()];
    if (this.pinned && !wanted.has(this.pinned)) this.pinned = null;
    this.wanted = wanted;
    this.layout();
    for (const view of this.views.values()) view.paint();
    this.people.paint();
    this.paintButtons();
    const count = room.participants.size + 1;
    for (const element of document.querySelectorAll('#call .count')) setText(element, String(count));
    $('alone').hidden = others.length > 0 || room.waiting || room.lobby.size > 0;
    $('waiting').hidden = !room.waiting;
    if (me.microphone && !me.microphone.muted) $('unmute').hidden = true;
    document.title = `${room.name} (${count}) — sfu`;
  }

  layout() {
    const { clientWidth: width, clientHeight: height } = $('stage');
    if (!width || !height || !this.wanted) return;
    const gap = width < 700 ? 6 : 10;
    const spotlight = [`${this.room.spotlight}:screen`, `${this.room.spotlight}:camera`].find((key) => this.keys.includes(key));
    const focusKey = this.pinned ?? spotlight ?? this.keys.find((key) => key.endsWith(':screen')) ?? null;
    const speaking = this.room.speakers.active.filter((one) => !one.isLocal).map((one) => `${one.pid}:camera`);
    const places = new Map();
    let overflow = null;
    const others = this.keys.filter((key) => key !== 'me:camera');
    if (focusKey) {
      const rest = this.keys.filter((key) => key !== focusKey);
      const { focus, strip, room } = packFocus(rest.length, width, height, { gap });
      places.set(focusKey, [focus, { focus: true }]);
      this.crowded = rest.length > room;
      const shown = chooseVisible(rest, this.crowded ? Math.max(1, room - 1) : room, speaking, this.visible);
      shown.forEach((key, index) => places.set(key, [strip[index], { thumbnail: true }]));
      if (this.crowded && strip.length > shown.length) overflow = strip[shown.length];
      this.visible = shown;
    } else if (others.length === 1) {
      // Two people: the other one large, ourselves in the corner.
      const [large] = packGrid(1, width, height, { gap, minAspect: 0.45 });
      places.set(others[0], [large]);
      const w = width < 700 ? Math.min(112, width * 0.29) : Math.max(170, Math.min(250, width * 0.19));
      const h = width < 700 ? w * 4 / 3 : w * 9 / 16;
      const edge = width < 700 ? 10 : 14;
      places.set('me:camera', [rect(large.x + large.w - w - edge, large.y + large.h - h - edge, w, h), { pip: true }]);
      this.visible = [];
    } else {
      const capacity = gridCapacity(width, height, { gap });
      this.crowded = this.keys.length > capacity;
      const shown = chooseVisible(this.keys, this.crowded ? Math.max(1, capacity - 1) : capacity, ['me:camera', ...speaking], this.visible);
      const rects = packGrid(shown.length + (this.crowded ? 1 : 0), width, height, { gap, minAspect: this.keys.length === 1 ? 0.45 : 0.8 });
      shown.forEach((key, index) => places.set(key, [rects[index]]));
      if (this.crowded) overflow = rects.at(-1);
      this.visible = shown;
    }
    this.show(places, overflow);
  }

  show(places, overflow) {
    for (const [key, view] of this.views) if (!places.has(key)) { view.remove(); this.views.delete(key); }
    for (const [key, [place, how]] of places) {
      let view = this.views.get(key);
      if (!view) this.views.set(key, view = new TileView(this, key, ...this.wanted.get(key)));
      view.place(place, how);
    }
    this.more.hidden = !overflow;
    if (!overflow) return;
    setText(this.more, `+${this.keys.length - places.size}`);
    this.more.setAttribute('aria-label', `${this.keys.length - places.size} more people`);
    this.more.style.setProperty('transform', `translate(${overflow.x}px, ${overflow.y}px)`);
    this.more.style.setProperty('width', `${overflow.w}px`);
    this.more.style.setProperty('height', `${overflow.h}px`);
  }

  pin(key) {
    if (key === 'me:camera' && !this.room.participants.size) return;
    this.pinned = this.pinned === key ? null : key;
    this.update();
  }

  /** A quiet line, and none for what is over in a moment. */
  paintStatus() {
    const { state, what = '', text } = this.room.status;
    const isFine = ['live', 'ended', 'waiting'].includes(state);
    clearTimeout(this.#banner);
    const show = () => {
      $('banner').classList.toggle('show', !isFine);
      setText($('banner'), isFine ? '' : text);
      $('banner').dataset.state = state;
      $('banner').dataset.what = what;
    };
    $('call').dataset.status = state;
    $('call').classList.toggle('cut', state === 'reconnecting' && what !== 'signal');
    const isShown = $('banner').classList.contains('show');
    if (isFine || isShown || state === 'connecting' || what === 'both') show(); else this.#banner = setTimeout(show, BANNER_MS);
  }

  /** Our camera gives way to our voice: said where it is gone, with a way to have it back. */
  paintUplink() {
    const { level, text } = this.room.uplink;
    setText($('uplink-text'), text);
    $('uplink').hidden = level === 0;
    $('uplink-resume').hidden = level < 3;
    $('uplink-resume').onclick = () => this.room.resumeVideo();
  }

  paintButtons() {
    const { me } = this.room;
    const waits = { mic: !!me.microphone?.unconfirmed, camera: !!me.camera?.unconfirmed, hand: this.room.pending.has('hand') };
    const on = { mic: !!me.microphone && !me.microphone.muted, camera: !!me.camera && !me.camera.muted, screen: !!me.screen };
    const words = {
      mic: [`${on.mic ? 'Mute microphone' : 'Unmute microphone'} (M)`, on.mic], camera: [`${on.camera ? 'Stop camera' : 'Start camera'} (V)`, on.camera],
      screen: [`${on.screen ? 'Stop sharing' : 'Share your screen'} (S)`, on.screen], devices: ['Camera, microphone, speaker'],
      info: ['What each picture receives (I)', $('call').classList.contains('show-info')], invite: ['Copy invite link (C)'],
      hand: [`${me.hand ? 'Lower your hand' : 'Raise your hand'} (H)`, me.hand],
      people: ['People (P)', !$('people').hidden], more: ['More'], leave: ['Leave (Shift+L)'],
    };
    for (const [action, [title, pressed]] of Object.entries(words)) {
      for (const button of document.querySelectorAll(`.bar [data-action="${action}"]`)) {
        button.title = button.ariaLabel = title;
        if (pressed !== undefined) button.setAttribute('aria-pressed', pressed);
        // What is wanted shows at once, and that the server has not heard of it yet.
        button.classList.toggle('pending', (waits[action] ?? false) && ['reconnecting', 'syncing', 'needsUser'].includes(this.room.status.state));
      }
    }
    setText($('more-hand'), me.hand ? 'Lower your hand' : 'Raise your hand');
    $('sharing').hidden = !on.screen;
    const canShare = sfu.supported().screen;
    for (const button of document.querySelectorAll('button[data-action="screen"]')) button.disabled = button.hidden = !canShare;
    const track = on.mic ? me.microphone.track : null;
    if (track === this.#metered) return;
    this.#stopMeter();
    this.#metered = track;
    const level = document.querySelector('.bar .level');
    level.style.setProperty('--level', 0);
    this.#stopMeter = track ? sfu.meter(track, (value) => level.style.setProperty('--level', Math.max(0, value * 1.5 - 0.4).toFixed(2))) : () => {};
  }

  async second() {
    setText($('clock'), clock(Date.now() - this.started));
    const stats = await this.room.stats().catch(() => null);
    if (!stats) return;
    if ($('call').classList.contains('show-info')) for (const view of this.views.values()) view.paintInfo();
    const loss = Math.max(0, ...[...stats.receive.values()].map((one) => one.lossPercent));
    const rtt = stats.rttMs ?? stats.signalRttMs;
    this.stats = stats;
    const { quality } = this.room.me;
    // Until the server has something to judge by, what the browser counts.
    const guess = loss > 8 || rtt > 400 ? 'poor' : loss > 3 || rtt > 200 ? 'fair' : 'good';
    $('quality').dataset.level = !quality ? guess : quality.bars >= 3 ? 'good' : quality.bars === 2 ? 'fair' : 'poor';
    setText($('quality'), rtt === null || rtt === undefined ? '' : `${Math.round(rtt)} ms${stats.protocol === 'tcp' ? ' · TCP' : ''}`);
    $('quality').title = $('quality').ariaLabel = `Your connection${quality ? ` is ${quality.word}` : ''}${$('quality').textContent ? `, ${$('quality').textContent}` : ''}`;
    this.connection.notePath(stats);
    for (const view of this.views.values()) view.paintQuality();
  }

  async act(action, button) {
    if (action === 'people') {
      $('people').hidden = !$('people').hidden;
      this.people.paint();
      this.paintButtons();
    } else if (action === 'hand') {
      this.room.raiseHand(!this.room.desired.hand).catch((error) => toast(error.message, { problem: true })).finally(() => this.changed());
      this.changed();
    } else if (action === 'info') {
      $('call').classList.toggle('show-info');
      this.paintButtons();
      await this.second();
    } else if (action === 'invite') await this.invite();
    else if (action === 'devices') await this.showDevices();
    else if (action === 'connection') this.connection.open();
    else if (action === 'more') $('more-menu').showModal();
    else if (action === 'leave') await this.room.leave();
    else await this.toggle(action, button);
  }

  async toggle(what, button) {
    const { room } = this;
    const { me } = room;
    button?.setAttribute('aria-busy', 'true');
    try {
      if (what === 'screen') await (me.screen ? Promise.all([room.unpublish('screen'), room.unpublish('screenAudio')]) : room.publishScreen());
      else {
        const mine = what === 'mic' ? me.microphone : me.camera;
        if (mine) await mine.setMuted(!mine.muted);
        else if (what === 'mic') await room.publishMicrophone({ deviceId: this.lobby.devices.microphone });
        else await room.publishCamera({ deviceId: this.lobby.devices.camera });
      }
    } catch (error) {
      if (error.code !== 'cancelled') toast(`${{ mic: 'Microphone', camera: 'Camera', screen: 'Screen' }[what]}: ${error.message}`, { problem: true });
    } finally {
      button?.removeAttribute('aria-busy');
      this.changed();
    }
  }

  async invite() {
    const url = new URL(location.pathname, location.href);
    url.searchParams.set('room', this.room.name);
    try {
      await navigator.clipboard.writeText(url.href);
      toast('Invite link copied');
    } catch {
      toast(url.href, { ms: 12_000 });
    }
  }

  async showDevices() {
    const { cameras, microphones, speakers } = await sfu.listDevices();
    const { me } = this.room;
    const { devices } = this.lobby;
    fillSelect($('call-cameras'), cameras, me.camera?.track?.getSettings().deviceId ?? devices.camera, 'Camera');
    fillSelect($('call-microphones'), microphones, me.microphone?.track?.getSettings().deviceId ?? devices.microphone, 'Microphone');
    fillSelect($('call-speakers'), speakers, devices.speaker, 'Speaker');
    $('speaker-field').hidden = !sfu.supported().sinkId || !speakers.length;
    $('mirror').checked = this.mirrored;
    if (!$('devices').open) $('devices').showModal();
  }

  async chooseDevice(kind, deviceId) {
    try {
      await this.room.setDevice(kind, deviceId);
      this.lobby.devices[kind] = deviceId;
      store.set(`device.${kind}`, deviceId);
    } catch (error) {
      toast(error.message, { problem: true });
    }
  }

  mirror(on) {
    this.mirrored = on;
    store.set('mirror', on ? 'on' : 'off');
    this.changed();
  }

  /** For a reload: who we were, and what was on. */
  remember() {
    const { me } = this.room;
    const on = (publication) => !!publication && !publication.muted;
    tab.set({ room: this.room.name, name: me.name, camera: on(me.camera), mic: on(me.microphone) });
  }

  async keepAwake() {
    try { this.#wakeLock = await navigator.wakeLock?.request('screen'); } catch { /* battery saver says no */ }
  }

  end(ended) {
    for (const off of this.#off) off();
    this.#intervals.forEach(clearInterval);
    cancelAnimationFrame(this.#frame);
    this.#stopMeter();
    this.#wakeLock?.release().catch(() => {});
    for (const view of this.views.values()) view.remove();
    this.more.remove();
    for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
    for (const id of ['people', 'knock', 'unmute', 'waiting']) $(id).hidden = true;
    clearTimeout(this.#banner);
    $('call').classList.remove('show-info', 'cut');
    document.title = 'sfu';
    current = null;
    tab.set(null);
    if (this.next) { $('call').hidden = true; join(this.lobby, this.next); return; }
    this.lobby.show(ended.text);
  }
}

let current = null;
const BANNER_MS = 700;

/** What this tab does, as long as it lives; a reload finds it again. */
const tab = {
  get() { try { return JSON.parse(sessionStorage.getItem('sfu.call')); } catch { return null; } },
  set(value) { try { if (value) sessionStorage.setItem('sfu.call', JSON.stringify(value)); else sessionStorage.removeItem('sfu.call'); } catch { /* none */ } },
};

/** After a reload: straight back into the call, with what was on before. */
async function comeBack(lobby) {
  const had = tab.get();
  const here = new URLSearchParams(location.search).get('room');
  if (!had || had.room !== here || !await sfu.resumable({ room: had.room }).catch(() => false)) return false;
  $('lobby').hidden = true;
  $('returning').hidden = false;
  const wants = { camera: had.camera && { deviceId: lobby.devices.camera }, microphone: had.mic && { deviceId: lobby.devices.microphone } };
  const { camera, microphone } = await sfu.captureBoth(wants);
  lobby.camera = camera;
  lobby.microphone = microphone;
  await join(lobby, { name: had.name, room: had.room, withMedia: true });
  return true;
}

async function join(lobby, { name, room: roomId, token, withMedia }) {
  lobby.busy(true);
  const { camera, microphone } = lobby.take();
  const back = (text, error) => {
    camera?.stop();
    microphone?.stop();
    lobby.show();
    if (error?.closeCode === 4401 || error?.closeCode === 4402) lobby.askToken(text);
    else lobby.error(text);
  };
  try {
    const room = await sfu.connect({ room: roomId, token, user: { name }, signal: AbortSignal.timeout(45_000) });
    window.sfuRoom = room;
    const url = new URL(location.href);
    url.searchParams.set('room', roomId);
    history.replaceState(null, '', url);
    const call = new Call(room, lobby);
    current = call;
    if (lobby.devices.speaker) room.setDevice('speaker', lobby.devices.speaker).catch(() => {});
    if (!withMedia) { camera?.stop(); microphone?.stop(); return; }
    const failed = (what) => (error) => { if (room.status.state !== 'ended') toast(`${what}: ${error.message}`, { problem: true }); };
    if (microphone) room.publishMicrophone({ track: microphone, deviceId: lobby.devices.microphone }).catch(failed('Microphone'));
    if (camera) room.publishCamera({ track: camera, deviceId: lobby.devices.camera }).catch(failed('Camera'));
  } catch (error) {
    back(error.message, error);
  }
}

function keyboard(event) {
  if (!current || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  if (event.target.closest?.('input, select, textarea')) return;
  const action = { m: 'mic', v: 'camera', s: 'screen', i: 'info', p: 'people', c: 'invite', h: 'hand' }[event.key];
  if (action && !event.shiftKey && !event.repeat) { event.preventDefault(); current.act(action); }
  if (event.key === 'L' && event.shiftKey) { current.act('leave'); return; }
  // Hold the space bar to say one thing.
  const mic = current.room.me.microphone;
  if (event.code === 'Space' && !event.repeat && mic?.muted && !event.target.closest?.('button')) {
    event.preventDefault();
    mic.unmute();
    window.addEventListener('keyup', () => mic.mute(), { once: true });
  }
}

function start() {
  const lobby = new Lobby((choice) => join(lobby, choice));
  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-action]');
    if (button && current) { button.closest('dialog')?.close(); current.act(button.dataset.action, button); }
    if (event.target.closest('[data-close]') || event.target.matches('dialog')) event.target.closest('dialog')?.close();
  });
  document.addEventListener('keydown', keyboard);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) current?.keepAwake(); });
  for (const id of ['call-cameras', 'call-microphones', 'call-speakers']) {
    $(id).onchange = (event) => current?.chooseDevice(event.target.dataset.kind, event.target.value);
  }
  $('mirror').onchange = (event) => current?.mirror(event.target.checked);
  navigator.mediaDevices?.addEventListener?.('devicechange', () => {
    if (current && $('devices').open) current.showDevices();
    else if (!$('lobby').hidden) lobby.list();
  });
  const { ok, missing } = sfu.supported();
  comeBack(lobby).then((isBack) => {
    if (isBack) return;
    lobby.show();
    if (!ok) { lobby.error(`This browser lacks ${missing.join(', ')}.`); lobby.busy(true); }
  });
}

if (typeof document !== 'undefined') start();
