// V8's flags, which are the whole process'. V8 refuses compiled code that was kept under other flags, so who puts one up
// for a while puts it back.

/**
 * Whether this V8 has the flags that Node 20's has. Later versions are left as they are: V8 complains on the terminal of a
 * flag that it does not know.
 */
export const KNOWN_V8 = Number.parseInt(process.versions.v8, 10) === 11;

export function setFlags(flags: readonly string[]): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  for (const flag of flags) setFlagsFromString(flag);
}

/** Do something under flags. @param before the flags as they were */
export function underFlags<T>(flags: readonly string[], before: readonly string[], body: () => T): T {
  setFlags(flags);
  try {
    return body();
  } finally {
    setFlags(before);
  }
}
