import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import * as L from '../../../src/cpu/layout.js';
import { ARITHMETIC_FLAGS, CR0_EM, CR0_MP, CR0_NE, CR0_TS } from '../../../src/cpu/state.js';
import { CODE, CS_SELECTOR, DATA, DS_SELECTOR, X87Machine } from './x87-machine.js';

const machine = new X87Machine();
const m = machine.state;

/** Load the environment of a case; `status` has TOP. */
function setFpu(control: number, status: number, tags: number): void {
  m.set32(L.FPU_CONTROL, control);
  m.set32(L.FPU_TOP, (status >>> 11) & 7);
  const pending = (status & ~control & 0x3f) !== 0;
  m.set32(L.FPU_STATUS, (status & 0x477f) | (pending ? 0x8080 : 0));
  m.set32(L.FPU_TAGS, tags);
}

const ONE = 0x3fff_8000_0000_0000_0000n;
const TWO = 0x4000_8000_0000_0000_0000n;
const INDEFINITE = 0xffff_c000_0000_0000_0000n;
const NM = 7;
const PF = 14;
const MF = 16;

// --- recorded on hardware -------------------------------------------------------------------------------------

const bytesOf = (hex: string): number[] => [...Buffer.from(hex, 'hex')];

/** Run one line of x87-vectors.txt; what differs, or ''. */
function difference(line: string): string {
  const [before, after] = line.split(' > ') as [string, string];
  const [code, control, status, tags, eflags, memory, registers] = before.split(' ') as string[];
  const [vector, control2, status2, tags2, eflags2, memory2, changes] = after.split(' ') as string[];
  const hex = (text: string | undefined): number => Number.parseInt(text!, 16);
  machine.reset();
  setFpu(hex(control), hex(status), hex(tags));
  m.eflags = hex(eflags) | 2;
  const values = registers!.split(',').map((text) => (text === '.' ? 0n : BigInt(`0x${text}`)));
  machine.setRegisters(values);
  if (memory !== '-') machine.ram.set(bytesOf(memory!), DATA);
  const raised = machine.step(...bytesOf(code!)) ?? 1;
  if (changes !== '-')
    for (const change of changes!.split(',')) values[Number(change[0])] = BigInt(`0x${change.slice(2)}`);
  const wanted = {
    vector: Number(vector),
    control: hex(control2),
    status: hex(status2),
    tags: hex(tags2),
    eflags: hex(eflags2),
    memory: memory2 === '-' ? memory : memory2,
    registers: values.map((value) => value.toString(16)),
  };
  const got = {
    vector: raised,
    control: m.get32(L.FPU_CONTROL),
    status: machine.status,
    tags: m.get32(L.FPU_TAGS),
    eflags: m.eflags & ARITHMETIC_FLAGS,
    memory: memory === '-' ? '-' : Buffer.from(machine.ram.slice(DATA, DATA + 10)).toString('hex'),
    registers: values.map((_, i) => machine.register(i).toString(16)),
  };
  const [a, b] = [JSON.stringify(wanted), JSON.stringify(got)];
  return a === b ? '' : `${line}\n  wanted ${a}\n  got    ${b}`;
}

