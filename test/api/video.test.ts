// A kernel that asks its loader for a frame buffer finds the screen in that mode, at the address it was told.

import { writeFile } from 'node:fs/promises';
import test from 'ava';
import { makeGuest } from '../../src/api/guest.js';
import { screenWatch } from '../../src/api/screen-watch.js';
import { pictureOf } from '../../src/platform/screen/picture.js';
import { textScreen } from '../../src/platform/screen/screen.js';
import { TraceError } from '../../src/trace/error.js';
import { elfWith, header1, header2 } from '../boot/multiboot-builder.js';
import { scratch } from '../e2e/vmreplay.js';

const kernels = {
  multiboot: elfWith(header1(7, 0, 0, 0, 0, 0, 0, 800, 600, 32)),
  multiboot2: elfWith(header2([{ type: 5, words: [800, 600, 32] }])),
};
for (const route of ['multiboot', 'multiboot2'] as const) {
  test(`a ${route} kernel finds its frame buffer where it is told that it is`, async (t) => {
    const file = await scratch(t);
    await writeFile(file('kernel'), kernels[route]);
    const { pc, vga, boot, header } = makeGuest({ boot: route, kernel: file('kernel'), vga: 'std' });
    t.like(vga!.dispi.picture, { width: 800, height: 600, depth: 32, pitch: boot.video!.pitch });
    const last = boot.video!.address + boot.video!.pitch * 600 - 4;
    pc.mmioWrite(last, 4, 0x00ff_8000);
    t.is(pc.mmioRead(last, 4), 0x00ff_8000);
    // What a trace's reader starts from is the same screen.
    const watch = screenWatch({ header, path: 'a.trace' })!;
    watch.mmioWrite(last, 4, 0x00ff_8000);
    t.deepEqual(watch.vga.dispi.picture, vga!.dispi.picture);
    t.true(Buffer.from(pictureOf(watch.vga).rgb).equals(pictureOf(vga!).rgb));
    const without = makeGuest({ boot: route, kernel: file('kernel') });
    t.is(without.boot.video, undefined);
  });
}

test('a direct boot with a screen starts in text mode, for the guest and for readers of its trace', (t) => {
  const { pc, vga, header } = makeGuest({ kernel: 'corpus/e820/e820.elf', vga: 'std' });
  const watch = screenWatch({ header, path: 'a.trace' })!;
  for (const bus of [pc, watch])
    for (const [i, byte] of [...Buffer.from('Hi')].entries()) bus.mmioWrite(0xb_8000 + 2 * i, 1, byte);
  t.deepEqual(textScreen(vga!), textScreen(watch.vga));
  t.deepEqual([textScreen(vga!)!.lines[0], textScreen(vga!)!.columns, textScreen(vga!)!.rows], ['Hi', 80, 25]);
  t.deepEqual(watch.vga.save(), vga!.save());
  t.is(screenWatch({ header: { ...header, options: {} }, path: 'a.trace' }), undefined);
  const broken = { ...header, options: { vga: 'std', video: ['wide'] } };
  t.throws(() => screenWatch({ header: broken, path: 'a.trace' }), {
    instanceOf: TraceError,
    message: /no usable video mode/,
  });
});
