// What build.mjs puts in the place of these names.

// The addresses of the other files of the build, by their plain names: ASSETS["playground.wasm"].
declare const ASSETS: Readonly<Record<string, string>>;
// The build that the page is of, as `lvs --version` says it.
declare const VERSION: string;
