/** The mark of a cluster: a ring of its levels, the total inside, a badge with the 重大 ones. */

import { levelColour, tokens } from '../tokens';
import { LEVELS, type Theme } from '../types';
import { FONTS } from './fonts';
import { LEVEL_SHAPES } from './shapes';

const RING_PX = 8;
const MARGIN_PX = 6;

/** Radius by total: 20, 25, 30 px below 40, below 100, from 100. */
export function donutRadius(total: number): number {
  if (total < 40) return 20;
  return total < 100 ? 25 : 30;
}

function totalOf(counts: readonly number[]): number {
  return counts.reduce((sum, n) => sum + n, 0);
}

/** Square with room for the badge, the donut in its middle. */
export function donutSize(counts: readonly number[]): { width: number; height: number } {
  const side = 2 * (donutRadius(totalOf(counts)) + MARGIN_PX);
  return { width: side, height: side };
}

/** Counts are those of `LEVELS`: 重大, 较大, 一般, 低, 未评估. */
export function drawDonut(
  ctx: CanvasRenderingContext2D,
  counts: readonly number[],
  theme: Theme,
): void {
  const t = tokens[theme];
  const total = totalOf(counts);
  const outer = donutRadius(total);
  const inner = outer - RING_PX;
  const middle = outer + MARGIN_PX;
  const disk = (radius: number, colour: string): void => {
    ctx.beginPath();
    ctx.arc(middle, middle, radius, 0, 2 * Math.PI);
    ctx.fillStyle = colour;
    ctx.fill();
  };
  ctx.globalAlpha = 0.95;
  disk(outer + 1.8, t.halo);
  ctx.globalAlpha = 1;
  disk(outer, t.outline);

  // The ring's parts lie between two ink lines of 1.4 px, with a line between each.
  let from = -Math.PI / 2;
  LEVELS.forEach((level, at) => {
    const share = (counts[at] ?? 0) / total;
    if (share === 0) return;
    const to = from + share * 2 * Math.PI;
    ctx.beginPath();
    ctx.arc(middle, middle, outer - 1.4, from, to);
    ctx.arc(middle, middle, inner, to, from, true);
    ctx.closePath();
    ctx.fillStyle = levelColour(theme, level);
    ctx.fill();
    if (share < 1) {
      ctx.strokeStyle = t.outline;
      ctx.lineWidth = 1;
      ctx.stroke();
    }
    from = to;
  });
  disk(inner, t.outline);
  disk(inner - 1.4, t.panel);

  const text = total.toLocaleString('en-US');
  // The inner disk is 22 to 42 px wide: 2 digits of 15 px, 3 of 15, 5 and a comma of 12.
  const px = text.length <= 2 ? (outer === 20 ? 14 : 16) : text.length <= 3 ? 16 : 12.5;
  ctx.font = `700 ${px}px ${FONTS.join(',')}`;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'alphabetic';
  ctx.fillStyle = t.ink;
  ctx.fillText(text, middle, middle + px * 0.365);

  const major = counts[0] ?? 0;
  if (major > 0) drawBadge(ctx, middle + outer * 0.72, middle - outer * 0.72, major, theme);
}

function drawBadge(
  ctx: CanvasRenderingContext2D,
  x: number,
  y: number,
  count: number,
  theme: Theme,
): void {
  const t = tokens[theme];
  const text = count.toLocaleString('en-US');
  const px = 10.5;
  ctx.save();
  ctx.translate(x, y);
  // The octagon of 重大, 17 px high and wider for more digits.
  const stretch = text.length <= 2 ? 1 : 1 + 0.32 * (text.length - 2);
  ctx.scale((17 / 20) * stretch, 17 / 20);
  ctx.translate(-12, -12);
  const octagon = new Path2D(LEVEL_SHAPES['1'].d);
  ctx.strokeStyle = t.halo;
  ctx.lineWidth = 2.4;
  ctx.stroke(octagon);
  ctx.fillStyle = t['level-1'];
  ctx.fill(octagon);
  ctx.restore();
  ctx.font = `700 ${px}px ${FONTS.join(',')}`;
  ctx.fillStyle = t['glyph-1'];
  ctx.fillText(text, x, y + px * 0.36);
}
