/* Prints what the loader left, and powers off through the PIIX4's PM block as firmware sets it up. */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct hvm_start_info {
  u32 magic, version, flags, nr_modules;
  u64 modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
  u32 memmap_entries, reserved;
};

struct memmap_entry {
  u64 addr, size;
  u32 type, reserved;
};

static void outb(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static void outw(u16 port, u16 value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static u8 inb(u16 port) {
  u8 value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

static void put(char c) {
  while (!(inb(0x3fd) & 0x20)) {
  }
  outb(0x3f8, c);
}

static void print(const char *text) {
  while (*text) put(*text++);
}

static void print_hex(u64 value) {
  for (int shift = 60; shift >= 0; shift -= 4) put("0123456789abcdef"[(u32)(value >> shift) & 15]);
}

void kernel_main(const struct hvm_start_info *info) {
  const struct memmap_entry *map = (const struct memmap_entry *)(u32)info->memmap_paddr;
  print(info->magic == 0x336ec578 ? "PVH\n" : "no PVH\n");
  print("command line: ");
  print((const char *)(u32)info->cmdline_paddr);
  put('\n');
  for (u32 i = 0; i < info->memmap_entries; i++) {
    print_hex(map[i].addr);
    put(' ');
    print_hex(map[i].size);
    print(map[i].type == 1 ? " RAM\n" : " other\n");
  }
  outw(0x604, 0x2000);
}
