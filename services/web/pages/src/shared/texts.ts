// The words that all pages share. A page's own words are in its texts.ts. No other module holds a sentence.

export const texts = {
  brand: "Living Value System",
  dark: "Dark",
  light: "Light",
  keys: "Keys",
  keysTitle: "Keyboard",
  keysLetters: "Single-letter keys",
  keysLettersNote: "Switch them off if you dictate, or if another program uses them. The other keys stay.",
  keysClose: "Close",
  keyPick: "choose a point",
  keyEscape: "let go of the point",
  keyHelp: "this help",
  noWasm: "This browser cannot run WebAssembly, which the network is built with. Use a current Firefox, Chrome, Edge or Safari.",
  noSimd: "This browser lacks WebAssembly SIMD, which the network computes with. Update it: Chrome and Edge 91, Firefox 89 and Safari 16.4 have it.",
  noWorker: "This browser gives the page no worker, in which the network would run. Leave private or reader mode, and reload the page.",
  notLoaded: (file: string, why: string) => `${file} could not be loaded (${why}). Check the connection, and reload the page.`,
  workerDied: (why: string) => `The network has stopped (${why}). Reload the page to start a new one.`,
  workerSilent: "The network has not answered for ten seconds. Close other tabs that are busy, or reload the page.",
} as const;
