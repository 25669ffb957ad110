// A firmware that does nothing but meet what firmware meets: real mode, protected mode and SMM, PAM, each device of a PC
// by its ports, the screen's memory in strings. The build records it so that V8's compiled form of the program has the
// functions that a boot from reset needs (compile.mjs). It ends with a text on the debug console.

const SIZE = 0x1_0000;
/** Where the 64 KiB lie below 1 MiB. */
const SEGMENT = 0xf000;
export const LAST_WORDS = 'that is all';

/** 16-bit code, from the start of the image on. */
class Code {
  bytes = [];

  emit(...bytes) {
    this.bytes.push(...bytes);
    return this;
  }
  word = (value) => this.emit(value & 0xff, (value >> 8) & 0xff);
  dword = (value) => this.word(value).word(value >> 16);

  port = (port) => this.emit(0xba).word(port);
  inb = (port) => this.port(port).emit(0xec);
  inw = (port) => this.port(port).emit(0xed);
  inl = (port) => this.port(port).emit(0x66, 0xed);
  outb = (port, value) => this.port(port).emit(0xb0, value, 0xee);
  outw = (port, value) => this.port(port).emit(0xb8).word(value).emit(0xef);
  outl = (port, value) => this.port(port).emit(0x66, 0xb8).dword(value).emit(0x66, 0xef);
  /** An index register and its data register, written and read. */
  indexed(port, index, value) {
    return this.outb(port, index)
      .outb(port + 1, value)
      .inb(port + 1);
  }

  #configure = (device, fn, register) => this.outl(0xcf8, 0x8000_0000 | (device << 11) | (fn << 8) | (register & 0xfc));
  configRead = (device, fn, register) => this.#configure(device, fn, register).inl(0xcfc);
  configWrite = (device, fn, register, value) => this.#configure(device, fn, register).outl(0xcfc, value);
  configByte(device, fn, register, value) {
    const port = 0xcfc + (register & 3);
    return this.#configure(device, fn, register).inb(port).outb(port, value);
  }

  /** Real-mode segment in ES, in DS. */
  es = (segment) => this.emit(0xb8).word(segment).emit(0x8e, 0xc0);
  ds = (segment) => this.emit(0xb8).word(segment).emit(0x8e, 0xd8);
  si = (offset) => this.emit(0xbe).word(offset);
  di = (offset) => this.emit(0xbf).word(offset);
  cx = (count) => this.emit(0xb9).word(count);
  /** MOVSB, MOVSW, STOSB and so on, CX times. */
  repeat = (opcode, count) => this.cx(count).emit(0xf3, opcode);
  /** A word at DS:offset. */
  poke = (offset, value) => this.emit(0xc7, 0x06).word(offset).word(value);
  peek = (offset) => this.emit(0xa1).word(offset);
  get here() {
    return this.bytes.length;
  }
}

/** The image: 64 KiB that end at the reset vector. */
export function sampleFirmware() {
  const code = new Code();
  processor(code);
  chipset(code);
  boards(code);
  screen(code);
  managementMode(code);
  for (const letter of LAST_WORDS) code.outb(0x402, letter.charCodeAt(0));
  code.emit(0xf4, 0xeb, 0xfd);
  const image = new Uint8Array(SIZE);
  image.set(code.bytes);
  // Far subroutine, interrupt handler, descriptors and what LGDT loads.
  image.set([0x60, 0x9c, 0x9d, 0x61, 0xcb], FAR);
  image.set([0x50, 0x58, 0xcf], HANDLER);
  const flat = (access, flags) => [0xff, 0xff, 0, 0, 0, access, flags, 0];
  image.set([...new Array(8).fill(0), ...flat(0x9b, 0xcf), ...flat(0x93, 0xcf)], DESCRIPTORS);
  image.set([0xff, 0xff, 0, 0, 0x0f, 0x9b, 0, 0, 0xff, 0xff, 0, 0, 0, 0x93, 0, 0], DESCRIPTORS + 0x18);
  image.set([0x27, 0, DESCRIPTORS & 0xff, DESCRIPTORS >> 8, 0x0f, 0], TABLE);
  image.set([0xea, 0, 0, SEGMENT & 0xff, SEGMENT >> 8], SIZE - 16);
  return image;
}

const FAR = 0xe000;
const HANDLER = 0xe010;
const DESCRIPTORS = 0xe020;
const TABLE = 0xe050;

