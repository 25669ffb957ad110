// What `vmreplay/fuzz` exports: arbitraries for the structures that boot loaders hand over, for any fast-check property,
// and campaigns that throw them at a guest.
// Each kind of structure gives valid values and hostile ones; a value encodes itself and prints as what it says.

export * from './arbitraries/acpi.js';
export * from './arbitraries/acpi-file.js';
export * from './arbitraries/boot-order.js';
export * from './arbitraries/boot-params.js';
export * from './arbitraries/bzimage.js';
export * from './arbitraries/command-line.js';
export * from './arbitraries/cpio.js';
export * from './arbitraries/e820.js';
export * from './arbitraries/elf.js';
export * from './arbitraries/fw-cfg.js';
export {
  type FwCfgAnswerRun,
  type FwCfgAnswers,
  fwCfgAnswers,
} from './arbitraries/fw-cfg-answers.js';
export * from './arbitraries/kernel-items.js';
export * from './arbitraries/multiboot.js';
export * from './arbitraries/multiboot2.js';
export * from './arbitraries/option-rom.js';
export * from './arbitraries/partition-table.js';
export * from './arbitraries/smbios.js';
export * from './arbitraries/start-info.js';
export * from './arbitraries/table-loader.js';
export type { FindingFacts } from './finding-facts.js';
export * from './fuzz.js';
export * from './options.js';
export type { FuzzReport, ReportedFinding } from './report.js';
export * from './structure.js';
export type { Oracle, Verdict } from './verdict.js';
