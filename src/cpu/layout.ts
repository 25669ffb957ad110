// Where everything lives in the one WebAssembly.Memory.
//
// The first 64 KiB are the processor's architectural state at constant addresses, so that wasm code and
// TypeScript reach the same bytes without any copying. Behind it follow the software TLBs, the map of guest
// physical pages, decoded code, and guest RAM and ROM. Every multi-byte field is little-endian and naturally
// aligned. All of the state block is plain data: saving it and loading it back restores the processor.

/** General registers: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8…R15; u64 each, at `REGS + 8 * n`. */
export const REGS = 0x100;
/** Byte offsets from REGS of the pseudo registers that address forms may name (they fit a u8). */
export const ZERO_OFFSET = 128;
/** Pseudo register: the IP that the first byte of the current code page has; the base of RIP-relative forms. */
export const PAGE_IP_OFFSET = 136;
export const PAGE_IP = REGS + PAGE_IP_OFFSET;

/** u64: instruction pointer; current only while no translated code runs, and during calls into TypeScript that end a block. */
export const RIP = 0x1a0;
/** i64: last arithmetic result, sign-extended from its width: ZF = (result == 0), SF and PF come from it too (see semantics/flags.ts). */
export const FLAG_RESULT = 0x1a8;
/** u32: bit 31 CF, bit 30 CF^OF ("partial overflow"), bit 3 AF, bits 8–15 xored into the low result byte for PF, bit 0 xored into the sign for SF. */
export const FLAG_AUX = 0x1b0;
/** u32: EFLAGS without CF PF AF ZF SF OF: those six bits are always 0 here; bit 1 is always 1. */
export const EFLAGS = 0x1b4;
/** u32: current privilege level, 0…3. */
export const CPL = 0x1b8;
/** u32: mode bits, MODE_* in state.ts. Derived by modeChanged(). */
export const MODE = 0x1bc;

/** i32: cycles that may still be charged before the next event; cycle = DEADLINE − BUDGET. */
export const BUDGET = 0x1c0;
/** u32: nonzero asks the run loop to return at the next block boundary. */
export const EXIT_REQUEST = 0x1c4;
/** f64: the cycle at which BUDGET reaches 0. */
export const DEADLINE = 0x1c8;
/** u32: 0 none; else the reason that the running instruction must be abandoned, ABORT_* below. */
export const ABORT = 0x1d0;
/** u32: address of the micro-op record that aborted or that ended the run. */
export const ABORT_UOP = 0x1d4;
/** u32: 1 while instructions are executed one at a time (device access and link-following are only allowed then). */
export const STEPPING = 0x1d8;
/** u32: level of the INTR line. */
export const INTR = 0x1dc;
/** u32: 1 while an interrupt shadow (STI, MOV SS, POP SS) covers the next instruction; 2 = MOV SS kind (also inhibits debug traps). */
export const SHADOW = 0x1e0;
/** u32: 1 in HLT, 2 while the machine is suspended (only a reset ends that). */
export const HALTED = 0x1e4;
/** u64: instructions retired so far (a REP iteration counts as one). */
export const INSTRUCTIONS = 0x1e8;
/** u32: latched NMI; u32: NMI blocked until IRET. */
export const NMI_PENDING = 0x1f0;
export const NMI_BLOCKED = 0x1f4;
/** u32 address of the block link field that a code miss should fill, 0 = none. */
export const LINK_PATCH = 0x1f8;
/** u32 why wasm returned: EXIT_* in interp/exits.ts. */
export const EXIT_REASON = 0x1fc;

/** Segment registers ES CS SS DS FS GS LDTR TR: 32 bytes each, at `SEGMENTS + 32 * n`. */
export const SEGMENTS = 0x200;
export const SEGMENT_SIZE = 32;
export const ES = 0,
  CS = 1,
  SS = 2,
  DS = 3,
  FS = 4,
  GS = 5,
  LDTR = 6,
  TR = 7;
