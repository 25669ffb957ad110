import test from 'ava';
import { type Input, Inputs } from '../../src/platform/inputs.js';
import { Rig } from './rig.js';

function bench(options: ConstructorParameters<typeof Inputs>[1] = {}) {
  const rig = new Rig();
  const inputs = new Inputs(rig.clock, options);
  const got: [number, string][] = [];
  inputs.connect((input) => got.push([rig.clock.nowCycle(), name(input)]));
  return { rig, inputs, got };
}

function name(input: Input): string {
  return input.kind === 'serial' ? `serial ${[...input.data]}` : input.kind;
}

function serial(...bytes: number[]): Input {
  return { kind: 'serial', data: Uint8Array.from(bytes) };
}

test('scheduled inputs happen at their cycles, equal ones in the order given', (t) => {
  const { rig, inputs, got } = bench();
  inputs.schedule(20, serial(1));
  inputs.schedule(10, serial(2));
  inputs.schedule(20, { kind: 'power-button' });
  rig.advance(15);
  t.deepEqual(got, [[10, 'serial 2']]);
  rig.advance(10);
  t.deepEqual(got.slice(1), [
    [20, 'serial 1'],
    [20, 'power-button'],
  ]);
  t.is(inputs.pending, 0);
});

test('a pushed input happens now', (t) => {
  const { rig, inputs, got } = bench();
  rig.advance(7);
  inputs.push(serial(9));
  t.deepEqual(got, [[7, 'serial 9']]);
});

test('the past cannot be scheduled', (t) => {
  const { rig, inputs } = bench();
  rig.advance(10);
  t.throws(() => inputs.schedule(9, serial(1)), { instanceOf: RangeError });
});

test('the listener hears each input before the machine gets it', (t) => {
  const { rig, inputs, got } = bench();
  const heard: [number, string, number][] = [];
  inputs.setListener((cycle, input) => heard.push([cycle, name(input), got.length]));
  inputs.schedule(5, serial(1));
  rig.advance(5);
  inputs.push({ kind: 'key', code: 0x1c, down: true });
  t.deepEqual(heard, [
    [5, 'serial 1', 0],
    [5, 'key', 1],
  ]);
});

test('wall clock and seed have defaults and several spellings', (t) => {
  t.is(bench().inputs.epochSeconds, 1_577_836_800);
  t.is(bench({ rtc: '1970-01-02' }).inputs.epochSeconds, 86_400);
  t.is(bench({ rtc: 5 }).inputs.epochSeconds, 5);
  t.is(bench({ seed: -1 }).inputs.seed, 2n ** 64n - 1n);
  t.throws(() => bench({ rtc: 0.5 }), { instanceOf: RangeError });
});

test('entropy depends on the seed alone', (t) => {
  t.deepEqual(bench({ seed: 3 }).inputs.random.bytes(8), bench({ seed: 3n }).inputs.random.bytes(8));
  t.notDeepEqual(bench({ seed: 3 }).inputs.random.bytes(8), bench({ seed: 4 }).inputs.random.bytes(8));
});

test('inputs that are still to come survive saving and loading', (t) => {
  const original = bench();
  original.inputs.schedule(5, serial(1));
  original.inputs.schedule(8, serial(2));
  original.rig.advance(6);
  const copy = bench({ seed: 99 });
  copy.rig.cycle = 6;
  copy.inputs.load(structuredClone(original.inputs.save()));
  copy.rig.clock.load(original.rig.clock.save());
  copy.rig.advance(4);
  t.deepEqual(copy.got, [[8, 'serial 2']]);
  t.deepEqual(copy.inputs.random.bytes(4), original.inputs.random.bytes(4));
});
