// CPU models: named, versioned answers of CPUID and the set of features that instructions are checked against.
//
// The figures are what QEMU 7.2 (TCG, one processor) shows a guest, read out leaf by leaf; a bit is cleared only
// where the feature is not implemented here. A model never changes once released: a trace names it, and the same
// name must mean the same answers for ever. Leaves: SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E.
// Left out on purpose: topology beyond one processor, and every feature whose instructions would be #UD.

/** Features that an opcode row, a control register bit or an MSR may depend on. */
export type Feature =
  | 'fpu'
  | 'vme'
  | 'de'
  | 'pse'
  | 'tsc'
  | 'msr'
  | 'pae'
  | 'mce'
  | 'cx8'
  | 'apic'
  | 'sep'
  | 'mtrr'
  | 'pge'
  | 'mca'
  | 'cmov'
  | 'pat'
  | 'pse36'
  | 'clflush'
  | 'mmx'
  | 'fxsr'
  | 'sse'
  | 'sse2'
  | 'sse3'
  | 'pclmulqdq'
  | 'monitor'
  | 'ssse3'
  | 'cx16'
  | 'sse4.1'
  | 'sse4.2'
  | 'movbe'
  | 'popcnt'
  | 'tsc-deadline'
  | 'aes'
  | 'xsave'
  | 'xsaveopt'
  | 'xgetbv1'
  | 'rdrand'
  | 'hypervisor'
  | 'syscall'
  | 'nx'
  | 'rdtscp'
  | 'lm'
  | 'lahf'
  | 'lzcnt'
  | '3dnowprefetch'
  | 'fsgsbase'
  | 'bmi1'
  | 'bmi2'
  | 'smep'
  | 'smap'
  | 'umip'
  | 'erms';

/** EAX, EBX, ECX, EDX, unsigned. */
export type CpuidResult = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** What CPUID answers depend on besides leaf and subleaf. */
export interface CpuidState {
  /** CR4.OSXSAVE: shown in leaf 1 ECX bit 27. */
  readonly osxsave: boolean;
  /** IA32_APIC_BASE.EN: the APIC feature bit disappears while it is clear. */
  readonly apicEnabled: boolean;
  /** XCR0: sizes the XSAVE area in leaf 0xd. */
  readonly xcr0: number;
}

/** A processor as a guest can tell it apart. */
export interface CpuModel {
  /** Name with version, as the trace header and `--cpu` carry it. */
  readonly name: string;
  readonly vendor: 'AuthenticAMD' | 'GenuineIntel';
  /** Leaf 1 EAX: family, model and stepping; also EDX after reset. */
  readonly signature: number;
  /** Guest physical address width in bits. */
  readonly physicalBits: number;
  /** Value of IA32_BIOS_SIGN_ID (microcode revision). */
  readonly microcode: bigint;
  /** XCR0 bits that may be set; 0 without XSAVE. */
  readonly xcr0Mask: number;
  readonly features: ReadonlySet<Feature>;
  has(feature: Feature): boolean;
  /** CPUID for `leaf` (EAX) and `subleaf` (ECX). Leaves past the last one answer as the last basic leaf does. */
  cpuid(leaf: number, subleaf: number, state: CpuidState): CpuidResult;
}

type Register = 'ecx1' | 'edx1' | 'ebx7' | 'ecx7' | 'eaxD1' | 'ecx80000001' | 'edx80000001';

// Where each feature shows. Features that AMD repeats in 8000_0001 EDX are listed in `AMD_ALIASES`.
// biome-ignore format: one row a register
const FEATURE_BITS: Readonly<Record<Register, Partial<Record<Feature, number>>>> = {
  edx1: { fpu: 0, vme: 1, de: 2, pse: 3, tsc: 4, msr: 5, pae: 6, mce: 7, cx8: 8, apic: 9, sep: 11, mtrr: 12, pge: 13,
    mca: 14, cmov: 15, pat: 16, pse36: 17, clflush: 19, mmx: 23, fxsr: 24, sse: 25, sse2: 26 },
  ecx1: { sse3: 0, pclmulqdq: 1, monitor: 3, ssse3: 9, cx16: 13, 'sse4.1': 19, 'sse4.2': 20, movbe: 22, popcnt: 23,
    'tsc-deadline': 24, aes: 25, xsave: 26, rdrand: 30, hypervisor: 31 },
  ebx7: { fsgsbase: 0, bmi1: 3, smep: 7, bmi2: 8, erms: 9, smap: 20 },
  ecx7: { umip: 2 },
  eaxD1: { xsaveopt: 0, xgetbv1: 2 },
  ecx80000001: { lahf: 0, lzcnt: 5, '3dnowprefetch': 8 },
  edx80000001: { syscall: 11, nx: 20, rdtscp: 27, lm: 29 },
};

