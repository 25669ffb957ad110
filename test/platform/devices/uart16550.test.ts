import test from 'ava';
import { MSR_CTS, MSR_DCD, MSR_DSR, MSR_RI, Uart16550 } from '../../../src/platform/devices/uart16550.js';
import { assertSurvivesSaveAndLoad, Rig } from '../rig.js';

const DATA = 0;
const IER = 1;
const IIR = 2;
const FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;

function bench() {
  const rig = new Rig();
  const sent: number[] = [];
  const uart = new Uart16550({
    name: 'com1',
    clock: rig.clock,
    irq: rig.line('irq4'),
    output: (byte) => sent.push(byte),
  });
  const read = (register: number): number => uart.portRead(register, 1);
  const write = (register: number, value: number): void => uart.portWrite(register, 1, value);
  const receive = (...bytes: number[]): void => uart.receive(Uint8Array.from(bytes));
  return { rig, uart, sent, read, write, receive, irq: () => rig.levels.irq4 ?? false };
}

test('registers after power-on', (t) => {
  const { read } = bench();
  t.deepEqual([IER, IIR, LCR, MCR, LSR, MSR, SCR].map(read), [0, 0x01, 0, 0x08, 0x60, 0xb0, 0]);
});

test('a byte written is sent at once and the transmitter is empty again', (t) => {
  const { sent, read, write } = bench();
  write(DATA, 0x41);
  t.deepEqual(sent, [0x41]);
  t.is(read(LSR), 0x60);
});

test('the divisor latch hides behind DLAB', (t) => {
  const { sent, read, write } = bench();
  write(LCR, 0x83);
  t.deepEqual([read(0), read(1)], [12, 0]);
  write(0, 0x01);
  write(1, 0x02);
  t.deepEqual([read(0), read(1)], [1, 2]);
  write(LCR, 0x03);
  t.deepEqual([sent.length, read(IER)], [0, 0]);
});

test('the scratch register keeps a byte', (t) => {
  const { read, write } = bench();
  write(SCR, 0xa5);
  t.is(read(SCR), 0xa5);
});

test('enabling the transmit interrupt raises it, and reading IIR ends it', (t) => {
  const { read, write, irq } = bench();
  write(IER, 0x02);
  t.true(irq());
  t.is(read(IIR), 0x02);
  t.false(irq());
  t.is(read(IIR), 0x01);
});

test('a sent byte raises the transmit interrupt as a new edge', (t) => {
  const { rig, write } = bench();
  write(IER, 0x02);
  rig.takeLog();
  write(DATA, 0x41);
  t.deepEqual(rig.takeLog(), ['irq4 0', 'irq4 1']);
});

test('toggling the transmit interrupt enable raises it again', (t) => {
  const { read, write, irq } = bench();
  write(IER, 0x02);
  read(IIR);
  write(IER, 0x00);
  write(IER, 0x02);
  t.true(irq());
});

test('a received byte sets data ready and interrupts until it is read', (t) => {
  const { read, write, receive, irq } = bench();
  write(IER, 0x01);
  receive(0x55);
  t.is(read(LSR), 0x61);
  t.is(read(IIR), 0x04);
  t.true(irq());
  t.is(read(DATA), 0x55);
  t.false(irq());
  t.is(read(LSR), 0x60);
});

test('without FIFOs bytes wait outside until the last one is read', (t) => {
  const { read, receive } = bench();
  receive(1, 2, 3);
  t.deepEqual([read(DATA), read(DATA), read(DATA)], [1, 2, 3]);
  t.is(read(LSR), 0x60);
});

test('the receive interrupt waits for the trigger level', (t) => {
  const { read, write, receive, irq } = bench();
  write(FCR, 0x41); // 4 bytes
  write(IER, 0x01);
  receive(1, 2, 3);
  t.false(irq());
  receive(4);
  t.true(irq());
  t.is(read(IIR), 0xc4);
  read(DATA);
  t.false(irq());
});

test('fewer bytes than the trigger level interrupt after four character times', (t) => {
  const { rig, read, write, receive, irq } = bench();
  write(LCR, 0x83);
  write(0, 1); // 115200 baud
  write(LCR, 0x03); // 8N1: ten bits
  write(FCR, 0x81);
  write(IER, 0x01);
  receive(1, 2);
  const characterTime = Math.floor(10e9 / 115_200);
  rig.advance(4 * characterTime - 1);
  t.false(irq());
  rig.advance(1);
  t.true(irq());
  t.is(read(IIR), 0xcc);
  read(DATA);
  t.false(irq());
  rig.advance(4 * characterTime);
  t.true(irq());
});

