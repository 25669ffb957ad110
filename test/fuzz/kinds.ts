// Every kind of structure that vmreplay/fuzz has, for tests that hold for all of them.

import * as fuzz from '../../src/fuzz/index.js';
import type { StructureKind } from '../../src/fuzz/structure.js';

/** Three tables, one behind the other. */
const acpiTemplate = Buffer.concat(
  ['DSDT', 'FACP', 'APIC'].map((signature) => {
    const table = Buffer.alloc(64, 7);
    table.write(signature, 'latin1');
    table.writeUInt32LE(64, 4);
    return table;
  }),
);

export const kinds: readonly StructureKind<unknown>[] = [
  fuzz.acpi(),
  fuzz.acpiFile({ template: acpiTemplate }),
  fuzz.bootOrder(),
  fuzz.bootParams(),
  fuzz.bzImage(),
  fuzz.commandLine(),
  fuzz.cpio(),
  fuzz.e820(),
  fuzz.elf(),
  fuzz.fwCfgAnswers(),
  fuzz.fwCfgDirectory(),
  fuzz.fwCfgTransfer(),
  fuzz.kernelItems({ values: [1, 2, 3, 4, 5, 6, 7, 8, 9] }),
  fuzz.multiboot(),
  fuzz.multiboot2(),
  fuzz.multiboot2File(),
  fuzz.multibootFile(),
  fuzz.optionRom(),
  fuzz.partitionTable(),
  fuzz.smbios(),
  fuzz.startInfo(),
  fuzz.tableLoader(),
] as StructureKind<unknown>[];
