// SeaBIOS's log on the debug console, line by line beside QEMU's on the same machine: no line may differ. Needs the firmware that `vmreplay fetch` brings, and QEMU.

import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import test from 'ava';
import { run } from '../../src/api/record.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { hasQemu } from '../boot/qemu-entry.js';

const NOTHING = 'No bootable device.';
/** The log up to its last line. */
function linesOf(log: string): string[] {
  return log.slice(0, log.indexOf(NOTHING) + NOTHING.length).split('\n');
}

async function ourLog(bios: string, vga: 'std' | 'none'): Promise<string> {
  let log = '';
  const onDebugcon = (data: Uint8Array): void => {
    log += Buffer.from(data).toString('latin1');
  };
  await run({ bios, vga, untilDebugcon: NOTHING, maxCycles: 100_000_000, onDebugcon });
  return log;
}

function qemuLog(bios: string, vga: string): Promise<string> {
  const args = [
    ...['-accel', 'tcg', '-M', 'pc', '-nodefaults', '-vga', vga, '-display', 'none', '-serial', 'null'],
    ...['-L', dirname(bios), '-bios', bios, '-debugcon', 'stdio', '-global', 'isa-debugcon.iobase=0x402'],
  ];
  const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let log = '';
  return new Promise((resolve, reject) => {
    qemu.once('error', reject);
    qemu.once('exit', () => reject(new Error(`QEMU ended before its firmware: ${log.slice(-200)}`)));
    qemu.stdout.on('data', (data: Buffer) => {
      log += data.toString('latin1');
      if (!log.includes(NOTHING)) return;
      qemu.kill();
      resolve(log);
    });
  });
}

for (const bios of ['bios-256k.bin', 'bios.bin']) {
  for (const vga of ['std', 'none'] as const) {
    const path = cachedImage(bios);
    const ready = path !== undefined && hasQemu && cachedImage('kvmvapic.bin') && cachedImage('vgabios-stdvga.bin');
    (ready ? test : test.skip)(
      `SeaBIOS (${bios}) logs what it logs in QEMU, screen: ${vga} (needs QEMU, vmreplay fetch)`,
      async (t) => {
        t.timeout(300_000);
        const [ours, qemus] = [await ourLog(path!, vga), await qemuLog(path!, vga)].map(linesOf);
        t.true(ours!.length > 40, ours!.join('\n'));
        t.deepEqual(ours, qemus);
      },
    );
  }
}
