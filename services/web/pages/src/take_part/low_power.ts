// Whether this machine should be spared: a battery that runs down, a visitor who saves data, a slow network (SPEC-9.3).
interface Battery extends EventTarget { readonly charging: boolean; readonly level: number }
interface Connection extends EventTarget { readonly saveData?: boolean; readonly effectiveType?: string }

const LOW_BATTERY = 0.3;

export function watchPower(changed: (low: boolean) => void): void {
  const source = navigator as unknown as {getBattery?: () => Promise<Battery>; connection?: Connection};
  const reduced = matchMedia("(prefers-reduced-data: reduce)");
  let battery: Battery | null = null;
  const look = () => {
    const {connection} = source;
    const low = battery !== null && !battery.charging && battery.level <= LOW_BATTERY;
    changed(low || reduced.matches || connection?.saveData === true || /2g$/.test(connection?.effectiveType ?? ""));
  };
  reduced.addEventListener("change", look);
  source.connection?.addEventListener?.("change", look);
  source.getBattery?.().then((found) => {
    battery = found;
    for (const event of ["chargingchange", "levelchange"]) found.addEventListener(event, look);
    look();
  }).catch(() => { /* not told */ });
  look();
}
