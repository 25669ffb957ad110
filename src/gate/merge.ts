// Joins the JSON reports of shards into one, with the exit status that all boots in one run would have had. A shard that
// is missing is an error: a job that never reported must not look like one that passed.

import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { UserError } from '../api/user-error.js';
import { systemReason } from '../trace/error.js';
import { exitCodeOf, type GateReport, REPORT_FORMAT } from './report.js';

const finding = z.looseObject({
  kind: z.enum(['build', 'boot', 'baseline', 'machine', 'end', 'events', 'handoff', 'serial', 'budget']),
  summary: z.string(),
  lines: z.array(z.string()),
});
const boot = z.looseObject({
  name: z.string(),
  outcome: z.enum(['passed', 'retimed', 'failed', 'missing', 'unreadable', 'accepted', 'interrupted']),
  note: z.string(),
  seconds: z.number(),
  findings: z.array(finding),
  counts: z.array(z.looseObject({ name: z.string(), baseline: z.number().nullable(), now: z.number() })),
  changedImages: z.array(z.string()),
  baseline: z.string().nullable(),
  trace: z.string().nullable(),
});
const report = z.looseObject({
  format: z.literal(REPORT_FORMAT),
  tool: z.string(),
  config: z.string(),
  shard: z
    .string()
    .regex(/^\d+\/\d+$/)
    .nullable(),
  boots: z.array(boot),
  obsolete: z.array(z.looseObject({ name: z.string(), file: z.string() })),
});

/** @throws UserError when one is no report, or they do not belong together */
export function mergeReports(files: readonly string[]): GateReport {
  const all = files.map((file) => ({ file, report: readReport(file) }));
  const [first] = all;
  if (!first) throw new UserError('--merge needs reports; name files that --reporter json=FILE has written');
  const { config, tool } = first.report;
  const count = first.report.shard?.split('/')[1] ?? '1';
  const seen = new Map<string, string>();
  const claim = (what: string, file: string) => {
    const other = seen.get(what);
    if (other !== undefined) throw new UserError(`${file}: ${what} is in ${other} too; name each report once`);
    seen.set(what, file);
  };
  for (const { file, report } of all) {
    const [index, of] = (report.shard ?? '1/1').split('/') as [string, string];
    if (report.config !== config)
      throw new UserError(
        `${file}: is of ${report.config}, and ${first.file} of ${config}; merge the reports of one run`,
      );
    if (of !== count)
      throw new UserError(
        `${file}: is one of ${of} shards, and ${first.file} one of ${count}; merge the reports of one run`,
      );
    claim(`shard ${index}/${of}`, file);
    for (const { name } of report.boots) claim(`boot ${name}`, file);
  }
  for (let index = 1; index <= Number(count); index++) {
    if (!seen.has(`shard ${index}/${count}`))
      throw new UserError(`the report of shard ${index}/${count} is missing; run that shard, or name its report`);
  }
  const boots = all.flatMap(({ report }) => report.boots);
  const obsolete = all.flatMap(({ report }) => report.obsolete);
  return { format: REPORT_FORMAT, tool, config, shard: null, boots, obsolete, exitCode: exitCodeOf(boots, obsolete) };
}

function readReport(file: string): GateReport {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`${file}: cannot be read: ${systemReason(error)}; check --merge`);
  }
  const none = (why: string) =>
    new UserError(`${file}: is no report of vmreplay gate (${why}); write it with --reporter json=FILE`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw none('it is no JSON');
  }
  const checked = report.safeParse(value);
  if (checked.success) return checked.data as unknown as GateReport;
  const { path, message } = checked.error.issues[0]!;
  throw none(`${path.join('.') || 'all of it'}: ${message}`);
}
