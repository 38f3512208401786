// The people of a call: the list with what may be done to each, the waiting room, hands and reactions. It speaks to the server
// by the room alone, and knows no tiles.
import { makeBars, paintBars } from './quality.js';
import { $, icon, make, paintAvatar, setText, toast } from './ui.js';

export const REACTIONS = ['👍', '👏', '❤️', '😂', '😮', '🎉'];
const MAX_ROWS = 300;
const REACTION_MS = 3_200;

/** Who stands where in the list: ourselves, raised hands by their time, the others as they came. */
export function peopleInOrder(me, others) {
  const hands = others.filter((one) => one.hand).sort((a, b) => a.handAt - b.handAt);
  return [me, ...hands, ...others.filter((one) => !one.hand)];
}

/** What may be done to somebody, in words; nothing that would change nothing. */
export function actionsFor(one, { canModerate, spotlight }) {
  const isMuted = !one.microphone || one.microphone.muted;
  const moderation = canModerate ? [
    !isMuted && ['mute', 'mic-off', 'Mute microphone'],
    one.microphone && isMuted && ['unmute', 'mic', 'Ask to unmute'],
    one.camera && !one.camera.muted && ['muteCamera', 'camera-off', 'Turn camera off'],
    one.screen && ['stopShare', 'screen', 'Stop screen sharing'],
    spotlight === one.pid ? ['unspotlight', 'unpin', 'No longer large for everybody'] : ['spotlight', 'pin', 'Show large to everybody'],
    ['kick', 'leave', 'Remove from the call'],
    ['ban', 'close', 'Remove and keep out for an hour'],
  ] : [];
  return [['why', 'info', 'Why don’t I hear them?'], ...moderation].filter(Boolean);
}

/** Lets a reaction rise from somebody's picture, or from the edge of the stage. */
export function showReaction(emoji, tile, name) {
  const element = make('div', { className: 'reaction', textContent: emoji, ariaHidden: 'true' });
  if (!tile) element.append(make('small', { textContent: name }));
  (tile ?? $('stage')).append(element);
  setTimeout(() => element.remove(), REACTION_MS);
}

export class PeopleView {
  #target = null;

  constructor(room) {
    this.room = room;
    $('reactions').replaceChildren(...REACTIONS.map((emoji) =>
      make('button', { type: 'button', textContent: emoji, ariaLabel: `React with ${emoji}`, onclick: () => { $('more-menu').close(); room.react(emoji); } })));
    $('lock').onchange = ({ target }) => this.#try(room.lock(target.checked, { lobby: true }), () => { target.checked = room.locked; });
    $('mute-all').onclick = () => this.#try(room.muteAll()).then((done) => done && toast('Everybody is muted'));
    $('person-menu').onclick = ({ target }) => {
      const button = target.closest('[data-do]');
      if (button) { $('person-menu').close(); this.#act(button.dataset.do, this.#target); }
    };
  }

  get canModerate() { return !!this.room.grants.moderate; }

  /** Whether it worked; a refusal is told. */
  async #try(work, undo = () => {}) {
    try {
      await work;
      return true;
    } catch (error) {
      undo();
      toast(error.message, { problem: true });
      return false;
    }
  }

  async #act(what, one) {
    const { room } = this;
    if (!one) return;
    switch (what) {
      case 'why': await this.#explain(one); break;
      case 'mute': await this.#try(room.mute(one)); break;
      case 'unmute': if (await this.#try(room.askToUnmute(one))) toast(`${one.name} was asked to unmute`); break;
      case 'muteCamera': await this.#try(room.mute(one, { source: 'camera' })); break;
      case 'stopShare': await this.#try(room.stopShare(one)); break;
      case 'spotlight': await this.#try(room.setSpotlight(one)); break;
      case 'unspotlight': await this.#try(room.setSpotlight(null)); break;
      case 'kick': await this.#try(room.kick(one)); break;
      case 'ban': await this.#try(room.kick(one, { banSeconds: 3_600 })); break;
      default: break;
    }
  }

