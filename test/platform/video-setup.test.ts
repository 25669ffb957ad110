import test from 'ava';
import { makeGuest } from '../../src/api/guest.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { MmioSpace } from '../../src/platform/mmio-space.js';
import { wireStdVga } from '../../src/platform/pc-vga.js';
import { PortSpace } from '../../src/platform/port-space.js';
import { setTextMode } from '../../src/platform/video-setup.js';

const have = cachedImage('bios-256k.bin') !== undefined && cachedImage('vgabios-stdvga.bin') !== undefined;

(have ? test : test.skip)('text mode is as SeaVGABIOS sets it (needs: vmreplay fetch)', (t) => {
  t.timeout(120_000);
  const guest = makeGuest({});
  guest.cpu.runUntil(30_000_000);
  const theirs = guest.vga!;
  const ports = new PortSpace();
  const mmio = new MmioSpace();
  const ours = wireStdVga(ports, mmio).vga;
  setTextMode({
    portRead: (port, size) => ports.read(port, size),
    portWrite: (port, size, value) => ports.write(port, size, value),
    mmioWrite: (address, size, value) => mmio.write(address, size, value),
  });
  t.deepEqual(ours.sequencer, theirs.sequencer);
  t.deepEqual(ours.graphics, theirs.graphics);
  t.deepEqual(ours.attribute, theirs.attribute);
  t.deepEqual(ours.palette, theirs.palette);
  // The cursor has moved since.
  const cursor = (crt: Uint8Array) => crt.map((value, index) => (index === 0x0e || index === 0x0f ? 0 : value));
  t.deepEqual(cursor(ours.crt), cursor(theirs.crt));
  t.true(ours.displayed);
  // Characters and attributes of the last row, where nothing was printed; not the font beside them.
  const row = (bytes: Uint8Array) => bytes.subarray(24 * 320, 25 * 320).filter((_, at) => at % 4 < 2);
  t.deepEqual(row(ours.memory.bytes), row(theirs.memory.bytes));
});
