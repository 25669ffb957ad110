import test from 'ava';
import fc from 'fast-check';
import { changedPieces } from '../../src/api/reset-memory.js';

const RAM = 64 * 1024;

test('what is put back restores the segments, and unchanged pages are left alone', (t) => {
  const segment = fc.record({ address: fc.nat(30_000), size: fc.integer({ min: 1, max: 20_000 }) });
  const write = fc.record({ at: fc.nat(RAM - 1), value: fc.nat(255) });
  t.notThrows(() =>
    fc.assert(
      fc.property(segment, fc.array(write, { maxLength: 5 }), ({ address, size }, writes) => {
        const ram = Uint8Array.from({ length: RAM }, (_, i) => i * 31);
        const data = ram.slice(address, address + size);
        for (const { at, value } of writes) ram[at] = value;
        const pieces = changedPieces(ram, [{ address, data }]);
        for (const piece of pieces) ram.set(piece.data, piece.address);
        if (Buffer.compare(ram.subarray(address, address + size), data) !== 0) throw new Error('not restored');
        const most = 4096 * writes.length;
        const written = pieces.reduce((sum, piece) => sum + piece.data.length, 0);
        if (written > most) throw new Error(`${written} bytes for ${writes.length} writes`);
      }),
    ),
  );
});
