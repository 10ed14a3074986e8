// The colours of the drawing: the page's own variables, so that light, dark and forced colours apply.

export interface Colours {
  readonly ink: string; readonly paper: string; readonly line: string; readonly hair: string; readonly faint: string;
  readonly wash: string; readonly bad: string;
  readonly group: readonly string[];
  readonly font: string;
  readonly dark: boolean;
  readonly forced: boolean;  // the system's colours alone: groups are told apart by their shapes
}

const GROUPS = 8;

export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element), get = (name: string) => style.getPropertyValue(name).trim();
  const forced = matchMedia("(forced-colors: active)").matches;
  return {
    ink: get("--ink"), paper: get("--paper"), line: get("--line"), hair: get("--hair"), faint: get("--faint"),
    wash: get("--wash"), bad: get("--bad"), font: get("--sans"),
    group: Array.from({length: GROUPS}, (_, k) => get(`--r${k}`)),
    dark: document.documentElement.dataset.theme === "dark", forced,
  };
}
