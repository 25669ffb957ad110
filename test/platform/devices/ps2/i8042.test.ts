import test from 'ava';
import { I8042 } from '../../../../src/platform/devices/ps2/i8042.js';
import { KEY_PAUSE } from '../../../../src/platform/devices/ps2/ps2-scancodes.js';
import { assertSurvivesSaveAndLoad, Rig } from '../../rig.js';

function bench() {
  const rig = new Rig();
  const device = new I8042({
    keyboardIrq: rig.line('irq1'),
    mouseIrq: rig.line('irq12'),
    setA20: rig.line('a20'),
    requestReset: () => rig.output('reset')(''),
  });
  const command = (value: number, ...data: number[]): void => {
    device.command.portWrite(0, 1, value);
    for (const byte of data) device.data.portWrite(0, 1, byte);
  };
  const status = (): number => device.command.portRead(0, 1);
  const read = (): number => device.data.portRead(0, 1);
  /** All bytes that are to be had. */
  const drain = (): number[] => {
    const bytes: number[] = [];
    while (status() & 1) bytes.push(read());
    return bytes;
  };
  const keyboard = (...bytes: number[]): number[] =>
    bytes.flatMap((byte) => {
      device.data.portWrite(0, 1, byte);
      return drain();
    });
  const mouse = (...bytes: number[]): number[] =>
    bytes.flatMap((byte) => {
      command(0xd4, byte);
      return drain();
    });
  return { rig, device, command, status, read, drain, keyboard, mouse };
}

const ENTER = 0x5a;
const UP = 0xe075;

test('status after power-on: empty, unlocked, last write a command', (t) => {
  t.is(bench().status(), 0x18);
});

test('the self test answers 0x55 and sets the system flag', (t) => {
  const { command, drain, status } = bench();
  command(0xaa);
  t.is(status(), 0x1d);
  t.deepEqual(drain(), [0x55]);
  t.is(status(), 0x1c);
});

test('interface tests and ports answer', (t) => {
  const { command, drain } = bench();
  const answers = [0xab, 0xa9, 0xc0, 0xd0].map((code) => {
    command(code);
    return drain();
  });
  t.deepEqual(answers, [[0x00], [0x00], [0x80], [0xcf]]);
});

test('the mode byte is written and read back', (t) => {
  const { command, drain } = bench();
  command(0x20);
  t.deepEqual(drain(), [0x03]);
  command(0x60, 0x65);
  command(0x20);
  t.deepEqual(drain(), [0x65]);
});

test('the keyboard answers reset and identify', (t) => {
  const { keyboard } = bench();
  t.deepEqual(keyboard(0xff), [0xfa, 0xaa]);
  t.deepEqual(keyboard(0xf2), [0xfa, 0xab, 0x83]);
});

test('with translation on, the identifier is translated', (t) => {
  const { command, keyboard } = bench();
  command(0x60, 0x41);
  t.deepEqual(keyboard(0xf2), [0xfa, 0xab, 0x41]);
});

test('the keyboard acknowledges LEDs, rates and modes, echoes, and refuses nonsense', (t) => {
  const { device, keyboard } = bench();
  t.deepEqual(keyboard(0xed, 0x05), [0xfa, 0xfa]);
  t.is(device.keyboard.leds, 5);
  t.deepEqual(keyboard(0xf3, 0x20), [0xfa, 0xfa]);
  t.deepEqual(keyboard(0xfc, 0x1c), [0xfa, 0xfa]);
  t.deepEqual(keyboard(0xee), [0xee]);
  t.deepEqual(keyboard(0xe1), [0xfe]);
});

test('a key goes through in set 2, and in set 1 with translation', (t) => {
  const { device, command, drain } = bench();
  const press = (code: number): number[] => {
    device.keyboard.key(code, true);
    device.keyboard.key(code, false);
    return drain();
  };
  t.deepEqual(press(ENTER), [0x5a, 0xf0, 0x5a]);
  t.deepEqual(press(UP), [0xe0, 0x75, 0xe0, 0xf0, 0x75]);
  command(0x60, 0x41);
  t.deepEqual(press(ENTER), [0x1c, 0x9c]);
  t.deepEqual(press(UP), [0xe0, 0x48, 0xe0, 0xc8]);
  t.deepEqual(press(KEY_PAUSE), [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]);
});

