// How a kernel is entered: the protocols, and the instructions at which it happens.

/** A route on which this program itself is the loader. */
export type DirectRoute = 'pvh' | 'multiboot' | 'multiboot2' | 'linux64' | 'linux32' | 'linux16';

/** `any`: whatever the registers say. `jump`: the same, wherever a far jump leads to a kernel; the address is 0. */
export type HandoffProtocol = DirectRoute | 'any' | 'jump';
export const HANDOFF_PROTOCOLS: readonly HandoffProtocol[] = [
  ...(['pvh', 'linux64', 'linux32', 'linux16', 'multiboot', 'multiboot2'] as const),
  'any',
  'jump',
];

/** An instruction at which a kernel is entered. */
export interface HandoffPoint {
  /** Linear address, 64 bits. */
  readonly address: bigint;
  readonly protocol: HandoffProtocol;
}
