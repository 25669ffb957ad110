// A campaign on several machines, by BullMQ and a real redis-server: workers are killed, the server goes away and comes
// back, the leader is killed and started again; the end is that of one machine. Without redis-server or bullmq the tests
// are skipped by name.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { execa } from 'execa';
import { packageFile } from '../../bin/package.js';
import { campaignOf, filesOf, kernel } from './campaigns.js';
import { program, scratch, vmreplay } from './vmreplay.js';

const missing = (): string | undefined => {
  if (spawnSync('redis-server', ['--version']).status !== 0) return 'redis-server';
  try {
    createRequire(import.meta.url).resolve('bullmq');
    return undefined;
  } catch {
    return 'bullmq';
  }
};
const absent = missing();
const queued = (title: string, body: (t: ExecutionContext) => Promise<void>) =>
  absent === undefined ? test.serial(title, body) : test.skip(`${title} (no ${absent} here)`, body);

/** A port that nobody has just now. */
const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** Started again at the same port it knows what it had written, or nothing. */
const redis = (port: number, directory: string, keeps: boolean) =>
  execa(
    'redis-server',
    ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', ''].concat(
      keeps ? ['--appendonly', 'yes', '--appendfsync', 'always'] : [],
    ),
    { reject: false, cleanup: true },
  );

const start = (...args: string[]) =>
  execa(process.execPath, [program, 'fuzz', ...args], { reject: false, cleanup: true, env: { NO_COLOR: '1' } });

const options = campaignOf(8000);

/** Wait for a campaign to have come so far. */
async function casesOf(corpus: string, cases: number): Promise<void> {
  for (;;) {
    try {
      if (JSON.parse(readFileSync(`${corpus}/campaign.json`, 'utf8')).cases >= cases) return;
    } catch {
      // Not there yet.
    }
    await setTimeout(50);
  }
}

queued('two workers, a server that goes away, and deaths all around come to what one thread comes to', async (t) => {
  t.timeout(500_000);
  const file = await scratch(t);
  const alone = await vmreplay('fuzz', ...options, '--corpus', file('alone'), '--out', file('alone-findings'));
  t.is(alone.code, 1, alone.stderr);
  const port = await freePort();
  mkdirSync(file('redis'));
  let server = redis(port, file('redis'), true);
  const url = `redis://127.0.0.1:${port}/test`;
  const running: { kill(signal: 'SIGKILL'): unknown }[] = [];
  t.teardown(() => {
    for (const one of [...running, server]) one.kill('SIGKILL');
  });
  const worker = () => {
    const one = start('--worker', url);
    running.push(one);
    return one;
  };
  const leader = () => {
    const one = start(...options, '--queue', url, '--corpus', file('queue'), '--out', file('queue-findings'));
    running.push(one);
    return one;
  };
  const doomed = worker();
  worker();
  const first = leader();
  await casesOf(file('queue'), 2000);
  // In the middle of a batch, most likely.
  doomed.kill('SIGKILL');
  worker();
  await setTimeout(500);
  server.kill('SIGKILL');
  await server;
  await setTimeout(3000);
  server = redis(port, file('redis'), true);
  await casesOf(file('queue'), 4000);
  first.kill('SIGKILL');
  await first;
  // This time it comes back with nothing.
  server.kill('SIGKILL');
  await server;
  const second = leader();
  mkdirSync(file('empty'));
  server = redis(port, file('empty'), false);
  const { exitCode, stdout, stderr } = await second;
  t.is(exitCode, 1, stderr);
  t.is(stdout.trim().split('\n').at(-1), alone.stdout.trim().split('\n').at(-1));
  t.deepEqual(filesOf(file('queue')), filesOf(file('alone')));
  t.deepEqual(filesOf(file('queue-findings')), filesOf(file('alone-findings')));
});

/** How long the server is away, ms: longer than a job is a worker's that says nothing, unless told otherwise. */
const AWAY = Number(process.env.VMREPLAY_OUTAGE ?? 12) * 1000;