test('scan code sets can be selected and asked for', (t) => {
  const { device, keyboard, drain } = bench();
  t.deepEqual(keyboard(0xf0, 0), [0xfa, 0xfa, 0x02]);
  t.deepEqual(keyboard(0xf0, 1), [0xfa, 0xfa]);
  device.keyboard.key(UP, false);
  t.deepEqual(drain(), [0xe0, 0xc8]);
  t.deepEqual(keyboard(0xf0, 3), [0xfa, 0xfa]);
  device.keyboard.key(UP, true);
  device.keyboard.key(UP, false);
  t.deepEqual(drain(), [0x63, 0xf0, 0x63]);
  t.deepEqual(keyboard(0xf0, 4), [0xfa, 0xfe]);
});

test('with scanning off keys are lost', (t) => {
  const { device, keyboard, drain } = bench();
  keyboard(0xf5);
  device.keyboard.key(ENTER, true);
  t.deepEqual(drain(), []);
  keyboard(0xf4);
  device.keyboard.key(ENTER, true);
  t.deepEqual(drain(), [0x5a]);
});

test('the queue holds sixteen bytes', (t) => {
  const { device, drain } = bench();
  for (let i = 0; i < 20; i++) device.keyboard.key(0x1c, true);
  t.is(drain().length, 16);
});

test('a reply comes before keys that wait, and a new command voids unread replies', (t) => {
  const { device, drain } = bench();
  device.keyboard.key(ENTER, true);
  device.data.portWrite(0, 1, 0xf2);
  device.data.portWrite(0, 1, 0xee);
  t.deepEqual(drain(), [0xee, 0x5a]);
});

test('each byte is an edge on IRQ 1', (t) => {
  const { rig, device, read } = bench();
  device.keyboard.key(UP, true);
  t.true(rig.levels.irq1);
  rig.takeLog();
  read();
  t.deepEqual(
    rig.takeLog().filter((entry) => entry.startsWith('irq1 ')),
    ['irq1 0', 'irq1 1'],
  );
  read();
  t.false(rig.levels.irq1);
});

test('interrupts can be disabled in the mode byte', (t) => {
  const { rig, device, command } = bench();
  command(0x60, 0x00);
  device.keyboard.key(ENTER, true);
  t.false(rig.levels.irq1);
  command(0x60, 0x01);
  t.true(rig.levels.irq1);
});

test('a disabled interface holds its bytes back until it is enabled', (t) => {
  const { device, command, drain } = bench();
  command(0xad);
  device.keyboard.key(ENTER, true);
  t.deepEqual(drain(), []);
  command(0xae);
  t.deepEqual(drain(), [0x5a]);
});

test('sending a byte to a device enables its interface', (t) => {
  const { command, keyboard, drain } = bench();
  command(0xad);
  t.deepEqual(keyboard(0xee), [0xee]);
  command(0x20);
  t.deepEqual(drain(), [0x03]);
});

test('an empty buffer reads as the last byte', (t) => {
  const { keyboard, read } = bench();
  keyboard(0xee);
  t.is(read(), 0xee);
});

test('output buffer writes appear as if a device had sent them', (t) => {
  const { rig, command, status, drain } = bench();
  command(0xd2, 0x12);
  t.is(status() & 0x21, 0x01);
  t.true(rig.levels.irq1);
  t.deepEqual(drain(), [0x12]);
  command(0xd3, 0x34);
  t.is(status() & 0x21, 0x21);
  t.true(rig.levels.irq12);
  t.deepEqual(drain(), [0x34]);
});

test('A20 follows the output port and its commands', (t) => {
  const { rig, command, drain } = bench();
  const levels: (boolean | undefined)[] = [];
  for (const [code, ...data] of [[0xd1, 0xdd], [0xdf], [0xdd], [0xd1, 0xdf]] as const) {
    command(code, ...data);
    levels.push(rig.levels.a20);
  }
  t.deepEqual(levels, [false, true, false, true]);
  command(0xd0);
  t.deepEqual(drain(), [0xdf]);
});

test('a pulse of bit 0 and a zero in the output port reset the machine', (t) => {
  const { rig, command } = bench();
  command(0xff);
  t.deepEqual(rig.takeLog(), []);
  command(0xfe);
  command(0xf0);
  command(0xd1, 0x02);
  t.is(rig.takeLog().filter((entry) => entry.startsWith('reset')).length, 3);
});