test('single instructions leave what processors left: registers, tags, status, flags, memory', (t) => {
  const lines = readFileSync(new URL('x87-vectors.txt', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  t.true(lines.length > 300);
  t.deepEqual(
    lines.map(difference).filter((text) => text !== ''),
    [],
  );
});

// --- encodings ------------------------------------------------------------------------------------------------

/** Second bytes C0…FF that are #UD, by first byte; memory forms by /digit. */
const UNDEFINED: Record<number, { registers: [first: number, last: number][]; memory: number[] }> = {
  216: { registers: [], memory: [] },
  // biome-ignore format: ranges
  217: { registers: [[0xd1, 0xd7], [0xe2, 0xe3], [0xe6, 0xe7], [0xef, 0xef]], memory: [1] },
  // biome-ignore format: ranges
  218: { registers: [[0xe0, 0xe8], [0xea, 0xff]], memory: [] },
  // biome-ignore format: ranges
  219: { registers: [[0xe5, 0xe7], [0xf8, 0xff]], memory: [4, 6] },
  220: { registers: [], memory: [] },
  221: { registers: [[0xf0, 0xff]], memory: [5] },
  // biome-ignore format: ranges
  222: { registers: [[0xd8, 0xd8], [0xda, 0xdf]], memory: [] },
  // biome-ignore format: ranges
  223: { registers: [[0xe1, 0xe7], [0xf8, 0xff]], memory: [] },
};

test('every encoding D8–DF is an instruction or #UD, as on processors', (t) => {
  for (const [first, { registers, memory }] of Object.entries(UNDEFINED)) {
    for (let second = 0xc0; second <= 0xff; second++) {
      machine.reset();
      const undefinedHere = registers.some(([from, to]) => second >= from && second <= to);
      t.is(machine.step(Number(first), second), undefinedHere ? 6 : undefined, `${first} ${second.toString(16)}`);
    }
    for (let digit = 0; digit < 8; digit++) {
      machine.reset();
      t.is(machine.step(Number(first), (digit << 3) | 3), memory.includes(digit) ? 6 : undefined);
    }
  }
});

// --- availability and waiting ---------------------------------------------------------------------------------

const CONTROL: Record<string, number[]> = {
  FNINIT: [0xdb, 0xe3],
  FNCLEX: [0xdb, 0xe2],
  FNSTCW: [0xd9, 0x3b],
  FNSTSW: [0xdd, 0x3b],
  'FNSTSW AX': [0xdf, 0xe0],
  FNSTENV: [0xd9, 0x33],
  FNSAVE: [0xdd, 0x33],
};
const WAITING: Record<string, number[]> = {
  FLDCW: [0xd9, 0x2b],
  FLDENV: [0xd9, 0x23],
  FRSTOR: [0xdd, 0x23],
  FLD1: [0xd9, 0xe8],
  FNOP: [0xd9, 0xd0],
  FINCSTP: [0xd9, 0xf7],
  FFREE: [0xdd, 0xc0],
  'FST m32': [0xd9, 0x13],
  'FADD m64': [0xdc, 0x03],
  FCOMI: [0xdb, 0xf1],
  FCMOVB: [0xda, 0xc1],
};

test('CR0.EM and CR0.TS make every x87 instruction #NM, whatever is pending', (t) => {
  for (const [name, code] of Object.entries({ ...CONTROL, ...WAITING }))
    for (const bit of [CR0_EM, CR0_TS]) {
      machine.reset();
      setFpu(0x37e, 1, 0);
      m.set32(L.CR0, m.get32(L.CR0) | bit);
      const before = machine.snapshot();
      t.is(machine.step(...code), NM, name);
      t.is(machine.snapshot(), before, name);
    }
});

test('WAIT is #NM only with CR0.MP and CR0.TS both set', (t) => {
  for (const [mp, ts, em] of [0, 1, 2, 3, 4, 5, 6, 7].map((n) => [n & 1, n & 2, n & 4])) {
    machine.reset();
    m.set32(L.CR0, 0x31 | (mp ? CR0_MP : 0) | (ts ? CR0_TS : 0) | (em ? CR0_EM : 0));
    t.is(machine.step(0x9b), mp && ts ? NM : undefined);
  }
});

test('a pending exception is #MF at the next waiting instruction, and control instructions do not wait', (t) => {
  for (const [name, code] of Object.entries({ ...WAITING, WAIT: [0x9b] })) {
    machine.reset();
    setFpu(0x37b, 4, 0);
    const before = machine.snapshot();
    t.is(machine.step(...code), MF, name);
    t.is(machine.snapshot(), before, name);
  }
  for (const [name, code] of Object.entries(CONTROL)) {
    machine.reset();
    setFpu(0x37b, 4, 0);
    t.is(machine.step(...code), undefined, name);
  }
});

test('with CR0.NE clear a pending exception does not stop the next instruction', (t) => {
  machine.reset();
  setFpu(0x37b, 4, 0);
  m.set32(L.CR0, m.get32(L.CR0) & ~CR0_NE);
  t.is(machine.step(0xd9, 0xe8), undefined);
  t.is(machine.st(0), ONE);
});

test('FLDCW makes unmasked flags pending and masking them takes that back', (t) => {
  machine.reset();
  setFpu(0x37f, 4, 0);
  machine.ram.set([0x7b, 0x03], DATA);
  machine.step(0xd9, 0x2b);
  t.is(machine.status, 0x8084);
  setFpu(0x37f, machine.status, 0);
  machine.ram.set([0xff, 0xff], DATA);
  machine.step(0xd9, 0x2b);
  t.is(machine.status, 4);
  machine.step(0xd9, 0x3b);
  t.is(machine.ram[DATA]! | (machine.ram[DATA + 1]! << 8), 0x1f7f);
});

test('FNCLEX clears exceptions, stack fault, ES and B, and keeps TOP and the condition codes', (t) => {
  machine.reset();
  setFpu(0x340, 0x7f7f, 0);
  machine.step(0xdb, 0xe2);
  t.is(machine.status, 0x7f00);
});

// --- pointers -------------------------------------------------------------------------------------------------

test('an instruction leaves its address and that of its memory operand; control instructions leave none', (t) => {
  machine.reset();
  machine.step(0x66, 0xd9, 0x43, 0x10);
  t.is(m.get64(L.FPU_IP), BigInt(CODE));
  t.is(m.get32(L.FPU_CS), CS_SELECTOR);
  t.is(m.get64(L.FPU_DP), BigInt(DATA + 0x10));
  t.is(m.get32(L.FPU_DS), DS_SELECTOR);
  m.set64(L.FPU_IP, 0n);
  machine.step(0xd9, 0x7b, 0x20);
  t.is(m.get64(L.FPU_IP), 0n);
  t.is(m.get64(L.FPU_DP), BigInt(DATA + 0x10));
  machine.step(0xd9, 0xe8);
  t.is(m.get64(L.FPU_IP), BigInt(CODE));
  t.is(m.get64(L.FPU_DP), BigInt(DATA + 0x10));
});

test('the operand pointer names the segment that was used', (t) => {
  machine.reset();
  m.setSegment(L.FS, 0x53, 0x100n, 0xffff_ffff, 0xc0f3);
  machine.ram.set([0, 0, 0x80, 0x3f], DATA + 0x100);
  t.is(machine.step(0x64, 0xd9, 0x03), undefined);
  t.is(machine.st(0), ONE);
  t.is(m.get64(L.FPU_DP), BigInt(DATA));
  t.is(m.get32(L.FPU_DS), 0x53);
});

test('the opcode is kept for unmasked exceptions, and always with IA32_MISC_ENABLE bit 2', (t) => {
  machine.reset();
  machine.step(0xd9, 0xe8);
  t.is(m.get32(L.FPU_OPCODE), 0);
  m.set32(L.MSR_MISC_ENABLE, 4);
  machine.step(0xd9, 0xe8);
  t.is(m.get32(L.FPU_OPCODE), 0x1e8);
  m.set32(L.MSR_MISC_ENABLE, 0);
  setFpu(0x37e, 0, 0);
  machine.step(0xd8, 0xc3);
  t.is(m.get32(L.FPU_OPCODE), 0x0c3);
});

// --- memory faults --------------------------------------------------------------------------------------------

const MEMORY_FORMS = [0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf].flatMap((first) =>
  [0, 1, 2, 3, 4, 5, 6, 7].filter((digit) => !UNDEFINED[first]!.memory.includes(digit)).map((digit) => [first, digit]),
) as [number, number][];

test('a memory operand outside its segment changes nothing, whether exceptions are masked or not', (t) => {
  for (const [first, digit] of MEMORY_FORMS)
    for (const control of [0x37f, 0x340]) {
      machine.reset();
      setFpu(control, 0x3800, 0x80);
      machine.setRegister(7, 0x7fff_8000_0000_0000_0001n);
      m.setSegment(L.FS, 0x53, 0n, DATA - 1, 0x40f3);
      const before = machine.snapshot();
      t.is(machine.step(0x64, first, (digit << 3) | 3), 13, `${first.toString(16)} /${digit}`);
      t.is(machine.snapshot(), before, `${first.toString(16)} /${digit}`);
    }
});

test('a store that reaches an absent page writes nothing of it and keeps the stack', (t) => {
  // A page directory and table that map page 0x2 only, with the code and the tables.
  const view = new DataView(machine.ram.buffer, machine.ram.byteOffset);
  const stores: [number, number, number][] = [
    [0xd9, 3, 4],
    [0xdb, 3, 4],
    [0xdd, 3, 8],
    [0xdf, 7, 8],
    [0xdf, 3, 2],
    [0xdb, 7, 10],
    [0xdf, 6, 10],
  ];
  for (const [first, digit, bytes] of stores)
    for (const control of [0x37f, 0x37e]) {
      machine.reset();
      view.setUint32(0x4000, 0x5007, true);
      view.setUint32(0x5000 + 4 * 2, 0x2007, true);
      m.set32(L.CR0, 0x8000_0033);
      m.set64(L.CR3, 0x4000n);
      m.set32(L.MODE, m.get32(L.MODE) | 2);
      machine.flush();
      setFpu(control, 0x3800, 0x80);
      // A signaling NaN: invalid for all but the 80-bit store.
      machine.setRegister(7, 0x7fff_8000_0000_0000_0001n);
      m.setReg(3, BigInt(0x3000 - bytes + 1));
      const before = machine.snapshot();
      t.is(machine.step(first, (digit << 3) | 3), PF, `${first.toString(16)} /${digit}`);
      t.is(machine.snapshot(), before, `${first.toString(16)} /${digit}`);
      t.deepEqual(machine.ram.slice(0x3000 - bytes, 0x3000), new Uint8Array(bytes));
      m.set32(L.CR0, 0x33);
      machine.flush();
    }
});

// --- stack ----------------------------------------------------------------------------------------------------

test('the stack takes eight values and the ninth is an overflow with C1', (t) => {
  machine.reset();
  for (let i = 0; i < 8; i++) machine.step(0xd9, 0xe8);
  t.is(machine.status, 0);
  t.is(m.get32(L.FPU_TAGS), 0xff);
  machine.step(0xd9, 0xe8);
  t.is(machine.status, 0x3a41);
  t.is(machine.st(0), INDEFINITE);
  for (let i = 1; i < 8; i++) t.is(machine.st(i), ONE);
});

test('FFREEP, FSTP8, FSTP9, FXCH4 and FXCH7 act as what they alias', (t) => {
  machine.reset();
  machine.step(0xd9, 0xe8);
  machine.step(0xd9, 0xee);
  for (const second of [0xdd, 0xdf]) {
    machine.step(second, 0xc9);
    t.is(machine.st(0), second === 0xdd ? ONE : 0n);
  }
  machine.step(0xdf, 0xd1);
  t.is(machine.st(0), 0n);
  t.is(machine.st(1), undefined);
  machine.step(0xdf, 0xc0);
  t.is(m.get32(L.FPU_TAGS), 0);
  t.is(m.get32(L.FPU_TOP), 0);
});

test('D9 D8+i pops an empty register without an exception, unlike FSTP', (t) => {
  machine.reset();
  machine.step(0xd9, 0xd8);
  t.is(machine.status, 0x0800);
  machine.step(0xdd, 0xd8);
  t.is(machine.status, 0x1041);
});

// --- properties -----------------------------------------------------------------------------------------------

const significand = fc.bigInt({ min: 1n << 63n, max: (1n << 64n) - 1n });
const value80 = fc.oneof(
  fc.constantFrom(0n, ONE, TWO, INDEFINITE, 0x7fff_8000_0000_0000_0000n, 0x7fff_8000_0000_0000_0001n, 1n),
  fc.tuple(fc.integer({ min: 0, max: 0xffff }), significand).map(([e, s]) => (BigInt(e) << 64n) | s),
);
/** Anything but what may not wait or leaves the stack alone. */
const anyCode = fc.tuple(fc.integer({ min: 0xd8, max: 0xdf }), fc.integer({ min: 0xc0, max: 0xff }));

test('an unmasked stack underflow changes nothing but the status word and pointers', (t) => {
  const users = [
    [0xd8, 0xc1],
    [0xdc, 0xe9],
    [0xde, 0xf1],
    [0xd8, 0xd1],
    [0xde, 0xd9],
    [0xdf, 0xf1],
    [0xd9, 0xc9],
    [0xd9, 0xe0],
    [0xdd, 0xd9],
    [0xda, 0xc9],
    [0xd9, 0xf3],
    [0xd9, 0xf4],
    [0xd9, 0xf8],
    [0xd9, 0xfb],
    [0xd9, 0x1b],
    [0xdb, 0x3b],
    [0xdf, 0x33],
  ];
  for (const code of users) {
    machine.reset();
    setFpu(0x37e, 0, 0);
    m.eflags = 0x8d7;
    const registers = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => machine.register(i));
    t.is(machine.step(...code), undefined);
    t.is(machine.status & 0x80c1, 0x80c1);
    t.is(m.get32(L.FPU_TOP), 0);
    t.is(m.get32(L.FPU_TAGS), 0);
    t.is(m.eflags, 0x8d7);
    t.deepEqual(
      registers,
      [0, 1, 2, 3, 4, 5, 6, 7].map((i) => machine.register(i)),
    );
    t.deepEqual(machine.ram.slice(DATA, DATA + 10), new Uint8Array(10));
  }
});

test('whatever runs, status stays consistent with masks, and a register slot keeps its upper bytes 0', (t) => {
  fc.assert(
    fc.property(
      anyCode,
      fc.array(value80, { minLength: 8, maxLength: 8 }),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 0, max: 0x3f }),
      fc.integer({ min: 0, max: 7 }),
      ([first, second], values, tags, masks, top) => {
        machine.reset();
        setFpu(0x340 | masks, (top << 11) | 0x200, tags);
        machine.setRegisters(values);
        machine.step(first, second);
        const status = machine.status;
        const pending = (status & ~m.get32(L.FPU_CONTROL) & 0x3f) !== 0;
        const summary = pending ? 0x8080 : 0;
        if ((status & 0x8080) !== summary || m.get32(L.FPU_STATUS) & 0x3800) return false;
        for (let i = 0; i < 8; i++)
          for (let byte = 10; byte < 16; byte++) if (m.u8[L.FPU_REGS + i * 16 + byte] !== 0) return false;
        return true;
      },
    ),
    { numRuns: 400 },
  );
  t.pass();
});

