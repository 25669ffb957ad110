// Where a text stops being JSON (RFC 8259). The engine's own messages name a place in some versions and not in others.

const SPACE = /[ \t\r\n]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the characters that strings must escape
const STRING = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** Offset of the first character that no JSON could have there; the length when the text ends too early. */
export function jsonErrorAt(source: string): number {
  let at = 0;
  const match = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(source);
    if (found) at += found[0].length;
    return found !== null;
  };
  const token = (text: string): boolean => {
    match(SPACE);
    if (source[at] !== text) return false;
    at++;
    return true;
  };
  // Each item says whether the text went on as it must; where it did not, `at` stays.
  const items = (end: string, item: () => boolean): boolean => {
    if (token(end)) return true;
    do if (!item()) return false;
    while (token(','));
    return token(end);
  };
  const key = (): boolean => {
    match(SPACE);
    return match(STRING) && token(':') && value();
  };
  const value = (): boolean => {
    match(SPACE);
    if (token('{')) return items('}', key);
    if (token('[')) return items(']', value);
    return match(STRING) || match(SCALAR);
  };
  if (value()) match(SPACE);
  return at;
}
