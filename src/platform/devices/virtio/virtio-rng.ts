// The virtio entropy device (Virtio 1.2, 5.4): fills buffers with bytes of the machine's one source of randomness, which
// --seed chooses. A buffer larger than MAX_BYTES is filled in part, as the specification allows.

import type { GuestMemory } from '../../../cpu/bus.js';
import { VirtioDevice } from './virtio-device.js';
import { bufferLength, type Virtqueue } from './virtqueue.js';

const QUEUE_SIZE = 8;
const MAX_BYTES = 64 << 10;

export class VirtioRng extends VirtioDevice {
  readonly deviceId = 4;
  readonly name = 'virtio-rng';

  /** @param entropy gives so many random bytes */
  constructor(
    memory: GuestMemory,
    private readonly entropy: (length: number) => Uint8Array,
  ) {
    super(memory);
    this.addQueue(QUEUE_SIZE);
  }

  protected config(): Uint8Array {
    return new Uint8Array(0);
  }

  protected handle(index: number, queue: Virtqueue): void {
    for (const buffer of this.buffers(queue)) {
      const data = this.entropy(Math.min(bufferLength(buffer.writable), MAX_BYTES));
      this.complete(index, buffer, queue.scatter(buffer.writable, 0, data));
    }
  }
}
