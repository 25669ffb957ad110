// Two texts line by line, as reviews show them: lines that went, lines that came, and a few that stayed around them.
// The longest common subsequence of what lies between the common beginning and end; where that is too long to look for,
// all of it went and came.

/** Product of lengths up to which lines are paired. */
const MOST = 9_000_000;

/** Lines with `- `, `+ ` or two blanks before them; `…` where some were left out. Empty when the texts are equal. */
export function lineDiff(before: string, now: string, context = 2): string[] {
  if (before === now) return [];
  const [a, b] = [before.split('\n'), now.split('\n')];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const all = [
    ...a.slice(0, start).map((line) => `  ${line}`),
    ...middle(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...a.slice(a.length - end).map((line) => `  ${line}`),
  ];
  return folded(all, context);
}

function middle(a: readonly string[], b: readonly string[]): string[] {
  const went = (lines: readonly string[]) => lines.map((line) => `- ${line}`);
  const came = (lines: readonly string[]) => lines.map((line) => `+ ${line}`);
  const width = b.length + 1;
  if ((a.length + 1) * width > MOST) return [...went(a), ...came(b)];
  // common[i, j]: lines that a from i and b from j have in common.
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const at = i * width + j;
      common[at] = a[i] === b[j] ? common[at + width + 1]! + 1 : Math.max(common[at + width]!, common[at + 1]!);
    }
  }
  const lines: string[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    const at = i * width + j;
    if (a[i] === b[j]) {
      lines.push(`  ${a[i++]}`);
      j++;
    } else if (common[at + width]! >= common[at + 1]!) lines.push(`- ${a[i++]}`);
    else lines.push(`+ ${b[j++]}`);
  }
  return [...lines, ...went(a.slice(i)), ...came(b.slice(j))];
}

/** Only lines that changed and those around them. */
function folded(lines: readonly string[], context: number): string[] {
  const near = new Set<number>();
  lines.forEach((line, i) => {
    if (line.startsWith('  ')) return;
    for (let n = i - context; n <= i + context; n++) near.add(n);
  });
  return lines.flatMap((line, i) => (near.has(i) ? [line] : i === 0 || near.has(i - 1) ? ['…'] : []));
}
