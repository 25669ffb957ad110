// System management mode: a firmware image of our own (smm.asm) gets SMIs in real mode, in 64-bit mode, from the APM port and
// the local APIC, moves SMBASE into SMRAM, and shows each save area. QEMU's must say the same, but for what it keeps in
// segment caches; the recording must replay. Needs nasm and QEMU, else skipped by name.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import test from 'ava';
import { hasQemu } from '../../scripts/lockstep/qemu.js';
import { record } from '../../src/api/record.js';
import { replay } from '../../src/api/replay.js';
import { scratch } from './vmreplay.js';

const SOURCE = new URL('smm.asm', import.meta.url).pathname;
const AREA = 512;
const hasNasm = spawnSync('nasm', ['-v']).status === 0;

/** What the guest says: letters as text, save areas by themselves. */
function parts(output: Uint8Array): { said: string; areas: Uint8Array[] } {
  const areas: Uint8Array[] = [];
  let said = '';
  for (let at = 0; at < output.length; ) {
    const letter = String.fromCharCode(output[at++]!);
    said += letter;
    if (!'ACcDE'.includes(letter) || output.length - at < AREA || output[at + 0xfc] !== 0x64) continue;
    areas.push(output.slice(at, at + AREA));
    at += AREA;
  }
  return { said, areas };
}

/** CS is code for QEMU in real mode, too, and a task register is not busy in its cache. */
function masked(area: Uint8Array): string {
  const copy = area.slice();
  const realMode = (copy[0x158]! & 1) === 0;
  if (realMode) copy[0x12]! &= ~0x08;
  copy[0x92]! |= 0x02;
  return Buffer.from(copy).toString('hex');
}

(hasNasm && hasQemu() ? test : test.skip)(
  'SMIs, save areas, SMBASE and RSM are as in QEMU, and replay (needs nasm, qemu-system-x86)',
  async (t) => {
    t.timeout(120_000);
    const file = await scratch(t);
    execFileSync('nasm', ['-f', 'bin', '-o', file('bios.bin'), SOURCE]);
    const machine =
      '-M pc -accel tcg -cpu qemu64,-svm -m 16 -nodefaults -display none -no-reboot -icount shift=2,sleep=off';
    const devices = '-global isa-debugcon.iobase=0x402 -device isa-debug-exit,iobase=0x501,iosize=4';
    const outputs = ['-bios', file('bios.bin'), '-debugcon', `file:${file('qemu.out')}`];
    const qemu = spawnSync('qemu-system-x86_64', [...`${machine} ${devices}`.split(' '), ...outputs], {
      timeout: 60_000,
    });
    t.is(qemu.status, 1, 'the guest has ended by itself');
    const bytes: number[] = [];
    const options = { bios: file('bios.bin'), vga: 'none' as const, memory: 16 << 20, maxCycles: 5_000_000 };
    const onDebugcon = (data: Uint8Array): void => {
      bytes.push(...data);
    };
    const { end } = await record({ ...options, successCode: 1, onDebugcon, output: file('a.trace') });
    t.is(end.reason, 'debug-exit');
    const [ours, theirs] = [parts(Uint8Array.from(bytes)), parts(await readFile(file('qemu.out')))];
    t.is(ours.said, theirs.said);
    t.is(ours.areas.length, 6);
    for (const [n, area] of ours.areas.entries()) t.is(masked(area), masked(theirs.areas[n]!), `save area ${n}`);
    // What was saved, beside QEMU: the interrupted instruction, the revision, SMBASE before and after its relocation.
    const view = new DataView(ours.areas[3]!.buffer);
    t.is(view.getUint32(0xfc, true), 0x2_0064);
    t.is(view.getUint32(0x100, true), 0xa_0000);
    t.is(view.getBigUint64(0x1f8 - 8 * 8, true), 0x0102_0304_0506_0708n, 'R8');
    t.is(new DataView(ours.areas[0]!.buffer).getUint32(0x100, true), 0x3_0000);
    for (const live of [false, true])
      t.is((await replay(file('a.trace'), { live })).exitCode, 0, live ? 'live' : 'sealed');
  },
);