/** u32 selector. */
export const SEG_SELECTOR = 0;
/** u32 attributes as bits 8…23 of a descriptor's high word shifted down (type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15); bit 16 = unusable (null). */
export const SEG_ATTRIBUTES = 4;
/** u32 effective limit in bytes (granularity applied). */
export const SEG_LIMIT = 8;
/** u32 lowest and highest valid offset (expand-down applied) and access bits (1 readable, 2 writable) that the segmented address path checks; derived by loadSegmentCache(). */
export const SEG_MIN = 12;
export const SEG_BASE = 16; // u64
export const SEG_MAX = 24;
export const SEG_ACCESS = 28;

export const GDTR_BASE = 0x300; // u64
export const GDTR_LIMIT = 0x308; // u32
export const IDTR_LIMIT = 0x30c; // u32
export const IDTR_BASE = 0x310; // u64
export const CR0 = 0x318; // u32
export const CR4 = 0x31c; // u32
export const CR2 = 0x320; // u64
export const CR3 = 0x328; // u64
export const EFER = 0x330; // u32
export const XCR0 = 0x334; // u32
/** u32 SMM_* in state.ts. */
export const SMM = 0x338;
/** u32: latched SMI. */
export const SMI_PENDING = 0x33c;
/** DR0…DR3, (4, 5 are not registers), DR6, DR7; u64 each. */
export const DR = 0x340;
/** u32 DR6 bits of data breakpoints that an SS load hit: they wait for the end of the next instruction. */
export const DEBUG_HELD = 0x360;
/** u32 SMBASE, as what it differs by from its value after reset (system/smm.ts): 0 wherever nobody moved it. */
export const SMBASE = 0x364;
/** u32: SMIs delivered since reset. */
export const SMI_COUNT = 0x368;

/** Model-specific registers that are plain storage: u64 each. */
export const MSR_STAR = 0x380;
export const MSR_LSTAR = 0x388;
export const MSR_CSTAR = 0x390;
export const MSR_SFMASK = 0x398;
export const MSR_KERNEL_GS_BASE = 0x3a0;
export const MSR_SYSENTER_CS = 0x3a8;
export const MSR_SYSENTER_ESP = 0x3b0;
export const MSR_SYSENTER_EIP = 0x3b8;
export const MSR_PAT = 0x3c0;
export const MSR_TSC_AUX = 0x3c8;
/** i64 added to the clock's ticks to give the TSC. */
export const TSC_OFFSET = 0x3d0;
export const MSR_MISC_ENABLE = 0x3d8;
export const MSR_MTRR_DEF_TYPE = 0x3e0;
/** MTRRphysBase0, MTRRphysMask0, … 8 pairs of u64; then 11 fixed ranges of u64. */
export const MSR_MTRR_VARIABLE = 0x400;
export const MSR_MTRR_FIXED = 0x480;
/** MCG_STATUS, MCG_CTL, then MC0…MC9 CTL/STATUS/ADDR/MISC; u64 each. */
export const MSR_MCG_STATUS = 0x4d8;
export const MSR_MCG_CTL = 0x4e0;
export const MSR_MCG_CAP = 0x4e8;
export const MSR_MC = 0x4f0; // 10 banks * 32 bytes, to 0x630
export const MSR_DEBUGCTL = 0x630;
export const MSR_XSS = 0x638;
/** Further plain MSRs (msr.ts gives each slot its name), to 0x780. */
export const MSR_EXTRA = 0x640;

/** The four PDPTEs of PAE paging, loaded when CR3 is written (SDM vol. 3A, 4.4.1); u64 each. */
export const PDPTES = 0x7d0;

// Derived, for the fast paths.
/** i64 AND mask of effective addresses in the current mode: all ones in 64-bit mode, else 0xffffffff. */
export const ADDRESS_MASK = 0x780;
/** i64 mask of the stack pointer (by SS.B and mode): 0xffff, 0xffffffff or all ones. */
export const STACK_MASK = 0x788;
/** u32: 1 when stack accesses need a limit or rights check or a base (SS is not flat). */
export const STACK_CHECKED = 0x790;
/** u32 address of the data TLB for the current privilege: user, supervisor, or supervisor with SMAP lifted. */
export const DATA_TLB = 0x794;
/** u32 below 0xffe: which decoding of a page is valid now (mode, flatness, CS base and limit where not flat) and, in bit 0, CPL = 3. */
export const CODE_KEY = 0x79c;
/** i64 AND mask of linear addresses: 0xffffffff outside long mode, all ones in 64-bit mode. */
export const LINEAR_MASK = 0x7a0;
/** i64 AND mask of the instruction pointer: 0xffff, 0xffffffff or all ones; EIP width of the current code segment. */
export const IP_MASK = 0x7a8;
/** u32 why a slow memory access faulted, for the abort path: vector, error code, and (u64) CR2. */
export const FAULT_VECTOR = 0x7b0;
export const FAULT_ERROR = 0x7b4;
export const FAULT_ADDRESS = 0x7b8;
/** f64: the cycle of the boundary that the interrupt shadow covers; SHADOW means nothing at any other cycle. */
export const SHADOW_CYCLE = 0x7c0;
/** u64: INSTRUCTIONS + 1 when a REP string instruction last stopped between two iterations; means nothing at another count. */
export const REPEATED_AT = 0x7c8;

