// The word that two threads share about a job, as either sees it.

import test from 'ava';
import { awaitEnd, begin, end, giveBack, isOver, newState } from '../../src/trace/job-state.js';

test('a job is begun by one, and by another when it was given back', (t) => {
  const state = newState();
  t.true(begin(state));
  t.false(begin(state));
  giveBack(state);
  t.true(begin(state));
  end(state);
  t.false(begin(state));
  t.true(isOver(state));
});

test('who waits learns that a job is done, was given back, or that nobody is there to do it', (t) => {
  const state = newState();
  begin(state);
  let looks = 0;
  t.false(awaitEnd(state, () => ++looks < 3));
  t.is(looks, 3);
  // Done as its last deed.
  t.true(
    awaitEnd(state, () => {
      end(state);
      return false;
    }),
  );
  t.true(awaitEnd(state));
  giveBack(state);
  t.false(awaitEnd(state));
});
