// The real guests that can be fetched, by the name people type: which package, which files of it, and under what
// name each is cached. A meta-package stands for the newest kernel; the package it depends on holds the file.

/** One file of a package. `pattern` matches the path inside the package; `as` is the name in the cache. */
export interface Wanted {
  pattern: RegExp;
  as: string;
}

export interface Guest {
  name: string;
  /** One line for people. */
  about: string;
  package: string;
  architecture: string;
  /** The package depends on the one that has the files; its name matches this. */
  through?: RegExp;
  files: Wanted[];
  /** Name in the cache of the initial file system made from this guest's busybox. */
  initramfs?: string;
}

const named = (directory: string, names: string): Wanted[] =>
  names.split(' ').map((name) => ({
    pattern: new RegExp(`^${directory}/${name.replaceAll('.', '\\.')}$`),
    as: name,
  }));

/** Modules of a kernel's tree, wherever in it they lie. */
const modules = (names: string): Wanted[] =>
  names.split(' ').map((name) => ({
    pattern: new RegExp(`^(usr/)?lib/modules/[^/]+/kernel/([^/]+/)+${name}\\.ko$`),
    as: `${name}.ko`,
  }));

export const GUESTS: readonly Guest[] = [
  {
    name: 'cloud',
    about: "Debian's kernel for virtual machines, 64-bit",
    package: 'linux-image-cloud-amd64',
    architecture: 'amd64',
    through: /^linux-image-.*-cloud-amd64$/,
    files: [{ pattern: /^boot\/vmlinuz-[^/]*$/, as: 'vmlinuz-cloud-amd64' }],
  },
  {
    name: 'amd64',
    about: "Debian's kernel for PCs, 64-bit",
    package: 'linux-image-amd64',
    architecture: 'amd64',
    through: /^linux-image-.*-amd64$/,
    files: [{ pattern: /^boot\/vmlinuz-[^/]*$/, as: 'vmlinuz-amd64' }],
  },
  {
    name: 'i386',
    about: "Debian's kernel for PCs, 32-bit",
    package: 'linux-image-686',
    architecture: 'i386',
    through: /^linux-image-.*-686$/,
    files: [{ pattern: /^boot\/vmlinuz-[^/]*$/, as: 'vmlinuz-686' }],
  },
  {
    name: 'modules',
    about: 'modules of the cloud kernel whose self-tests exercise a processor: cryptography, checksums, RAID',
    package: 'linux-image-cloud-amd64',
    architecture: 'amd64',
    through: /^linux-image-.*-cloud-amd64$/,
    files: modules(
      [
        'blake2b_generic blowfish-x86_64 blowfish_common blowfish_generic camellia-x86_64 camellia_generic cast5_generic',
        'cast6_generic cast_common ccm cfb chacha-x86_64 chacha_generic cmac crc32_generic crc32c-intel cryptd',
        'crypto_simd ctr cts curve25519-generic des3_ede-x86_64 des_generic ecb gcm gf128mul',
        'ghash-generic keywrap libchacha libcurve25519-generic libdes libpoly1305 lrw md4 nhpoly1305 nhpoly1305-sse2 ofb',
        'pcbc poly1305-x86_64 poly1305_generic raid6_pq rmd160 serpent-sse2-x86_64 serpent_generic sha1-ssse3',
        'sha256-ssse3 sha3_generic sha512-ssse3 sha512_generic streebog_generic tcrypt twofish-x86_64',
        'twofish-x86_64-3way twofish_common twofish_generic vmac wp512 xcbc xor xts xxhash_generic',
        // Behind the hashes that they are tested with.
        'drbg ecc ecdh_generic',
      ].join(' '),
    ),
  },
  {
    name: 'drivers',
    about: 'modules of the cloud kernel for what the machines have: IDE disk and CD, virtio disk, entropy, console',
    package: 'linux-image-cloud-amd64',
    architecture: 'amd64',
    through: /^linux-image-.*-cloud-amd64$/,
    files: modules(
      [
        'scsi_common scsi_mod libata ata_piix sd_mod cdrom sr_mod virtio_ring virtio virtio_blk virtio_pci_modern_dev',
        'virtio_pci_legacy_dev virtio_pci virtio_mmio virtio-rng virtio_console',
      ].join(' '),
    ),
  },
  {
    name: 'busybox',
    about: 'a static busybox and an initial file system made from it, 64-bit',
    package: 'busybox-static',
    architecture: 'amd64',
    files: [{ pattern: /^(usr\/)?bin\/busybox$/, as: 'busybox' }],
    initramfs: 'initrd-busybox.cpio',
  },
  {
    name: 'busybox-i386',
    about: 'the same, 32-bit',
    package: 'busybox-static',
    architecture: 'i386',
    files: [{ pattern: /^(usr\/)?bin\/busybox$/, as: 'busybox-i386' }],
    initramfs: 'initrd-busybox-i386.cpio',
  },
  {
    name: 'seabios',
    about: 'SeaBIOS and its VGA BIOSes',
    package: 'seabios',
    architecture: 'amd64',
    files: named('usr/share/seabios', 'bios.bin bios-256k.bin bios-microvm.bin vgabios-isavga.bin vgabios-stdvga.bin'),
  },
  {
    name: 'qemu-roms',
    about: "QEMU's option ROMs and qboot",
    package: 'qemu-system-data',
    architecture: 'amd64',
    files: named(
      'usr/share/qemu',
      'kvmvapic.bin linuxboot.bin linuxboot_dma.bin multiboot.bin multiboot_dma.bin pvh.bin qboot.rom',
    ),
  },
];

/** What `fetch` brings when no name is given. */
export const DEFAULT_GUESTS: readonly string[] = ['cloud', 'busybox', 'seabios', 'qemu-roms'];