/** x87: physical registers R0…R7, 16 bytes each: 64-bit significand at +0, sign and exponent (u16) at +8. ST(i) is R[(TOP + i) & 7]. */
export const FPU_REGS = 0x800;
/** u32 control word. */
export const FPU_CONTROL = 0x880;
/** u32 status word without TOP (bits 11–13 are 0 here). */
export const FPU_STATUS = 0x884;
/** u32 TOP, 0…7. */
export const FPU_TOP = 0x888;
/** u32 bit i = 1: physical register Ri is not empty (the abridged tag of FXSAVE). */
export const FPU_TAGS = 0x88c;
export const FPU_OPCODE = 0x890; // u32, 11 bits
export const FPU_CS = 0x894; // u32
export const FPU_IP = 0x898; // u64
export const FPU_DP = 0x8a0; // u64
export const FPU_DS = 0x8a8; // u32
export const MXCSR = 0x8ac; // u32

/** XMM0…XMM15, 16 bytes each. */
export const XMM = 0x900;
/** Scratch: 64 bytes for values that pass between wasm and TypeScript and are wider than 64 bits. */
export const SCRATCH = 0xa00;
/** Eight micro-op records for executing one instruction at a time. */
export const STEP_UOPS = 0xa80;
/** A micro-op record that has the block at RIP found: what a run begins with. */
export const START_UOP = 0xb00;
/** f64: nanoseconds of a cycle, which are ticks of the TSC. */
export const NS_PER_CYCLE = 0xb10;
/** u32: 1 when ring 3 has been reached (a milestone). */
export const USER_REACHED = 0xb18;
/** End of the architectural state that is saved and hashed. Fields past SCRATCH are working storage. */
export const STATE_END = 0x1000;
/** u32: blocks that became hot since somebody looked; then one entry for each: u32 header, u32 CODE_KEY, u64 PAGE_IP. */
export const HOT_COUNT = 0x1000;
export const HOT_LIST = 0x1010;
export const HOT_ENTRY_SIZE = 16;
export const HOT_LIMIT = 1024;

/** Data TLBs: user, supervisor, supervisor with user pages allowed, and one that is never filled (every access is checked in TypeScript); 32-byte entries. */
export const TLB_ENTRIES = 2048;
export const TLB_ENTRY_SIZE = 32;
/** u64 linear page that may be read / written through the entry; a value that is not page-aligned never matches. */
export const TLB_READ = 0;
export const TLB_WRITE = 8;
/** u32 added (mod 2^32) to the low half of the linear address to give the address in linear memory. */
export const TLB_ADDEND = 16;
/** u32 guest physical page number; u32 flags: 1 = global, 2 = its walk read tables whose reads are counted (observed.ts). */
export const TLB_PAGE = 20;
export const TLB_FLAGS = 24;
export const TLB_GLOBAL = 1;
export const TLB_COUNTED = 2;
/** u32 address of the page's record (TRACK_*), for a partial page: a tag with this bit, which no page has. */
export const TLB_TRACK = 28;
export const TLB_PARTIAL = 2;
export const DATA_TLB_USER = 0x1_0000;
export const DATA_TLB_SIZE = TLB_ENTRIES * TLB_ENTRY_SIZE;
export const DATA_TLB_SUPERVISOR = DATA_TLB_USER + DATA_TLB_SIZE;
export const DATA_TLB_OPEN = DATA_TLB_SUPERVISOR + DATA_TLB_SIZE;
export const DATA_TLB_NONE = DATA_TLB_OPEN + DATA_TLB_SIZE;

