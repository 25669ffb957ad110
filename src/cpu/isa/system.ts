// Opcode rows: system instructions, I/O, interrupts (SDM vol. 2 and 3A, 2.8). Columns: isa/row.ts.

import * as L from '../layout.js';
import * as calls from '../semantics/fast-calls.js';
import { nop } from '../semantics/moves.js';
import * as s from '../semantics/system.js';
import * as control from '../system/control.js';
import * as fast from '../system/fast-calls.js';
import * as flags from '../system/flags-system.js';
import { PORT_COST } from '../system/ports.js';
import * as segments from '../system/segments.js';
import * as smm from '../system/smm.js';
import { type Row, row } from './row.js';

const END = { ends: true };
const SLOW = { ends: true, cost: 25 };
const IO = { ends: true, cost: PORT_COST };

// biome-ignore format: table
export const systemRows: readonly Row[] = [
  row('E4', 'IN', 'Ib', s.inPort(true, true), IO),
  row('E5', 'IN', 'Ib', s.inPort(false, true), { ...IO, size: 'v' }),
  row('EC', 'IN', '', s.inPort(true, false), IO),
  row('ED', 'IN', '', s.inPort(false, false), { ...IO, size: 'v' }),
  row('E6', 'OUT', 'Ib', s.outPort(true, true), IO),
  row('E7', 'OUT', 'Ib', s.outPort(false, true), { ...IO, size: 'v' }),
  row('EE', 'OUT', '', s.outPort(true, false), IO),
  row('EF', 'OUT', '', s.outPort(false, false), { ...IO, size: 'v' }),
  row('CC', 'INT3', '', s.operation(flags.int3), SLOW),
  row('CD', 'INT', 'Ib', s.intN, SLOW),
  row('CE', 'INTO', '', s.into, { ...SLOW, mode: 'no64' }),
  row('F1', 'INT1', '', s.operation(flags.int1), SLOW),
  row('62', 'BOUND', 'Gv,M', s.bound, { mode: 'no64', cost: 4 }),
  row('FA', 'CLI', '', s.cli, { hot: true }),
  row('FB', 'STI', '', s.sti, { ends: true, hot: true }),
  row('F4', 'HLT', '', s.operation(control.hlt), END),
  row('63', 'ARPL', 'Ew,Gw', s.arpl, { mode: 'no64' }),
  row('C5', 'LDS', 'Gv,M', s.loadPointer(L.DS), { ...END, mode: 'no64', cost: 4 }),
  row('C4', 'LES', 'Gv,M', s.loadPointer(L.ES), { ...END, mode: 'no64', cost: 4 }),
  row('0F B2', 'LSS', 'Gv,M', s.loadPointer(L.SS), { ...END, cost: 4 }),
  row('0F B4', 'LFS', 'Gv,M', s.loadPointer(L.FS), { ...END, cost: 4 }),
  row('0F B5', 'LGS', 'Gv,M', s.loadPointer(L.GS), { ...END, cost: 4 }),
  row('0F 00 /0', 'SLDT', 'Ev', s.storeSelector(segments.sldt)),
  row('0F 00 /1', 'STR', 'Ev', s.storeSelector(segments.str)),
  row('0F 00 /2', 'LLDT', 'Ew', s.selectorOperation(segments.lldt, true), SLOW),
  row('0F 00 /3', 'LTR', 'Ew', s.selectorOperation(segments.ltr, true), SLOW),
  row('0F 00 /4', 'VERR', 'Ew', s.selectorOperation(segments.verr), { cost: 10, ends: true }),
  row('0F 00 /5', 'VERW', 'Ew', s.selectorOperation(segments.verw), { cost: 10, ends: true }),
  row('0F 02', 'LAR', 'Gv,Ev', s.accessRights(segments.lar), { cost: 10, ends: true }),
  row('0F 03', 'LSL', 'Gv,Ev', s.accessRights(segments.lsl), { cost: 10, ends: true }),
  row('0F 01 /0', 'SGDT', 'Ms', s.storeTable(segments.sgdtBase, L.GDTR_LIMIT), { mode: 'no64', size: 'v' }),
  row('0F 01 /1', 'SIDT', 'Ms', s.storeTable(segments.sidtBase, L.IDTR_LIMIT), { mode: 'no64', size: 'v' }),
  row('0F 01 /2', 'LGDT', 'Ms', s.loadTable(segments.lgdt), { ...SLOW, mode: 'no64', size: 'v' }),
  row('0F 01 /3', 'LIDT', 'Ms', s.loadTable(segments.lidt), { ...SLOW, mode: 'no64', size: 'v' }),
  row('0F 01 /0', 'SGDT', 'Ms', s.storeTable(segments.sgdtBase, L.GDTR_LIMIT), { mode: 'only64', size: 'f64' }),
  row('0F 01 /1', 'SIDT', 'Ms', s.storeTable(segments.sidtBase, L.IDTR_LIMIT), { mode: 'only64', size: 'f64' }),
  row('0F 01 /2', 'LGDT', 'Ms', s.loadTable(segments.lgdt), { ...SLOW, mode: 'only64', size: 'f64' }),
  row('0F 01 /3', 'LIDT', 'Ms', s.loadTable(segments.lidt), { ...SLOW, mode: 'only64', size: 'f64' }),
  row('0F 01 /4', 'SMSW', 'Ev', s.smsw),
  row('0F 01 /6', 'LMSW', 'Ew', s.lmsw, SLOW),
  row('0F 01 /7 m', 'INVLPG', 'M', s.invlpg, SLOW),
  row('0F 01 =C8', 'MONITOR', '', s.operation(fast.monitor), { cpuid: 'monitor', ends: true }),
  row('0F 01 =C9', 'MWAIT', '', s.operation(fast.mwait), { cpuid: 'monitor', ends: true }),
  row('0F 01 =CA', 'CLAC', '', s.operation(fast.clac), { cpuid: 'smap', ends: true }),
  row('0F 01 =CB', 'STAC', '', s.operation(fast.stac), { cpuid: 'smap', ends: true }),
  row('NP 0F 01 =D0', 'XGETBV', '', s.xgetbv, { cpuid: 'xsave' }),
  row('NP 0F 01 =D1', 'XSETBV', '', s.xsetbv, { ...SLOW, cpuid: 'xsave' }),
  row('0F 01 =F8', 'SWAPGS', '', s.swapgs, { mode: 'only64', ends: true, cost: 4 }),
  row('0F 01 =F9', 'RDTSCP', '', s.operation(fast.rdtscp), { cpuid: 'rdtscp', ends: true, cost: 6 }),
  row('0F 05', 'SYSCALL', '', calls.syscall, { ...SLOW, cpuid: 'syscall' }),
  row('0F 07', 'SYSRET', '', calls.sysret, { ...SLOW, cpuid: 'syscall', size: 'v' }),
  row('0F 34', 'SYSENTER', '', s.operation(fast.sysenter), { ...SLOW, cpuid: 'sep' }),
  row('0F 35', 'SYSEXIT', '', s.sizedOperation(fast.sysexit), { ...SLOW, cpuid: 'sep', size: 'v' }),
  row('0F 06', 'CLTS', '', s.operation(control.clts), SLOW),
  row('0F 08', 'INVD', '', s.operation(control.wbinvd), SLOW),
  row('0F 09', 'WBINVD', '', s.operation(control.wbinvd), SLOW),
  row('0F 20', 'MOV', 'Ry,Cd', s.movFromCr, { size: 'f64', ends: true, cost: 6 }),
  row('0F 22', 'MOV', 'Cd,Ry', s.movToCr, { ...SLOW, size: 'f64' }),
  row('0F 21', 'MOV', 'Ry,Dd', s.movFromDr, { size: 'f64', cost: 6 }),
  row('0F 23', 'MOV', 'Dd,Ry', s.movToDr, { ...SLOW, size: 'f64' }),
  row('0F 30', 'WRMSR', '', s.operation(fast.wrmsr), { ...SLOW, cpuid: 'msr' }),
  row('0F 32', 'RDMSR', '', s.operation(fast.rdmsr), { ...SLOW, cpuid: 'msr' }),
  row('0F 31', 'RDTSC', '', s.rdtsc, { cpuid: 'tsc', ends: true, cost: 6 }),
  row('0F 33', 'RDPMC', '', s.operation(fast.rdpmc), { ends: true, cost: 6 }),
  row('0F AA', 'RSM', '', s.operation(smm.rsm), SLOW),
  row('0F A2', 'CPUID', '', s.operation(fast.cpuid), { ends: true, cost: 50 }),
  row('0F 0D', 'PREFETCHW', 'Mb', nop),
  row('F3 0F AE /0 r', 'RDFSBASE', 'Ry', s.readSegmentBase(L.FS), { mode: 'only64', cpuid: 'fsgsbase' }),
  row('F3 0F AE /1 r', 'RDGSBASE', 'Ry', s.readSegmentBase(L.GS), { mode: 'only64', cpuid: 'fsgsbase' }),
  row('F3 0F AE /2 r', 'WRFSBASE', 'Ry', s.writeSegmentBase(L.FS), { mode: 'only64', cpuid: 'fsgsbase' }),
  row('F3 0F AE /3 r', 'WRGSBASE', 'Ry', s.writeSegmentBase(L.GS), { mode: 'only64', cpuid: 'fsgsbase' }),
  row('NP 0F AE /0 m', 'FXSAVE', 'M', s.fxsave, { cpuid: 'fxsr', size: 'v', cost: 10, ends: true }),
  row('NP 0F AE /1 m', 'FXRSTOR', 'M', s.fxrstor, { cpuid: 'fxsr', size: 'v', cost: 10, ends: true }),
  row('NP 0F AE /4 m', 'XSAVE', 'M', s.xsave, { cpuid: 'xsave', size: 'v', cost: 10, ends: true }),
  row('NP 0F AE /5 m', 'XRSTOR', 'M', s.xrstor, { cpuid: 'xsave', size: 'v', cost: 10, ends: true }),
  row('NP 0F AE /6 m', 'XSAVEOPT', 'M', s.xsave, { cpuid: 'xsaveopt', size: 'v', cost: 10, ends: true }),
];
