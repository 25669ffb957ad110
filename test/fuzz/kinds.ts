// Every kind of structure that vmreplay/fuzz has, for tests that hold for all of them.

import * as fuzz from '../../src/fuzz/index.js';
import type { StructureKind } from '../../src/fuzz/structure.js';

export const kinds: readonly StructureKind<unknown>[] = [
  fuzz.acpi(),
  fuzz.bootOrder(),
  fuzz.bootParams(),
  fuzz.bzImage(),
  fuzz.commandLine(),
  fuzz.cpio(),
  fuzz.e820(),
  fuzz.elf(),
  fuzz.fwCfgDirectory(),
  fuzz.fwCfgTransfer(),
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
