// Asks QEMU for the answers that qemu-registers.test.ts compares with. Needs nasm and qemu-system-x86_64 7.2; run as
//   npx tsx test/platform/qemu-registers/record.ts [KIND…] > test/platform/qemu-registers/answers.txt

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cdImage, diskImage } from './ide-scripts.js';
import { KIND_DEVICES, KIND_NAMES, type Step, script, WITH_DISKS, WITH_VIRTIO } from './scripts.js';

const SEEDS = 5;
/** Disks have more to say. */
const DISK_SEEDS = 12;

/** Operation numbers of interpreter.asm. */
function operation(step: Step): number {
  switch (step.op) {
    case 'in':
      return { 1: 1, 2: 2, 4: 3 }[step.size];
    case 'out':
      return { 1: 4, 2: 5, 4: 6 }[step.size];
    case 'read':
      return 7;
    case 'write':
      return 8;
    case 'delay':
      return 9;
    case 'skip':
      return 10;
    case 'fill':
      return 11;
    case 'poll':
      return 12;
  }
}

/** What QEMU reads. With sleep=off its clock depends on instructions alone, from the first one on. */
function ask(kind: string, steps: readonly Step[]): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'registers-'));
  const words = steps.flatMap((step) =>
    step.op === 'delay'
      ? [9, 0, step.rounds]
      : step.op === 'poll'
        ? [12, step.address, (step.value << 8) | step.mask]
        : [operation(step), step.address, step.value],
  );
  writeFileSync(join(directory, 'table.bin'), new Uint8Array(Uint32Array.from([...words, 0, 0, 0]).buffer));
  copyFileSync(new URL('interpreter.asm', import.meta.url), join(directory, 'interpreter.asm'));
  // The interpreter leaves by writing 0 to the test exit, which QEMU reports as 1.
  const run = (command: string, args: string[], expected: number): void => {
    const { error, stderr, status } = spawnSync(command, args, { cwd: directory, encoding: 'utf8' });
    if (error) throw error;
    if (status !== expected) throw new Error(`${command} ended with ${status}: ${stderr}`);
  };
  run('nasm', ['-f', 'bin', '-o', 'bios.bin', 'interpreter.asm'], 0);
  const machine = [
    '-M pc,smm=off -accel tcg -icount shift=0,sleep=off -nodefaults -display none -m 128M -bios bios.bin',
    '-debugcon file:answers.bin -global isa-debugcon.iobase=0x402 -serial null',
    '-device isa-debug-exit,iobase=0x501,iosize=0x04 -rtc base=2020-01-01T00:00:00,clock=vm',
  ];
  if (kind in KIND_DEVICES) machine.push(KIND_DEVICES[kind]!);
  if (WITH_DISKS.includes(kind)) {
    writeFileSync(join(directory, 'disk.img'), diskImage());
    writeFileSync(join(directory, 'cd.img'), cdImage());
    machine.push('-drive file=disk.img,format=raw,snapshot=on -cdrom cd.img');
  }
  if (WITH_VIRTIO.includes(kind)) {
    writeFileSync(join(directory, 'disk.img'), diskImage());
    machine.push('-drive file=disk.img,format=raw,snapshot=on,if=virtio');
  }
  run('qemu-system-x86_64', machine.join(' ').split(' '), 1);
  const bytes = readFileSync(join(directory, 'answers.bin'));
  rmSync(directory, { recursive: true });
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32LE(4 * index).toString(16));
}

// With arguments: only these kinds, for answers to be put in the place of theirs.
const wanted = process.argv.length > 2 ? process.argv.slice(2) : KIND_NAMES;
for (const kind of wanted) {
  for (let seed = 1; seed <= (WITH_DISKS.includes(kind) ? DISK_SEEDS : SEEDS); seed++) {
    process.stdout.write(`${kind} ${seed}: ${ask(kind, script(kind, seed)).join(' ')}\n`);
  }
}
