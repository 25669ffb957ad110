// Boots the same images here and in QEMU and compares what firmware and option ROMs did: every fw_cfg selection, read and
// DMA transfer in order, the debug console's log, the ACPI tables in memory, how kernels are entered. Known differences are listed with reasons in
// scripts/peer/differences.json. Exit status: 0 nothing else differs, 1 something does, 2 bad usage or no QEMU.
// Usage: npm run peer -- BOOT OPTIONS [--list] [--undisturbed]; the run ends with --until-serial or --until-debugcon, or with the guest

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { addBootOptions, bootOptions } from '../bin/options/boot.js';
import { hasQemu } from './lockstep/qemu.js';
import { compareSides, exchangeText } from './peer/compare.js';
import { ourSide } from './peer/ours.js';
import { qemuSide } from './peer/qemu.js';

const command = addBootOptions(new Command('peer'))
  .option('--list', 'print the exchanges with fw_cfg')
  .option('--undisturbed', 'do not stop QEMU at DMA transfers: they are compared by item and descriptor only')
  .parse();
if (!hasQemu()) command.error('qemu-system-x86_64 is needed; install the package qemu-system-x86', { exitCode: 2 });

const { list, undisturbed, ...values } = command.opts();
const options = bootOptions(values as never);
const directory = await mkdtemp(join(tmpdir(), 'vmreplay-peer-'));
try {
  const ours = await ourSide(options, join(directory, 'trace.vmr'));
  const qemu = await qemuSide(options, ours, directory, undisturbed === true);
  if (qemu.messages) console.error(qemu.messages.trim());
  if (list) for (const side of [ours, qemu]) for (const exchange of side.exchanges) console.log(exchangeText(exchange));
  const { findings, known, same } = compareSides(ours, qemu, options.machine ?? 'pc');
  if (qemu.unknownTransfers > 0)
    findings.push({
      part: 'fw_cfg',
      text: `${qemu.unknownTransfers} DMA transfers of QEMU's start where none does here`,
    });
  console.log(
    `the same: ${same.exchanges} of ${ours.exchanges.length} fw_cfg exchanges, ${same.lines} lines of the debug console, ${same.tables} ACPI tables, ${same.handoffs} of ${ours.handoffs.length} hand-offs`,
  );
  for (const [reason, count] of known) console.log(`known (${count}×): ${reason}`);
  for (const { part, text } of findings) console.log(`DIFFERS ${part}: ${text}`);
  process.exitCode = findings.length > 0 ? 1 : 0;
} finally {
  await rm(directory, { recursive: true, force: true });
}
