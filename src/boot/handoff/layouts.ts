// Fields of the structures that loaders hand over, as their specifications lay them out: Linux's zero-page.rst and
// boot.rst, Xen's start_info.h, Multiboot Specification 0.6.96, 3.3. Offsets are from the structure's beginning; what
// is longer than 8 bytes is shown as bytes. Reserved space is left out, tables of entries are read apart.

/** Offset, size in bytes, name. */
export type Field = readonly [offset: number, size: number, name: string];

// biome-ignore format: a table
export const HVM_START_INFO: readonly Field[] = [
  [0, 4, 'magic'], [4, 4, 'version'], [8, 4, 'flags'], [12, 4, 'nr_modules'], [16, 8, 'modlist_paddr'],
  [24, 8, 'cmdline_paddr'], [32, 8, 'rsdp_paddr'], [40, 8, 'memmap_paddr'], [48, 4, 'memmap_entries'],
  [52, 4, 'reserved'],
];

// biome-ignore format: a table
export const HVM_MODULE: readonly Field[] = [
  [0, 8, 'paddr'], [8, 8, 'size'], [16, 8, 'cmdline_paddr'], [24, 8, 'reserved'],
];

/** boot_params without the setup header and the e820 table. */
// biome-ignore format: a table
export const BOOT_PARAMS: readonly Field[] = [
  [0x000, 1, 'orig_x'], [0x001, 1, 'orig_y'], [0x002, 2, 'ext_mem_k'], [0x004, 2, 'orig_video_page'],
  [0x006, 1, 'orig_video_mode'], [0x007, 1, 'orig_video_cols'], [0x00a, 2, 'orig_video_ega_bx'],
  [0x00e, 1, 'orig_video_lines'], [0x00f, 1, 'orig_video_isVGA'], [0x010, 2, 'orig_video_points'],
  [0x012, 2, 'lfb_width'], [0x014, 2, 'lfb_height'], [0x016, 2, 'lfb_depth'], [0x018, 4, 'lfb_base'],
  [0x01c, 4, 'lfb_size'], [0x020, 2, 'cl_magic'], [0x022, 2, 'cl_offset'], [0x024, 2, 'lfb_linelength'],
  [0x026, 8, 'color_masks'], [0x02e, 2, 'vesapm_seg'], [0x030, 2, 'vesapm_off'], [0x032, 2, 'pages'],
  [0x034, 2, 'vesa_attributes'], [0x036, 4, 'capabilities'], [0x03a, 4, 'ext_lfb_base'],
  [0x040, 20, 'apm_bios_info'], [0x058, 8, 'tboot_addr'], [0x060, 16, 'ist_info'], [0x070, 8, 'acpi_rsdp_addr'],
  [0x080, 16, 'hd0_info'], [0x090, 16, 'hd1_info'], [0x0a0, 16, 'sys_desc_table'], [0x0b0, 16, 'olpc_ofw_header'],
  [0x0c0, 4, 'ext_ramdisk_image'], [0x0c4, 4, 'ext_ramdisk_size'], [0x0c8, 4, 'ext_cmd_line_ptr'],
  [0x13c, 4, 'cc_blob_address'], [0x140, 128, 'edid_info'], [0x1c0, 32, 'efi_info'], [0x1e0, 4, 'alt_mem_k'],
  [0x1e4, 4, 'scratch'], [0x1e8, 1, 'e820_entries'], [0x1e9, 1, 'eddbuf_entries'],
  [0x1ea, 1, 'edd_mbr_sig_buf_entries'], [0x1eb, 1, 'kbd_status'], [0x1ec, 1, 'secure_boot'], [0x1ef, 1, 'sentinel'],
  [0x290, 64, 'edd_mbr_sig_buffer'],
];

/** Where the setup header begins in boot_params, and in the setup code. */
export const SETUP_HEADER_OFFSET = 0x1f1;

