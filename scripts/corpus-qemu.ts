// Runs the corpus in QEMU and compares what each guest prints, and QEMU's exit status, with what the corpus says.
// A guest where QEMU departs from the manual has its own qemu.txt beside serial.txt, and expected.json says why.
// With --write the files are written instead: serial.txt, or qemu.txt for such a guest (its serial.txt is then the
// manual's and kept by hand).
// Usage: npx tsx scripts/corpus-qemu.ts [--write] [NAME…]

import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { type CorpusGuest, corpusGuests } from '../bin/corpus.js';

/** Serial output and exit status of QEMU; an endless guest is ended once it has said OK. */
async function runQemu(guest: CorpusGuest): Promise<{ serial: string; exitCode: number | undefined }> {
  const { boot, qemu } = guest.expected;
  const file = (name: string) => join(guest.directory, name);
  const options = [
    ...['-M', 'pc', '-nodefaults', '-display', 'none', '-accel', 'tcg', '-no-reboot', '-m', boot.memory],
    // By their base names: QEMU hands paths over to multiboot kernels.
    ...['-device', 'isa-debug-exit,iobase=0x501,iosize=4', '-serial', 'stdio', '-kernel', basename(guest.image)],
  ];
  if (qemu?.cpu) options.push('-cpu', qemu.cpu);
  if (boot.append) options.push('-append', boot.append);
  if (qemu?.initrd) options.push('-initrd', qemu.initrd);
  for (const { name, string } of boot.fwCfg ?? []) options.push('-fw_cfg', `name=${name},string=${string}`);
  const input = boot.serialIn ? await readFile(file(boot.serialIn)) : undefined;

  const child = execa('qemu-system-x86_64', options, {
    cwd: guest.directory,
    reject: false,
    stripFinalNewline: false,
    timeout: 240_000,
  });
  let serial = '';
  let typed = false;
  child.stdout.on('data', (chunk: Buffer) => {
    serial += chunk.toString('latin1');
    // Typing starts at the prompt: firmware under QEMU would swallow what comes before.
    if (input && !typed && serial.includes('\n')) {
      typed = true;
      child.stdin.write(input);
    }
    if (qemu?.endless && /OK .*\n/.test(serial)) child.kill();
  });
  const { exitCode, stderr } = await child;
  // QEMU itself may note its end by a signal on stderr; anything else is a failed start.
  if (stderr && !qemu?.endless) throw new Error(stderr.trim());
  return { serial, exitCode };
}

const write = process.argv.includes('--write');
const asked = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const guests = (await corpusGuests()).filter((guest) => asked.length === 0 || asked.includes(guest.name));
let failures = 0;
for (const guest of guests) {
  const { qemu } = guest.expected;
  const record = join(guest.directory, qemu?.why ? 'qemu.txt' : 'serial.txt');
  const { serial, exitCode } = await runQemu(guest);
  if (write) {
    await writeFile(record, serial, 'latin1');
    console.log(`${guest.name}: ${serial.length} bytes, exit status ${exitCode}`);
    continue;
  }
  const wanted = await readFile(record, 'latin1');
  const problemsOf = (run: { serial: string; exitCode: number | undefined }): string[] => [
    ...(run.serial === wanted ? [] : [`other serial output, ${firstDifference(run.serial, wanted)}`]),
    ...(qemu?.endless || run.exitCode === (qemu?.exitCode ?? 0) ? [] : [`exit status ${run.exitCode}`]),
  ];
  let problems = problemsOf({ serial, exitCode });
  let note = '';
  if (problems.length > 0) {
    // QEMU runs by the host's time, and a busy host may show; what is wrong here is wrong every time.
    note = ` (at first ${problems.join(', ')})`;
    problems = problemsOf(await runQemu(guest));
  }
  if (problems.length > 0) failures += 1;
  console.log(problems.length === 0 ? `same  ${guest.name}${note}` : `DIFFERENT  ${guest.name} ${problems.join(', ')}`);
}
console.log(`${guests.length} guests, ${failures} differ from QEMU`);
process.exitCode = failures > 0 ? 1 : 0;

/** Where two texts part. */
function firstDifference(a: string, b: string): string {
  const [left, right] = [a.split('\n'), b.split('\n')];
  const line = left.findIndex((text, n) => text !== right[n]);
  const at = line < 0 ? left.length : line;
  return `line ${at + 1}: ${JSON.stringify(left[at] ?? '')}, not ${JSON.stringify(right[at] ?? '')}`;
}
