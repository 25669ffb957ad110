import { stripVTControlCharacters } from 'node:util';
import test from 'ava';
import { colorReport } from '../../src/diff/color.js';

const report = [
  'A a.vmr',
  'B b.vmr',
  '',
  'What was booted differs:',
  '  command line: quiet in A, ro in B (from character 0)',
  '',
  'First divergence, after 2 events that agree:',
  '  A event 2, cycle 7: uart0 THR: port-write 0x3f8.1 = 0x6c "l"',
  '    at 0x10:0xffffffff81000000  ee  out dx, al',
  '  B has ended',
  '',
].join('\n');

test('colours change nothing of what a report says', (t) => {
  t.is(stripVTControlCharacters(colorReport(report)), report);
});

test('headings and the two sides are coloured, and every colour ends with its line', (t) => {
  const lines = colorReport(report).split('\n');
  t.true(lines.every((line) => !line.includes('\x1b') || line.endsWith('\x1b[0m')));
  const coloured = lines.flatMap((line, i) => (line.includes('\x1b') ? [i] : []));
  t.deepEqual(coloured, [0, 1, 3, 6, 7, 9]);
});
