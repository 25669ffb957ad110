// The process of one boot: takes a job over IPC, sends the cycle now and then, and at last the result. It ends with the
// gate: when the channel is gone, nobody wants the boot any more.

import { type BootJob, runBoot } from './boot-job.js';

process.on('disconnect', () => process.exit(1));
process.once('message', async (job: BootJob) => {
  try {
    const result = await runBoot(job, (cycle) => process.send?.({ cycle }));
    process.send?.({ result }, () => process.exit(0));
  } catch (error) {
    process.send?.({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }, () =>
      process.exit(1),
    );
  }
});
