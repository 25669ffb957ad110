// BullMQ, which keeps a queue in Redis. It is no dependency of this program: whoever has a queue has it installed, and it
// is loaded when a queue is asked for. What is used of it stands here.
// Invariant: a server that goes away is waited for; commands are sent again when it is there.

import { UserError } from '../../api/user-error.js';

export interface BullJob {
  readonly id?: string;
  readonly data: { readonly text: string };
  readonly returnvalue: unknown;
  readonly failedReason?: string;
  remove(): Promise<void>;
}

interface Emitter {
  on(event: 'error', listener: (error: Error) => void): unknown;
  close(force?: boolean): Promise<void>;
}

export interface BullQueue extends Emitter {
  add(name: string, data: BullJob['data'], options: object): Promise<unknown>;
  getJob(id: string): Promise<BullJob | undefined>;
  /** `unknown` when there is no such job. */
  getJobState(id: string): Promise<string>;
  waitUntilReady(): Promise<unknown>;
  disconnect(): Promise<void>;
}

export interface BullWorker extends Emitter {
  waitUntilReady(): Promise<unknown>;
  disconnect(): Promise<void>;
}

interface Bull {
  readonly Queue: new (name: string, options: object) => BullQueue;
  readonly Worker: new (name: string, process: (job: BullJob) => Promise<unknown>, options: object) => BullWorker;
}

export interface QueueAddress {
  /** Without user and password, for people. */
  readonly shown: string;
  readonly name: string;
  readonly connection: object;
  /** Try no more to reach the server: what is still open ends by itself. */
  giveUp(): void;
}

/** Between two tries to reach the server, at most, ms. */
const RETRY = 1000;
/** How long the server may be away when a campaign begins, ms. */
const PATIENCE = 10_000;

/** @param given redis://[user:password@]host[:port][/name] @throws UserError */
export function queueAddress(option: string, given: string): QueueAddress {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const name = url?.pathname.slice(1) || 'vmreplay';
  if (!url || !/^rediss?:$/.test(url.protocol) || url.hostname === '' || !/^[\w.-]{1,64}$/.test(name))
    throw new UserError(`--${option} ${given}: redis://HOST:PORT/NAME is needed, with letters and digits for the name`);
  const { hostname, port, username, password, protocol } = url;
  let over = false;
  return {
    shown: `${protocol}//${url.host}/${name}`,
    name,
    connection: {
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(port || 6379),
      ...(username !== '' && { username: decodeURIComponent(username) }),
      ...(password !== '' && { password: decodeURIComponent(password) }),
      ...(protocol === 'rediss:' && { tls: {} }),
      // Requests wait for the server as long as it takes.
      maxRetriesPerRequest: null,
      retryStrategy: (times: number) => (over ? null : Math.min(100 * times, RETRY)),
    },
    giveUp: () => {
      over = true;
    },
  };
}

/** @throws UserError when it is not installed */
export async function loadBull(): Promise<Bull> {
  // As a variable: neither the compiler nor the bundler is to look for it.
  const name = 'bullmq';
  try {
    return (await import(name)) as Bull;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UserError(
      'a queue needs the packages bullmq and ioredis; install them beside vmreplay: npm install bullmq ioredis',
    );
  }
}

/** Tells once that the server is gone, however often it is tried. */
export class Outages {
  #told = false;
  #quiet = false;
  last = 'no answer';

  constructor(
    private readonly address: QueueAddress,
    private readonly onWarning: (sentence: string) => void,
  ) {}

  watch(emitter: Emitter): void {
    emitter.on('error', (error) => this.note(error));
  }

  note(error: Error): void {
    this.last = (error as NodeJS.ErrnoException).code ?? error.message;
    // A job that is another's by now, or that the server has lost, is the leader's business.
    if (this.#told || this.#quiet || /^Missing (lock|key)|could not renew lock/i.test(error.message)) return;
    this.#told = true;
    this.onWarning(
      `${this.address.shown}: the queue's server does not answer (${this.last}); work goes on when it does`,
    );
  }

  /** It answers. */
  over(): void {
    this.#told = false;
  }

  /** Nothing is wanted of the server any more. */
  end(): void {
    this.#quiet = true;
    this.address.giveUp();
  }

  /** Wait for the server at the beginning. @throws UserError when it does not come */
  async ready(
    emitter: { waitUntilReady(): Promise<unknown>; disconnect(): Promise<void> },
    option: string,
  ): Promise<void> {
    this.#quiet = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), PATIENCE);
    });
    const there = await Promise.race([emitter.waitUntilReady().then(() => true), late]);
    clearTimeout(timer);
    if (there) {
      this.#quiet = false;
      return;
    }
    this.address.giveUp();
    void emitter.disconnect().catch(() => {});
    throw new UserError(
      `${this.address.shown}: cannot be reached (${this.last}); start the server, or check --${option}`,
    );
  }
}
