// Where our devices would have answered something else than QEMU's: counted by register, with the first case of each.
// Counters and what follows from them differ by nature: our devices' time stands still while the processor is led.

interface Difference {
  count: number;
  of: number;
  first: string;
}

export class DeviceDifferences {
  private readonly registers = new Map<string, Difference>();

  note(region: string, address: number, size: number, theirs: number, ours: number): void {
    const key = `${address.toString(16).padStart(address > 0xffff ? 8 : 4, '0')} ${region}`;
    const entry = this.registers.get(key) ?? { count: 0, of: 0, first: '' };
    this.registers.set(key, entry);
    entry.of++;
    if (theirs === ours) return;
    entry.count++;
    const hex = (value: number) => value.toString(16).padStart(2 * size, '0');
    if (entry.count === 1) entry.first = `QEMU ${hex(theirs)}, ours ${hex(ours)}`;
  }

  /** One line a register that differed. */
  lines(): string[] {
    return [...this.registers]
      .filter(([, { count }]) => count > 0)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { count, of, first }]) => `${key}: ${count} of ${of} reads differ, first ${first}`);
  }
}
