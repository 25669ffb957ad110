// Valid structures under programs that others wrote: what they make of the bytes is what the value says. A program that
// is not installed skips its tests by name.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { encodeTable } from '../../src/fuzz/arbitraries/acpi.js';
import * as fuzz from '../../src/fuzz/index.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-fuzz-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

/** A test that needs a program. */
const needs = (program: string) => {
  const there = spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
  return (title: string, body: (t: import('ava').ExecutionContext) => void) =>
    there ? test(title, body) : test.skip(`${title} (no ${program} here)`, body);
};

function output(program: string, args: readonly string[], input?: Uint8Array): string {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: directory, input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

const file = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(directory, name), bytes);
  return name;
};

needs('readelf')('readelf sees the segments and notes of a valid ELF file', (t) => {
  for (const one of fc.sample(fuzz.valid(fuzz.elf()), { seed: 1, numRuns: 8 })) {
    const text = output('readelf', [
      '--wide',
      '--file-header',
      '--segments',
      '--notes',
      file('kernel.elf', one.encode()),
    ]);
    const loads = [...text.matchAll(/^ {2}LOAD +\S+ +\S+ +(0x\w+) +(0x\w+) +(0x\w+)/gm)];
    t.deepEqual(
      loads.map(([, address, size, memory]) => [BigInt(address!), Number(size), Number(memory)]),
      one.value.segments.map(({ address, data, zeros }) => [address, data.length, data.length + zeros]),
    );
    for (const { name } of [...one.value.notes, { name: 'Xen' }]) t.true(text.includes(` ${name} `));
    t.notRegex(text, /Warning|Error/);
  }
});

needs('iasl')('iasl disassembles valid tables without a complaint about length or check sum', (t) => {
  let tables = 0;
  for (const { value } of fc.sample(fuzz.valid(fuzz.acpi()), { seed: 5, numRuns: 6 })) {
    for (const table of value.tables.filter(({ signature }) => signature !== 'OEMX')) {
      rmSync(join(directory, 'table.dsl'), { force: true });
      const { status, stderr } = spawnSync('iasl', ['-d', file('table.dat', encodeTable(table))], {
        cwd: directory,
        encoding: 'utf8',
      });
      t.is(status, 0);
      t.notRegex(stderr, /[Ii]ncorrect checksum|Invalid|Table length/);
      const source = readFileSync(join(directory, 'table.dsl'), 'utf8');
      t.true(source.includes(`Signature : "${table.signature}"`));
      t.is((source.match(/Subtable Type/g) ?? []).length, table.entries.length);
      tables += 1;
    }
  }
  t.true(tables > 3);
});

needs('cpio')('cpio lists the members of a valid archive', (t) => {
  for (const one of fc.sample(fuzz.valid(fuzz.cpio()), { seed: 2, numRuns: 10 })) {
    const listed = output('cpio', ['--list', '--quiet'], one.encode()).split('\n').filter(Boolean);
    t.deepEqual(
      listed,
      one.value.members.map(({ path }) => path),
    );
  }
});

needs('sfdisk')('sfdisk sees the partitions of a valid table', (t) => {
  const sectors = 65536;
  for (const one of fc.sample(fuzz.valid(fuzz.partitionTable({ sectors })), { seed: 4, numRuns: 10 })) {
    const disk = new Uint8Array(sectors * 512);
    disk.set(one.encode());
    const listed = JSON.parse(output('sfdisk', ['--json', file('disk.img', disk)])).partitiontable;
    t.is(listed.label, one.value.scheme === 'mbr' ? 'dos' : 'gpt');
    t.deepEqual(
      (listed.partitions ?? []).map(({ start, size }: { start: number; size: number }) => [start, size]),
      one.value.partitions.map(({ first, sectors }) => [Number(first), Number(sectors)]),
    );
  }
});
