import test from 'ava';
import { coverageReport, lcovOf } from '../../../src/fuzz/coverage/report.js';
import { SymbolTable } from '../../../src/trace/symbols.js';

const symbols = SymbolTable.of([
  [0xffff_ffff_8100_0000n, 'start'],
  [0xffff_ffff_8100_0100n, 'parse'],
  [0xffff_ffff_8100_0200n, 'never'],
]);
const branches = [
  { from: 0xffff_8100_0010, to: 0xffff_8100_0100, inputs: 7 },
  { from: 0xffff_8100_0120, to: 0xffff_8100_0130, inputs: 2 },
  { from: 0xffff_8100_0120, to: 0xffff_8100_0122, inputs: 5 },
  { from: 0x10_0040, to: 0x10_0050, inputs: 7 },
];

test('branches stand under the function that they are of, at whole addresses', (t) => {
  const { functions, list } = coverageReport(branches, symbols);
  t.deepEqual(functions, { total: 4, reached: 3 });
  t.deepEqual(
    list.map(({ name, address, inputs, branches }) => [
      name,
      address,
      inputs,
      branches.map(({ from, to }) => [from, to]),
    ]),
    [
      ['0x100000', '0x100000', 7, [['0x100040', '0x100050']]],
      ['start', '0xffffffff81000000', 7, [['0xffffffff81000010', '0xffffffff81000100']]],
      [
        'parse',
        '0xffffffff81000100',
        7,
        [
          ['0xffffffff81000120', '0xffffffff81000130'],
          ['0xffffffff81000120', '0xffffffff81000122'],
        ],
      ],
      ['never', '0xffffffff81000200', 0, []],
    ],
  );
});

test('the tracefile counts the lines of its listing, each an address', (t) => {
  const { info, listing } = lcovOf(coverageReport(branches, symbols), 'guest.listing');
  const lines = listing.trimEnd().split('\n');
  t.is(lines.length, 10);
  t.is(lines[6], '0xffffffff81000120 parse+0x20 -> 0xffffffff81000130, 0xffffffff81000122');
  t.deepEqual(info.trimEnd().split('\n'), [
    'TN:',
    'SF:guest.listing',
    ...['FN:1,0x100000', 'FN:4,start', 'FN:6,parse', 'FN:10,never'],
    ...['FNDA:7,0x100000', 'FNDA:7,start', 'FNDA:7,parse', 'FNDA:0,never', 'FNF:4', 'FNH:3'],
    ...['BRDA:2,0,0,7', 'BRDA:5,0,0,7', 'BRDA:7,0,0,2', 'BRDA:7,0,1,5', 'BRF:4', 'BRH:4'],
    ...['DA:1,0', 'DA:2,7', 'DA:3,7', 'DA:4,0', 'DA:5,7', 'DA:6,7', 'DA:7,5', 'DA:8,5', 'DA:9,2', 'DA:10,0'],
    ...['LF:10', 'LH:7', 'end_of_record'],
  ]);
});

test('without symbols branches stand under their pages', (t) => {
  t.deepEqual(
    coverageReport(branches).list.map(({ name }) => name),
    ['0x100000', '0xffffffff81000000'],
  );
});

test('symbols of one name are one function, at the lower address', (t) => {
  const twice = SymbolTable.of([
    [0x1000n, 'one'],
    [0x2000n, 'one'],
  ]);
  const { list } = coverageReport([{ from: 0x2004, to: 0x1000, inputs: 1 }], twice);
  t.deepEqual(
    list.map(({ name, address, branches }) => [name, address, branches.length]),
    [['one', '0x1000', 1]],
  );
});
