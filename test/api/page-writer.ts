// A guest for checkpoints: it leaves pages of all kinds behind it, waits until two state hashes are over, changes some in
// between and uses others after: reads, writes and copies them, executes one, and has its page directory in one.

export const BASE = 0x10_0000;
/** What it writes before the first state hash, a page each, and reads behind the second one at the latest. */
export const FILLED = 0x30_0000;
export const FILLED_PAGES = 16;
/** Pages that nobody looks at again. */
export const LEFT = 0x50_0000;

const le32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** The image, to be loaded at BASE. */
export function pageWriter(): Uint8Array {
  const code: number[] = [0xbc, ...le32(0x8_0000)]; // mov esp
  const fill = (at: number, dwords: number, value: number) =>
    code.push(0xb8, ...le32(value), 0xbf, ...le32(at), 0xb9, ...le32(dwords), 0xf3, 0xab); // rep stosd
  const copy = (from: number, to: number, dwords: number) =>
    code.push(0xbe, ...le32(from), 0xbf, ...le32(to), 0xb9, ...le32(dwords), 0xf3, 0xa5); // rep movsd
  const look = (at: number) => code.push(0xa1, ...le32(at)); // mov eax, [at]
  const store = (at: number, value: number) => code.push(0xc7, 0x05, ...le32(at), ...le32(value)); // mov dword [at]
  const wait = () => code.push(0xb9, ...le32(68_000_000), 0x49, 0x75, 0xfd); // mov ecx; dec ecx; jnz
  const call = (to: number) => code.push(0xb8, ...le32(to), 0xff, 0xd0); // mov eax; call eax

  // A page of the image that nobody has looked at, copied to another place, and a little of both looked at.
  copy(BASE + 0x1000, 0x20_0000, 0x400);
  look(0x20_0010);
  look(BASE + 0x1200);
  fill(0x20_0800, 64, 0x89ab_cdef);
  for (let n = 0; n < FILLED_PAGES; n++) fill(FILLED + n * 0x1000, 0x400, 0x0123_4567 + (n >> 1));
  fill(LEFT, 0x4000, 0x5555_5555);
  fill(0x20_1000, 0x400, 0);
  // Page directory with two pages of 4 MiB, and a page with a RET.
  store(0x60_0000, 0x83);
  store(0x60_0004, 0x40_0083);
  store(0x60_1000, 0xc3);
  code.push(0xb8, ...le32(0x60_0000), 0x0f, 0x22, 0xd8); // mov cr3
  code.push(0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x10, 0x0f, 0x22, 0xe0); // CR4.PSE
  code.push(0x0f, 0x20, 0xc0, 0x0d, ...le32(0x8000_0000), 0x0f, 0x22, 0xc0); // CR0.PG
  call(0x60_1000);
  wait();
  fill(FILLED, 0x400, 0);
  fill(FILLED + 0x1000, 0x400, 7);
  wait();
  look(0x20_0400);
  look(0x20_0800);
  look(BASE + 0x1400);
  look(FILLED);
  look(FILLED + 0x1000);
  copy(FILLED + 0x2000, FILLED + 0x3000, 0x300);
  code.push(0x80, 0x05, ...le32(FILLED + 0x4ffe), 1); // add byte [...], 1
  code.push(0xff, 0x05, ...le32(FILLED + 0x5ffe)); // inc dword, across two pages
  store(FILLED + 0x7800, 1);
  fill(FILLED + 0x8000, 0x400, 9);
  copy(0x20_0000, FILLED + 0x9000, 0x400);
  look(FILLED + 0x9010);
  call(0x60_1000);
  code.push(0xfa, 0xf4); // cli; hlt
  const image = new Uint8Array(0x2000);
  image.set(code);
  for (let i = 0x1000; i < 0x2000; i++) image[i] = (i * 31 + (i >> 8)) & 0xff;
  return image;
}