  async #explain(one) {
    try {
      const { verdict } = await this.room.diag(one);
      toast(verdict.code === 'ok' ? `Nothing is wrong with ${one.name}’s sound.` : verdict.text, { ms: 9_000 });
    } catch (error) { toast(error.message, { problem: true }); }
  }

  open(one) {
    this.#target = one;
    setText($('person-name'), one.name);
    const actions = actionsFor(one, { canModerate: this.canModerate, spotlight: this.room.spotlight });
    $('person-actions').replaceChildren(...actions.map(([what, name, words]) => {
      const button = make('button', { type: 'button', className: ['kick', 'ban'].includes(what) ? 'danger' : '' }, icon(name), words);
      button.dataset.do = button.dataset.testid = what;
      return button;
    }));
    $('person-menu').showModal();
  }

  admit(one, admit) { return this.#try(this.room.admit(one.pid, admit)); }

  /** Somebody knocks: said over the stage until it is decided, also where the list is closed. */
  paintKnock() {
    const waiting = [...this.room.lobby.values()];
    $('knock').hidden = !waiting.length;
    if (!waiting.length) { $('waiting-list').replaceChildren(); return; }
    const [first] = waiting;
    const more = waiting.length > 1 ? ` and ${waiting.length - 1} more` : '';
    setText($('knock-text'), `${first.name ?? first.uid}${more} would like to come in`);
    $('knock-admit').onclick = () => this.admit(first, true);
    $('knock-deny').onclick = () => this.admit(first, false);
    $('waiting-list').replaceChildren(...waiting.slice(0, MAX_ROWS).map((one) => {
      const avatar = make('span', { className: 'avatar', ariaHidden: 'true' });
      paintAvatar(avatar, one.name ?? one.uid);
      return make('li', {}, avatar, make('span', { className: 'who', textContent: one.name ?? one.uid }),
        make('button', { type: 'button', className: 'primary small', textContent: 'Let in', onclick: () => this.admit(one, true) }),
        make('button', { type: 'button', className: 'plain', title: 'Turn away', ariaLabel: `Turn ${one.name ?? one.uid} away`, onclick: () => this.admit(one, false) }, icon('close')));
    }));
  }

  paint() {
    this.paintKnock();
    if ($('people').hidden) return;
    const { room } = this;
    $('moderation').hidden = !this.canModerate;
    $('lock').checked = room.locked;
    const all = peopleInOrder(room.me, [...room.participants.values()]);
    const rows = all.slice(0, MAX_ROWS).map((one) => this.#row(one));
    if (all.length > rows.length) rows.push(make('li', { className: 'soft', textContent: `and ${all.length - rows.length} more` }));
    // A list that is painted anew loses who reads it from the keyboard.
    const focused = document.activeElement?.closest?.('#people-list [data-pid]')?.dataset.pid;
    $('people-list').replaceChildren(...rows);
    if (focused) $('people-list').querySelector(`[data-pid="${CSS.escape(focused)}"] button`)?.focus();
  }

  #row(one) {
    const avatar = make('span', { className: 'avatar', ariaHidden: 'true' });
    paintAvatar(avatar, one.name);
    const who = make('span', { className: 'who', textContent: one.isLocal ? `${one.name} (you)` : one.name });
    const words = [
      one.conn === 'reconnecting' && 'reconnecting…', one.conn === 'signalOnly' && !one.isLocal && 'connecting…', one.screen && 'shares a screen', one.role === 'moderator' && 'moderator',
      one.pid === this.room.spotlight && 'large for everybody', one.kind !== 'web' && one.kind,
    ].filter(Boolean);
    if (words.length) who.append(make('small', { textContent: words.join(' · ') }));
    const state = (source, name) => {
      const on = one[source] && !one[source].muted;
      const element = icon(on ? name : `${name}-off`, on ? name : 'missing');
      element.removeAttribute('aria-hidden');
      element.setAttribute('role', 'img');
      element.setAttribute('aria-label', `${source} ${on ? 'on' : 'off'}`);
      return element;
    };
    const row = make('li', { className: one.speaking ? 'speaking' : '' }, avatar, who);
    row.dataset.pid = one.pid;
    if (one.hand) {
      const hand = icon('hand', 'hand');
      hand.removeAttribute('aria-hidden');
      hand.setAttribute('role', 'img');
      hand.setAttribute('aria-label', 'hand raised');
      row.append(hand);
    }
    const bars = makeBars();
    paintBars(bars, one.quality);
    row.append(bars, state('microphone', 'mic'), state('camera', 'camera'));
    if (!one.isLocal) {
      const button = make('button', { type: 'button', className: 'plain', title: 'More', ariaLabel: `What to do with ${one.name}`, onclick: () => this.open(one) }, icon('more'));
      button.dataset.testid = 'person';
      row.append(button);
    }
    return row;
  }
}
