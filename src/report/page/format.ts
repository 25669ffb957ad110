// Numbers for people, the same in every locale.

export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

const UNITS: readonly (readonly [nanoseconds: number, name: string])[] = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'µs'],
  [1, 'ns'],
];

/** A time in the largest unit in which it is at least 1; `step` is what neighbours differ by. */
export function timeText(nanoseconds: number, step = nanoseconds / 1000): string {
  if (nanoseconds === 0) return '0';
  const [unit, name] = UNITS.find(([size]) => Math.abs(nanoseconds) >= size) ?? [1, 'ns'];
  const digits = step >= unit ? 0 : Math.min(9, Math.ceil(-Math.log10(Math.max(step, 0.1) / unit)));
  return `${(nanoseconds / unit).toFixed(digits)} ${name}`;
}

/** Lines of 16 bytes: offset, hexadecimal, characters. */
export function hexDump(data: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < data.length; at += 16) {
    const part = data.subarray(at, at + 16);
    const digits = Array.from(part, (byte) => byte.toString(16).padStart(2, '0'));
    const left = digits.slice(0, 8).join(' ').padEnd(23);
    const right = digits.slice(8).join(' ').padEnd(23);
    const text = Array.from(part, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·')).join('');
    lines.push(`${at.toString(16).padStart(4, '0')}  ${left}  ${right}  ${text}`);
  }
  return lines.join('\n');
}

export const percent = (part: number, whole: number): string =>
  whole === 0 ? '0 %' : `${((100 * part) / whole).toFixed(part / whole < 0.1 ? 2 : 1)} %`;
