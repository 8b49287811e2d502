/** Merging the cells of several layers into one mark each, with nothing counted twice. */

import type { Feature, Point } from 'geojson';

import { LEVELS, type LevelKey, type LonLat } from '../types';
import { donutRadius } from './donut';

/** One cell of one layer as its tile tells it. */
export interface Cell {
  layer: string;
  symbol: string;
  /** Column and row in the grid of the tile's zoom. */
  cell: string;
  at: LonLat;
  /** By `LEVELS`: 重大, 较大, 一般, 低, 未评估. */
  counts: readonly number[];
  /** A cell of one point is the point. */
  id: number | null;
  properties: Record<string, unknown>;
}

export interface MarkProperties {
  image: string;
  order: number;
  total: number;
  /** Of a single point; null for a cluster. */
  layer: string | null;
  id: number | null;
}

/** Cells along a tile's side. */
const ACROSS = 8;
/** Properties of a tile that hold the counts, in the order of `LEVELS`. */
export const COUNT_NAMES = ['n1', 'n2', 'n3', 'n4', 'n0'] as const;

/** The zoom whose grid a cell belongs to: its column is x * 2^z * 8, x its place in the world. */
export function zoomOfCell(cell: string, lon: number): number {
  const column = Number(cell.split(':')[0]) + 0.5;
  return Math.round(Math.log2(column / ACROSS / worldX(lon)));
}

/** Pixels of a cell's side at the zoom of its tile; closer up it is larger. */
const CELL_PX = 64;

/** A part of a cell's side, moved inwards to leave a margin. */
function inwards(part: number, margin: number): number {
  const most = Math.min(0.5, margin);
  return Math.min(1 - most, Math.max(most, part));
}

function worldX(lon: number): number {
  return (lon + 180) / 360;
}

function worldY(lat: number): number {
  const sine = Math.sin((lat * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}

/** The cell of a place in the grid of a zoom. */
export function cellOf([lon, lat]: LonLat, zoom: number): string {
  const across = ACROSS * 2 ** zoom;
  return `${Math.floor(worldX(lon) * across)}:${Math.floor(worldY(lat) * across)}`;
}

/**
 * The place of a mark within its cell, so that no donut covers a neighbour's number.
 *
 * `scale` is how much larger the camera draws the cell than its tile's zoom does.
 */
export function placeInCell(
  cell: string,
  [lon, lat]: LonLat,
  radiusPx: number,
  scale: number,
): LonLat {
  const [column = 0, row = 0] = cell.split(':').map(Number);
  const across = ACROSS * 2 ** zoomOfCell(cell, lon);
  const margin = radiusPx / (CELL_PX * scale);
  const x = (column + inwards(worldX(lon) * across - column, margin)) / across;
  const y = (row + inwards(worldY(lat) * across - row, margin)) / across;
  return [x * 360 - 180, (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI];
}

function add(to: number[], counts: readonly number[]): void {
  counts.forEach((n, at) => {
    to[at] = (to[at] ?? 0) + n;
  });
}

/** 0 for nothing dangerous, more for worse levels: what lies on top. */
function danger(counts: readonly number[]): number {
  const worst = counts.findIndex((n) => n > 0);
  return worst === counts.length - 1 ? 0 : counts.length - 1 - worst;
}

interface Mark {
  counts: number[];
  lon: number;
  lat: number;
  weight: number;
  cells: Cell[];
}

/**
 * One feature for each cell, over all layers, of the levels chosen.
 *
 * Counts are exact. A cluster stands near the mean of what it counts, whole in its cell. Of
 * a cell with more points than are chosen, nobody knows where the chosen ones are: even one alone
 * is then a cluster of one, at the cell's mean.
 */
export function merge(
  cells: readonly Cell[],
  levels: ReadonlySet<LevelKey>,
  scale = 1,
): Feature<Point, MarkProperties & Record<string, unknown>>[] {
  const marks = new Map<string, Mark>();
  for (const cell of cells) {
    const counts = cell.counts.map((n, at) => (levels.has(LEVELS[at] as LevelKey) ? n : 0));
    const weight = counts.reduce((sum, n) => sum + n, 0);
    if (weight === 0) continue;
    const mark = marks.get(cell.cell) ?? { counts: [0, 0, 0, 0, 0], lon: 0, lat: 0, weight: 0, cells: [] };
    add(mark.counts, counts);
    mark.lon += cell.at[0] * weight;
    mark.lat += cell.at[1] * weight;
    mark.weight += weight;
    mark.cells.push(cell);
    marks.set(cell.cell, mark);
  }
  return [...marks].map(([cell, { counts, lon, lat, weight, cells: from }]) => {
    const only = weight === 1 && from[0]?.id != null ? from[0] : null;
    const mean: LonLat = [lon / weight, lat / weight];
    const level = LEVELS[counts.findIndex((n) => n > 0)] as LevelKey;
    return {
      type: 'Feature',
      geometry: { type: 'Point', coordinates: only ? mean : placeInCell(cell, mean, donutRadius(weight) + 2, scale) },
      properties: {
        ...only?.properties,
        image: only ? `hazard/${only.symbol}/${level}/16` : `donut/${counts.join(',')}`,
        order: danger(counts) + (only ? 0 : 10),
        total: weight,
        layer: only?.layer ?? null,
        id: only?.id ?? null,
      },
    };
  });
}
