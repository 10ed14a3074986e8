// Elements, found and made. Text enters the page as text nodes only; no module writes HTML.

export function $<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found as T;
}

export type Child = Node | string | null;

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Readonly<Record<string, string>> = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  fill(made, ...children);
  return made;
}

// Replaces what an element holds, and touches nothing where it holds that already.
export function fill(element: Element, ...children: Child[]): void {
  const kept = children.filter((child): child is Node | string => child !== null);
  if (kept.length === 1 && typeof kept[0] === "string" && element.childNodes.length === 1 &&
      element.firstChild instanceof Text) {
    if (element.firstChild.data !== kept[0]) element.firstChild.data = kept[0];
    return;
  }
  element.replaceChildren(...kept);
}

// "*" marks what stands out: rich("*480* replicas") is <b>480</b> and the rest.
export function rich(text: string): Node[] {
  return text.split("*").map((part, k) => k % 2 === 1 ? make("b", {}, part) : document.createTextNode(part));
}

// A small drawing, from elements and their attributes.
export function svg(width: number, height: number, ...shapes: [string, Record<string, string | number>][]): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg", drawing = document.createElementNS(space, "svg");
  const set = (element: Element, attributes: Record<string, string | number>) => {
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  };
  set(drawing, {width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true"});
  for (const [tag, attributes] of shapes) {
    const shape = document.createElementNS(space, tag);
    set(shape, attributes);
    drawing.append(shape);
  }
  return drawing;
}
