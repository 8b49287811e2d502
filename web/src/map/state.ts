/** What the style follows from. */

import type { Lang, LayerInfo, LevelKey, Overview, Theme } from '../types';
import { geometryIs, type Expression } from './expressions';
import { HAZARD_GLYPHS, RESOURCE_GLYPHS } from './shapes';

export interface State {
  lang: Lang;
  theme: Theme;
  visible: ReadonlySet<string>;
  levels: ReadonlySet<LevelKey>;
  /** A circle is drawn: what it shows comes first. */
  circle: boolean;
}

/** The names of the map's sources. */
export const CITY = 'city';
export const PEOPLE = 'people';
export const CLUSTERS = 'clusters';
export const NAMES = 'names';
/** One point for each area that wears a symbol. */
export const AREAS = 'areas';
export const OVERLAYS = ['bands', 'edges', 'starts', 'uncovered', 'selected', 'hovered'] as const;
export type Overlay = (typeof OVERLAYS)[number];

/** Up to this zoom of a tile its points are cells; from the next on each is there. */
export const CELLS_TO_ZOOM = 11;
export const POINTS_FROM_ZOOM = CELLS_TO_ZOOM + 1;

/** Tile addresses take 16 names, one of which is the roads'. */
const NAMES_PER_TILE = 15;

/** The layers in groups that one tile request each can ask for; a tile of an archive has them all. */
export function groups(overview: Overview): string[][] {
  if (overview.opened) return [overview.layers.map(({ id }) => id)];
  const ids = overview.layers.filter(({ role }) => role !== 'population').map(({ id }) => id);
  const found: string[][] = [];
  for (let at = 0; at < ids.length; at += NAMES_PER_TILE) {
    found.push(ids.slice(at, at + NAMES_PER_TILE));
  }
  return found.length ? found : [[]];
}

export function cityName(group: number): string {
  return group === 0 ? CITY : `${CITY}-${group + 1}`;
}

/** Which source a layer is in. */
export function sourceOf(overview: Overview, layer: LayerInfo): string {
  if (layer.role === 'population' && !overview.opened) return PEOPLE;
  return cityName(groups(overview).findIndex((ids) => ids.includes(layer.id)));
}

/** How a layer is drawn, by what it declares. */
export type Kind = 'cover' | 'division' | 'population' | 'zone' | 'fault' | 'resource' | 'hazard';

export function kindOf(layer: LayerInfo): Kind {
  if (layer.role === 'context') return 'cover';
  if (layer.role === 'area') return 'division';
  if (layer.role === 'population') return 'population';
  if (layer.geometry === 'MultiLineString') return 'fault';
  if (layer.symbol in RESOURCE_GLYPHS) return 'resource';
  if (layer.geometry === 'MultiPolygon' && !(layer.symbol in HAZARD_GLYPHS)) return 'zone';
  return 'hazard';
}

/** Where a layer's symbols come from: points out of the tiles, areas as points of our own. */
export interface SymbolOrigin {
  suffix: string;
  from: { source: string; 'source-layer'?: string };
  filter: Expression[];
}

export function symbolOrigins(overview: Overview, layer: LayerInfo): SymbolOrigin[] {
  const points: SymbolOrigin = {
    suffix: '',
    from: { source: sourceOf(overview, layer), 'source-layer': layer.id },
    // While the tiles of points are on their way, those of cells are still here.
    filter: [['!', ['has', 'cell']], geometryIs('Point')],
  };
  if (layer.geometry === 'Point') return [points];
  const areas: SymbolOrigin = {
    suffix: '-area',
    from: { source: AREAS },
    filter: [['==', ['get', 'layer'], layer.id]],
  };
  return [points, areas];
}

/** Whether a click may choose the layer's features. */
export function isPickable(layer: LayerInfo): boolean {
  return ['zone', 'fault', 'resource', 'hazard'].includes(kindOf(layer));
}
