// A client of QEMU's gdb server: the GDB Remote Serial Protocol over a stream, as far as lockstep needs it.
//
// GDB manual, appendix E: packets "$data#checksum", each acknowledged with "+"; qRcmd carries a monitor command as
// hexadecimal text and is answered by O packets and OK; a stop comes as a T or S packet, the end as W or X.
// Invariant: one request is under way at a time; the answer to a continue is the next stop.

import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export class GdbClient {
  private received = '';
  private waiting: ((packet: string | undefined) => void) | undefined;
  private readonly packets: string[] = [];
  private closed = false;
  /** Signal of the last stop: 5 at a breakpoint, 2 after an interruption. */
  lastStop = 0;

  private constructor(private readonly socket: Socket) {
    socket.setEncoding('latin1');
    socket.on('data', (data: string) => this.feed(data));
    const close = () => {
      this.closed = true;
      this.waiting?.(undefined);
      this.waiting = undefined;
    };
    socket.on('close', close);
    socket.on('error', close);
  }

  /** Connect to a server that may still be starting. */
  static async connect(path: string): Promise<GdbClient> {
    for (let tries = 0; ; tries++) {
      try {
        const socket = await new Promise<Socket>((resolve, reject) => {
          const socket = connect(path, () => resolve(socket));
          socket.once('error', reject);
        });
        const client = new GdbClient(socket);
        await client.request('?');
        return client;
      } catch (error) {
        if (tries === 200) throw error;
        await sleep(50);
      }
    }
  }

  /** Go on until the machine stops; false when it ended instead. */
  async continue(): Promise<boolean> {
    const stop = await this.request('c');
    this.lastStop = Number.parseInt(stop?.slice(1, 3) ?? '0', 16);
    return stop !== undefined && !/^[WX]/.test(stop);
  }

  /** Run a monitor command; returns what it printed. */
  async monitor(command: string): Promise<string> {
    let packet = await this.request(`qRcmd,${Buffer.from(command, 'latin1').toString('hex')}`);
    let text = '';
    while (packet !== undefined && /^O[0-9a-f]/.test(packet)) {
      text += Buffer.from(packet.slice(1), 'hex').toString('latin1');
      packet = await this.next();
    }
    if (packet !== 'OK' && packet !== '') throw new Error(`the gdb server answered "${packet}" to "${command}"`);
    return text.replaceAll('\r', '');
  }

  /** Have the machine stop at a linear address, in whatever mode it comes there. */
  async setBreakpoint(address: bigint): Promise<void> {
    const answer = await this.request(`Z0,${address.toString(16)},1`);
    if (answer !== 'OK') throw new Error(`the gdb server sets no breakpoint at 0x${address.toString(16)}: ${answer}`);
  }

  /** Execute one instruction, even one with a breakpoint. */
  async step(): Promise<void> {
    await this.request('s');
  }

  /** Stop the machine while continue() waits; that one is answered. */
  interrupt(): void {
    this.socket.write('\x03');
  }

  close(): void {
    this.socket.destroy();
  }

  private request(data: string): Promise<string | undefined> {
    this.socket.write(packetOf(data), 'latin1');
    return this.next();
  }

  private next(): Promise<string | undefined> {
    const packet = this.packets.shift();
    if (packet !== undefined || this.closed) return Promise.resolve(packet);
    return new Promise((resolve) => {
      this.waiting = resolve;
    });
  }

  private feed(data: string): void {
    this.received += data;
    for (;;) {
      const start = this.received.indexOf('$');
      const end = this.received.indexOf('#', start);
      if (start < 0 || end < 0 || this.received.length < end + 3) return;
      const packet = this.received.slice(start + 1, end);
      this.received = this.received.slice(end + 3);
      this.socket.write('+');
      const { waiting } = this;
      this.waiting = undefined;
      if (waiting) waiting(packet);
      else this.packets.push(packet);
    }
  }
}

/** The frame of a packet: the checksum is the sum of its bytes. */
export function packetOf(data: string): string {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum = (sum + data.charCodeAt(i)) & 0xff;
  return `$${data}#${sum.toString(16).padStart(2, '0')}`;
}
