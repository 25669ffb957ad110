// The virtio console device (Virtio 1.2, 5.3) with one port, a console, as QEMU 7.2's virtio-serial-device with a
// virtconsole: queues for up to 31 ports, the control queues, the emergency write.
//
// Output leaves at once. Input waits here (at most MAX_INPUT bytes, the rest is lost as on a line that nobody listens to)
// until the guest has opened the port and offers buffers. Messages for the guest wait likewise, in order.

import type { GuestMemory } from '../../../cpu/bus.js';
import type { Plain } from '../../device.js';
import { VirtioDevice } from './virtio-device.js';
import { bufferLength, type Virtqueue } from './virtqueue.js';

const F_MULTIPORT = 1n << 1n;
const F_EMERG_WRITE = 1n << 2n;

const MAX_PORTS = 31;
const PORT_QUEUE_SIZE = 128;
const CONTROL_QUEUE_SIZE = 32;
const RECEIVE = 0;
const TRANSMIT = 1;
const CONTROL_RECEIVE = 2;
const CONTROL_TRANSMIT = 3;

/** Control messages: port, event, value. */
const DEVICE_READY = 0;
const DEVICE_ADD = 1;
const PORT_READY = 3;
const CONSOLE_PORT = 4;
const PORT_OPEN = 6;
const MESSAGE = 8;
const EMERG_OFFSET = 8;

const MAX_INPUT = 64 << 10;
const MAX_MESSAGES = 64;
/** Bytes taken from a buffer at a time, and the longest output of one buffer. */
const PIECE = 64 << 10;
const MAX_OUTPUT = 1 << 20;

interface OwnState {
  input: number[];
  /** Value of each message that waits, with its event: always port 0. */
  messages: [event: number, value: number][];
  open: boolean;
}

const initialOwn = (): OwnState => ({ input: [], messages: [], open: false });

export class VirtioConsole extends VirtioDevice {
  readonly deviceId = 3;
  readonly name = 'virtio-console';
  protected override readonly ownFeatures = F_MULTIPORT | F_EMERG_WRITE;
  private own = initialOwn();

  constructor(
    memory: GuestMemory,
    private readonly output: (byte: number) => void,
  ) {
    super(memory);
    for (let port = 0; port <= MAX_PORTS; port++) {
      // The control queues stand behind those of port 0.
      const size = port === 1 ? CONTROL_QUEUE_SIZE : PORT_QUEUE_SIZE;
      this.addQueue(size);
      this.addQueue(size);
    }
  }

  /** The guest has opened its end. */
  get isOpen(): boolean {
    return this.own.open;
  }

  /** Bytes from outside. */
  receive(data: Uint8Array): void {
    const { input } = this.own;
    for (const byte of data.subarray(0, MAX_INPUT - input.length)) input.push(byte);
    this.guarded(() => this.deliverInput());
  }

  protected config(): Uint8Array {
    const data = new Uint8Array(12);
    data[4] = MAX_PORTS;
    return data;
  }

  protected override configWritten(data: Uint8Array, offset: number, size: number): void {
    if (this.hasFeature(F_EMERG_WRITE) && offset + size > EMERG_OFFSET && data[EMERG_OFFSET] !== 0)
      this.output(data[EMERG_OFFSET]!);
  }

  /** Without MULTIPORT there are no messages: the port is there and open. */
  protected override driverReady(): void {
    if (!this.hasFeature(F_MULTIPORT)) this.own.open = true;
  }

  protected override resetOwn(): void {
    this.own = initialOwn();
  }

  protected override saveOwn(): Plain {
    const { input, messages, open } = this.own;
    return { input: Uint8Array.from(input), messages: messages.map((message) => [...message]), open };
  }

  protected override loadOwn(state: Plain): void {
    const { input, messages, open } = state as unknown as Omit<OwnState, 'input'> & { input: Uint8Array };
    this.own = { input: [...input], messages: messages.map(([event, value]) => [event, value]), open };
  }

  protected handle(index: number, queue: Virtqueue): void {
    if (index === RECEIVE) this.deliverInput();
    else if (index === CONTROL_RECEIVE) this.deliverMessages();
    else if (index === TRANSMIT || index === CONTROL_TRANSMIT) this.take(index, queue);
    // The queues of ports that do not exist: nobody looks.
  }

  private take(index: number, queue: Virtqueue): void {
    for (const buffer of this.buffers(queue)) {
      if (index === CONTROL_TRANSMIT) {
        const data = queue.gather(buffer.readable, 0, MESSAGE);
        if (data.length === MESSAGE) this.control(new DataView(data.buffer));
      } else {
        const length = Math.min(bufferLength(buffer.readable), MAX_OUTPUT);
        for (let done = 0; done < length; done += PIECE)
          for (const byte of queue.gather(buffer.readable, done, Math.min(PIECE, length - done))) this.output(byte);
      }
      this.complete(index, buffer, 0);
    }
  }

  /** A message of the guest. */
  private control(message: DataView): void {
    const port = message.getUint32(0, true);
    const event = message.getUint16(4, true);
    const value = message.getUint16(6, true);
    if (event === DEVICE_READY && value !== 0) this.send(DEVICE_ADD, 1);
    else if (port !== 0) return;
    else if (event === PORT_READY && value !== 0) {
      this.send(CONSOLE_PORT, 1);
      this.send(PORT_OPEN, 1);
    } else if (event === PORT_OPEN) {
      this.own.open = value !== 0;
      this.deliverInput();
    }
  }

  private send(event: number, value: number): void {
    if (this.own.messages.length < MAX_MESSAGES) this.own.messages.push([event, value]);
    this.deliverMessages();
  }

  private deliverMessages(): void {
    const queue = this.queues[CONTROL_RECEIVE]!;
    const { messages } = this.own;
    while (messages.length > 0) {
      const buffer = queue.pop();
      if (buffer === undefined) return;
      const [event, value] = messages.shift()!;
      const data = new Uint8Array(MESSAGE);
      const view = new DataView(data.buffer);
      view.setUint16(4, event, true);
      view.setUint16(6, value, true);
      this.complete(CONTROL_RECEIVE, buffer, queue.scatter(buffer.writable, 0, data));
    }
  }

  private deliverInput(): void {
    const queue = this.queues[RECEIVE]!;
    const { input, open } = this.own;
    while (open && input.length > 0 && !this.broken) {
      const buffer = queue.pop();
      if (buffer === undefined) return;
      const data = Uint8Array.from(input.splice(0, bufferLength(buffer.writable)));
      this.complete(RECEIVE, buffer, queue.scatter(buffer.writable, 0, data));
    }
  }
}
