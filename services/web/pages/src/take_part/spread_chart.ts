// The spread over the last minutes, on a log scale, drawn by uPlot.
import {onColours} from "../shared/theme_button";
import {html} from "./texts";

const KEPT = 600, SHOWN_S = 120;  // looks, a second apart
const HEIGHT = 92, FLOOR = 1e-8;
const SPLITS = [1e-8, 1e-6, 1e-4, 1e-2, 1, 100], LABELS = ["10⁻⁸", "", "10⁻⁴", "", "1", ""];

export class SpreadChart {
  private readonly seconds: number[] = [];
  private readonly spreads: (number | null)[] = [];
  private readonly plot: uPlot;

  constructor(private readonly host: HTMLElement) {
    this.plot = this.make();
    const canvas = host.querySelector("canvas");
    canvas?.setAttribute("role", "img");
    canvas?.setAttribute("aria-label", html.spreadPicture);
    new ResizeObserver(() => this.plot.setSize({width: this.width, height: HEIGHT})).observe(host);
    onColours(() => this.plot.redraw());
  }

  add(second: number, spread: number | null): void {
    if (second === this.seconds[this.seconds.length - 1]) return;
    this.seconds.push(second);
    this.spreads.push(spread === null ? null : Math.max(spread, FLOOR));
    if (this.seconds.length > KEPT) { this.seconds.shift(); this.spreads.shift(); }
    this.plot.setData([this.seconds, this.spreads]);
  }

  private get width(): number { return Math.max(120, this.host.clientWidth); }

  private make(): uPlot {
    const colour = (name: string) => () => getComputedStyle(this.host).getPropertyValue(name).trim();
    const font = `11px ${getComputedStyle(this.host).fontFamily}`;
    return new uPlot({
      width: this.width, height: HEIGHT, padding: [7, 8, 7, 0],
      legend: {show: false}, cursor: {show: false},
      scales: {
        x: {time: false, range: (_: uPlot, from: number, to: number) =>
          [Math.max(from ?? 0, (to ?? 0) - SHOWN_S), Math.max(to ?? 0, (from ?? 0) + SHOWN_S)]},
        y: {distr: 3, range: [FLOOR, 100]}},
      axes: [
        {show: false},
        {size: 40, font, stroke: colour("--faint"), grid: {stroke: colour("--hair"), width: 1}, ticks: {show: false}, gap: 6,
          splits: () => SPLITS, filter: (_: uPlot, splits: number[]) => splits,
          values: () => LABELS},
      ],
      series: [{}, {stroke: colour("--c1"), width: 1.8, fill: () => `${colour("--c1")()}14`, points: {show: false}}],
    }, [[], []], this.host);
  }
}
