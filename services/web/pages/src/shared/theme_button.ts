// The button that changes between light and dark. Everything that draws with the page's colours listens to `themechange`
// on the window.
import {texts} from "./texts";

export function themeButton(button: HTMLButtonElement): void {
  const root = document.documentElement;
  const show = () => { button.textContent = root.dataset.theme === "dark" ? texts.light : texts.dark; };
  button.addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("lvs-theme", root.dataset.theme); } catch { /* not allowed: this page only */ }
    dispatchEvent(new Event("themechange"));
  });
  addEventListener("themechange", show);
  show();
}

// Calls back whenever the colours change: by the button, the system, or forced colours.
export function onColours(changed: () => void): void {
  addEventListener("themechange", changed);
  matchMedia("(forced-colors: active)").addEventListener("change", changed);
}
