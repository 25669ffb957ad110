// All opcode rows: the one source for decoding, execution, disassembly checks, fuzzing and the instruction list.

import { integerRows } from './integer.js';
import type { Row } from './row.js';
import { systemRows } from './system.js';

export const allRows: readonly Row[] = [...integerRows, ...systemRows];