/** Code TLB, 32-byte entries: u64 linear page | CODE_KEY, u32 address of the page's offset map, u32 physical page, u32 flags (1 = global). */
export const CODE_TLB_ENTRIES = 1024;
export const CODE_TLB_ENTRY_SIZE = 32;
export const CTLB_TAG = 0;
export const CTLB_MAP = 8;
export const CTLB_PAGE = 12;
export const CTLB_FLAGS = 16;
export const CODE_TLB = DATA_TLB_NONE + DATA_TLB_SIZE;
export const TLBS_END = CODE_TLB + CODE_TLB_ENTRIES * CODE_TLB_ENTRY_SIZE;

/**
 * What Mmu and the emitted walk (interp/page-walk.ts) both keep of the TLBs. u32: how many entries are in TLB_LOCAL; the
 * AND mask of physical addresses (A20); for each of the three data TLBs whether it may hold entries.
 */
export const TLB_LOCAL_COUNT = TLBS_END;
export const A20_MASK = TLBS_END + 4;
export const TLB_FILLED = TLBS_END + 8;
/** u64 each, by the region's low bits: a 2-MiB region (linear address / 2 MiB, bit 63 set) that Mmu has noted, 0 = none. */
export const TLB_LARGE = TLBS_END + 64;
export const TLB_LARGE_COUNT = 1024;
/** u32 each: index (address / 4) of a TLB entry that is not global. More than there are: duplicates are taken out then. */
export const TLB_LOCAL = TLB_LARGE + 8 * TLB_LARGE_COUNT;
export const TLB_LOCAL_LIMIT = 4 * (3 * TLB_ENTRIES + CODE_TLB_ENTRIES);

/**
 * u16 each, by the address of an instruction's record / UOP_SIZE, modulo SITES: tracked reads of it that tier 0 made, as far
 * as they can be counted. Instructions may share one: what follows from it is speed alone.
 */
export const SITE_READS = TLB_LOCAL + 4 * TLB_LOCAL_LIMIT;
export const SITES = 0x1_0000;

/** Offset maps of decoded code pages: 4096 u32 addresses of blocks (0 = none), one for each page and code key. */
export const MAPS = 0x10_0000;
export const MAP_SIZE = 4096 * 4;
export const MAP_COUNT = 4096;
/**
 * Decoded code, allocated upwards in blocks; when full, all of it is dropped. A block is a 16-byte header (HEADER_*),
 * then one 16-byte micro-op record for each instruction (UOP_*).
 */
export const UOPS = MAPS + MAP_SIZE * MAP_COUNT;
export const UOPS_SIZE = 0x300_0000;
export const UOPS_END = UOPS + UOPS_SIZE;
/** Of each 4-KiB page below 4 GiB: u32 where it lies here, 0 = no memory; u32 address of its TRACK_ record, 0 = none; u8 PAGE_ flags (physical.ts). */
export const PAGE_HOSTS = UOPS_END;
export const PAGE_RECORDS = PAGE_HOSTS + 4 * 0x10_0000;
export const PAGE_FLAGS = PAGE_RECORDS + 4 * 0x10_0000;
/** Guest RAM, then ROM images, start here. */
export const GUEST = PAGE_FLAGS + 0x10_0000;

/**
 * What a processor with coverage notes (coverage/), at the end of UOPS, which then ends before it: a hash table of
 * edges (EDGE_*) and the addresses of those taken since begin(); a hash table of comparisons (COMPARED_*), the addresses
 * of those made, and how many there are by site. Without coverage none of it exists.
 */
