/**
 * The map's images, drawn when a layer first asks for one by name.
 *
 * Names: `hazard/<symbol>/<level>/<px>`, `resource/<symbol>/<look>/<px>`, `hatch/<level>`,
 * `waves/<level>`, `donut/<n1>,<n2>,<n3>,<n4>,<n0>`, `tick`, `pill`, `box`, `ring/uncovered`,
 * `blank`. No name holds the theme: another theme draws the same names again.
 */

import type { Map as LibreMap, StyleImageMetadata } from 'maplibre-gl';

import { levelColour, tokens } from '../tokens';
import type { LevelKey, Theme } from '../types';
import { drawDonut, donutSize } from './donut';
import { hazardParts, paint, resourceParts, type Look } from './symbols';

type Draw = (ctx: CanvasRenderingContext2D) => void;

interface Drawing {
  width: number;
  height: number;
  draw: Draw;
  /** In pixels of the screen; the registry scales it. */
  stretch?: { x: [number, number]; y: [number, number]; content: [number, number, number, number] };
}

/** A symbol of `sizePx` with room for its halo: 32 units across, 24 of them the symbol's box. */
function symbolDrawing(sizePx: number, draw: Draw): Drawing {
  const side = Math.ceil((sizePx * 34) / 24);
  return {
    width: side,
    height: side,
    draw: (ctx) => {
      const unit = sizePx / 24;
      ctx.translate(side / 2 - 12 * unit, side / 2 - 12 * unit);
      ctx.scale(unit, unit);
      draw(ctx);
    },
  };
}

// Side of the pattern's square: a spacing of s across lines at 45 degrees is s * sqrt(2) along
// its edge, in whole pixels so that it joins itself. 7 -> 10, 8 -> 11, 13 -> 18.
const HATCH_SIDE_PX: Record<LevelKey, number> = { '1': 10, '2': 11, '3': 18, '4': 8, null: 8 };

/** 重大 crossed, 较大 and 一般 lines ever wider apart, 低 dots, 未评估 nothing but its edge. */
function hatch(level: LevelKey, theme: Theme): Drawing {
  const side = HATCH_SIDE_PX[level];
  const draw: Draw = (ctx) => {
    if (level === 'null') return;
    ctx.strokeStyle = ctx.fillStyle = levelColour(theme, level);
    if (level === '4') {
      ctx.arc(side / 2, side / 2, 1.1, 0, 2 * Math.PI);
      ctx.fill();
      return;
    }
    ctx.lineWidth = level === '3' ? 1.3 : 1.1;
    // Each line once more a side further on either hand, so that its ends are not cut at the seam.
    for (const shift of [-side, 0, side]) {
      ctx.moveTo(shift - 2, side + 2);
      ctx.lineTo(shift + side + 2, -2);
      if (level === '1') {
        ctx.moveTo(shift - 2, -2);
        ctx.lineTo(shift + side + 2, side + 2);
      }
    }
    ctx.stroke();
  };
  return { width: side, height: side, draw };
}

const WAVE_STEP_PX: Record<LevelKey, number> = { '1': 8, '2': 10, '3': 14, '4': 18, null: 8 };

/** Waves, the closer the more dangerous. */
function waves(level: LevelKey, theme: Theme): Drawing {
  const [width, height] = [24, WAVE_STEP_PX[level]];
  const draw: Draw = (ctx) => {
    if (level === 'null') return;
    ctx.strokeStyle = levelColour(theme, level);
    ctx.lineWidth = 1.4;
    const middle = height / 2;
    ctx.moveTo(-width / 4, middle);
    for (let x = -width / 4; x < width * 1.25; x += width / 2) {
      ctx.quadraticCurveTo(x + width / 8, middle - 4, x + width / 4, middle);
      ctx.quadraticCurveTo(x + (3 * width) / 8, middle + 4, x + width / 2, middle);
    }
    ctx.stroke();
  };
  return { width, height, draw };
}

/** A stroke of 11 px across a fault. */
function tick(theme: Theme): Drawing {
  const draw: Draw = (ctx) => {
    ctx.strokeStyle = tokens[theme].fault;
    ctx.lineWidth = 2;
    ctx.moveTo(3, 1);
    ctx.lineTo(3, 12);
    ctx.stroke();
  };
  return { width: 6, height: 13, draw };
}

