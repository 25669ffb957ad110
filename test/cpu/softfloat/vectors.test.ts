import { readFileSync } from 'node:fs';
import test from 'ava';
import { sseDifference, x87Difference } from './cases.js';
import { SSE_EXACT } from './sse-operations.js';
import { distanceOfTranscendental } from './transcendental.js';
import { X87_EXACT, X87_TRANSCENDENTAL } from './x87-operations.js';

const lines = readFileSync(new URL('vectors.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n');
const vectors = lines
  .filter((line) => !line.startsWith('#'))
  .map((line) => {
    const [name, ...columns] = line.split(' ');
    const [control, a, b, status, flags, r, s] = columns.map((column) => BigInt(`0x${column}`));
    return {
      name: name!.replaceAll('_', ' '),
      given: { op: 0, control: Number(control), a: a!, b: b! },
      result: { status: Number(status), flags: Number(flags), r: r!, s: s! },
    };
  });

const find = <T extends { readonly name: string }>(operations: readonly T[], name: string): T | undefined =>
  operations.find((operation) => operation.name.replace(/ +/g, ' ') === name);

test('x87 and SSE operations give what was recorded on hardware, bits and flags', (t) => {
  let checked = 0;
  for (const { name, given, result } of vectors) {
    const x87 = find(X87_EXACT, name);
    const sse = find(SSE_EXACT, name);
    if (x87) t.is(x87Difference(x87, given, result), '');
    else if (sse) t.is(sseDifference(sse, given, result), '');
    else continue;
    checked++;
  }
  t.true(checked > 200);
});

test('transcendental functions give what was recorded on hardware, where hardware rounds correctly', (t) => {
  for (const operation of X87_TRANSCENDENTAL) {
    const own = vectors.filter(({ name }) => name === operation.name);
    t.true(own.length > 0, operation.name);
    for (const { given, result } of own) t.is(distanceOfTranscendental(operation, given, result), 0);
  }
});
