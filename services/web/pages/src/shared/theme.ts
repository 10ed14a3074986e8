// Runs before the first paint, as a script of its own. The system's choice of light or dark, unless the visitor chose,
// or the address says so: ?theme=dark.
const KEY = "lvs-theme";
const asked = new URLSearchParams(location.search).get("theme");
let stored: string | null = null;
try { stored = localStorage.getItem(KEY); } catch { /* storage is not allowed: the choice lasts as long as the page */ }
const system = matchMedia("(prefers-color-scheme: dark)");
const known = (theme: string | null) => theme === "dark" || theme === "light" ? theme : null;
document.documentElement.dataset.theme = known(asked) ?? known(stored) ?? (system.matches ? "dark" : "light");
// While nobody chose, the page follows the system.
system.addEventListener("change", () => {
  if (known(asked) || known(stored)) return;
  document.documentElement.dataset.theme = system.matches ? "dark" : "light";
  dispatchEvent(new Event("themechange"));
});
export {};