function processor(code) {
  // SS:SP is 0:7000, DS 0; the vector table has one handler.
  code.emit(0xfa, 0xfc, 0x31, 0xc0, 0x8e, 0xd0, 0xbc).word(0x7000).ds(0);
  for (const vector of [0x08, 0x40]) code.poke(4 * vector, HANDLER).poke(4 * vector + 2, SEGMENT);
  code.emit(0xcd, 0x40, 0x9a).word(FAR).word(SEGMENT);
  // An indirect far call.
  code.poke(0x600, FAR).poke(0x602, SEGMENT).emit(0xff, 0x1e).word(0x600);
  // CPUID 0 and 1, WBINVD, the ranges of memory types, SGDT.
  for (const leaf of [0, 1, 0x4000_0000]) code.emit(0x66, 0xb8).dword(leaf).emit(0x0f, 0xa2);
  code.emit(0x0f, 0x09, 0x0f, 0x01, 0x06).word(0x610);
  for (const register of [0xfe, 0x250, 0x200, 0x2ff, 0x1b])
    code.emit(0x66, 0xb9).dword(register).emit(0x0f, 0x32, 0x0f, 0x30);
  // To protected mode and back: LGDT, PE, 32-bit code, 16-bit code, real mode.
  code.emit(0x2e, 0x66, 0x0f, 0x01, 0x16).word(TABLE);
  code.emit(0x0f, 0x20, 0xc0, 0x0c, 1, 0x0f, 0x22, 0xc0);
  const base = SEGMENT << 4;
  code
    .emit(0x66, 0xea)
    .dword(base + code.here + 6)
    .word(8);
  code.emit(0xb8, 0x10, 0, 0, 0, 0x8e, 0xd8, 0x8e, 0xc0, 0xbe, 0, 0x80, 0xff, 0xff, 0xbf, 0, 0, 0x20, 0);
  code.emit(0xb9, 0, 4, 0, 0, 0xf3, 0xa5, 0xa1, 0, 0, 0x20, 0, 0xeb, 0);
  code
    .emit(0xea)
    .dword(code.here + 6)
    .word(0x18);
  code.emit(0xb8).word(0x20).emit(0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0);
  code.emit(0x0f, 0x20, 0xc0, 0x24, 0xfe, 0x0f, 0x22, 0xc0);
  code
    .emit(0xea)
    .word(code.here + 4)
    .word(SEGMENT);
  code.emit(0x31, 0xc0, 0x8e, 0xd0).ds(0);
}

function chipset(code) {
  for (let device = 0; device < 4; device++)
    for (const fn of [0, 1, 2, 3]) for (const register of [0, 8, 0xc, 0x3c]) code.configRead(device, fn, register);
  // Shadow RAM: written while the ROM is read, then both.
  code.configByte(0, 0, 0x59, 0x20).ds(SEGMENT).es(SEGMENT).si(0).di(0).repeat(0xa5, 0x7fff).emit(0xa5);
  code.configByte(0, 0, 0x59, 0x10).ds(0);
  for (const value of [0x11, 0x33])
    for (let register = 0x5a; register < 0x60; register++) code.configByte(0, 0, register, value);
  code.configByte(0, 0, 0x59, 0x30).ds(SEGMENT).es(0xe000).si(0x8000).di(0).repeat(0xa5, 0x1000).ds(0);
  // The power management function and the interrupt router.
  code.configWrite(1, 3, 0x40, 0xb001).configByte(1, 3, 0x80, 1).configWrite(1, 3, 0x04, 1);
  for (const register of [0x60, 0x61, 0x62, 0x63]) code.configByte(1, 0, register, 10);
  code.configWrite(1, 3, 0x90, 0xb101).configByte(1, 3, 0xd2, 9);
  for (const port of [0xb000, 0xb004, 0xb008]) code.inl(port).inw(port);
  code.outw(0xb002, 0).outw(0xb000, 0xffff).inl(0xafe0).outb(0xb2, 0).inb(0xb3);
  // The IDE function's bus master, and the screen's windows.
  code.configWrite(1, 1, 0x20, 0xc001).configWrite(1, 1, 0x04, 5).configWrite(1, 1, 0x40, 0x8000_8000);
  for (const register of [0x10, 0x18, 0x30]) code.configWrite(2, 0, register, -1).configRead(2, 0, register);
  code.configWrite(2, 0, 0x10, 0xfd00_0008).configWrite(2, 0, 0x18, 0xfebf_0000).configWrite(2, 0, 0x04, 7);
}