for (const keeps of [true, false])
  queued(
    `a server that is away for long and comes back with ${keeps ? 'all it had' : 'nothing'} loses no job`,
    async (t) => {
      t.timeout(300_000 + AWAY);
      const file = await scratch(t);
      const alone = await vmreplay('fuzz', ...options, '--corpus', file('alone'), '--out', file('alone-findings'));
      t.is(alone.code, 1, alone.stderr);
      const port = await freePort();
      mkdirSync(file('redis'));
      let server = redis(port, file('redis'), keeps);
      const url = `redis://127.0.0.1:${port}/test`;
      const workers = [start('--worker', url), start('--worker', url, '--jobs', '2')];
      const leader = start(...options, '--queue', url, '--corpus', file('queue'), '--out', file('queue-findings'));
      t.teardown(() => {
        for (const one of [...workers, leader, server]) one.kill('SIGKILL');
      });
      await casesOf(file('queue'), 2000);
      server.kill('SIGKILL');
      await server;
      await setTimeout(AWAY);
      const before = JSON.parse(readFileSync(`${file('queue')}/campaign.json`, 'utf8')).cases;
      server = redis(port, file('redis'), keeps);
      const { exitCode, stdout, stderr } = await leader;
      t.true(before < 8000, 'the server was gone before the campaign was over');
      t.is(exitCode, 1, stderr);
      t.is(stderr.match(/the queue's server does not answer/g)?.length, 1, stderr);
      t.is(stdout.trim().split('\n').at(-1), alone.stdout.trim().split('\n').at(-1));
      t.deepEqual(filesOf(file('queue')), filesOf(file('alone')));
      t.deepEqual(filesOf(file('queue-findings')), filesOf(file('alone-findings')));
      for (const worker of workers) {
        // They are there for the next campaign.
        worker.kill('SIGINT');
        t.is((await worker).exitCode, 130);
      }
    },
  );

queued('a worker with other files says what differs, and a server that is not there is told', async (t) => {
  t.timeout(100_000);
  const file = await scratch(t);
  const port = await freePort();
  mkdirSync(file('redis'));
  const server = redis(port, file('redis'), false);
  t.teardown(() => server.kill('SIGKILL'));
  const url = `redis://127.0.0.1:${port}`;
  mkdirSync(file('here'));
  mkdirSync(file('there'));
  const { copyFileSync } = await import('node:fs');
  copyFileSync(kernel, file('here/guest.elf'));
  copyFileSync(packageFile('corpus/defects/map-all-types.elf'), file('there/guest.elf'));
  const inFolder = (cwd: string, ...args: string[]) =>
    execa(process.execPath, [program, 'fuzz', ...args], { cwd, reject: false, cleanup: true });
  const other = inFolder(file('there'), '--worker', url);
  const boot = ['start-info', '--memory', '8M', '--kernel', 'guest.elf', '--runs', '1000', '--out', file('findings')];
  const leader = inFolder(file('here'), ...boot, '--queue', url);
  const misfit = await other;
  t.is(misfit.exitCode, 2);
  t.regex(
    misfit.stderr,
    /^vmreplay: the worker on \S+ does not fit: the campaign has images kernel [0-9a-f]{64}, not kernel [0-9a-f]{64}; put the same files /m,
  );
  const fit = inFolder(file('here'), '--worker', url);
  const { exitCode, stderr } = await leader;
  t.is(exitCode, 1, stderr);
  t.regex(stderr, /^vmreplay: the worker on \S+ does not fit: /m);
  fit.kill('SIGINT');
  t.is((await fit).exitCode, 130);
  server.kill('SIGKILL');
  await server;
  const gone = await vmreplay('fuzz', '--worker', url);
  t.is(gone.code, 2);
  t.regex(
    gone.stderr,
    /^vmreplay: redis:\/\/127\.0\.0\.1:\d+\/vmreplay: cannot be reached \(ECONNREFUSED\); start the server, /,
  );
});
