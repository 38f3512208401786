// sfu.d.ts against sfu.js: what the one declares the other has. What the types mean is for the compiler: scripts/test lint.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sfu } from './stage.mjs';

const text = readFileSync(new URL('../../Sources/Signaling/Web/sdk/sfu.d.ts', import.meta.url), 'utf8');
const byHand = text.slice(0, text.indexOf('// begin generated protocol'));

const declared = [...byHand.matchAll(/^export declare (?:const|function|class) (\w+)/gm)].map((match) => match[1]);

/** What a declared class has, with what it has from others: names of all members, and of those that are called. */
function members(name) {
  const line = byHand.match(new RegExp(`^export declare class ${name}(?: extends (\\w+))? \\{(\\})?`, 'm'));
  const parent = line[1];
  const from = line.index + line[0].length;
  const body = line[2] ? '' : byHand.slice(from, byHand.indexOf('\n}', from));
  const names = (pattern) => [...body.matchAll(pattern)].map((match) => match[1]);
  const above = parent && declared.includes(parent) ? members(parent) : { all: [], called: [] };
  return { all: [...names(/^ {2}(?:readonly )?(\w+)[?(<:]/gm), ...above.all], called: [...names(/^ {2}(\w+)(?:<[^(]*>)?\(/gm), ...above.called] };
}

test('every export is declared, and nothing else is', () => {
  assert.deepEqual([...new Set(declared)].sort(), Object.keys(sfu).sort());
});

/** What the module's own classes need of each other has `_` before it, or stands here. */
const INTERNAL = { LocalPublication: ['shape', 'applyDemand', 'forgetDemand', 'release'], Tile: ['wish', 'refresh'] };
const isPublic = (name) => name !== 'constructor' && !name.startsWith('_');

for (const [name, value] of Object.entries(sfu)) {
  if (typeof value !== 'function' || !/^class\b/.test(Function.prototype.toString.call(value))) continue;
  test(`every method of ${name} is declared, and nothing else is`, () => {
    const { all, called } = members(name);
    for (const method of Object.getOwnPropertyNames(value.prototype).filter(isPublic)) {
      if (INTERNAL[name]?.includes(method)) continue;
      assert.ok(all.includes(method), `${name}.${method} is not in sfu.d.ts`);
    }
    for (const method of called) assert.ok(method in value.prototype, `${name}.${method}() is in sfu.d.ts alone`);
  });
}

test('the SDK knows every close code that ends a call', () => {
  const codes = text.match(/type CloseCode = ([^;]+);/)[1].split(' | ').map(Number);
  assert.ok(codes.includes(4426) && codes.length > 15);
  for (const code of codes) {
    const rule = sfu.closeRule(code);
    assert.equal(rule, code < 4000 || (code >= 4100 && code < 4200) ? 'end' : code >= 4400 ? 'fix' : 'resume', `${code}`);
  }
});

test('words that a newer server may say do not stop the SDK', () => {
  const slot = sfu.normalizeSlot({ mid: '1', kind: 'video', paused: true, reason: 'later' });
  assert.equal(slot.reason, 'later');
  const described = sfu.describe({ ...slot, codec: 'later', layers: 0 });
  assert.equal(typeof described, 'string');
  for (const code of [4099, 4199, 4499]) assert.equal(typeof sfu.afterClose(code, { wasWelcomed: true, isVisible: true, windowMs: 1 }).next, 'string');
});
