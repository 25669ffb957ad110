// The one place that says the version besides package.json, which a built library does not read.

/** Version of the program, as `--version` and traces' notes say it. */
export const VERSION = '0.1.0';
