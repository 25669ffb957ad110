/** Version of the program, as `--version` and traces' notes say it. */
export const VERSION = '0.1.0';
