// A kernel that asks its loader for a frame buffer finds the screen in that mode, at the address it was told.

import { writeFile } from 'node:fs/promises';
import test from 'ava';
import { makeGuest } from '../../src/api/guest.js';
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
    const { pc, vga, boot } = makeGuest({ boot: route, kernel: file('kernel'), vga: 'std' });
    t.like(vga!.dispi.picture, { width: 800, height: 600, depth: 32, pitch: boot.video!.pitch });
    const last = boot.video!.address + boot.video!.pitch * 600 - 4;
    pc.mmioWrite(last, 4, 0x00ff_8000);
    t.is(pc.mmioRead(last, 4), 0x00ff_8000);
    const without = makeGuest({ boot: route, kernel: file('kernel') });
    t.is(without.boot.video, undefined);
  });
}
