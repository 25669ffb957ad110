// Fields of ACPI and SMBIOS tables by offset, and the tables in an fw_cfg blob of them.
// ACPI 6.4: RSDP 5.2.5.3, headers 5.2.6, FADT 5.2.9, MADT 5.2.12; HPET 1.0a, 3.2.4; SMBIOS 3.4, 6.1.2 and 7.
// Only what a boot goes by has names; the rest is told by its offset.

type Field = readonly [offset: number, size: number, name: string];

// biome-ignore format: a table
const HEADER: readonly Field[] = [
  [0, 4, 'signature'], [4, 4, 'length'], [8, 1, 'revision'], [9, 1, 'checksum'], [10, 6, 'OEM ID'],
  [16, 8, 'OEM table ID'], [24, 4, 'OEM revision'], [28, 4, 'creator ID'], [32, 4, 'creator revision'],
];
// biome-ignore format: a table
const OWN: Readonly<Record<string, readonly Field[]>> = {
  FACP: [
    [36, 4, 'FIRMWARE_CTRL'], [40, 4, 'DSDT'], [45, 1, 'Preferred_PM_Profile'], [46, 2, 'SCI_INT'], [48, 4, 'SMI_CMD'],
    [52, 1, 'ACPI_ENABLE'], [53, 1, 'ACPI_DISABLE'], [56, 4, 'PM1a_EVT_BLK'], [60, 4, 'PM1b_EVT_BLK'],
    [64, 4, 'PM1a_CNT_BLK'], [68, 4, 'PM1b_CNT_BLK'], [72, 4, 'PM2_CNT_BLK'], [76, 4, 'PM_TMR_BLK'],
    [80, 4, 'GPE0_BLK'], [88, 1, 'PM1_EVT_LEN'], [89, 1, 'PM1_CNT_LEN'], [91, 1, 'PM_TMR_LEN'], [92, 1, 'GPE0_BLK_LEN'],
    [96, 2, 'P_LVL2_LAT'], [98, 2, 'P_LVL3_LAT'], [106, 1, 'DAY_ALRM'], [107, 1, 'MON_ALRM'], [108, 1, 'CENTURY'],
    [109, 2, 'IAPC_BOOT_ARCH'], [112, 4, 'Flags'], [116, 12, 'RESET_REG'], [128, 1, 'RESET_VALUE'], [132, 8, 'X_FIRMWARE_CTRL'],
    [140, 8, 'X_DSDT'],
  ],
  APIC: [[36, 4, 'local APIC address'], [40, 4, 'flags']],
  HPET: [[36, 4, 'event timer block ID'], [40, 12, 'base address'], [52, 1, 'HPET number'], [53, 2, 'minimum tick']],
  WAET: [[36, 4, 'emulated device flags']],
  'RSD PTR ': [
    [0, 8, 'signature'], [8, 1, 'checksum'], [9, 6, 'OEM ID'], [15, 1, 'revision'], [16, 4, 'RSDT address'],
    [20, 4, 'length'], [24, 8, 'XSDT address'], [32, 1, 'extended checksum'],
  ],
};

/** The field of an ACPI table that an offset lies in. */
export function acpiField(signature: string, offset: number): string {
  const own = OWN[signature] ?? [];
  const fields = signature === 'RSD PTR ' ? own : [...HEADER, ...own];
  const found = fields.find(([at, size]) => offset >= at && offset < at + size);
  if (found) return found[2];
  if (signature === 'RSDT') return `entry ${Math.floor((offset - 36) / 4)}`;
  if (signature === 'XSDT') return `entry ${Math.floor((offset - 36) / 8)}`;
  return `offset ${offset}`;
}

/** A table in a blob or in memory. */
export interface AcpiTable {
  readonly signature: string;
  /** Where it begins. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** The tables of a blob in their order, as far as it is known. */
export function acpiTablesOf(blob: Uint8Array): AcpiTable[] {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
  const tables: AcpiTable[] = [];
  for (let at = 0; at + 8 <= blob.length; ) {
    const signature = Buffer.from(blob.subarray(at, at + 4)).toString('latin1');
    const length = view.getUint32(at + 4, true);
    if (/^[A-Z0-9]{4}$/.test(signature) && length >= 8) {
      tables.push({ signature, at, bytes: blob.subarray(at, at + length) });
      at += length;
      // Tables are aligned; what lies between is zero.
    } else if (blob[at++] !== 0) break;
  }
  return tables;
}

/** The table and field that a byte of a blob of ACPI tables lies in. */
export function acpiBlobField(blob: Uint8Array, offset: number): string | undefined {
  const table = acpiTablesOf(blob).find(({ at, bytes }) => offset >= at && offset < at + bytes.length);
  return table && `ACPI table ${table.signature} ${acpiField(table.signature, offset - table.at)}`;
}

// biome-ignore format: a table
const STRUCTURES: Readonly<Record<number, string>> = {
  0: 'BIOS information', 1: 'system information', 2: 'baseboard', 3: 'enclosure', 4: 'processor', 16: 'memory array',
  17: 'memory device', 19: 'memory array address', 32: 'system boot', 127: 'end of table',
};

/** The SMBIOS structure that a byte of the structure table lies in, and whether it is in a string. */
export function smbiosField(table: Uint8Array, offset: number): string {
  for (let at = 0; at + 4 <= table.length; ) {
    const [type, length] = [table[at]!, table[at + 1]!];
    if (length < 4) break;
    let end = at + length;
    while (end + 1 < table.length && (table[end] !== 0 || table[end + 1] !== 0)) end++;
    end += 2;
    if (offset < end) {
      const name = STRUCTURES[type] ?? 'structure';
      const within = offset - at;
      if (within < length) return `SMBIOS type ${type} (${name}) offset ${within}`;
      const number = table.subarray(at + length, offset).filter((byte) => byte === 0).length + 1;
      return `SMBIOS type ${type} (${name}) string ${number}`;
    }
    at = end;
  }
  return `SMBIOS offset ${offset}`;
}
