import test from 'ava';
import { Pic } from '../../../../src/platform/devices/interrupts/pic.js';
import { assertSurvivesSaveAndLoad, Rig } from '../../rig.js';

/** Both controllers initialised as a PC does: vectors 0x20 and 0x28, all inputs open. */
function pc(options: { icw4?: number } = {}) {
  const rig = new Rig();
  const pic = new Pic(rig.line('intr'));
  const icw4 = options.icw4 ?? 0x01;
  for (const [chip, base, cascade] of [
    [pic.master, 0x20, 0x04],
    [pic.slave, 0x28, 0x02],
  ] as const) {
    chip.portWrite(0, 1, 0x11);
    for (const word of [base, cascade, icw4]) chip.portWrite(1, 1, word);
    chip.portWrite(1, 1, 0x00);
  }
  return { rig, pic, intr: () => pic.output };
}

const EOI = 0x20;
const READ_IRR = 0x0a;
const READ_ISR = 0x0b;

test('an edge raises INTR and gives its vector once', (t) => {
  const { pic, intr } = pc();
  pic.setLine(4, true);
  t.true(intr());
  t.is(pic.acknowledge(), 0x24);
  t.false(intr());
  pic.master.portWrite(0, 1, EOI);
  t.false(intr());
});

test('an edge stays latched when the line falls before the acknowledge', (t) => {
  const { pic } = pc();
  pic.setLine(4, true);
  pic.setLine(4, false);
  t.is(pic.acknowledge(), 0x24);
});

test('a masked request is kept and delivered when the mask opens', (t) => {
  const { pic, intr } = pc();
  pic.master.portWrite(1, 1, 0x10);
  pic.setLine(4, true);
  t.false(intr());
  pic.master.portWrite(1, 1, 0x00);
  t.true(intr());
});

test('a request of lower priority waits for the end of interrupt', (t) => {
  const { pic, intr } = pc();
  pic.setLine(3, true);
  pic.acknowledge();
  pic.setLine(5, true);
  t.false(intr());
  pic.setLine(1, true);
  t.is(pic.acknowledge(), 0x21);
  pic.master.portWrite(0, 1, EOI);
  t.false(intr());
  pic.master.portWrite(0, 1, EOI);
  t.is(pic.acknowledge(), 0x25);
});

test('a level input requests as long as its line is up', (t) => {
  const { pic, intr } = pc();
  pic.elcr(1).portWrite(0, 1, 0x02);
  pic.setLine(9, true);
  t.is(pic.acknowledge(), 0x29);
  pic.slave.portWrite(0, 1, EOI);
  pic.master.portWrite(0, 1, EOI);
  t.true(intr());
  pic.setLine(9, false);
  // The master has latched the slave's edge, as it does in QEMU: the cycle finds nobody and is spurious.
  t.is(pic.acknowledge(), 0x2f);
});

test('a slave interrupt is in service at both controllers', (t) => {
  const { pic } = pc();
  pic.setLine(12, true);
  t.is(pic.acknowledge(), 0x2c);
  pic.master.portWrite(0, 1, READ_ISR);
  pic.slave.portWrite(0, 1, READ_ISR);
  t.is(pic.master.portRead(0, 1), 0x04);
  t.is(pic.slave.portRead(0, 1), 0x10);
});

test('an acknowledge without a request gives input 7 and no service bit', (t) => {
  const { pic } = pc();
  t.is(pic.acknowledge(), 0x27);
  pic.master.portWrite(0, 1, READ_ISR);
  t.is(pic.master.portRead(0, 1), 0);
});

test('IRR shows requests, and OCW3 selects between IRR and ISR', (t) => {
  const { pic } = pc();
  pic.master.portWrite(1, 1, 0xff);
  pic.setLine(6, true);
  pic.master.portWrite(0, 1, READ_IRR);
  t.is(pic.master.portRead(0, 1), 0x40);
  pic.master.portWrite(0, 1, READ_ISR);
  t.is(pic.master.portRead(0, 1), 0);
  t.is(pic.master.portRead(1, 1), 0xff);
});

test('automatic end of interrupt leaves nothing in service', (t) => {
  const { pic } = pc({ icw4: 0x03 });
  pic.setLine(1, true);
  pic.acknowledge();
  pic.setLine(5, true);
  t.is(pic.acknowledge(), 0x25);
});

