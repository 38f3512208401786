// Where the page puts its tiles.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as page from '../../Sources/Signaling/Web/layout.js';
import { actionsFor, peopleInOrder } from '../../Sources/Signaling/Web/people.js';

const inside = (rects, width, height) => rects.every(({ x, y, w, h }) => x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= width + 1 && y + h <= height + 1);
const apart = (rects) => rects.every((a, i) => rects.slice(i + 1).every((b) =>
  a.x + a.w <= b.x + 1 || b.x + b.w <= a.x + 1 || a.y + a.h <= b.y + 1 || b.y + b.h <= a.y + 1));

test('tiles fill the stage without touching each other, whatever their number and its shape', () => {
  for (const [width, height] of [[1256, 672], [374, 730], [820, 300], [1600, 400], [300, 300]]) {
    for (let count = 1; count <= 49; count++) {
      const rects = page.packGrid(count, width, height);
      assert.equal(rects.length, count);
      assert.ok(inside(rects, width, height), `${count} in ${width}×${height}`);
      assert.ok(apart(rects), `${count} in ${width}×${height}`);
    }
  }
});

test('a wide stage gets columns, a tall one gets rows', () => {
  const rows = (rects) => new Set(rects.map((one) => one.y)).size;
  assert.equal(rows(page.packGrid(2, 1256, 672)), 1);
  assert.equal(rows(page.packGrid(2, 374, 730)), 2);
  assert.equal(rows(page.packGrid(4, 1256, 672)), 2);
  assert.equal(rows(page.packGrid(6, 1256, 672)), 2);
});

test('pictures keep a shape that shows a face', () => {
  for (let count = 1; count <= 30; count++) {
    for (const { w, h } of page.packGrid(count, 1256, 672)) assert.ok(w / h > 0.79 && w / h < 1.8, `${count}: ${w}×${h}`);
  }
});

test('nothing fits on no stage', () => {
  assert.deepEqual(page.packGrid(3, 0, 100), []);
  assert.deepEqual(page.packGrid(0, 100, 100), []);
});

test('a phone shows fewer than a laptop', () => {
  const phone = page.gridCapacity(374, 730);
  const laptop = page.gridCapacity(1256, 672);
  assert.ok(phone >= 6 && phone < laptop && laptop <= 49, `${phone} ${laptop}`);
});

test('a large tile leaves room for a strip: beside it, or below it', () => {
  for (const [width, height] of [[1256, 672], [374, 730], [844, 300]]) {
    for (let others = 0; others <= 20; others++) {
      const { focus, strip, room } = page.packFocus(others, width, height);
      assert.ok(strip.length === Math.min(others, room) || strip.length === others);
      assert.ok(inside([focus, ...strip], width, height), `${others} in ${width}×${height}`);
      assert.ok(apart([focus, ...strip]), `${others} in ${width}×${height}`);
      assert.ok(focus.w * focus.h > 0.29 * width * height);
    }
  }
  assert.ok(page.packFocus(3, 1256, 672).strip[0].x > page.packFocus(3, 1256, 672).focus.w);
  assert.ok(page.packFocus(3, 374, 730).strip[0].y > page.packFocus(3, 374, 730).focus.h);
});

test('who speaks comes in and nobody else moves', () => {
  const keys = ['a', 'b', 'c', 'd', 'e', 'me'];
  const first = page.chooseVisible(keys, 4, ['me'], []);
  assert.deepEqual(first, ['a', 'b', 'c', 'me']);
  assert.deepEqual(page.chooseVisible(keys, 4, ['me', 'e'], first), ['a', 'b', 'e', 'me']);
  assert.deepEqual(page.chooseVisible(keys, 4, ['me', 'b'], first), first);
  assert.deepEqual(page.chooseVisible(['a', 'me'], 4, [], first), ['a', 'me']);
  assert.deepEqual(page.chooseVisible(['b', 'c', 'd', 'e', 'me'], 4, ['me'], first), ['b', 'c', 'me', 'd']);
});

test('names become initials and colours', () => {
  assert.deepEqual(['Ada Lovelace', 'bo', ' maria  del carmen ruiz', '李 雷', ''].map(page.initials), ['AL', 'B', 'MR', '李雷', '?']);
  assert.equal(page.hue('Ada'), page.hue('Ada'));
  assert.ok(page.hue('Ada') >= 0 && page.hue('Ada') < 360);
});

test('room names can be read out, and the clock too', () => {
  assert.match(page.roomName(() => 0), /^amber-badger-10$/);
  assert.match(page.roomName(() => 0.999999), /^witty-wombat-99$/);
  assert.deepEqual([0, 9_999, 65_000, 3_661_000].map(page.clock), ['0:00', '0:09', '1:05', '1:01:01']);
});

test('a picture is told against what its sender offers', () => {
  const offered = { width: 1280, height: 720, fps: 30 };
  const line = (more) => page.pictureLine({ width: 640, height: 360, fps: 15, codec: 'vp8', layer: 1, layers: 3, offered, paused: false, ...more });
  assert.equal(line(), '640×360 of 1280×720 · layer 2/3 · 15 fps of 30 · VP8');
  assert.equal(line({ width: 1280, height: 720, layer: 2, fps: 28 }), '1280×720 · layer 3/3 · 28 fps · VP8');
  assert.equal(line({ offered: { width: 0, height: 0, fps: 0 }, layer: null, codec: '' }), '640×360 · 15 fps');
  assert.equal(line({ offered: null, layers: 1 }), '640×360 · 15 fps · VP8');
  assert.equal(line({ paused: true }), '');
  assert.equal(line({ height: 0 }), '');
});

test('raised hands come first, in the order they went up', () => {
  const one = (pid, handAt = null) => ({ pid, handAt, hand: handAt !== null });
  const order = (...others) => peopleInOrder(one('me'), others).map(({ pid }) => pid).join('');
  assert.equal(order(one('a'), one('b', 9), one('c'), one('d', 3)), 'medbac');
});

test('a person’s menu has only what would change something, and only for those who may', () => {
  const on = { muted: false };
  const words = (one, more) => actionsFor({ pid: 'a', ...one }, { canModerate: true, spotlight: null, ...more }).map(([what]) => what).join(' ');
  assert.equal(words({ microphone: on }, { canModerate: false }), 'why');
  assert.equal(words({ microphone: on, camera: on, screen: on }), 'why mute muteCamera stopShare spotlight kick ban');
  assert.equal(words({ microphone: { muted: true }, camera: { muted: true } }), 'why unmute spotlight kick ban');
  assert.equal(words({}, { spotlight: 'a' }), 'why unspotlight kick ban');
});
