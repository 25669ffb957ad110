// Option ROMs as files: what a BIOS will look at before and while it runs one, checked beforehand, so that a broken ROM is
// known by name instead of by a machine that hangs. Header: 55 AA, length in units of 512 bytes, entry at offset 3, sum of
// all bytes zero (Plug and Play BIOS Specification 1.0A, 3.1); pointers to a PCI data structure at 0x18 (PCI Firmware
// Specification 3.0, 5.1.2) and to a chain of PnP expansion headers at 0x1a (PnP BIOS, 3.2).
//
// Nothing is refused and nothing mended: the guest's firmware decides, as on a real machine. What is said of it is what
// SeaBIOS does. Invariant: any bytes give a finite list.

/** One thing that is wrong or worth knowing. */
export interface RomFinding {
  /** Where in the file. */
  readonly offset: number;
  /** What is there and what follows from it. */
  readonly text: string;
}

const ENTRY = 3;
const PCI_POINTER = 0x18;
const PNP_POINTER = 0x1a;
const PNP_SIZE = 32;
const PCI_SIZE = 0x18;
/** Structures that are looked at in a chain. */
const MAX_CHAIN = 64;

const hex = (value: number): string => `0x${value.toString(16)}`;
const u16 = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8);
const textAt = (bytes: Uint8Array, at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));
const sumOf = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;

/** What a BIOS will find wrong with an option ROM, or what it will do with it that a user may not expect. */
export function checkOptionRom(bytes: Uint8Array): RomFinding[] {
  if (bytes.length < 3 || bytes[0] !== 0x55 || bytes[1] !== 0xaa)
    return [{ offset: 0, text: 'no option ROM begins there (55 aa is missing): the firmware will not run it' }];
  const findings: RomFinding[] = [];
  const say = (offset: number, text: string): void => {
    // What is missing behind the end is told of at the end.
    findings.push({ offset: Math.min(offset, bytes.length), text });
  };
  const length = bytes[2]! * 512;
  if (length === 0) {
    say(2, 'the length is 0: the firmware will not run it');
  } else if (length > bytes.length) {
    say(2, `the length is ${length} bytes and the file has ${bytes.length}: memory behind the file is run as its end`);
  } else {
    const sum = sumOf(bytes.subarray(0, length));
    if (sum !== 0) say(length - 1, `the bytes add up to ${hex(sum)} instead of 0: the firmware will not run it`);
  }
  const image = bytes.subarray(0, length === 0 ? bytes.length : Math.min(length, bytes.length));
  checkEntry(image, say);
  checkPci(image, say);
  checkPnp(image, say);
  return findings;
}

type Say = (offset: number, text: string) => void;

/** The instruction at the entry: where it jumps, and whether it jumps at all. */
function checkEntry(image: Uint8Array, say: Say): void {
  if (image.length < ENTRY + 3) {
    say(ENTRY, 'the ROM ends before its entry');
    return;
  }
  const opcode = image[ENTRY]!;
  const near = opcode === 0xe9;
  if (!near && opcode !== 0xeb) {
    if (image.subarray(ENTRY, ENTRY + 16).every((byte) => byte === 0 || byte === 0xff))
      say(ENTRY, 'there is no code at the entry');
    return;
  }
  const relative = near ? (u16(image, ENTRY + 1) << 16) >> 16 : (image[ENTRY + 1]! << 24) >> 24;
  const target = (ENTRY + (near ? 3 : 2) + relative) & 0xffff;
  if (target === ENTRY) say(ENTRY, 'the entry jumps to itself: the machine will hang there');
  else if (target >= image.length) say(ENTRY, `the entry jumps to ${hex(target)}, outside of the ROM`);
}

function checkPci(image: Uint8Array, say: Say): void {
  const at = pointer(image, PCI_POINTER);
  if (at === 0) return;
  if (at + PCI_SIZE > image.length || textAt(image, at) !== 'PCIR') {
    say(PCI_POINTER, `no PCI data structure (PCIR) at ${hex(at)}, where this points: it is a legacy ROM`);
    return;
  }
  const size = u16(image, at + 0x10) * 512;
  if (size === 0 || size > image.length)
    say(at + 0x10, `the PCI data structure gives the image ${size} bytes, and there are ${image.length}`);
  if (image[at + 0x14] !== 0)
    say(at + 0x14, `the PCI data structure says code type ${image[at + 0x14]}, not that of a PC`);
}

function checkPnp(image: Uint8Array, say: Say): void {
  let at = pointer(image, PNP_POINTER);
  if (at === 0) {
    say(PNP_POINTER, 'no PnP header ($PnP): the ROM is run once and offers nothing to boot from');
    return;
  }
  const seen = new Set<number>();
  let from = PNP_POINTER;
  while (at !== 0 && seen.size < MAX_CHAIN) {
    if (seen.has(at)) {
      say(from, `the chain of PnP headers comes back to ${hex(at)}: a firmware that follows it does not come back`);
      return;
    }
    seen.add(at);
    if (at + PNP_SIZE > image.length || textAt(image, at) !== '$PnP') {
      // SeaBIOS takes what stands here for the end of the chain.
      say(from, `no PnP header ($PnP) at ${hex(at)}, where this points: ${whatIsLost(seen.size)}`);
      return;
    }
    checkPnpHeader(image, at, say);
    from = at + 6;
    at = u16(image, at + 6);
  }
}

const whatIsLost = (headers: number): string =>
  headers === 1 ? 'the ROM is run once and offers nothing to boot from' : 'what it offers from here on is lost';

function checkPnpHeader(image: Uint8Array, at: number, say: Say): void {
  const size = image[at + 5]! * 16;
  if (size < PNP_SIZE || at + size > image.length) say(at + 5, `the PnP header at ${hex(at)} is ${size} bytes long`);
  else if (image[at + 9] !== 0 && sumOf(image.subarray(at, at + size)) !== 0)
    say(at + 9, `the PnP header at ${hex(at)} has a wrong check sum`);
  for (const [name, offset] of [
    ['boot connection vector', 0x16],
    ['disconnect vector', 0x18],
    ['bootstrap entry vector', 0x1a],
  ] as const) {
    const target = u16(image, at + offset);
    if (target >= image.length) say(at + offset, `the ${name} is ${hex(target)}, outside of the ROM`);
  }
}

/** A pointer of the header, 0 where there is no room for one. */
const pointer = (image: Uint8Array, at: number): number => (at + 2 > image.length ? 0 : u16(image, at));
