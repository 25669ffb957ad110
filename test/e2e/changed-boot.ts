// Boots with one thing changed, for tests of what a comparison says: guests of the corpus assembled from changed sources,
// small guests of a test's own, and machines whose tables are changed before the first instruction.

import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageFile } from '../../bin/package.js';
import { type Guest, makeGuest } from '../../src/api/guest.js';
import { CpuSite, MachineHash } from '../../src/api/machine-state.js';
import type { BootOptions } from '../../src/api/options.js';
import { attachRecorder, LateSink, recorderSeams } from '../../src/api/recorder.js';
import { runGuest } from '../../src/api/run.js';
import * as L from '../../src/cpu/layout.js';
import { Recorder } from '../../src/replay/record.js';
import { TraceWriter } from '../../src/trace/writer.js';

/** An image, and its symbols as a System.map. */
export interface Assembled {
  readonly image: string;
  readonly symbols: string;
}

/** Text for text; every one must be there. */
export type Edits = readonly (readonly [from: string, to: string])[];

/** Whether guests can be assembled here. */
export async function haveNasm(): Promise<boolean> {
  return execa('nasm', ['-v']).then(
    () => true,
    () => false,
  );
}

/** A guest of the corpus from its source with edits, in that or in an included file. */
export async function assembleCorpus(
  name: string,
  directory: string,
  edits: Edits,
  file = `${name}.asm`,
): Promise<Assembled> {
  const corpus = packageFile('corpus');
  await mkdir(directory, { recursive: true });
  for (const entry of await readdir(corpus))
    if (entry.endsWith('.inc')) await cp(join(corpus, entry), join(directory, entry));
  await cp(join(corpus, name, `${name}.asm`), join(directory, `${name}.asm`));
  let text = await readFile(join(directory, file), 'utf8');
  for (const [from, to] of edits) {
    if (!text.includes(from)) throw new Error(`${file} has no ${JSON.stringify(from)} any more`);
    text = text.replace(from, to);
  }
  await writeFile(join(directory, file), text);
  return assemble(directory, name);
}

/** A guest from a source of its own; the corpus's include files are there. */
export async function assembleText(name: string, directory: string, text: string): Promise<Assembled> {
  const corpus = packageFile('corpus');
  await mkdir(directory, { recursive: true });
  for (const entry of await readdir(corpus))
    if (entry.endsWith('.inc')) await cp(join(corpus, entry), join(directory, entry));
  await writeFile(join(directory, `${name}.asm`), text);
  return assemble(directory, name);
}

async function assemble(directory: string, name: string): Promise<Assembled> {
  const source = join(directory, `${name}.asm`);
  const text = await readFile(source, 'utf8');
  await writeFile(source, `[map symbols ${name}.nasm-map]\n${text}`);
  await execa('nasm', ['-f', 'bin', '-o', `${name}.elf`, `${name}.asm`], { cwd: directory });
  const map = await readFile(join(directory, `${name}.nasm-map`), 'utf8');
  // Labels have two addresses, constants one; those with a dot are inside of a function.
  const labels = [...map.matchAll(/^ *([0-9A-F]+) +([0-9A-F]+) +([^\s.]+)$/gm)];
  const lines = labels.map(([, , address, label]) => `${address!.padStart(16, '0')} T ${label}`);
  await writeFile(join(directory, `${name}.map`), `${lines.join('\n')}\n`);
  return { image: join(directory, `${name}.elf`), symbols: join(directory, `${name}.map`) };
}

/** Record a boot, its machine changed before the first instruction. */
export async function recordChanged(
  options: BootOptions,
  output: string,
  change: (guest: Guest) => void = () => {},
): Promise<void> {
  const late = new LateSink();
  const recorder = new Recorder(late);
  const guest = makeGuest({ maxCycles: 200_000_000, ...options }, recorderSeams(recorder));
  const { cpu, handoff } = guest;
  change(guest);
  const writer = new TraceWriter(output, guest.header, { tool: 'test', names: guest.imageNames }, new CpuSite(cpu));
  late.target = writer;
  attachRecorder(guest, recorder);
  let debugcon = '';
  guest.pc.onDebugcon = (byte) => {
    debugcon += String.fromCharCode(byte);
    if (options.untilDebugcon !== undefined && debugcon.endsWith(options.untilDebugcon))
      guest.stop({ reason: 'until-debugcon' });
  };
  const end = await runGuest(cpu, { maxCycles: 200_000_000, ...options, breakpoint: () => handoff.reached() });
  writer.finish({
    reason: end.reason,
    code: end.code,
    cycles: cpu.now,
    instructions: cpu.instructions,
    state: MachineHash.of(cpu).hash(),
    memory: guest.initialMemory,
    observed: cpu.physical.observed,
    symbols: undefined,
  });
}

/** Change bytes of initial memory, as another loader or table builder would have left them. */
export function poke({ cpu, initialMemory }: Guest, address: number, ...bytes: number[]): void {
  bytes.forEach((byte, i) => {
    const at = address + i;
    cpu.state.u8[L.GUEST + at] = byte;
    for (const { address: start, data } of initialMemory) {
      if (at >= start && at < start + data.length) data[at - start] = byte;
    }
  });
}

/** A byte of initial memory. */
export const peek = ({ cpu }: Guest, address: number): number => cpu.state.u8[L.GUEST + address]!;

/** Where an ACPI table lies in a direct boot. */
export function acpiTable(guest: Guest, signature: string): number {
  const wanted = Buffer.from(signature, 'latin1');
  for (const { address, data } of guest.initialMemory) {
    for (let at = Buffer.from(data.buffer, data.byteOffset, data.length).indexOf(wanted); at >= 0; ) {
      const length = new DataView(data.buffer, data.byteOffset + at).getUint32(4, true);
      if (length >= 36 && length < 0x10000) return address + at;
      at = Buffer.from(data.buffer, data.byteOffset, data.length).indexOf(wanted, at + 1);
    }
  }
  throw new Error(`there is no table ${signature}`);
}
