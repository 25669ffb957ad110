// From raw events to meaning: which device, which register or fw_cfg item, which structure field. A state machine
// that must see every event of a trace in order; it only follows what the guest wrote and read, never the devices.

import { eventText } from '../event-text.js';
import type { TraceEvent } from '../events.js';
import { IoApics, Pic, Pit, Rtc, Uarts } from './devices.js';
import { FwCfg, type FwCfgTransfer } from './fw-cfg.js';
import { PciConfig } from './pci.js';
import { mmioName, msrName, PM_REGISTERS, portName, type RegisterName } from './registers.js';
import { isVgaFollowed, VgaPorts } from './vga.js';

/** What an event means. */
export interface Meaning {
  /** The device concerned: fw_cfg, uart0, pci 00:01.3, lapic, memory, processor … */
  readonly device: string;
  /** Register, item or line; with the device it names what to look at. */
  readonly register: string;
  /** The whole event in one phrase; made when it is asked for. */
  readonly text: string;
  /** For bytes of an item with a known layout: the structure field that byte `n` of the event's data belongs to. */
  readonly fieldAt?: (n: number) => string | undefined;
}

export type MeaningInput = Omit<TraceEvent, 'index'>;

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
/** Longest value that is shown as characters too. */
const PRINTABLE = /^[\x20-\x7e]+$/;

/** Port blocks that hold state: what was written (or, of fw_cfg, read) there decides what a later access means. */
const STATEFUL_PORTS: readonly (readonly [from: number, to: number])[] = [
  [0x20, 0x21],
  [0x70, 0x70],
  [0xa0, 0xa1],
  [0x2e8, 0x2ef],
  [0x2f8, 0x2ff],
  [0x3e8, 0x3ef],
  [0x3f8, 0x3ff],
  [0xcf8, 0xcff],
];

/**
 * Whether an event can change what later ones mean. Others may be kept from `Semantics.next` without loss, as a
 * comparison of millions of events does.
 * @param address of the event, or the beginning of its page
 */
export function isFollowed(kind: TraceEvent['kind'], address: number): boolean {
  switch (kind) {
    case 'dma-read':
    case 'dma-write':
      return true;
    case 'port-read':
      return (address >= 0x510 && address <= 0x51b) || address === 0xcfc || isVgaFollowed(address, false);
    case 'port-read-string':
    case 'port-write-string':
      return address >= 0x510 && address <= 0x51b;
    case 'port-write':
      if ((address >= 0x510 && address <= 0x51b) || isVgaFollowed(address, true)) return true;
      return STATEFUL_PORTS.some(
        ([from, to]) => address >= from && address <= to && !(to - from === 7 && isThr(address)),
      );
    case 'mmio-write':
      return address >= 0xfec0_0000 && address < 0xfec1_0000;
    default:
      return false;
  }
}

/** Of a UART only the line control register matters. */
const isThr = (address: number): boolean => address < 0xcf8 && (address & 7) !== 3;

export class Semantics {
  readonly #fwCfg = new FwCfg();
  readonly #pci = new PciConfig();
  readonly #pic = new Pic();
  readonly #pit = new Pit();
  readonly #rtc = new Rtc();
  readonly #uarts = new Uarts();
  readonly #ioapics = new IoApics();
  readonly #vga = new VgaPorts();

  /** Bytes of an fw_cfg item that the guest has read so far, zeros where it has not; undefined when it has read none. */
  fwCfgItem(name: string): Uint8Array | undefined {
    return this.#fwCfg.item(name);
  }

  /** Bytes of fw_cfg items that have been read so far, by the item's name. */
  get fwCfgItems(): Iterable<readonly [name: string, bytes: Uint8Array]> {
    return this.#fwCfg.items();
  }

  /** Take the next event and say what it means. */
  next(event: MeaningInput): Meaning {
    switch (event.kind) {
      case 'port-read':
      case 'port-write':
      case 'port-read-string':
      case 'port-write-string':
        return this.#port(event);
      case 'mmio-read':
      case 'mmio-write':
      case 'mmio-read-string':
      case 'mmio-write-string': {
        const written = event.kind === 'mmio-write' ? event.value : undefined;
        const name = this.#ioapics.access(event.address, written) ??
          mmioName(event.address) ??
          this.#pci.bars.name(event.address, false) ?? { device: 'mmio', register: hex(event.address) };
        return registerMeaning(name, event);
      }
      case 'msr-read':
      case 'msr-write':
        return registerMeaning(msrName(event.address), event);
      case 'dma-read': {
        const text = this.#fwCfg.dmaRead(event.address, event.data);
        if (text !== undefined) return { device: 'fw_cfg', register: 'DMA descriptor', text: `fw_cfg ${text}` };
        return eventMeaning('memory', 'device read', event);
      }
      case 'dma-write': {
        const transfer = this.#fwCfg.dmaWrite(event.address, event.data);
        if (transfer === 'status') return { device: 'fw_cfg', register: 'DMA status', text: 'fw_cfg DMA done' };
        if (transfer) return transferMeaning(transfer, event);
        return eventMeaning('memory', 'device write', event);
      }
      case 'interrupt':
        return eventMeaning('processor', `vector ${hex(event.address)}`, event);
      case 'timer-armed':
      case 'timer-fired':
        return eventMeaning(`timer ${event.name}`, event.kind.slice(6), event);
      case 'input':
        return eventMeaning(`input ${event.name}`, 'data', event);
      case 'handoff':
        return { device: 'handoff', register: event.name, text: `handoff to a kernel by ${event.name}` };
      default:
        return eventMeaning('processor', event.name || event.kind, event);
    }
  }

