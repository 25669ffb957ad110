// A call chain out of what lies on the stack. Words that look like return addresses are many, most of them left over
// from calls that have returned; one belongs to the chain when the CALL before it leads to the function whose caller is
// looked for. Where a function was called through a register, the nearest such return address is taken.
// The result is a guess that is right nearly always, and says nothing where it knows nothing.

import type { ReturnAddress } from './return-addresses.js';

export interface FunctionAt {
  readonly name: string;
  /** Address of its first instruction. */
  readonly start: bigint;
}

/** Deepest chain. */
const MOST_FRAMES = 64;
/** The kernel's stand-ins for a CALL through a register. */
const THUNK = /^__x86_indirect_/;

/**
 * Functions from the innermost outwards, the one at `at` first.
 * @param functionAt what an address belongs to
 */
export function guessStack(
  at: bigint,
  stack: readonly ReturnAddress[],
  functionAt: (address: bigint) => FunctionAt | undefined,
): FunctionAt[] {
  const first = functionAt(at);
  if (!first) return [];
  const chain = [first];
  let from = 0;
  while (chain.length < MOST_FRAMES) {
    const next = callerOf(chain.at(-1)!, stack, from, functionAt);
    if (!next) break;
    chain.push(next.caller);
    from = next.after;
  }
  return chain;
}

function callerOf(
  callee: FunctionAt,
  stack: readonly ReturnAddress[],
  from: number,
  functionAt: (address: bigint) => FunctionAt | undefined,
): { caller: FunctionAt; after: number } | undefined {
  let indirect = -1;
  for (let n = from; n < stack.length; n++) {
    const { address, target } = stack[n]!;
    if (target === -1n) {
      // Nothing behind what an interrupt pushed belongs to code before it.
      if (indirect < 0) indirect = n;
      break;
    }
    if (target === callee.start) {
      const caller = functionAt(address - 1n);
      if (caller) return { caller, after: n + 1 };
    }
    if (indirect < 0 && (target === 0n || THUNK.test(functionAt(target)?.name ?? ''))) indirect = n;
  }
  if (indirect < 0) return undefined;
  const { address, target } = stack[indirect]!;
  const caller = functionAt(target === -1n ? address : address - 1n);
  return caller && { caller, after: indirect + 1 };
}
