// How well the call arrives, as people see it: bars beside names, and the panel about our own connection. It speaks to the
// server by the room alone, and knows no tiles.
import { describeQuality, rateWords } from './sdk/sfu.js';
import { $, make, setText } from './ui.js';

/** Four bars, with words for whoever does not see them. */
export function makeBars() {
  const bars = make('span', { className: 'bars', hidden: true }, ...Array.from({ length: 4 }, () => make('i')));
  bars.setAttribute('role', 'img');
  return bars;
}

/** @param quality of a participant; null: the bars are not there. */
export function paintBars(bars, quality, { least = 4 } = {}) {
  bars.hidden = !quality || quality.bars > least;
  if (!quality) return;
  if (bars.dataset.bars !== String(quality.bars)) bars.dataset.bars = quality.bars;
  const words = describeQuality(quality);
  if (bars.title !== words) { bars.title = words; bars.setAttribute('aria-label', words); }
}

const BOUNDS = {
  start: 'a first guess', loss: 'packets get lost', receiver: 'your browser says so', draining: 'a queue drains',
  silence: 'nothing was heard for a moment', backlog: 'packets wait in the connection', maximum: 'the most that the server sends',
};
const percent = (permille) => `${permille >= 20 || !permille ? Math.round(permille / 10) : permille / 10} %`;

/** The figures of one direction, as rows of a table. */
export function qualityRows(direction, isUp) {
  const { detail } = direction ?? {};
  if (!detail) return [];
  return [
    [isUp ? 'Sent' : 'Received', detail.kbps ? rateWords(detail.kbps) : 'nothing'],
    detail.estimateKbps && ['Room for about', `${rateWords(detail.estimateKbps)}${BOUNDS[detail.bound] ? ` (${BOUNDS[detail.bound]})` : ''}`],
    ['Lost', percent(detail.lossPermille)],
    detail.rttMs && ['There and back', `${detail.rttMs} ms`],
    ['Unevenness', `${detail.jitterMs} ms`],
    detail.queueMs && ['Waiting on the way', `${detail.queueMs} ms`],
    detail.audio && ['Sound', `${(detail.audio / 10).toFixed(1)} of 5`],
    detail.video && ['Picture', `${(detail.video / 10).toFixed(1)} of 5`],
  ].filter(Boolean);
}

/** The dialog about our own connection. */
export class ConnectionView {
  #path = '';

  constructor(room) { this.room = room; }

  open() {
    this.paint();
    if (!$('connection').open) $('connection').showModal();
  }

  /** @param stats of the room; how packets travel. */
  notePath({ rttMs, protocol } = {}) {
    const way = protocol === 'tcp' ? 'Over TCP, since UDP does not get through: late packets hold up the others.' : protocol === 'udp' ? 'Over UDP.' : '';
    this.#path = [way, rttMs === null || rttMs === undefined ? '' : `${Math.round(rttMs)} ms to the server and back.`].filter(Boolean).join(' ');
    if ($('connection').open) this.paint();
  }

  paint() {
    const { quality } = this.room.me;
    const part = (title, direction, isUp) => {
      if (!direction) return null;
      const head = make('h4', {}, title, ' ', makeBars());
      paintBars(head.lastChild, { up: isUp ? direction : null, down: isUp ? null : direction, ...direction });
      const rows = qualityRows(direction, isUp).map(([name, value]) => make('div', {}, make('dt', { textContent: name }), make('dd', { textContent: value })));
      return make('section', {}, head, make('p', { textContent: direction.detail?.text ?? '' }), make('dl', {}, ...rows));
    };
    const parts = [part('What you receive', quality?.down, false), part('What you send', quality?.up, true)].filter(Boolean);
    $('connection-parts').replaceChildren(...(parts.length ? parts : [make('p', { textContent: 'Nothing is known yet: it takes a few seconds of sound or picture.' })]));
    setText($('connection-path'), this.#path);
  }
}
