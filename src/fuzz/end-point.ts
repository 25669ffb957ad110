// Where a case ends when nothing ends it before: an instruction that --until names, by its address, by a symbol of the
// kernel, or as the hand-off. A boot through firmware with a kernel ends at the hand-off by itself.
// Linear addresses; a kernel that moves itself has its symbols where it was linked, so that it needs nokaslr.

import { findImage } from '../api/images.js';
import type { BootOptions } from '../api/options.js';
import { readSymbols } from '../api/symbol-files.js';
import { UserError } from '../api/user-error.js';
import type { FreshMachine } from './first-read.js';

const HANDOFF = 'hand-off';

export type EndPoint = { readonly at: 'hand-off' } | { readonly at: 'address'; readonly address: bigint } | undefined;

/**
 * @param standing the machine stands at the hand-off already
 * @throws UserError when there is no such symbol
 */
export function endPoint(
  until: string | undefined,
  symbols: string | undefined,
  boot: BootOptions,
  { guest }: FreshMachine,
  standing: boolean,
): EndPoint {
  const firmware = guest.boot.route === 'firmware';
  if (until === undefined) return firmware && !standing && boot.kernel !== undefined ? { at: HANDOFF } : undefined;
  if (until === HANDOFF || until === 'handoff') {
    if (!firmware || standing)
      throw new UserError('--until hand-off: cases of this boot begin with it; name a symbol or an address');
    return { at: HANDOFF };
  }
  if (/^0x[0-9a-f]{1,16}$/i.test(until)) return { at: 'address', address: BigInt(until) };
  const known = guest.boot.symbols.find(({ name }) => name === until);
  if (known) return { at: 'address', address: known.address };
  const file = symbols ?? (boot.kernel === undefined ? undefined : findImage('kernel', boot.kernel));
  const address = file === undefined ? undefined : readSymbols(file).addressOf(until);
  if (address === undefined)
    throw new UserError(
      `--until ${until}: there is no such symbol${file === undefined ? '' : ` in ${file}`}; give an address, or a file with --symbols`,
    );
  return { at: 'address', address };
}
