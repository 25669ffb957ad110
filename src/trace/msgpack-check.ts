// Walks msgpack before it is decoded. A decoder is a large machine: msgpackr makes classes, dates and shared references
// out of extension types, and recurses as deep as the bytes tell it to. A trace has none of that, so what has it is
// refused here, in one pass that allocates nothing.
//
// Left out on purpose: whether the form is the shortest and the keys are in order. A reader does not care.

/** Fixed-size values by first byte from 0xc0 on: bytes that follow it; -1 = not allowed in a trace; -2 = see below. */
// biome-ignore format: four columns of the table in the specification
const FOLLOWING = [
   0, -1,  0,  0, // nil, never used, false, true
  -2, -2, -2, -1, // bin 8, 16, 32, ext 8
  -1, -1,  4,  8, // ext 16, ext 32, float 32, float 64
   1,  2,  4,  8, // uint 8, 16, 32, 64
   1,  2,  4,  8, // int 8, 16, 32, 64
  -1, -1, -1, -1, // fixext 1, 2, 4, 8
  -1, -2, -2, -2, // fixext 16, str 8, 16, 32
  -2, -2, -2, -2, // array 16, 32, map 16, 32
];

/**
 * Check that the bytes are exactly one msgpack value without extension types, nested at most `maxDepth` deep.
 * @throws Error with a clause on what is wrong
 */
export function checkMsgpack(bytes: Uint8Array, maxDepth: number): void {
  /** Values still to come at each level. */
  const open = new Float64Array(maxDepth + 2);
  let depth = 0;
  open[0] = 1;
  let at = 0;
  const take = (count: number): void => {
    at += count;
    if (at > bytes.length) throw new Error('msgpack ends early');
  };
  const length = (size: number): number => {
    let value = 0;
    take(size);
    for (let i = at - size; i < at; i++) value = value * 256 + bytes[i]!;
    return value;
  };
  for (;;) {
    while (open[depth] === 0) {
      if (depth === 0) {
        if (at !== bytes.length) throw new Error('bytes follow the msgpack value');
        return;
      }
      depth--;
    }
    open[depth]!--;
    const first = length(1);
    let inside = 0;
    if (first < 0x80 || first >= 0xe0) continue;
    if (first < 0xa0) inside = (first & 15) * (first < 0x90 ? 2 : 1);
    else if (first < 0xc0) take(first & 31);
    else {
      const following = FOLLOWING[first - 0xc0]!;
      if (following === -1) throw new Error(`msgpack type 0x${first.toString(16)} has no place in a trace`);
      if (following >= 0) take(following);
      else if (first < 0xdc) take(length(first < 0xd0 ? 1 << (first - 0xc4) : 1 << (first - 0xd9)));
      else inside = length(first % 2 === 0 ? 2 : 4) * (first < 0xde ? 1 : 2);
    }
    if (inside === 0) continue;
    if (inside > bytes.length - at) throw new Error('msgpack claims more values than there are bytes');
    if (++depth > maxDepth) throw new Error('msgpack is nested too deeply for a trace');
    open[depth] = inside;
  }
}
