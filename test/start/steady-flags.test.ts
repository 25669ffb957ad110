// V8's flags while threads share them: one tag for as long as anybody holds them, and the one before afterwards.

import { cachedDataVersionTag } from 'node:v8';
import test from 'ava';
import { heedingHints } from '../../src/start/branch-hints.js';
import { natively } from '../../src/start/kept-module.js';
import { compileBriefly, flagsAreSteady, holdFlags, letGoOfFlags } from '../../src/start/steady-flags.js';

test.serial('flags that are held are those under which code is kept, and nobody changes them', (t) => {
  const before = cachedDataVersionTag();
  const tag = () => cachedDataVersionTag();
  const tagThen = () => natively('return tag()', { tag }) as number;
  const kept = heedingHints(tagThen);
  t.false(flagsAreSteady());
  holdFlags();
  t.true(flagsAreSteady());
  t.is(cachedDataVersionTag(), kept);
  t.is(heedingHints(tagThen), kept);
  t.is(cachedDataVersionTag(), kept, 'they stay up');
  t.is(natively('return %HasFastProperties(object)', { object: { a: 1 } }), true);
  letGoOfFlags();
  t.is(cachedDataVersionTag(), before);
  t.is(heedingHints(tagThen), kept);
  t.is(cachedDataVersionTag(), before);
});

test.serial('the last to let go puts them back', (t) => {
  const before = cachedDataVersionTag();
  holdFlags();
  const held = cachedDataVersionTag();
  holdFlags();
  letGoOfFlags();
  t.is(cachedDataVersionTag(), held);
  letGoOfFlags();
  t.is(cachedDataVersionTag(), before);
  t.false(flagsAreSteady());
});

test.serial('flags for brief compilation end with holding', (t) => {
  const before = cachedDataVersionTag();
  holdFlags();
  const held = cachedDataVersionTag();
  compileBriefly();
  t.not(cachedDataVersionTag(), held);
  compileBriefly();
  letGoOfFlags();
  t.is(cachedDataVersionTag(), before);
});
