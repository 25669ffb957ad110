// The page's own program and style, as texts. Empty in a source tree: `npm run build` writes them over dist's copy of
// this file (scripts/build-page.mjs); without them page-source.ts makes them with esbuild.

export interface PageSource {
  readonly script: string;
  readonly style: string;
}

export const builtPage: PageSource | undefined = undefined;