/** The setup header; offsets are from the beginning of boot_params, as boot.rst counts them. */
// biome-ignore format: a table
export const SETUP_HEADER: readonly Field[] = [
  [0x1f1, 1, 'setup_sects'], [0x1f2, 2, 'root_flags'], [0x1f4, 4, 'syssize'], [0x1f8, 2, 'ram_size'],
  [0x1fa, 2, 'vid_mode'], [0x1fc, 2, 'root_dev'], [0x1fe, 2, 'boot_flag'], [0x200, 2, 'jump'], [0x202, 4, 'header'],
  [0x206, 2, 'version'], [0x208, 4, 'realmode_swtch'], [0x20c, 2, 'start_sys_seg'], [0x20e, 2, 'kernel_version'],
  [0x210, 1, 'type_of_loader'], [0x211, 1, 'loadflags'], [0x212, 2, 'setup_move_size'], [0x214, 4, 'code32_start'],
  [0x218, 4, 'ramdisk_image'], [0x21c, 4, 'ramdisk_size'], [0x220, 4, 'bootsect_kludge'], [0x224, 2, 'heap_end_ptr'],
  [0x226, 1, 'ext_loader_ver'], [0x227, 1, 'ext_loader_type'], [0x228, 4, 'cmd_line_ptr'],
  [0x22c, 4, 'initrd_addr_max'], [0x230, 4, 'kernel_alignment'], [0x234, 1, 'relocatable_kernel'],
  [0x235, 1, 'min_alignment'], [0x236, 2, 'xloadflags'], [0x238, 4, 'cmdline_size'], [0x23c, 4, 'hardware_subarch'],
  [0x240, 8, 'hardware_subarch_data'], [0x248, 4, 'payload_offset'], [0x24c, 4, 'payload_length'],
  [0x250, 8, 'setup_data'], [0x258, 8, 'pref_address'], [0x260, 4, 'init_size'], [0x264, 4, 'handover_offset'],
  [0x268, 4, 'kernel_info_offset'],
];

// biome-ignore format: a table
export const MULTIBOOT_INFO: readonly Field[] = [
  [0, 4, 'flags'], [4, 4, 'mem_lower'], [8, 4, 'mem_upper'], [12, 4, 'boot_device'], [16, 4, 'cmdline'],
  [20, 4, 'mods_count'], [24, 4, 'mods_addr'], [28, 4, 'syms_num'], [32, 4, 'syms_size'], [36, 4, 'syms_addr'],
  [40, 4, 'syms_shndx'], [44, 4, 'mmap_length'], [48, 4, 'mmap_addr'], [52, 4, 'drives_length'], [56, 4, 'drives_addr'],
  [60, 4, 'config_table'], [64, 4, 'boot_loader_name'], [68, 4, 'apm_table'],
];

/** What follows where flags 11 and 12 are set; QEMU's structure ends before. */
// biome-ignore format: a table
export const MULTIBOOT_VIDEO: readonly Field[] = [
  [72, 4, 'vbe_control_info'], [76, 4, 'vbe_mode_info'], [80, 2, 'vbe_mode'], [82, 2, 'vbe_interface_seg'],
  [84, 2, 'vbe_interface_off'], [86, 2, 'vbe_interface_len'], [88, 8, 'framebuffer_addr'],
  [96, 4, 'framebuffer_pitch'], [100, 4, 'framebuffer_width'], [104, 4, 'framebuffer_height'],
  [108, 1, 'framebuffer_bpp'], [109, 1, 'framebuffer_type'], [110, 6, 'color_info'],
];

// biome-ignore format: a table
export const MULTIBOOT_MODULE: readonly Field[] = [
  [0, 4, 'mod_start'], [4, 4, 'mod_end'], [8, 4, 'string'], [12, 4, 'reserved'],
];

/** Multiboot2 tags by type: name and fields behind type and size; text and tables follow these. */
export const MULTIBOOT2_TAGS: Readonly<Record<number, { name: string; fields: readonly Field[]; text?: number }>> = {
  1: { name: 'command line', fields: [], text: 8 },
  2: { name: 'boot loader name', fields: [], text: 8 },
  3: {
    name: 'module',
    fields: [
      [8, 4, 'mod_start'],
      [12, 4, 'mod_end'],
    ],
    text: 16,
  },
  4: {
    name: 'basic memory',
    fields: [
      [8, 4, 'mem_lower'],
      [12, 4, 'mem_upper'],
    ],
  },
  5: {
    name: 'BIOS boot device',
    fields: [
      [8, 4, 'biosdev'],
      [12, 4, 'partition'],
      [16, 4, 'sub_partition'],
    ],
  },
  6: {
    name: 'memory map',
    fields: [
      [8, 4, 'entry_size'],
      [12, 4, 'entry_version'],
    ],
  },
  8: {
    name: 'framebuffer',
    fields: [
      [8, 8, 'framebuffer_addr'],
      [16, 4, 'framebuffer_pitch'],
      [20, 4, 'framebuffer_width'],
      [24, 4, 'framebuffer_height'],
      [28, 1, 'framebuffer_bpp'],
      [29, 1, 'framebuffer_type'],
    ],
  },
  9: {
    name: 'ELF sections',
    fields: [
      [8, 4, 'num'],
      [12, 4, 'entsize'],
      [16, 4, 'shndx'],
    ],
  },
  14: { name: 'ACPI old RSDP', fields: [[8, 20, 'rsdp']] },
  15: { name: 'ACPI new RSDP', fields: [[8, 36, 'rsdp']] },
  21: { name: 'image load base', fields: [[8, 4, 'load_base_addr']] },
};
