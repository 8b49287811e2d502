/** Symbols as lists of painted paths: one description for the map's images and the panels' SVG. */

import { tokens } from '../tokens';
import { LEVELS, type LevelKey, type Theme } from '../types';
import {
  HAZARD_GLYPHS,
  HAZARD_LINES,
  LEVEL_SHAPES,
  RESOURCE_GLYPHS,
  SLASH,
  SQUARE,
} from './shapes';

/** One path in the 24 box, scaled about its centre; `width` is in the box's units, unscaled. */
export interface Part {
  d: string;
  scale?: number;
  fill?: string;
  stroke?: string;
  width?: number;
  dash?: readonly number[];
  opacity?: number;
}

/** How a resource looks, whatever its layer calls the state. */
export type Look = 'solid' | 'outline' | 'slash' | 'grey' | 'grey-slash' | 'unknown';
export const LOOKS: readonly Look[] = ['solid', 'outline', 'slash', 'grey', 'grey-slash', 'unknown'];

/** States of shelters and teams: 待命 is an outline, what has no room left is struck out. */
export const LOOK_OF_STATUS: Record<string, Look> = {
  open: 'solid',
  on_duty: 'solid',
  standby: 'outline',
  full: 'slash',
  dispatched: 'slash',
  closed: 'grey',
  off: 'grey',
  damaged: 'grey-slash',
  null: 'unknown',
};

const OUTLINE_PX = 1.6;
const HALO_PX = 1.8;
/** Below this size there is no room for a glyph. */
const GLYPH_FROM_PX = 17;

function isLevel(status: string | null | undefined): status is LevelKey {
  return LEVELS.includes(status as LevelKey);
}

/** A level's shape with the hazard's glyph. `halo` is for the map only. */
export function hazardParts(
  symbol: string,
  level: LevelKey,
  theme: Theme,
  sizePx: number,
  halo: boolean,
): Part[] {
  const t = tokens[theme];
  const unit = 24 / sizePx;
  const { d, scale } = LEVEL_SHAPES[level];
  const assessed = level !== 'null';
  const outline = OUTLINE_PX * unit;
  const parts: Part[] = [];
  if (halo) {
    const width = outline + 2 * HALO_PX * unit;
    parts.push({ d, scale, stroke: t.halo, width, opacity: assessed ? 0.95 : 0.8 });
  }
  parts.push(
    assessed
      ? { d, scale, fill: t[`level-${level}`], stroke: t.outline, width: outline }
      : { d, scale, fill: t.panel, stroke: t.ink2, width: outline, dash: [3.2, 2.4] },
  );
  const colour = t[`glyph-${level}`];
  if (sizePx >= GLYPH_FROM_PX) {
    const glyph = HAZARD_GLYPHS[symbol];
    const line = HAZARD_LINES[symbol];
    // The triangle narrows upwards: there the glyph is smaller and sits lower in its own box.
    const inner = level === '3' ? 0.92 : scale;
    if (glyph) parts.push({ d: glyph, scale: inner, fill: colour });
    if (line) parts.push({ d: line, scale: inner, stroke: colour, width: 1.7 });
  }
  return parts;
}

/** The jade square of a shelter, team or depot. */
export function resourceParts(
  symbol: string,
  look: Look,
  theme: Theme,
  sizePx: number,
  halo: boolean,
): Part[] {
  const t = tokens[theme];
  const unit = 24 / sizePx;
  const hollow = look === 'outline' || look === 'unknown';
  const grey = look === 'grey' || look === 'grey-slash';
  const body = grey ? t.away : t.jade;
  const ground = hollow ? t.panel : body;
  const ink = hollow ? body : t['on-jade'];
  const parts: Part[] = [];
  if (halo) parts.push({ d: SQUARE, stroke: t.halo, width: 2 * HALO_PX * unit + 1, opacity: 0.95 });
  parts.push({ d: SQUARE, fill: ground });
  if (hollow) {
    const dash = look === 'unknown' ? { dash: [3.2, 2.4] } : {};
    parts.push({ d: SQUARE, scale: 0.93, stroke: body, width: 1.8 * unit, ...dash });
  }
  const glyph = RESOURCE_GLYPHS[symbol];
  if (glyph) {
    const scale = sizePx < GLYPH_FROM_PX ? 1.05 : 0.9;
    parts.push({ d: glyph.fill, scale, fill: ink });
    if (glyph.cut) parts.push({ d: glyph.cut, scale, stroke: ground, width: 2 });
  }
  if (look === 'slash' || look === 'grey-slash') {
    parts.push({ d: SLASH, stroke: ground, width: 5.4 }, { d: SLASH, stroke: ink, width: 2.4 });
  }
  return parts;
}

/** Lines at 45 degrees in a box from 2,5 to 22,19, `step` apart along the edge. */
function diagonals(step: number, crossed: boolean): string {
  const [left, top, right, bottom] = [2, 5, 22, 19];
  const high = bottom - top;
  let d = '';
  for (let at = left - high + step; at < right; at += step) {
    const from = Math.max(at, left);
    const to = Math.min(at + high, right);
    const [low, up] = [bottom - (from - at), bottom - (to - at)];
    d += `M${from} ${low}L${to} ${up}`;
    if (crossed) d += `M${from} ${top + bottom - low}L${to} ${top + bottom - up}`;
  }
  return d;
}

