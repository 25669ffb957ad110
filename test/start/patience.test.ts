// V8's patience: flags change only where that was asked for, and are as before afterwards. V8's tag of compiled code
// follows from its flags.

import { cachedDataVersionTag } from 'node:v8';
import test from 'ava';
import { askPatience, endPatience, impatiently } from '../../src/start/patience.js';

test.serial('a program that did not ask keeps its flags', (t) => {
  const before = cachedDataVersionTag();
  t.is(impatiently(cachedDataVersionTag), before);
  endPatience();
  t.is(cachedDataVersionTag(), before);
});

test.serial(
  'V8 waits until patience ends, but while kept code is taken, and code that is kept then is as ever',
  (t) => {
    const before = cachedDataVersionTag();
    askPatience();
    t.not(cachedDataVersionTag(), before);
    t.is(impatiently(cachedDataVersionTag), before);
    t.not(cachedDataVersionTag(), before);
    endPatience();
    t.is(cachedDataVersionTag(), before);
  },
);