const REGISTER_NAMES: Readonly<Record<Register, string>> = {
  edx1: '01H:EDX',
  ecx1: '01H:ECX',
  ebx7: '07H:EBX',
  ecx7: '07H:ECX',
  eaxD1: '0DH.1:EAX',
  ecx80000001: '80000001H:ECX',
  edx80000001: '80000001H:EDX',
};

/** Where CPUID shows a feature, in the manual's notation: `CPUID.01H:EDX[25]`. Undefined when no bit does. */
export function featureBit(feature: Feature): string | undefined {
  for (const [register, bits] of Object.entries(FEATURE_BITS)) {
    const bit = bits[feature];
    if (bit !== undefined) return `CPUID.${REGISTER_NAMES[register as Register]}[${bit}]`;
  }
  return undefined;
}

/** Bits of leaf 1 EDX that AMD's 8000_0001 EDX repeats (SEP, CLFLUSH, SSE and SSE2 excluded: other bits mean other things there). */
const AMD_ALIASES = 0x0183_f3ff;

/** The body of a model: its leaves without the feature bits, which come from `features`. */
interface ModelRow {
  readonly name: string;
  readonly vendor: CpuModel['vendor'];
  readonly signature: number;
  readonly maxBasic: number;
  readonly maxExtended: number;
  readonly brand: string;
  readonly features: readonly Feature[];
  /** Fixed leaves, key `leaf` or `leaf.subleaf` in hex. A key without subleaf answers every subleaf. */
  readonly leaves: Readonly<Record<string, CpuidResult>>;
}

const LINEAR_BITS = 48;
const PHYSICAL_BITS = 40;
const NOTHING: CpuidResult = [0, 0, 0, 0];

function bitsOf(register: Register, features: ReadonlySet<Feature>): number {
  let bits = 0;
  for (const [feature, bit] of Object.entries(FEATURE_BITS[register])) {
    if (features.has(feature as Feature)) bits |= 1 << bit;
  }
  return bits >>> 0;
}

function word(text: string, at: number): number {
  let value = 0;
  for (let i = 3; i >= 0; i--) value = (value << 8) | (at + i < text.length ? text.charCodeAt(at + i) : 0);
  return value >>> 0;
}

/** Build a model from its row; the result is immutable. */
function defineModel(row: ModelRow): CpuModel {
  const features: ReadonlySet<Feature> = new Set(row.features);
  const xcr0Mask = features.has('xsave') ? 3 : 0;
  const edx1 = bitsOf('edx1', features);
  const aliases = row.vendor === 'AuthenticAMD' ? edx1 & AMD_ALIASES : 0;
  const vendorWords: CpuidResult = [0, word(row.vendor, 0), word(row.vendor, 8), word(row.vendor, 4)];

  const cpuid = (requested: number, subleaf: number, state: CpuidState): CpuidResult => {
    let leaf = requested >>> 0;
    // QEMU limits each class on its own and answers everything beyond from the last basic leaf, as Intel does.
    if (leaf >= 0x8000_0000) {
      if (leaf > row.maxExtended) leaf = row.maxBasic;
    } else if (leaf >= 0x4000_0000) {
      if (leaf > 0x4000_0001) leaf = row.maxBasic;
    } else if (leaf > row.maxBasic) leaf = row.maxBasic;

    const fixed = row.leaves[leaf.toString(16)] ?? row.leaves[`${leaf.toString(16)}.${subleaf.toString(16)}`];
    if (fixed !== undefined) return fixed;
    switch (leaf) {
      case 0:
        return [row.maxBasic, vendorWords[1], vendorWords[2], vendorWords[3]];
      case 1: {
        const ecx = (bitsOf('ecx1', features) | (state.osxsave ? 1 << 27 : 0)) >>> 0;
        const edx = state.apicEnabled ? edx1 : edx1 & ~(1 << 9);
        return [row.signature, 0x0000_0800, ecx, edx >>> 0]; // CLFLUSH line 8 * 8 bytes, APIC id 0
      }
      case 5:
        return [0, 0, 3, 0]; // MONITOR leaf: QEMU shows its extensions even without the feature
      case 7:
        return subleaf === 0 ? [0, bitsOf('ebx7', features), bitsOf('ecx7', features), 0] : NOTHING;
      case 0xb: // extended topology: one thread, one core
        if (subleaf === 0) return [0, 1, 0x100, 0];
        if (subleaf === 1) return [0, 1, 0x201, 0];
        return [0, 0, subleaf & 0xff, 0];
      case 0xd: {
        if (!features.has('xsave')) return NOTHING;
        const size = 0x240; // legacy region and header; x87 and SSE add nothing behind it
        if (subleaf === 0) return [xcr0Mask, size, size, 0];
        return subleaf === 1 ? [bitsOf('eaxD1', features), size, 0, 0] : NOTHING;
      }
      case 0x4000_0000:
        return [0x4000_0001, word('TCGTCGTCGTCG', 0), word('TCGTCGTCGTCG', 4), word('TCGTCGTCGTCG', 8)];
      case 0x8000_0000:
        return [row.maxExtended, vendorWords[1], vendorWords[2], vendorWords[3]];
      case 0x8000_0001: {
        const edx = (bitsOf('edx80000001', features) | (state.apicEnabled ? aliases : aliases & ~(1 << 9))) >>> 0;
        return [row.signature, 0, bitsOf('ecx80000001', features), edx];
      }
      case 0x8000_0002:
      case 0x8000_0003:
      case 0x8000_0004: {
        const at = (leaf - 0x8000_0002) * 16;
        return [word(row.brand, at), word(row.brand, at + 4), word(row.brand, at + 8), word(row.brand, at + 12)];
      }
      case 0x8000_0005: // L1 caches and TLBs in AMD's form, the same for both vendors
        return [0x01ff_01ff, 0x01ff_01ff, 0x4002_0140, 0x4002_0140];
      case 0x8000_0006:
        return [0, 0x4200_4200, 0x0200_8140, 0x0080_8140];
      case 0x8000_0008:
        return [features.has('lm') ? (LINEAR_BITS << 8) | PHYSICAL_BITS : 0x20, 0, 0, 0];
      default:
        return NOTHING;
    }
  };

  return Object.freeze({
    name: row.name,
    vendor: row.vendor,
    signature: row.signature,
    physicalBits: PHYSICAL_BITS,
    microcode: row.vendor === 'AuthenticAMD' ? 0x0100_0065n : 0x1_0000_0000n,
    xcr0Mask,
    features,
    has: (feature: Feature) => features.has(feature),
    cpuid,
  });
}