test('the mouse answers reset, identify and status', (t) => {
  const { mouse } = bench();
  t.deepEqual(mouse(0xff), [0xfa, 0xaa, 0x00]);
  t.deepEqual(mouse(0xf2), [0xfa, 0x00]);
  t.deepEqual(mouse(0xe9), [0xfa, 0x00, 0x02, 0x64]);
  t.deepEqual(
    mouse(0xe8, 0x03, 0xf3, 0x28, 0xe7, 0xf4, 0xe9),
    [0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0x30, 0x03, 0x28],
  );
});

test('an enabled mouse reports movement on IRQ 12', (t) => {
  const { rig, device, mouse, status, drain } = bench();
  device.mouse.move({ dx: 1, dy: 1, wheel: 0, buttons: 0 });
  t.deepEqual(drain(), []);
  mouse(0xf4);
  device.mouse.move({ dx: 5, dy: -3, wheel: 0, buttons: 1 });
  t.true(rig.levels.irq12);
  t.is(status() & 0x21, 0x21);
  t.deepEqual(drain(), [0x29, 0x05, 0xfd]);
});

test('a movement larger than a packet takes several', (t) => {
  const { device, mouse, drain } = bench();
  mouse(0xf4);
  device.mouse.move({ dx: 200, dy: 0, wheel: 0, buttons: 0 });
  t.deepEqual(drain(), [0x08, 127, 0, 0x08, 73, 0]);
});

test('three sample rates unlock the wheel, three others five buttons', (t) => {
  const wheel = bench();
  wheel.mouse(0xf3, 200, 0xf3, 100, 0xf3, 80);
  t.deepEqual(wheel.mouse(0xf2), [0xfa, 0x03]);
  wheel.mouse(0xf4);
  wheel.device.mouse.move({ dx: 0, dy: 0, wheel: -1, buttons: 0 });
  t.deepEqual(wheel.drain(), [0x08, 0, 0, 0xff]);
  const five = bench();
  five.mouse(0xf3, 200, 0xf3, 200, 0xf3, 80);
  t.deepEqual(five.mouse(0xf2), [0xfa, 0x04]);
  five.mouse(0xf4);
  five.device.mouse.move({ dx: 0, dy: 0, wheel: 1, buttons: 0x18 });
  t.deepEqual(five.drain(), [0x08, 0, 0, 0x31]);
});

test('in remote mode the mouse reports when asked', (t) => {
  const { device, mouse, drain } = bench();
  mouse(0xf0, 0xf4);
  device.mouse.move({ dx: 2, dy: 2, wheel: 0, buttons: 0 });
  t.deepEqual(drain(), []);
  t.deepEqual(mouse(0xeb), [0xfa, 0x08, 2, 2]);
});

test('in wrap mode the mouse echoes all but reset and its end', (t) => {
  const { mouse } = bench();
  t.deepEqual(mouse(0xee, 0x12, 0xf2, 0xec, 0xf2), [0xfa, 0x12, 0xf2, 0xfa, 0xfa, 0x00]);
});

test('keyboard bytes come before mouse bytes', (t) => {
  const { device, command, mouse, drain } = bench();
  mouse(0xf4);
  command(0xa7);
  command(0xad);
  device.mouse.move({ dx: 1, dy: 0, wheel: 0, buttons: 0 });
  device.keyboard.key(ENTER, true);
  command(0x60, 0x03);
  t.deepEqual(drain(), [0x5a, 0x08, 1, 0]);
});

test('reset returns controller and devices to power-on', (t) => {
  const { device, command, status, drain, keyboard } = bench();
  command(0x60, 0x41);
  keyboard(0xf0, 1);
  device.keyboard.key(ENTER, true);
  device.reset();
  t.is(status(), 0x18);
  device.keyboard.key(ENTER, true);
  t.deepEqual(drain(), [0x5a]);
});

test('a saved keyboard controller cannot be told from the original', (t) => {
  const build = () => {
    const { rig, device } = bench();
    return {
      rig,
      device,
      ports: [
        [device.data, 0],
        [device.command, 0],
      ] as const,
      other: (what: number, value: number) => {
        if (what < 16) device.keyboard.key(value & 0x7f, (what & 1) === 0);
        else device.mouse.move({ dx: value - 128, dy: value * 3 - 300, wheel: (value & 3) - 1, buttons: what & 7 });
      },
    };
  };
  const bytes = [0x20, 0x60, 0xa7, 0xa8, 0xad, 0xae, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xdd, 0xed, 0xf0, 0xf3, 0xf4, 0xff];
  t.notThrows(() => assertSurvivesSaveAndLoad(build, bytes));
});
