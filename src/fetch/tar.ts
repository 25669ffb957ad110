// A reader of tar streams that keeps only the members asked for: a kernel package unpacks to hundreds of
// megabytes of modules, of which one file is wanted. POSIX.1-1988 ustar headers and GNU long names ('L'), which
// is what dpkg-deb writes. Left out on purpose: pax headers, sparse files, links (no wanted image is one).

import { FetchError } from './fetch-error.js';

const BLOCK = 512;
/** No image is larger; a header that claims more is damage. */
const LIMIT = 256 * 1024 * 1024;

/** Feed the stream with `push`; wanted members arrive in `onMember`, in archive order. */
export class TarPicker {
  #header = new Uint8Array(BLOCK);
  #headerLength = 0;
  #body: Uint8Array | undefined;
  #bodyLength = 0;
  #remaining = 0;
  #padding = 0;
  #type = '';
  #name = '';
  #longName: string | undefined;

  /**
   * @param wants told a member's path without the leading `./`; true keeps it
   * @param onMember gets each kept regular file whole
   */
  constructor(
    private readonly wants: (path: string) => boolean,
    private readonly onMember: (path: string, data: Uint8Array) => void,
  ) {}

  /** Next bytes of the archive, cut anywhere. Throws FetchError on a damaged header. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#remaining > 0) {
        const taken = Math.min(this.#remaining, chunk.length - at);
        if (this.#body) this.#body.set(chunk.subarray(at, at + taken), this.#bodyLength);
        this.#bodyLength += taken;
        this.#remaining -= taken;
        at += taken;
        if (this.#remaining === 0) this.#finish();
      } else if (this.#padding > 0) {
        const taken = Math.min(this.#padding, chunk.length - at);
        this.#padding -= taken;
        at += taken;
      } else {
        const taken = Math.min(BLOCK - this.#headerLength, chunk.length - at);
        this.#header.set(chunk.subarray(at, at + taken), this.#headerLength);
        this.#headerLength += taken;
        at += taken;
        if (this.#headerLength === BLOCK) this.#begin();
      }
    }
  }

  #text(offset: number, length: number): string {
    const field = this.#header.subarray(offset, offset + length);
    const end = field.indexOf(0);
    return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
  }

  #begin(): void {
    this.#headerLength = 0;
    if (this.#header.every((byte) => byte === 0)) return; // end-of-archive blocks
    let sum = 0;
    for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : this.#header[i]!;
    if (sum !== Number.parseInt(this.#text(148, 8), 8)) {
      throw new FetchError('the package is damaged: a tar header has a wrong checksum; fetch it again');
    }
    const size = Number.parseInt(this.#text(124, 12).trim() || '0', 8);
    this.#type = String.fromCharCode(this.#header[156]!);
    const prefix = this.#text(257, 6) === 'ustar' ? this.#text(345, 155) : '';
    const name = this.#longName ?? (prefix ? `${prefix}/${this.#text(0, 100)}` : this.#text(0, 100));
    this.#name = name.replace(/^\.\//, '');
    const isLongName = this.#type === 'L';
    if (!isLongName) this.#longName = undefined;
    const isFile = this.#type === '0' || this.#type === '\0';
    const keep = isLongName || (isFile && this.wants(this.#name));
    if (!(size >= 0) || (keep && size > LIMIT)) {
      throw new FetchError(`the package is damaged: ${this.#name} claims ${size} bytes; fetch it again`);
    }
    this.#body = keep ? new Uint8Array(size) : undefined;
    this.#bodyLength = 0;
    this.#remaining = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (size === 0) this.#finish();
  }

  #finish(): void {
    const body = this.#body;
    this.#body = undefined;
    if (!body) return;
    if (this.#type === 'L') this.#longName = new TextDecoder().decode(body).replace(/\0.*$/s, '');
    else this.onMember(this.#name, body);
  }
}