/** What every 64-bit model here has. VME is implemented but hidden, as QEMU's TCG hides it. */
// biome-ignore format: reads like a flags line
const BASE_FEATURES: readonly Feature[] = [
  'fpu', 'de', 'pse', 'tsc', 'msr', 'pae', 'mce', 'cx8', 'apic', 'sep', 'mtrr', 'pge', 'mca', 'cmov', 'pat', 'pse36',
  'clflush', 'mmx', 'fxsr', 'sse', 'sse2', 'sse3', 'cx16', 'hypervisor', 'syscall', 'nx', 'lm', 'lahf',
];

/** The baseline: QEMU's default CPU for `-M pc`, without SVM. */
export const QEMU64_V1: CpuModel = defineModel({
  name: 'qemu64-v1',
  vendor: 'AuthenticAMD',
  signature: 0x0006_0fb1, // family 15, model 107, stepping 1
  maxBasic: 0xd,
  maxExtended: 0x8000_000a,
  brand: 'QEMU Virtual CPU version 2.5+',
  features: BASE_FEATURES,
  leaves: {},
});

/** The x86-64-v2 level: QEMU's Nehalem-v1 with the features of ours that came later; TSC-deadline is ours alone (TCG has none). */
export const X86_64_V2: CpuModel = defineModel({
  name: 'x86-64-v2',
  vendor: 'GenuineIntel',
  signature: 0x0001_06a3, // family 6, model 26, stepping 3
  maxBasic: 0xd,
  maxExtended: 0x8000_0008,
  brand: 'Intel Core i7 9xx (Nehalem Class Core i7)',
  // biome-ignore format: reads like a flags line
  features: [
    ...BASE_FEATURES, 'ssse3', 'sse4.1', 'sse4.2', 'popcnt', 'tsc-deadline', 'xsave', 'xsaveopt', 'xgetbv1',
    'fsgsbase', 'smep', 'smap', 'umip', 'erms', 'rdtscp',
  ],
  leaves: {
    '2': [1, 0, 0x4d, 0x002c_307d],
    '4.0': [0x121, 0x01c0_003f, 0x3f, 1],
    '4.1': [0x122, 0x01c0_003f, 0x3f, 1],
    '4.2': [0x143, 0x03c0_003f, 0xfff, 1],
    '4.3': [0x163, 0x03c0_003f, 0x3fff, 6],
  },
});

/** All models, baseline first. */
export const CPU_MODELS: readonly CpuModel[] = [QEMU64_V1, X86_64_V2];

/** The model of that name, or undefined. */
export function findCpuModel(name: string): CpuModel | undefined {
  return CPU_MODELS.find((model) => model.name === name);
}
