import test from 'ava';
import { PAGE_SIZE, StateHasher } from '../../src/replay/state-hash.js';

const PAGES = 4;

class Memory {
  readonly bytes = new Uint8Array(PAGES * PAGE_SIZE);
  readonly dirty = new Set<number>();
  readonly pages = PAGES;
  read = 0;

  page(n: number): Uint8Array {
    this.read++;
    return this.bytes.subarray(n * PAGE_SIZE, (n + 1) * PAGE_SIZE);
  }

  changed(first: boolean): Iterable<number> {
    return first ? [0, 1, 2, 3] : this.dirty;
  }
}

const cpu = Uint8Array.of(1, 2, 3);
const hex = (hash: Uint8Array) => Buffer.from(hash).toString('hex');

test('processor state and every byte of memory count', (t) => {
  const hashes = new Set<string>();
  hashes.add(hex(new StateHasher(new Memory()).hash(cpu)));
  hashes.add(hex(new StateHasher(new Memory()).hash(Uint8Array.of(1, 2, 4))));
  for (const at of [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGES * PAGE_SIZE - 1]) {
    const memory = new Memory();
    memory.bytes[at] = 1;
    hashes.add(hex(new StateHasher(memory).hash(cpu)));
  }
  t.is(hashes.size, 7);
});

test('only changed pages are read again, and the hash is that of a fresh start', (t) => {
  const memory = new Memory();
  const hasher = new StateHasher(memory);
  hasher.hash(cpu);
  memory.read = 0;
  memory.bytes[2 * PAGE_SIZE + 5] = 9;
  memory.dirty.add(2);
  const hash = hasher.hash(cpu);
  t.is(memory.read, 1);
  t.deepEqual(hash, new StateHasher(memory).hash(cpu));
});

test('bytes that a replay cannot know count as zero', (t) => {
  const recorded = new Memory();
  recorded.bytes.fill(7);
  const replayed = new Memory();
  replayed.bytes.fill(7);
  replayed.bytes.fill(0, PAGE_SIZE + 5, PAGE_SIZE + 7);
  replayed.bytes.fill(0, PAGE_SIZE + 16, PAGE_SIZE + 24);
  const unknown = new Uint8Array(PAGE_SIZE / 8);
  unknown[0] = 0b0110_0000;
  unknown[2] = 0xff;
  const known = { unknownIn: (page: number) => (page === 1 ? unknown : undefined) };
  t.deepEqual(new StateHasher(recorded, known).hash(cpu), new StateHasher(replayed, known).hash(cpu));
  t.notDeepEqual(new StateHasher(recorded).hash(cpu), new StateHasher(replayed).hash(cpu));
  replayed.bytes[PAGE_SIZE + 7] = 0;
  t.notDeepEqual(new StateHasher(recorded, known).hash(cpu), new StateHasher(replayed, known).hash(cpu));
});
