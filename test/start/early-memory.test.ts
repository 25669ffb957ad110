// Memories that are made before the program is.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import { romRanges } from '../../src/api/firmware-guest.js';
import { makeHardware } from '../../src/api/guest.js';
import { likelyPages, makeEarly, takeMemory } from '../../src/start/early-memory.js';

const MIB = 0x10_0000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
// The launcher has nothing to mark yet; here V8 may be in the middle of it, and then its flags must not change.
test.beforeEach(() => collect());

const pagesOf = (hardware: ReturnType<typeof makeHardware>) => hardware.cpu.state.memory.buffer.byteLength / 0x1_0000;

test.serial('the size is that of the machine that the words describe', (t) => {
  t.is(likelyPages(['--kernel', 'k']), pagesOf(makeHardware(128 * MIB, undefined)));
  t.is(likelyPages(['--kernel', 'k', '--memory=16']), pagesOf(makeHardware(16 * MIB, undefined)));
  t.is(likelyPages(['--memory', '64M']), pagesOf(makeHardware(64 * MIB, undefined, romRanges(0x4_0000, 'pc'))));
  t.is(likelyPages(['--boot', 'firmware', '--kernel', 'k']), likelyPages([]));
  t.is(likelyPages(['--memory', 'lots']), 0);
});

test.serial('the early memory is taken once', (t) => {
  const words = ['--kernel', 'k', '--memory', '16M'];
  makeEarly(words);
  const first = takeMemory(likelyPages(words));
  const second = takeMemory(likelyPages(words));
  t.is(first.buffer.byteLength, second.buffer.byteLength);
  t.not(first.buffer, second.buffer);
});

test.serial('a machine of another size has a memory of its own', (t) => {
  makeEarly(['--kernel', 'k', '--memory', '16M']);
  t.is(pagesOf(makeHardware(2 * MIB, undefined)), likelyPages(['--kernel', 'k', '--memory', '2M']));
});