const BOX = 'M4 5h16q2 0 2 2v10q0 2-2 2H4q-2 0-2-2V7q0-2 2-2z';
const WAVE = 'q2.5-3 5 0t5 0 5 0 5 0';

/** What a legend shows for a whole layer, in the colour its features mostly have or in ink. */
function swatchParts(symbol: string, theme: Theme): Part[] {
  const t = tokens[theme];
  switch (symbol) {
    case 'flash-flood':
      return [
        { d: BOX, fill: t['level-1'], opacity: 0.16 },
        { d: diagonals(4.5, true), stroke: t['level-1'], width: 1 },
        { d: BOX, stroke: t['level-1'], width: 1.8 },
      ];
    case 'flood-impact':
      return [
        { d: BOX, fill: t['level-2'], opacity: 0.16 },
        { d: `M2 9.5${WAVE}M2 13.5${WAVE}M2 17${WAVE}`, stroke: t['level-2'], width: 1.2 },
        { d: BOX, stroke: t['level-2'], width: 1.6, dash: [4, 2.4] },
      ];
    case 'fault':
      return [
        { d: 'M2 19 22 5', stroke: t.fault, width: 2.4 },
        { d: 'M5.4 12.6l4 5.6M10 9.3l4 5.6M14.6 6.1l4 5.6', stroke: t.fault, width: 1.6 },
      ];
    case 'division':
      return [{ d: 'M1 16 8 9l7 5 8-7', stroke: t.boundary, width: 2, dash: [5, 2, 1, 2] }];
    case 'population':
      return [
        { d: 'M3 13h5v7H3z', fill: t['band-15'] },
        { d: 'M9.5 8h5v12h-5z', fill: t['band-10'] },
        { d: 'M16 4h5v16h-5z', fill: t['band-5'] },
      ];
    case 'land-cover':
      return [
        { d: BOX, fill: t.parks, stroke: t.boundary, width: 1 },
        { d: 'M2 14q5-4 10 0t10 0v3q0 2-2 2H4q-2 0-2-2z', fill: t.water },
      ];
  }
  const glyph = HAZARD_GLYPHS[symbol];
  if (glyph) return [{ d: glyph, scale: 1.35, fill: t.ink2 }];
  return [{ d: LEVEL_SHAPES['4'].d, scale: 0.6, fill: t.ink2 }];
}

/**
 * A symbol's parts without halo, for lists and legends.
 *
 * `status` is a level for hazards, a state for resources; without it the layer's own mark.
 */
export function symbolParts(
  symbol: string,
  status: string | null | undefined,
  theme: Theme,
  sizePx: number,
): Part[] {
  if (symbol in RESOURCE_GLYPHS) {
    const look = status === undefined ? 'solid' : (LOOK_OF_STATUS[String(status)] ?? 'solid');
    return resourceParts(symbol, look, theme, sizePx, false);
  }
  const level = status === null ? 'null' : status;
  if (isLevel(level)) return hazardParts(symbol, level, theme, sizePx, false);
  return swatchParts(symbol, theme);
}

function attribute(name: string, value: string | number | undefined): string {
  return value === undefined ? '' : ` ${name}="${value}"`;
}

function svgPath(part: Part): string {
  const k = part.scale ?? 1;
  const move = 12 * (1 - k);
  return (
    `<path d="${part.d}"` +
    attribute('transform', k === 1 ? undefined : `translate(${move} ${move}) scale(${k})`) +
    attribute('fill', part.fill ?? 'none') +
    attribute('stroke', part.stroke) +
    attribute('stroke-width', part.width === undefined ? undefined : part.width / k) +
    attribute('stroke-dasharray', part.dash?.map((length) => length / k).join(' ')) +
    attribute('opacity', part.opacity) +
    ' stroke-linejoin="round" stroke-linecap="butt"/>'
  );
}

/** The symbol as inline SVG, `sizePx` wide. It says nothing to screen readers: put words beside it. */
export function symbolSvg(
  symbol: string,
  status: string | null | undefined,
  theme: Theme,
  sizePx: number,
): string {
  const paths = symbolParts(symbol, status, theme, sizePx).map(svgPath).join('');
  // 27 units leave room for the largest shape, 1.15 times the box of 24 less its own margin.
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${sizePx}" height="${sizePx}" ` +
    `viewBox="-1.5 -1.5 27 27" aria-hidden="true" focusable="false">${paths}</svg>`
  );
}

/** Paint parts on a canvas whose unit is one of the 24 box. */
export function paint(ctx: CanvasRenderingContext2D, parts: readonly Part[]): void {
  for (const part of parts) {
    const k = part.scale ?? 1;
    ctx.save();
    ctx.globalAlpha = part.opacity ?? 1;
    ctx.translate(12 * (1 - k), 12 * (1 - k));
    ctx.scale(k, k);
    ctx.lineJoin = 'round';
    const path = new Path2D(part.d);
    if (part.fill) {
      ctx.fillStyle = part.fill;
      ctx.fill(path);
    }
    if (part.stroke && part.width) {
      ctx.strokeStyle = part.stroke;
      ctx.lineWidth = part.width / k;
      ctx.setLineDash(part.dash?.map((length) => length / k) ?? []);
      ctx.stroke(path);
    }
    ctx.restore();
  }
}
