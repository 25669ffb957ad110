// What `npm run build` writes over in its output (scripts/prebuild.mjs): the module of page-packer.ts in base64, emitted
// beforehand. A source tree has none and emits it in every process.

export const prebuilt: string | undefined = undefined as string | undefined;