  #port(event: MeaningInput): Meaning {
    const { address: port, size, value } = event;
    const write = event.kind === 'port-write';
    const written = write ? value : undefined;
    const fwCfg = this.#fwCfgPort(event);
    if (fwCfg) return fwCfg;
    const pm = port - this.#pci.pmBase;
    const name =
      this.#pci.access(port, size, written, value) ??
      this.#pic.access(port, written) ??
      this.#pit.access(port, written) ??
      this.#rtc.access(port, written) ??
      this.#uarts.access(port, written) ??
      this.#vga.access(port, size, written) ??
      portName(port) ??
      (pm >= 0 && pm < 0x40 ? { device: 'acpi pm', register: PM_REGISTERS[pm] ?? hex(pm) } : undefined) ??
      this.#pci.bars.name(port, true);
    return registerMeaning(name ?? { device: `port ${hex(port)}`, register: 'unassigned' }, event);
  }

  #fwCfgPort(event: MeaningInput): Meaning | undefined {
    const { address: port, kind, size, value } = event;
    if (port < 0x510 || port > 0x51b) return undefined;
    const device = 'fw_cfg';
    if (port === 0x510 && size === 2 && kind === 'port-write') {
      const item = this.#fwCfg.select(value);
      return { device, register: 'selector', text: `fw_cfg select ${item}` };
    }
    if (port === 0x511 && (kind === 'port-read' || kind === 'port-read-string')) {
      return transferMeaning(this.#fwCfg.transfer(bytesOf(event)), event);
    }
    if (port === 0x511) return transferMeaning(this.#fwCfg.transfer(bytesOf(event), false), event);
    if (port === 0x514 && kind === 'port-write') {
      this.#fwCfg.dmaHigh(value);
      return { device, register: 'DMA address high', text: `fw_cfg DMA address high ${hex(value)}` };
    }
    if (port === 0x518 && kind === 'port-write') {
      const descriptor = this.#fwCfg.dmaStart(value);
      return { device, register: 'DMA address', text: `fw_cfg DMA by descriptor ${hex(descriptor)}` };
    }
    return { device, register: `register ${hex(port)}`, text: `fw_cfg ${eventText(event)}` };
  }
}

/** Meaning of an access to a register. A class, as a boot makes hundreds of thousands of them. */
class RegisterMeaning implements Meaning {
  readonly device: string;
  readonly register: string;
  readonly #event: MeaningInput;

  constructor({ device, register }: RegisterName, event: MeaningInput) {
    this.device = device;
    this.register = register;
    this.#event = event;
  }

  get text(): string {
    const event = this.#event;
    const isByte = event.kind === 'port-write' && event.size === 1;
    const characters = quoted(isByte ? Uint8Array.of(event.value) : event.data);
    return `${this.device} ${this.register}: ${eventText(event)}${characters}`;
  }
}

const registerMeaning = (name: RegisterName, event: MeaningInput): Meaning => new RegisterMeaning(name, event);

function eventMeaning(device: string, register: string, event: MeaningInput): Meaning {
  return {
    device,
    register,
    get text() {
      return event.kind === 'input' ? `${eventText(event)}${quoted(event.data)}` : eventText(event);
    },
  };
}

function transferMeaning({ item, offset, fieldOf }: FwCfgTransfer, event: MeaningInput): Meaning {
  const length = event.data.length || event.size;
  return {
    device: 'fw_cfg',
    register: item,
    get text() {
      const field = fieldOf(0, length);
      const where = field === undefined ? `offset ${offset}` : `${field} (offset ${offset})`;
      return `fw_cfg ${item}, ${where}, ${length} ${length === 1 ? 'byte' : 'bytes'}: ${eventText(event)}`;
    },
    fieldAt: (n) => fieldOf(n, 1),
  };
}

function bytesOf(event: MeaningInput): Uint8Array {
  if (event.data.length > 0) return event.data;
  const bytes = new Uint8Array(event.size);
  for (let i = 0; i < event.size; i++) bytes[i] = event.value >>> (8 * i);
  return bytes;
}

function quoted(data: Uint8Array): string {
  const text = Buffer.from(data.subarray(0, 60)).toString('latin1');
  return PRINTABLE.test(text) ? ` ${JSON.stringify(text)}` : '';
}
