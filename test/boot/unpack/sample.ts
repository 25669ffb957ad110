// The data that the packed vectors hold: repetition at many distances, runs, and bytes that look like CALL and JMP
// operands, some close together, so that every kind of match and the x86 branch filter take part.

/** 6000 bytes, the same each time. */
export function sample(): Uint8Array {
  const words = ['kernel', ' entry', '\0\0\0\0', 'start_info ', 'aaaaaaaaaaaaaaaaaaaaaaaa', 'x', ' the ', 'boot'];
  const bytes: number[] = [];
  let state = 12345;
  const next = (range: number): number => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor(state / 65536) % range;
  };
  while (bytes.length < 6000) {
    const kind = next(12);
    if (kind < 7) bytes.push(...Buffer.from(words[next(words.length)]!, 'latin1'));
    else if (kind < 9) bytes.push(0xe8 + next(2), next(256), next(256), next(4), next(2) * 0xff);
    else if (kind < 10) bytes.push(0xe8, 0xe9, next(256), 0, 0, next(2) * 0xff, 0xe8, 0, 0xff);
    else if (kind < 11) bytes.push(...new Array(next(90)).fill(next(3)));
    else bytes.push(next(256), next(256), next(256));
  }
  return Uint8Array.from(bytes.slice(0, 6000));
}
