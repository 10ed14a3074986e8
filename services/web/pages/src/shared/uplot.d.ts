// The part of uPlot 1.6 that the pages use (services/report/uplot). It is a script of its own, so that pages share it.

declare class uPlot {
  constructor(options: uPlot.Options, data: uPlot.Data, target: HTMLElement);
  readonly ctx: CanvasRenderingContext2D;
  readonly bbox: {left: number; top: number; width: number; height: number};
  setData(data: uPlot.Data, resetScales?: boolean): void;
  setSize(size: {width: number; height: number}): void;
  redraw(rebuildPaths?: boolean, recalcAxes?: boolean): void;
  valToPos(value: number, scale: string, canvasPixels?: boolean): number;
  destroy(): void;
}

declare namespace uPlot {
  type Data = readonly (readonly (number | null)[] | Float32Array | Float64Array)[];
  interface Scale {
    time?: boolean; distr?: 1 | 2 | 3 | 4; log?: 10 | 2; auto?: boolean;
    range?: [number, number] | ((self: uPlot, min: number, max: number) => [number, number]);
  }
  interface Series {
    label?: string; scale?: string; stroke?: string | (() => string); fill?: string | (() => string); width?: number;
    points?: {show?: boolean; size?: number}; spanGaps?: boolean; show?: boolean;
    value?: (self: uPlot, value: number | null) => string;
  }
  interface Axis {
    scale?: string; side?: 0 | 1 | 2 | 3; show?: boolean; size?: number; gap?: number; font?: string; space?: number;
    stroke?: string | (() => string);
    grid?: {show?: boolean; stroke?: string | (() => string); width?: number};
    ticks?: {show?: boolean; size?: number; stroke?: string | (() => string); width?: number};
    values?: (self: uPlot, ticks: number[]) => (string | null)[];
    splits?: (self: uPlot) => number[];
    filter?: (self: uPlot, splits: number[]) => (number | null)[];
  }
  interface Options {
    width: number; height: number; pxAlign?: boolean | number; padding?: [number, number, number, number];
    scales?: Record<string, Scale>; series: Series[]; axes?: Axis[];
    legend?: {show?: boolean}; cursor?: {show?: boolean; drag?: {x?: boolean; y?: boolean}; points?: {show?: boolean}; y?: boolean};
    hooks?: {drawClear?: ((self: uPlot) => void)[]; draw?: ((self: uPlot) => void)[]};
  }
}