export const EDGE_SLOTS = 1 << 17;
export const EDGE_SIZE = 24;
export const EDGE_FROM = 0; // u64
export const EDGE_TO = 8; // u64
export const EDGE_COUNT = 16; // u32
/** u32: 0 = free; else bits 3–31 say which edge, bit 0 is 1. */
export const EDGE_ID = 20;
export const EDGES_TAKEN_LIMIT = EDGE_SLOTS / 2;
export const COMPARED_SLOTS = 1 << 12;
export const COMPARED_SIZE = 32;
export const COMPARED_SITE = 0; // u64
export const COMPARED_LEFT = 8; // u64
export const COMPARED_RIGHT = 16; // u64
/** u32: 0 = free, else bytes of an operand. */
export const COMPARED_WIDTH = 24;
export const COMPARED_LIMIT = COMPARED_SLOTS / 2;
export const COMPARED_SITES = 1 << 12;
/** Comparisons that are noted for one site (sites with one hash share them). */
export const COMPARED_AT_SITE = 16;
export const COVERAGE = UOPS_END - 0x38_0000;
/** u32: edges taken; comparisons made; 1 while comparisons are noted. */
export const EDGES_TAKEN = COVERAGE;
export const COMPARED = COVERAGE + 4;
export const COMPARING = COVERAGE + 8;
export const EDGES = COVERAGE + 16;
export const EDGES_TAKEN_LIST = EDGES + EDGE_SLOTS * EDGE_SIZE;
export const COMPARISONS = EDGES_TAKEN_LIST + 4 * EDGES_TAKEN_LIMIT;
export const COMPARED_LIST = COMPARISONS + COMPARED_SLOTS * COMPARED_SIZE;
/** u8 each. */
export const COMPARED_BY_SITE = COMPARED_LIST + 4 * COMPARED_LIMIT;
export const COVERAGE_END = COMPARED_BY_SITE + COMPARED_SITES;

/**
 * What is known of a partial page (observed.ts): masks of its unknown and its observed bytes, u32 reads and writes so
 * far. The records lie at the end of the memory. TLB entries of partial pages have TLB_PARTIAL in their tags.
 */
export const TRACK_UNKNOWN = 0;
export const TRACK_OBSERVED = 512;
export const TRACK_READS = 1024;
export const TRACK_WRITES = 1028;
/** u32: 1 for a page that is partial by a copy: who reads an unknown byte of it observes another page's. */
export const TRACK_COPIED = 1032;
/**
 * Of a copied page: u32 offset in another page of the byte that its first byte stands for; u32 addresses of the masks of
 * observed bytes of that page and of the one behind it, 0 = emitted code cannot reach it.
 */
export const TRACK_SHIFT = 1036;
export const TRACK_SEEN = 1040;
export const TRACK_SEEN_NEXT = 1044;
export const TRACK_SIZE = 1048;

/** Pages of 4 KiB that a shadowed ROM takes besides itself (shadow.ts). */
export const EXTRA_ROM_PAGES = 1;

/** Pages of 64 KiB that a memory for `ramSize` bytes of RAM and `romSize` of ROM needs. */
export function wasmPages(ramSize: number, romSize: number): number {
  const tracked = Math.ceil((ramSize + romSize) / 4096) * TRACK_SIZE;
  return Math.ceil((GUEST + ramSize + romSize + 0x2_0000 + tracked) / 65536);
}

/** Fields of a block's header: u32 cost in cycles, u16 instructions, u16 offset in the page of the first one. */
export const HEADER_COST = 0;
export const HEADER_COUNT = 4;
export const HEADER_OFFSET = 6;
/**
 * i32: positive, executions until the block is worth translating; 0, it stays with the interpreter; negative, it is
 * translated: bits 8–30 say the region's slot in the table of regions, bits 0–7 the block's number in it.
 */
export const HEADER_HEAT = 8;
/** u32: index (address / 4) of the map entry that leads to the block. */
export const HEADER_MAP = 12;

/** Fields of a micro-op record (16 bytes). */
export const UOP_SIZE = 16;
/** u16 handler number. */
export const UOP_HANDLER = 0;
/** u16: bits 0–11 offset of the instruction in its page, bits 12–15 its length. */
export const UOP_WHERE = 2;
/** u8 each: register operand, base or r/m register, index register: byte offsets from REGS (GPR), XMM or FPU_REGS (vector). */
export const UOP_REG = 4;
export const UOP_BASE = 5;
export const UOP_INDEX = 6;
/** u8: bits 0–1 scale, 2–4 segment, 5–6 address size (0: 16, 1: 32, 2: 64), 7 = the address needs the segmented path. */
export const UOP_ADDRESS = 7;
/** i32 displacement (or link to the taken block), i32 immediate (or the two together: 64 bits). */
export const UOP_DISP = 8;
export const UOP_IMM = 12;
