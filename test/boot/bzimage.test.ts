import test from 'ava';
import { ImageError } from '../../src/boot/boot-error.js';
import { parseLinuxImage, unpackKernel } from '../../src/boot/bzimage.js';
import { bzImage } from './guest-builder.js';
import { sample } from './unpack/sample.js';
import { VECTORS } from './unpack/vectors.js';

const packed = new Uint8Array(Buffer.from(VECTORS.lz4, 'base64'));

function changed(offset: number, value: number, size: 1 | 2 | 4 = 4): Uint8Array {
  const file = bzImage({ payload: packed });
  const view = new DataView(file.buffer);
  if (size === 1) view.setUint8(offset, value);
  else if (size === 2) view.setUint16(offset, value, true);
  else view.setUint32(offset, value, true);
  return file;
}

test('the setup header is read as boot.rst lays it out', (t) => {
  const image = parseLinuxImage('k', bzImage({ payload: packed }));
  t.like(image, {
    version: 0x20f,
    setupSize: 2560,
    code32Start: 0x10_0000,
    initrdAddressMax: 0x7fff_ffff,
    cmdlineSize: 2047,
    relocatable: true,
    kernelAlignment: 0x20_0000,
    preferredAddress: 0x100_0000,
    initSize: 0x20_0000,
    payloadOffset: 1024,
    payloadLength: packed.length,
    xloadFlags: 0x7f,
    kernelVersion: '9.9.9-test',
  });
  t.is(image.header.length, 0x202 + 0x6a - 0x1f1);
  t.is(image.kernel.length, 1024 + packed.length);
});

test('the payload unpacks to the kernel', (t) => {
  t.deepEqual(unpackKernel(parseLinuxImage('k', bzImage({ payload: packed }))), sample());
});

test('a kernel that unpacks to more than its init_size is refused', (t) => {
  const image = parseLinuxImage('k', bzImage({ payload: packed, initSize: 5999 }));
  t.throws(() => unpackKernel(image), {
    instanceOf: ImageError,
    message:
      /^k: the lz4 payload at offset 0xe00 cannot be unpacked: it claims to unpack to 6000 bytes, of 5999 possible;/,
  });
});

const lies: [string, Uint8Array, RegExp][] = [
  ['a setup part longer than the file', changed(0x1f1, 255, 1), /setup code claims 131072 bytes \(offset 0x1f1\)/],
  ['a kernel longer than the file', changed(0x1f4, 0x100_0000), /kernel claims 268435456 bytes \(offset 0x1f4\)/],
  ['a kernel of no bytes', changed(0x1f4, 0), /kernel claims 0 bytes/],
  [
    'a setup size that is too small',
    changed(0x1f1, 3, 1),
    /no compressed kernel at offset 0xc00, where the setup size/,
  ],
  ['a payload past the end', changed(0x24c, 0xffff_ffff), /payload claims 4294967295 bytes at 0x400 \(offset 0x248\)/],
  ['a header that never ends', changed(0x201, 0xff, 1), /jump over the setup header at offset 0x200 leads backwards/],
  ['a header that ends too early', changed(0x201, 0x10, 1), /setup header ends at 0x212/],
  ['an alignment that is no power of two', changed(0x230, 0x30_0000), /alignment at offset 0x230 is 0x300000/],
  ['a protocol before 2.02', changed(0x206, 0x201, 2), /version at offset 0x206 is 0x201/],
  ['a zImage', changed(0x211, 0, 1), /zImage/],
  ['no header magic', changed(0x202, 0), /no Linux setup header at offset 0x202/],
  ['a file of 600 bytes', bzImage().slice(0, 600), /setup code claims 2560 bytes/],
  ['a file of 10 bytes', bzImage().slice(0, 10), /setup header at offset 0x1fe .* truncated/],
];
for (const [lie, file, message] of lies) {
  test(`${lie} is refused in one sentence`, (t) => {
    t.throws(() => parseLinuxImage('vmlinuz', file), { instanceOf: ImageError, message });
  });
}
