// Asks QEMU for the answers that virtio-mmio.test.ts compares with, through its test interface (docs/devel/qtest.rst).
// Needs qemu-system-x86_64 7.2; run as
//   npx tsx test/platform/devices/virtio/record.ts > test/platform/devices/virtio/answers.txt

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { diskImage, KINDS, type Kind, type Step, script } from './scripts.js';

const SEEDS = 6;
const SLOT = 0xfeb0_2e00;
const DEVICES: Record<Kind, string[]> = {
  blk: ['-drive', 'if=none,id=d,format=raw,file=disk,snapshot=on', '-device', 'virtio-blk-device,drive=d'],
  rng: ['-device', 'virtio-rng-device'],
  serial: ['-device', 'virtio-serial-device', '-chardev', 'null,id=c', '-device', 'virtconsole,chardev=c'],
};
const LETTER = { 1: 'b', 2: 'w', 4: 'l' } as const;

function command(step: Step): string {
  switch (step.op) {
    case 'read':
      return `read${LETTER[step.size]} 0x${(SLOT + step.offset).toString(16)}`;
    case 'write':
      return `write${LETTER[step.size]} 0x${(SLOT + step.offset).toString(16)} 0x${step.value.toString(16)}`;
    case 'peek':
      return `read 0x${step.address.toString(16)} ${step.length}`;
    case 'poke':
      return `write 0x${step.address.toString(16)} ${step.data.length} 0x${Buffer.from(step.data).toString('hex')}`;
  }
}

async function ask(directory: string, kind: Kind, legacy: boolean, steps: readonly Step[]): Promise<string[]> {
  const options = '-M microvm -m 64 -accel tcg -S -nodefaults -display none -qtest stdio'.split(' ');
  if (!legacy) options.push('-global', 'virtio-mmio.force-legacy=false');
  const qemu: ChildProcess = spawn('qemu-system-x86_64', [...options, ...DEVICES[kind]], {
    cwd: directory,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const lines = createInterface({ input: qemu.stdout! })[Symbol.asyncIterator]();
  const answers: string[] = [];
  for (const step of steps) {
    qemu.stdin!.write(`${command(step)}\n`);
    let line: string;
    do line = (await lines.next()).value as string;
    while (!line.startsWith('OK') && !line.startsWith('FAIL'));
    if (step.op === 'read') answers.push(BigInt(line.slice(3)).toString(16));
    if (step.op === 'peek') answers.push(line.slice(5));
    // Requests of the block device are done a little later.
    if (step.op === 'write' && step.offset === 0x50) await sleep(15);
  }
  qemu.kill('SIGKILL');
  return answers;
}

const directory = mkdtempSync(join(tmpdir(), 'virtio-'));
writeFileSync(join(directory, 'disk'), diskImage());
for (const kind of KINDS) {
  for (const legacy of [true, false]) {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const answers = await ask(directory, kind, legacy, script(kind, legacy, seed));
      process.stdout.write(`${kind} ${legacy ? 'legacy' : 'modern'} ${seed}: ${answers.join(' ')}\n`);
    }
  }
}
rmSync(directory, { recursive: true });
