// All opcode rows: the one source for decoding, execution, disassembly checks, fuzzing and the instruction list.

import { integerRows } from './integer.js';
import { mmxRows } from './mmx.js';
import type { Row } from './row.js';
import { sseRows } from './sse.js';
import { sse2Rows } from './sse2.js';
import { sse3Rows } from './sse3.js';
import { sse4Rows } from './sse4.js';
import { systemRows } from './system.js';
import { x87Rows } from './x87.js';

export const allRows: readonly Row[] = [
  ...integerRows,
  ...systemRows,
  ...x87Rows,
  ...mmxRows,
  ...sseRows,
  ...sse2Rows,
  ...sse3Rows,
  ...sse4Rows,
];