test('character time follows word length, parity, stop bits and divisor', (t) => {
  const { rig, write, receive, irq } = bench();
  write(LCR, 0x9f); // DLAB, 8 data bits, parity, 2 stop bits: 12 bits
  write(0, 0x80);
  write(1, 0x01); // 300 baud
  write(LCR, 0x1f);
  write(FCR, 0x81);
  write(IER, 0x01);
  receive(1);
  rig.advance(4 * 40_000_000 - 1);
  t.false(irq());
  rig.advance(1);
  t.true(irq());
});

test('the FIFO takes bytes up to the trigger level and then one for each read', (t) => {
  const { read, write, receive, uart } = bench();
  write(FCR, 0xc1); // 14 bytes
  receive(...Array.from({ length: 40 }, (_, index) => index));
  t.is((uart.save() as { fifo: Uint8Array }).fifo.length, 14);
  t.deepEqual(
    Array.from({ length: 40 }, () => read(DATA)),
    Array.from({ length: 40 }, (_, index) => index),
  );
  t.is(read(LSR), 0x60);
});

test('switching FIFOs on shows in IIR and empties them', (t) => {
  const { read, write, receive } = bench();
  receive(7);
  write(FCR, 0x01);
  t.is(read(IIR), 0xc1);
  t.is(read(LSR), 0x60);
  t.is(read(DATA), 0);
});

test('clearing the receive FIFO drops its bytes', (t) => {
  const { read, write, receive } = bench();
  write(FCR, 0x01);
  receive(7);
  write(FCR, 0x03);
  t.is(read(LSR), 0x60);
});

test('loopback returns bytes and modem outputs, and nothing leaves', (t) => {
  const { sent, read, write } = bench();
  write(MCR, 0x1f);
  write(DATA, 0x99);
  t.is(read(LSR), 0x61);
  t.is(read(DATA), 0x99);
  t.deepEqual(sent, []);
  t.is(read(MSR), 0xf0);
  write(MCR, 0x12);
  t.is(read(MSR), 0x10);
  write(MCR, 0x11);
  t.is(read(MSR), 0x20);
});

test('two bytes in loopback without FIFOs overrun, which interrupts first of all', (t) => {
  const { read, write } = bench();
  write(MCR, 0x10);
  write(IER, 0x07);
  write(DATA, 1);
  write(DATA, 2);
  t.is(read(IIR), 0x06);
  t.is(read(LSR), 0x63);
  t.is(read(LSR), 0x61);
  t.is(read(IIR), 0x04);
  t.is(read(DATA), 2);
  t.is(read(IIR), 0x02);
});

test('a full FIFO overruns without losing what is in it', (t) => {
  const { read, write } = bench();
  write(FCR, 0x01);
  write(MCR, 0x10);
  for (let byte = 0; byte < 17; byte++) write(DATA, byte);
  t.is(read(LSR) & 0x02, 0x02);
  t.deepEqual(
    Array.from({ length: 16 }, () => read(DATA)),
    Array.from({ length: 16 }, (_, index) => index),
  );
});

test('bytes from outside wait while loopback is on', (t) => {
  const { read, write, receive } = bench();
  write(MCR, 0x10);
  receive(5);
  t.is(read(LSR), 0x60);
  write(MCR, 0x00);
  t.is(read(LSR), 0x61);
});

test('modem line changes set deltas, interrupt, and are cleared by reading', (t) => {
  const { uart, read, write, irq } = bench();
  write(IER, 0x08);
  uart.setModemLines(MSR_DCD | MSR_DSR | MSR_RI);
  t.true(irq());
  t.is(read(IIR), 0x00);
  t.is(read(MSR), 0xe1); // CTS fell; a rising RI is no event
  t.false(irq());
  uart.setModemLines(MSR_DCD | MSR_DSR | MSR_CTS);
  t.is(read(MSR), 0xb5);
});

test('reset returns to power-on but keeps what is on the wire', (t) => {
  const { uart, read, write, receive } = bench();
  receive(1, 2);
  write(SCR, 9);
  write(IER, 0x0f);
  uart.reset();
  t.deepEqual([IER, SCR].map(read), [0, 0]);
  t.is(read(DATA), 2);
});

test('a saved serial port cannot be told from the original', (t) => {
  const build = () => {
    const { rig, uart } = bench();
    return {
      rig,
      device: uart,
      ports: [0, 1, 2, 3, 4, 5, 6, 7].map((offset) => [uart, offset] as const),
      other: (what: number, value: number) => {
        if (what < 8) uart.setModemLines(value & 0xf0);
        else uart.receive(Uint8Array.from({ length: what }, (_, index) => value + index));
      },
    };
  };
  t.notThrows(() => assertSurvivesSaveAndLoad(build, [0x01, 0x03, 0x07, 0x0f, 0x10, 0x41, 0x81, 0x83, 0xc7]));
});