function boards(code) {
  // fw_cfg by bytes, in strings and by DMA.
  for (const key of [0, 1, 0x19, 0x8000, 5])
    code.outw(0x510, key).inb(0x511).inb(0x511).es(0).di(0x800).port(0x511).repeat(0x6c, 64);
  code
    .poke(0x900, 0)
    .poke(0x902, 0x0a00 | 0x19)
    .poke(0x904, 0)
    .poke(0x906, 0x4000);
  code.poke(0x908, 0).poke(0x90a, 0).poke(0x90c, 0).poke(0x90e, 0x000a).outl(0x514, 0).outl(0x518, 0x0009_0000);
  for (let register = 0; register < 0x40; register++) code.outb(0x70, register).inb(0x71);
  for (const [register, value] of [
    [0x0a, 0x26],
    [0x0b, 0x02],
    [0x0f, 0],
    [0x10, 0],
  ])
    code.indexed(0x70, register, value);
  // Interrupt controllers, timer, DMA controllers, speaker, A20.
  for (const base of [0x20, 0xa0]) {
    code.outb(base, 0x11).outb(base + 1, base === 0x20 ? 8 : 0x70);
    code
      .outb(base + 1, base === 0x20 ? 4 : 2)
      .outb(base + 1, 1)
      .outb(base + 1, base === 0x20 ? 0xfa : 0xff);
  }
  code
    .outb(0x43, 0x34)
    .outb(0x40, 0)
    .outb(0x40, 4)
    .outb(0x43, 0)
    .inb(0x40)
    .inb(0x40)
    .inb(0x61)
    .outb(0x61, 0)
    .inb(0x92)
    .outb(0x92, 2);
  code.outb(0x0d, 0).outb(0xda, 0).outb(0x0a, 2).outb(0xd6, 0xc0).outb(0xd4, 0).outb(0x0b, 0x56).inb(0x08);
  // Keyboard and mouse: the controller's commands, the devices' answers.
  const controller = (command) => code.inb(0x64).outb(0x64, command).inb(0x64).inb(0x60);
  for (const command of [0xad, 0xa7, 0xaa, 0xab, 0xa9, 0x20, 0xae, 0xa8]) controller(command);
  code.outb(0x64, 0x60).outb(0x60, 0x61);
  for (const byte of [0xff, 0xf5, 0xf0, 2, 0xed, 0, 0xf2, 0xf4]) code.outb(0x60, byte).inb(0x64).inb(0x60).inb(0x60);
  for (const byte of [0xff, 0xf2, 0xf4]) code.outb(0x64, 0xd4).outb(0x60, byte).inb(0x64).inb(0x60).inb(0x60).inb(0x60);
  // Floppy, disks, serial and parallel ports.
  code.outb(0x3f2, 0).outb(0x3f2, 0x0c).inb(0x3f4);
  for (const byte of [8, 3, 0xaf, 2, 7, 0]) code.outb(0x3f5, byte).inb(0x3f4).inb(0x3f5);
  for (const base of [0x1f0, 0x170]) {
    code.outb(base + 0x206, 4).outb(base + 0x206, 0);
    for (const drive of [0xa0, 0xb0]) {
      code
        .outb(base + 6, drive)
        .inb(base + 7)
        .inb(base + 0x206);
      for (let register = 2; register < 6; register++) code.outb(base + register, 0x55).inb(base + register);
      code
        .outb(base + 7, 0xa1)
        .inb(base + 7)
        .inw(base)
        .port(base)
        .di(0x800)
        .repeat(0x6d, 16)
        .outb(base + 7, 0xec)
        .inb(base + 7);
    }
  }
  for (const port of [0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x2f9, 0x379, 0x37a]) code.outb(port, 0).inb(port);
  for (const letter of 'hello\n') code.outb(0x402, letter.charCodeAt(0));
  code.inb(0x402);
  code.emit(0xfb, 0xcd, 0x08, 0xfa);
}

function screen(code) {
  for (let register = 0; register < 5; register++) code.indexed(0x3c4, register, [3, 0, 3, 0, 2][register]);
  for (let register = 0; register < 9; register++)
    code.indexed(0x3ce, register, [0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff][register]);
  for (let register = 0; register < 25; register++) code.indexed(0x3d4, register, register);
  code.inb(0x3da);
  for (let register = 0; register < 21; register++) code.outb(0x3c0, register).outb(0x3c0, register).inb(0x3c1);
  code.outb(0x3c0, 0x20).outb(0x3c2, 0x67).inb(0x3cc).outb(0x3c6, 0xff).outb(0x3c8, 0).si(0).cx(0x30);
  code.port(0x3c9).emit(0xf3, 0x6e).outb(0x3c7, 0).inb(0x3c9).outw(0x3c4, 0x0302).inw(0x3c4).inb(0x3ba);
  for (let index = 0; index < 11; index++)
    code
      .outw(0x1ce, index)
      .inw(0x1cf)
      .outw(0x1cf, index === 4 ? 0 : 0x140);
  // Text, a character set and pixels: written, copied, read, in strings and alone.
  code.es(0xb800).di(0).emit(0xb8).word(0x0720).repeat(0xab, 2000).ds(0xb800).si(160).di(0).repeat(0xa5, 500);
  code.poke(0, 0x0741).peek(0).emit(0xc6, 0x06).word(2).emit(0x42).emit(0xa0).word(2).di(0).emit(0x26, 0xaa);
  code.indexed(0x3c4, 4, 6).indexed(0x3c4, 2, 4).indexed(0x3ce, 6, 4).es(0xa000).ds(SEGMENT).si(0).di(0);
  for (let n = 0; n < 4; n++) code.repeat(0xa4, 16).di(32 * n);
  code.repeat(0xaa, 256).ds(0xa000).si(0).es(0).di(0x1000).repeat(0xa4, 256).ds(0);
}

/** A handler that returns at once, at the reset value of SMBASE; then a request. */
function managementMode(code) {
  code.configByte(0, 0, 0x72, 0x4a).ds(0x3000).poke(0x8000, 0xaa0f).ds(0xa000).poke(0x8000, 0xaa0f).ds(0);
  code
    .configByte(0, 0, 0x72, 0x0a)
    .configWrite(1, 3, 0x58, 1 << 25)
    .outb(0xb2, 0)
    .inb(0xb3);
}
