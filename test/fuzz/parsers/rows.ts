// All rows.

import { bootRows } from './boot-rows.js';
import { otherRows } from './other-rows.js';
import type { Parser } from './parser.js';
import { traceRows } from './trace-rows.js';

export const rows: readonly Parser[] = [...bootRows, ...traceRows, ...otherRows];
