// What decompressors throw; the caller knows the file's name and makes an ImageError of it.

/** Compressed data that cannot be unpacked. `message` is a clause that fits after "the payload is damaged: ". */
export class DamagedData extends Error {
  override readonly name = 'DamagedData';
}