test('what FSTP m80 stores FLD m80 loads again, bit for bit', (t) => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 80n) - 1n }), fc.integer({ min: 0, max: 0xfff }), (value, offset) => {
      machine.reset();
      m.setReg(3, BigInt(0x2000 + offset));
      setFpu(0x340, 0x3800, 0x80);
      machine.setRegister(7, value);
      machine.step(0xdb, 0x3b);
      if (m.get32(L.FPU_TAGS) !== 0) return false;
      machine.step(0xdb, 0x2b);
      return machine.st(0) === value && machine.status === 0x3800;
    }),
    { numRuns: 200 },
  );
  t.pass();
});

test('FXCH twice, FCHS twice and FILD with FISTP give back what was there', (t) => {
  fc.assert(
    fc.property(fc.array(value80, { minLength: 8, maxLength: 8 }), fc.integer({ min: 0, max: 7 }), (values, i) => {
      machine.reset();
      setFpu(0x37f, 0, 0xff);
      machine.setRegisters(values);
      for (const code of [
        [0xd9, 0xc8 | i],
        [0xd9, 0xc8 | i],
        [0xd9, 0xe0],
        [0xd9, 0xe0],
      ])
        machine.step(...code);
      return values.every((value, n) => machine.register(n) === value);
    }),
    { numRuns: 100 },
  );
  fc.assert(
    fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), (integer) => {
      machine.reset();
      const view = new DataView(machine.ram.buffer, machine.ram.byteOffset);
      view.setBigInt64(DATA, integer, true);
      machine.step(0xdf, 0x2b);
      view.setBigInt64(DATA, 0n, true);
      machine.step(0xdf, 0x3b);
      return view.getBigInt64(DATA, true) === integer && machine.status === 0;
    }),
    { numRuns: 100 },
  );
  t.pass();
});
