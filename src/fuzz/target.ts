// What a target of `vmreplay fuzz` is: a row of the tables (targets.ts, firmware-targets.ts), and what it comes to in one
// boot. Types alone, so that the tables do not know each other.

import type fc from 'fast-check';
import type { Guest } from '../api/guest.js';
import type { HandoffProtocol } from '../boot/route.js';
import type { MapEntry } from './arbitraries/e820.js';
import type { Place } from './place.js';
import type { Structure, StructureKind } from './structure.js';

/** A target in one boot. */
export interface Target {
  readonly name: string;
  readonly place: Place;
  readonly arbitrary: fc.Arbitrary<Structure<unknown>>;
  /** Requirements of a hand-off that the structure itself answers for. */
  readonly answersFor: RegExp | undefined;
  /** The memory map that a structure tells of; undefined when it tells of none. */
  mapOf(value: unknown): readonly MapEntry[] | undefined;
}

/** A boot's structure: where it is, and others of its kind. */
export type Found = Pick<Target, 'place' | 'arbitrary'>;

/** Where the structure is in a boot. @throws UserError when the boot has none */
export type Find = (guest: Guest) => Found;

/** A kind of target: how it is found in each kind of boot. */
export interface Row {
  readonly about: string;
  /** In a direct boot, and in one through firmware. @throws UserError when the boot has no such structure */
  readonly find?: Find;
  readonly findInFirmware?: Find;
  /** Of a boot through firmware it is there only when a kernel is entered by this protocol. */
  readonly handed?: {
    readonly protocol: HandoffProtocol;
    readonly role: string;
    kind(at: Handed): StructureKind<unknown>;
  };
  readonly answersFor?: RegExp;
  mapOf?(value: never): readonly MapEntry[];
}

/** What is known of a structure in memory for making others. */
export interface Handed {
  readonly address: number;
  /** Its bytes, and what else lies with it. */
  readonly bytes: Uint8Array;
  readonly ramEnd: number;
  readonly modules: readonly { address: number; size: number }[];
}
