// The spread over the last cycles, on a log scale, with bands where a fault holds and marks where something was
// contributed. The axes are uPlot's.
import {Act, Done} from "./protocol";
import {bands, FaultName} from "./faults";
import {texts} from "./texts";

const CYCLES = 200;  // that are shown
const LEAST = 1e-8;
const HEIGHT = 92;
const MARK_PX = 4;

const COLOUR: Record<FaultName, string> = {cut: "--part", loss: "--part", liars: "--bad", down: "--bad", churn: "--c5"};

export class SpreadChart {
  private chart: uPlot | null = null;
  private done: readonly Done[] = [];
  private first = 0;
  private now = 0;

  constructor(private readonly target: HTMLElement) {
    this.make();
    new ResizeObserver(() => this.chart?.setSize({width: Math.max(120, target.clientWidth), height: HEIGHT})).observe(target);
  }

  // Of cycle 0 on, up to now.
  show(spreads: readonly number[], done: readonly Done[]): void {
    this.done = done;
    this.now = spreads.length - 1;
    this.first = Math.max(0, spreads.length - CYCLES);
    const x: number[] = [], y: number[] = [];
    for (let cycle = this.first; cycle < spreads.length; ++cycle) {
      x.push(cycle);
      y.push(Math.max(spreads[cycle], LEAST));
    }
    this.chart?.setData([x, y]);
  }

  recolour(spreads: readonly number[]): void {
    this.chart?.destroy();
    this.make();
    this.show(spreads, this.done);
  }

  private make(): void {
    const css = getComputedStyle(this.target), get = (name: string) => css.getPropertyValue(name).trim();
    const font = `11px ${get("--sans")}`, faint = get("--faint");
    const power = (value: number) => ({0: "1", [-2]: "10⁻²", [-4]: "10⁻⁴", [-6]: "10⁻⁶", [-8]: "10⁻⁸"})[Math.round(Math.log10(value))] ?? null;
    this.chart = new uPlot({
      width: Math.max(120, this.target.clientWidth), height: HEIGHT, padding: [6, 8, 0, 0], legend: {show: false},
      cursor: {show: false},
      scales: {x: {time: false, range: () => [this.first, this.first + CYCLES - 1]}, y: {distr: 3, log: 10, range: [LEAST, 1.6]}},
      series: [{}, {stroke: get("--c1"), width: 1.8, fill: `${get("--c1")}14`, points: {show: false}}],
      axes: [
        {font, stroke: faint, size: 18, gap: 2, space: 60, grid: {show: false}, ticks: {show: false}},
        {font, stroke: faint, size: 38, gap: 4, space: 10, filter: (_, splits) => splits, splits: () => [1, 1e-2, 1e-4, 1e-6, 1e-8], ticks: {show: false},
          values: (_, ticks) => ticks.map(power), grid: {stroke: get("--hair"), width: 1}}],
      hooks: {drawClear: [(chart) => this.paintBands(chart, get)], draw: [(chart) => this.paintMarks(chart, get)]},
    }, [[0], [1]], this.target);
  }

  private paintBands(chart: uPlot, get: (name: string) => string): void {
    const {ctx, bbox} = chart, ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = `${11 * ratio}px ${get("--sans")}`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    let row = 0;
    for (const {name, from, to} of bands(this.done, this.now)) {
      if (to < this.first) continue;
      const left = chart.valToPos(Math.max(from, this.first), "x", true), right = chart.valToPos(to, "x", true);
      ctx.fillStyle = get(COLOUR[name]);
      ctx.globalAlpha = 0.12;
      ctx.fillRect(left, bbox.top, Math.max(ratio, right - left), bbox.height);
      if (right - left > 34 * ratio) {
        ctx.globalAlpha = 1;
        ctx.fillText(texts.bands[name], left + 4 * ratio, bbox.top + (6 + 13 * (row++ % 3)) * ratio);
      }
    }
    ctx.restore();
  }

  private paintMarks(chart: uPlot, get: (name: string) => string): void {
    const {ctx, bbox} = chart, ratio = devicePixelRatio || 1, size = MARK_PX * ratio, base = bbox.top + bbox.height;
    ctx.save();
    ctx.fillStyle = get("--ink");
    for (const {cycle, kind} of this.done) {
      if (kind !== Act.contribute || cycle < this.first) continue;
      const x = chart.valToPos(cycle, "x", true);
      ctx.beginPath();
      ctx.moveTo(x, base - 2 * size); ctx.lineTo(x + size, base - 1); ctx.lineTo(x - size, base - 1);
      ctx.fill();
    }
    ctx.restore();
  }
}
