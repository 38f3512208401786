// Where tiles go and what they are called: pure functions of the conference page. They know no document and no room.

/**
 * Rows and columns for `count` tiles that make the pictures largest: a cell may be a little taller or wider than
 * 16:9, at a price, since the picture is cropped to it. Returns rectangles, the last row centred.
 */
export function packGrid(count, width, height, { gap = 10, minAspect = 0.8, maxAspect = 16 / 9 } = {}) {
  if (count < 1 || width <= 0 || height <= 0) return [];
  let best = null;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    let w = (width - gap * (columns - 1)) / columns;
    let h = (height - gap * (rows - 1)) / rows;
    if (w <= 0 || h <= 0) continue;
    if (w / h > maxAspect) w = h * maxAspect;
    if (w / h < minAspect) h = w / minAspect;
    const likeness = Math.min(w / h / maxAspect, 1) ** 0.45;
    const score = w * h * likeness;
    if (!best || score > best.score) best = { columns, rows, w, h, score };
  }
  if (!best) return [];
  const { columns, rows, w, h } = best;
  const top = (height - rows * h - (rows - 1) * gap) / 2;
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / columns);
    const inRow = row === rows - 1 ? count - row * columns : columns;
    const left = (width - inRow * w - (inRow - 1) * gap) / 2;
    return rect(left + (index % columns) * (w + gap), top + row * (h + gap), w, h);
  });
}

export const rect = (x, y, w, h) => ({ x: Math.round(x), y: Math.round(y), w: Math.floor(w), h: Math.floor(h) });

/** How many tiles fit before they get too small to know a face. */
export function gridCapacity(width, height, { gap = 10, max = 49, minWidth = Math.min(170, width / 2.3), minHeight = 96 } = {}) {
  for (let count = max; count > 1; count--) {
    const [first] = packGrid(count, width, height, { gap });
    if (first && first.w >= minWidth && first.h >= minHeight) return count;
  }
  return 1;
}

/** One large tile and a strip of the others, beside it on wide stages and below it on tall ones. */
export function packFocus(others, width, height, { gap = 10 } = {}) {
  if (!others) return { focus: rect(0, 0, width, height), strip: [], room: 0 };
  if (width / height > 1.15) {
    const w = Math.max(150, Math.min(260, width * 0.19));
    const h = w * 9 / 16;
    const room = Math.max(1, Math.floor((height + gap) / (h + gap)));
    const shown = Math.min(others, room);
    const top = (height - shown * h - (shown - 1) * gap) / 2;
    const strip = Array.from({ length: shown }, (_, i) => rect(width - w, top + i * (h + gap), w, h));
    return { focus: rect(0, 0, width - w - gap, height), strip, room };
  }
  // A tall stage: the large one above, as high as a wide picture needs it, and a small grid below.
  const h = Math.max(height * 0.3, Math.min(height * 0.6, width * 0.64));
  const below = height - h - gap;
  const room = gridCapacity(width, below, { gap, minWidth: Math.min(130, width / 3.2), minHeight: 84 });
  const strip = packGrid(Math.min(others, room), width, below, { gap }).map((place) => ({ ...place, y: Math.round(place.y + h + gap) }));
  return { focus: rect(0, 0, width, h), strip, room };
}

/** The keys that are shown, in a stable order: who speaks comes in at the end, nobody else moves. */
export function chooseVisible(keys, capacity, wanted = [], before = []) {
  if (keys.length <= capacity) return keys;
  const kept = before.filter((key) => keys.includes(key)).slice(0, capacity);
  for (const key of keys) if (kept.length < capacity && !kept.includes(key)) kept.push(key);
  for (const key of wanted) {
    if (!keys.includes(key) || kept.includes(key)) continue;
    const last = kept.findLastIndex((one) => !wanted.includes(one));
    if (last >= 0) kept[last] = key;
  }
  return kept;
}

export function initials(name) {
  const words = name.trim().split(/[\s._-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0] ?? '?'];
  return letters.map((word) => [...word][0]).join('').toUpperCase();
}

export function hue(text) {
  let hash = 7;
  for (const character of text) hash = (hash * 31 + character.codePointAt(0)) % 3600;
  return hash / 10;
}

const ADJECTIVES = 'amber brisk calm clever coral dapper early gentle golden happy ivory jolly keen lively lucky merry misty noble olive proud quiet rapid rosy silver sunny swift tidy velvet warm witty'.split(' ');
const ANIMALS = 'badger beaver bison crane dolphin falcon finch gecko heron ibis jaguar koala lark lemur lynx marmot otter owl panda puffin raven robin seal sparrow swan tapir tiger turtle walrus wombat'.split(' ');
export function roomName(random = Math.random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  return `${pick(ADJECTIVES)}-${pick(ANIMALS)}-${10 + Math.floor(random() * 90)}`;
}

/** What a tile receives, against what its sender offers: "640×360 of 1280×720 · layer 2/3 · 15 fps of 30 · VP8". */
export function pictureLine({ width, height, fps, codec, layer, layers, offered, paused }) {
  if (!height || paused) return '';
  const isSmaller = offered && offered.width * offered.height > width * height;
  // Rates are counted over a second: one frame more or less says nothing.
  const isSlower = offered?.fps && offered.fps - fps > Math.max(2, offered.fps * 0.15);
  return [
    `${width}×${height}${isSmaller ? ` of ${offered.width}×${offered.height}` : ''}`,
    layer !== null && layers > 1 && `layer ${layer + 1}/${layers}`,
    `${fps} fps${isSlower ? ` of ${offered.fps}` : ''}`,
    codec && codec.toUpperCase(),
  ].filter(Boolean).join(' · ');
}

export const clock = (ms) => {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return (parts[0] ? parts : parts.slice(1)).map((part, i) => (i ? String(part).padStart(2, '0') : part)).join(':');
};
