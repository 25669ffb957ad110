// SMART (ATA/ATAPI-6, T13/1410D, 8.55) as QEMU 7.2 has it: attributes that never change, an error log without errors, and
// self-tests that pass at once. QEMU does not reset its state with the drive, so neither does this.

import type { Plain } from '../../device.js';
import type { TaskFile } from './ide-drive.js';

/** What has to stand in the cylinder registers. */
const KEY_LOW = 0x4f;
const KEY_HIGH = 0xc2;
const ENABLE = 0xd8;
const DISABLE = 0xd9;
const MAX_TESTS = 21;
const TEST_SIZE = 24;

/** Attribute number, flags, value, worst, raw (six bytes), threshold. */
// biome-ignore format: a table
const SMART_ATTRIBUTES: readonly (readonly number[])[] = [
  [0x01, 0x03, 0x00, 0x64, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06],
  [0x03, 0x03, 0x00, 0x64, 0x64, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0x04, 0x02, 0x00, 0x64, 0x64, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x14],
  [0x05, 0x03, 0x00, 0x64, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x24],
  [0x09, 0x03, 0x00, 0x64, 0x64, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0x0c, 0x03, 0x00, 0x64, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0xbe, 0x03, 0x00, 0x45, 0x45, 0x1f, 0x00, 0x1f, 0x1f, 0x00, 0x00, 0x32],
];

/** A SMART page with its version and its checksum. */
function smartPage(fill: (page: Uint8Array) => void): Uint8Array {
  const page = new Uint8Array(512);
  page[0] = 1;
  fill(page);
  page[511] = -page.reduce((sum, byte) => sum + byte, 0);
  return page;
}

const smartThresholds = (): Uint8Array =>
  smartPage((page) => {
    for (const [n, attribute] of SMART_ATTRIBUTES.entries()) page.set([attribute[0]!, attribute[11]!], 2 + 12 * n);
  });

/** @param lastTest the result byte of the last self-test */
const smartData = (autosave: boolean, lastTest: number): Uint8Array =>
  smartPage((page) => {
    for (const [n, attribute] of SMART_ATTRIBUTES.entries()) page.set(attribute.slice(0, 11), 2 + 12 * n);
    // Off-line collection, capabilities, and the minutes that tests take.
    page.set([autosave ? 0x82 : 0x02, lastTest, 0x20, 0x01, 0, 0x19, 0x03, 0, 0x01, 0, 0x02, 0x36, 0x01], 362);
  });

/** @param tests descriptors of the self-tests, from byte 2 on; @param count how many there were */
const smartTestLog = (tests: Uint8Array, count: number): Uint8Array =>
  smartPage((page) => {
    if (count > 0) page.set(tests.subarray(2, 506), 2);
    page[508] = count;
  });

interface SmartState {
  enabled: boolean;
  autosave: boolean;
  /** Self-tests so far, and their descriptors. */
  count: number;
  tests: Uint8Array;
}

/** The SMART feature set of a disk. */
export class Smart {
  #state: SmartState = { enabled: true, autosave: true, count: 0, tests: new Uint8Array(512) };

  /** Do what the registers ask for. @returns a page for the guest, or how the command ended without one */
  execute({ feature, sector, cylinderLow, cylinderHigh }: TaskFile): Uint8Array | 'done' | 'refused' {
    const state = this.#state;
    if (cylinderHigh !== KEY_HIGH || cylinderLow !== KEY_LOW) return 'refused';
    if (!state.enabled && feature !== ENABLE) return 'refused';
    switch (feature) {
      case 0xd0:
        return smartData(state.autosave, state.count === 0 ? 0 : state.tests[this.#lastTest + 1]!);
      case 0xd1:
        return smartThresholds();
      case 0xd2:
        if (sector !== 0 && sector !== 0xf1) return 'refused';
        state.autosave = sector !== 0;
        return 'done';
      case 0xd4:
        return this.#test(sector);
      case 0xd5:
        return sector === 0x01
          ? smartPage(() => {})
          : sector === 0x06
            ? smartTestLog(state.tests, state.count)
            : 'refused';
      case ENABLE:
      case DISABLE:
        state.enabled = feature === ENABLE;
        return 'done';
      case 0xda:
        // No threshold exceeded: the key stays as it is.
        return 'done';
      default:
        return 'refused';
    }
  }

  save(): Plain {
    return { ...this.#state, tests: this.#state.tests.slice() };
  }

  load(state: Plain): void {
    const saved = state as unknown as SmartState;
    this.#state = { ...saved, tests: saved.tests.slice() };
  }

  get #lastTest(): number {
    return 2 + (this.#state.count - 1) * TEST_SIZE;
  }

  #test(kind: number): 'done' | 'refused' {
    if (kind > 2) return 'refused';
    const state = this.#state;
    state.count = state.count >= MAX_TESTS ? 1 : state.count + 1;
    // Passed at once, at hour 0x1234.
    state.tests.set([kind, 0x00, 0x34, 0x12], this.#lastTest);
    return 'done';
  }
}