/** A box that grows with the text in it: minutes on a band's line, names beside a symbol. */
function label(radius: number, fill: string, line: string, lineWidth: number): Drawing {
  const side = 2 * radius + 12;
  const pad = lineWidth / 2 + 1;
  return {
    width: side,
    height: side,
    draw: (ctx) => {
      ctx.roundRect(pad, pad, side - 2 * pad, side - 2 * pad, radius);
      ctx.fillStyle = fill;
      ctx.fill();
      ctx.strokeStyle = line;
      ctx.lineWidth = lineWidth;
      ctx.stroke();
    },
    stretch: {
      x: [radius + 2, side - radius - 2],
      y: [radius + 2, side - radius - 2],
      content: [radius * 0.6 + 2, 4, side - radius * 0.6 - 2, side - 4],
    },
  };
}

/** Dashed ring around what nobody reaches, as a circle layer cannot dash. */
function uncovered(theme: Theme): Drawing {
  const draw: Draw = (ctx) => {
    const ring = (colour: string, width: number, dash: number[]): void => {
      ctx.beginPath();
      ctx.arc(26, 26, 21, 0, 2 * Math.PI);
      ctx.strokeStyle = colour;
      ctx.lineWidth = width;
      ctx.setLineDash(dash);
      ctx.stroke();
    };
    ring(tokens[theme].halo, 5.5, []);
    // 12 dashes: the circumference of 132 px over 11.
    ring(tokens[theme].ink, 2.6, [7, 4]);
  };
  return { width: 52, height: 52, draw };
}

function drawing(name: string, theme: Theme): Drawing | null {
  const t = tokens[theme];
  const [kind, first = '', second = '', third = ''] = name.split('/');
  switch (kind) {
    case 'hazard':
      return symbolDrawing(Number(third), (ctx) =>
        paint(ctx, hazardParts(first, second as LevelKey, theme, Number(third), true)),
      );
    case 'resource':
      return symbolDrawing(Number(third), (ctx) =>
        paint(ctx, resourceParts(first, second as Look, theme, Number(third), true)),
      );
    case 'hatch':
      return hatch(first as LevelKey, theme);
    case 'waves':
      return waves(first as LevelKey, theme);
    case 'donut': {
      const counts = first.split(',').map(Number);
      const { width, height } = donutSize(counts);
      return { width, height, draw: (ctx) => drawDonut(ctx, counts, theme) };
    }
    case 'tick':
      return tick(theme);
    case 'pill':
      return label(10, t.jade, t.halo, 1.4);
    case 'box':
      return label(5, t.panel, first === 'focus' ? t.focus : t.line, first === 'focus' ? 2 : 1);
    case 'ring':
      return uncovered(theme);
    case 'blank':
      return { width: 2, height: 2, draw: () => undefined };
    default:
      return null;
  }
}

/**
 * Draw one image finer than the screen.
 *
 * At the screen's own resolution MapLibre takes the nearest pixel, and a mark that stands between
 * pixels comes out jagged; what it has to scale, it blends.
 */
function render(of: Drawing): { image: ImageData; options: Partial<StyleImageMetadata> } {
  const ratio = Math.min(4, Math.ceil(window.devicePixelRatio) + 1);
  const canvas = document.createElement('canvas');
  canvas.width = of.width * ratio;
  canvas.height = of.height * ratio;
  const ctx = canvas.getContext('2d', { willReadFrequently: true });
  if (!ctx) throw new Error('the browser has no 2D canvas');
  ctx.scale(ratio, ratio);
  ctx.save();
  of.draw(ctx);
  ctx.restore();
  const options: Partial<StyleImageMetadata> = { pixelRatio: ratio };
  if (of.stretch) {
    const { x, y, content } = of.stretch;
    options.stretchX = [[x[0] * ratio, x[1] * ratio]];
    options.stretchY = [[y[0] * ratio, y[1] * ratio]];
    options.content = content.map((at) => at * ratio) as [number, number, number, number];
  }
  return { image: ctx.getImageData(0, 0, canvas.width, canvas.height), options };
}

/** Images that a map has, and drawing them again for another theme. */
export class Images {
  private readonly names = new Set<string>();

  constructor(
    private readonly map: LibreMap,
    private theme: Theme,
  ) {
    map.setMissingStyleImageResolver((name) => this.add(name));
  }

  private add(name: string): void {
    const found = drawing(name, this.theme);
    if (!found || this.map.hasImage(name)) return;
    const { image, options } = render(found);
    this.map.addImage(name, image, options);
    this.names.add(name);
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    for (const name of this.names) {
      const found = drawing(name, theme);
      if (found) this.map.updateImage(name, render(found).image);
    }
  }

  /** Drop donuts that are no longer on the map once there are many: each has counts of its own. */
  prune(used: ReadonlySet<string>, most: number): void {
    const donuts = [...this.names].filter((name) => name.startsWith('donut/'));
    if (donuts.length <= most) return;
    for (const name of donuts) {
      if (used.has(name)) continue;
      this.map.removeImage(name);
      this.names.delete(name);
    }
  }
}