test('rotation on automatic end of interrupt makes the served input the lowest', (t) => {
  const { pic } = pc({ icw4: 0x03 });
  pic.master.portWrite(0, 1, 0x80);
  for (const line of [0, 1]) pic.setLine(line, true);
  t.is(pic.acknowledge(), 0x20);
  pic.setLine(0, false);
  pic.setLine(0, true);
  t.is(pic.acknowledge(), 0x21);
});

test('rotate on non-specific end of interrupt makes the served input the lowest', (t) => {
  const { pic } = pc();
  pic.setLine(3, true);
  pic.acknowledge();
  pic.master.portWrite(0, 1, 0xa0);
  for (const line of [3, 4]) {
    pic.setLine(line, false);
    pic.setLine(line, true);
  }
  t.is(pic.acknowledge(), 0x24);
});

test('set priority makes a given input the lowest', (t) => {
  const { pic } = pc();
  pic.master.portWrite(0, 1, 0xc0 | 4);
  for (const line of [0, 5]) pic.setLine(line, true);
  t.is(pic.acknowledge(), 0x25);
});

test('a specific end of interrupt ends the named input only', (t) => {
  const { pic } = pc();
  for (const line of [5, 3]) {
    pic.setLine(line, true);
    pic.acknowledge();
  }
  pic.master.portWrite(0, 1, 0x60 | 5);
  pic.master.portWrite(0, 1, READ_ISR);
  t.is(pic.master.portRead(0, 1), 0x08);
});

test('special mask mode lets masked inputs in service not block lower ones', (t) => {
  const { pic, intr } = pc();
  pic.setLine(3, true);
  pic.acknowledge();
  pic.setLine(5, true);
  pic.master.portWrite(0, 1, 0x68);
  t.false(intr());
  pic.master.portWrite(1, 1, 0x08);
  t.is(pic.acknowledge(), 0x25);
});

test('special fully nested mode lets a higher slave input interrupt a slave interrupt', (t) => {
  const { pic, intr } = pc({ icw4: 0x11 });
  pic.setLine(12, true);
  pic.acknowledge();
  pic.setLine(8, true);
  t.true(intr());
  t.is(pic.acknowledge(), 0x28);
});

test('poll mode acknowledges at the next read', (t) => {
  const { pic, intr } = pc();
  pic.setLine(4, true);
  pic.master.portWrite(0, 1, 0x0c);
  t.is(pic.master.portRead(0, 1), 0x84);
  t.false(intr());
  pic.master.portWrite(0, 1, 0x0c);
  t.is(pic.master.portRead(0, 1), 0);
});

test('ICW1 opens the mask and drops edges but not levels', (t) => {
  const { pic, intr } = pc();
  pic.elcr(0).portWrite(0, 1, 0x20);
  pic.setLine(4, true);
  pic.setLine(5, true);
  pic.master.portWrite(1, 1, 0xff);
  pic.master.portWrite(0, 1, 0x11);
  t.true(intr());
  pic.master.portWrite(0, 1, READ_IRR);
  t.is(pic.master.portRead(0, 1), 0x20);
  t.is(pic.master.portRead(1, 1), 0);
});

test('a single controller without ICW4 expects two words only', (t) => {
  const { pic } = pc();
  pic.master.portWrite(0, 1, 0x12);
  pic.master.portWrite(1, 1, 0x40);
  pic.master.portWrite(1, 1, 0xfe);
  t.is(pic.master.portRead(1, 1), 0xfe);
  pic.setLine(0, true);
  t.is(pic.acknowledge(), 0x40);
});

test('timer, keyboard, cascade, clock and coprocessor inputs cannot be made level-triggered', (t) => {
  const { pic } = pc();
  for (const chip of [0, 1] as const) pic.elcr(chip).portWrite(0, 1, 0xff);
  t.deepEqual([pic.elcr(0).portRead(0, 1), pic.elcr(1).portRead(0, 1)], [0xf8, 0xde]);
});

test('a saved PIC cannot be told from the original', (t) => {
  const build = () => {
    const rig = new Rig();
    const device = new Pic(rig.line('intr'));
    return {
      rig,
      device,
      ports: [
        [device.master, 0],
        [device.master, 1],
        [device.slave, 0],
        [device.slave, 1],
        [device.elcr(0), 0],
        [device.elcr(1), 0],
      ] as const,
      other: (what: number, value: number) => {
        if (what < 8) rig.output('vector')(device.acknowledge());
        else device.setLine(what & 15, (value & 1) !== 0);
      },
    };
  };
  t.notThrows(() => assertSurvivesSaveAndLoad(build, [0x11, 0x20, 0x08, 0x01, 0x00, 0x0b, 0x0c, 0x68]));
});
