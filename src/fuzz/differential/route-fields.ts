// Fields of the hand-off in which two routes may differ without either being wrong: what a protocol leaves to the loader,
// and what firmware has that a direct boot has not. Each says why. `*` in a user's pattern stands for any text.

interface OwnField {
  readonly pattern: RegExp;
  readonly reason: string;
}

const UNUSED = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ').join('|');

/** Between any two loaders. */
const LOADERS_OWN: readonly OwnField[] = [
  {
    pattern: new RegExp(`^registers\\.(${UNUSED})$`),
    reason:
      'points to what the loader put where it chose, or is left open by the protocol; what it points to is compared',
  },
  { pattern: /^registers\.rflags$/, reason: 'protocols want IF clear; arithmetic flags are left over' },
  {
    pattern:
      /^(?!memory map ).*\.address$|\bpaddr$|_paddr$|_ptr$|\.mod_(start|end)$|\.ramdisk_image$|^multiboot_info\.(cmdline|\w+_addr|boot_loader_name|config_table)$/,
    reason: 'where a loader puts a structure is its choice',
  },
  {
    pattern: /^(cs|ds|es|fs|gs|ss|tr|ldtr)\.(selector|attributes|base|limit)$|^control\.(gdtr|idtr)\./,
    reason: 'descriptor tables are the loader’s, and the protocol only says what the segments reach',
  },
];

/** Between two routes, beside these. */
const ROUTES_OWN: readonly OwnField[] = [
  { pattern: /^route$/, reason: 'says by which route the boot was begun' },
  { pattern: /^control\.cr[034]$/, reason: 'bits beside PE and PG are left open' },
  { pattern: /^boot_params\.acpi_rsdp_addr$/, reason: 'firmware puts the ACPI tables where it likes' },
  { pattern: /^memory map \d+\./, reason: 'firmware keeps memory for itself and its tables' },
  {
    pattern: /^hvm_start_info\.memmap_entries$|^boot_params\.e820_entries$|^multiboot_info\.mmap_length$/,
    reason: 'counts ranges that firmware keeps, too',
  },
  {
    pattern: /^boot_params\.(orig_|ext_mem_k|alt_mem_k|ist_info|hd[01]_info|sys_desc_table|edd|edid_info|apm|kbd)/,
    reason: 'setup code asks a BIOS for it',
  },
];

/** A field of the hand-off that two boots may not differ in, or why they may. */
export function ownReason(field: string, sameRoute: boolean, mayDiffer: readonly string[]): string | undefined {
  if (mayDiffer.some((pattern) => globOf(pattern).test(field))) return 'declared by the user';
  return [...LOADERS_OWN, ...(sameRoute ? [] : ROUTES_OWN)].find(({ pattern }) => pattern.test(field))?.reason;
}

const globOf = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'))
      .join('.*')}$`,
  );
