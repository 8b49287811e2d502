/** Zones, faults, points of hazard and clusters: what is dangerous, by its level. */

import type { LayerSpecification, SourceSpecification } from 'maplibre-gl';

import { tokens } from '../tokens';
import type { LayerInfo, LevelKey, Overview } from '../types';
import {
  DANGER_ORDER,
  LEVEL,
  all,
  byLevel,
  byZoom,
  geometryIs,
  inLevels,
  levelColours,
  levelEdges,
  nameIn,
  type Expression,
} from './expressions';
import { FONTS } from './fonts';
import { CLUSTERS, POINTS_FROM_ZOOM, kindOf, sourceOf, symbolOrigins, type State } from './state';

function shown(layer: LayerInfo, state: State): { visibility: 'visible' | 'none' } {
  return { visibility: state.visible.has(layer.id) ? 'visible' : 'none' };
}

/** A layer without levels has no level to filter by. */
function chosen(layer: LayerInfo, levels: Iterable<LevelKey>): Expression[] {
  return layer.by_risk_level ? [inLevels(levels)] : [];
}

const WORST_FIRST = byLevel((level) => (level === '1' || level === '2' ? 1 : 0.55));

export function zoneLayers(overview: Overview, layer: LayerInfo, state: State): LayerSpecification[] {
  const from = { source: sourceOf(overview, layer), 'source-layer': layer.id };
  const layout = shown(layer, state);
  const filter = all(geometryIs('Polygon'), ...chosen(layer, state.levels));
  const wavy = layer.symbol === 'flood-impact';
  const dashed = ['literal', [2.9, 1.7]];
  const edge = wavy
    ? ([2.9, 1.7] as number[])
    : (['match', LEVEL, 'null', dashed, ['literal', [1, 0]]] as unknown as Expression);
  const pattern = wavy ? 'waves' : 'hatch';
  return [
    {
      id: `${layer.id}/fill`,
      type: 'fill',
      ...from,
      filter,
      layout,
      paint: {
        'fill-color': levelColours(state.theme),
        // 未评估 is an edge and nothing else.
        'fill-opacity': byLevel((level) => (level === 'null' ? 0 : 0.16)),
        'fill-antialias': false,
      },
    },
    {
      id: `${layer.id}/hatch`,
      type: 'fill',
      ...from,
      minzoom: POINTS_FROM_ZOOM,
      filter,
      layout,
      paint: {
        'fill-pattern': byLevel((level) => (level === 'null' ? 'blank' : `${pattern}/${level}`)),
        'fill-opacity': 0.8,
      },
    },
    {
      id: `${layer.id}/edge`,
      type: 'line',
      ...from,
      filter,
      layout: { ...layout, 'line-join': 'round' },
      paint: {
        'line-color': levelEdges(state.theme),
        'line-width': ['step', ['zoom'], 1.2, POINTS_FROM_ZOOM, 2.4],
        // Of a thousand zones in one view the worst speak first.
        'line-opacity': ['step', ['zoom'], WORST_FIRST, 10, 1],
        'line-dasharray': edge,
      },
    },
    {
      // A zone smaller than a pixel comes as its point: it may be dangerous and must not vanish.
      id: `${layer.id}/dot`,
      type: 'circle',
      ...from,
      filter: all(geometryIs('Point'), ...chosen(layer, state.levels)),
      layout: { ...layout, 'circle-sort-key': DANGER_ORDER },
      paint: {
        'circle-radius': 2.4,
        'circle-opacity': ['step', ['zoom'], WORST_FIRST, 10, 1],
        'circle-stroke-opacity': ['step', ['zoom'], WORST_FIRST, 10, 1],
        'circle-color': levelColours(state.theme),
        'circle-stroke-color': tokens[state.theme].outline,
        'circle-stroke-width': 0.8,
      },
    },
  ];
}

/** Setback of the overlay analysis (GB 50011 table 4.1.7): 200 m on either side. */
const SETBACK_M = 200;
/** Metres of a screen pixel at zoom 0 on the equator: the equator's length over a tile of 512 px. */
const EQUATOR_PX_M = 40_075_016.685578488 / 512;

/**
 * The setback is wider than what tiles hold beyond their edge and would end at each: it is drawn
 * along the whole lines, which are few.
 */
export function setbackSources(overview: Overview): Record<string, SourceSpecification> {
  const faults = overview.layers.filter((layer) => kindOf(layer) === 'fault');
  return Object.fromEntries(
    faults.map((layer) => [
      setbackName(layer),
      {
        type: 'geojson',
        data: `${location.origin}/collections/${layer.id}/items?limit=10000`,
        maxzoom: 14,
        buffer: 512,
      },
    ]),
  );
}

function setbackName(layer: LayerInfo): string {
  return `setback-${layer.id}`;
}

export function faultLayers(overview: Overview, layer: LayerInfo, state: State): LayerSpecification[] {
  const t = tokens[state.theme];
  const from = { source: sourceOf(overview, layer), 'source-layer': layer.id };
  const layout = shown(layer, state);
  const box = overview.extent ?? overview.city?.bbox ?? [0, 0, 0, 0];
  const latitude = ((box[1] + box[3]) / 2) * (Math.PI / 180);
  const widthPx = (zoom: number): number =>
    (2 * SETBACK_M * 2 ** zoom) / (EQUATOR_PX_M * Math.cos(latitude));
  const lines = all(geometryIs('LineString'), ...chosen(layer, state.levels));
  return [
    {
      id: `${layer.id}/setback`,
      type: 'line',
      source: setbackName(layer),
      minzoom: 13,
      layout: { ...layout, 'line-join': 'round' },
      paint: {
        'line-color': t.fault,
        'line-opacity': 0.1,
        'line-width': byZoom(2, 13, widthPx(13), 20, widthPx(20)),
      },
    },
    {
      id: `${layer.id}/casing`,
      type: 'line',
      ...from,
      filter: lines,
      layout: { ...layout, 'line-join': 'round', 'line-cap': 'round' },
      paint: {
        'line-color': t.halo,
        'line-opacity': 0.8,
        'line-width': ['step', ['zoom'], 4, POINTS_FROM_ZOOM, 6],
      },
    },
    {
      id: `${layer.id}/line`,
      type: 'line',
      ...from,
      filter: lines,
      layout: { ...layout, 'line-join': 'round', 'line-cap': 'round' },
      paint: {
        'line-color': t.fault,
        'line-width': ['step', ['zoom'], 2, POINTS_FROM_ZOOM, 3],
      },
    },
    {
      id: `${layer.id}/tick`,
      type: 'symbol',
      ...from,
      minzoom: POINTS_FROM_ZOOM,
      filter: lines,
      layout: {
        ...layout,
        'symbol-placement': 'line',
        'symbol-spacing': 32,
        'icon-image': 'tick',
        'icon-rotation-alignment': 'map',
        'icon-allow-overlap': true,
        'icon-ignore-placement': true,
        'icon-keep-upright': false,
      },
    },
  ];
}

/** The plant's or the shelter's own outline, once it is large enough to be one; lines before. */
export function outlineLayers(overview: Overview, layer: LayerInfo, state: State): LayerSpecification[] {
  const t = tokens[state.theme];
  const from = { source: sourceOf(overview, layer), 'source-layer': layer.id };
  const layout = shown(layer, state);
  const hazard = kindOf(layer) === 'hazard';
  const colour = hazard ? levelEdges(state.theme) : t.jade;
  const filter = all(geometryIs('Polygon'), ...chosen(layer, state.levels));
  const lines = all(geometryIs('LineString'), ...chosen(layer, state.levels));
  return [
    {
      id: `${layer.id}/ground`,
      type: 'fill',
      ...from,
      minzoom: 14,
      filter,
      layout,
      paint: { 'fill-color': colour, 'fill-opacity': 0.08, 'fill-antialias': false },
    },
    {
      id: `${layer.id}/outline`,
      type: 'line',
      ...from,
      minzoom: 14,
      filter,
      layout: { ...layout, 'line-join': 'round' },
      paint: { 'line-color': colour, 'line-width': 1.6 },
    },
    {
      id: `${layer.id}/line-casing`,
      type: 'line',
      ...from,
      minzoom: POINTS_FROM_ZOOM,
      filter: lines,
      layout: { ...layout, 'line-join': 'round', 'line-cap': 'round' },
      paint: { 'line-color': t.outline, 'line-width': 4.2, 'line-opacity': 0.75 },
    },
    {
      id: `${layer.id}/line`,
      type: 'line',
      ...from,
      minzoom: POINTS_FROM_ZOOM,
      filter: lines,
      layout: { ...layout, 'line-join': 'round', 'line-cap': 'round' },
      paint: { 'line-color': hazard ? levelColours(state.theme) : t.jade, 'line-width': 2.4 },
    },
  ];
}

/** 28 px with a glyph from zoom 13; before, 20 px with one for the worst two levels, else 16. */
function hazardImage(symbol: string): Expression {
  const image = (px: number): Expression => ['concat', `hazard/${symbol}/`, LEVEL, `/${px}`];
  const small = ['match', LEVEL, ['1', '2'], image(20), image(16)];
  return ['step', ['zoom'], small, 13, image(28)] as unknown as Expression;
}

/** Levels in the order that they are drawn: no harmless symbol of one layer hides a worse one. */
const TIERS: readonly (readonly LevelKey[])[] = [
  ['null', '4', '3'],
  ['2', '1'],
];

export function hazardLayers(
  overview: Overview,
  layer: LayerInfo,
  state: State,
  tier: 0 | 1,
): LayerSpecification[] {
  const t = tokens[state.theme];
  const levels = (TIERS[tier] as readonly LevelKey[]).filter((level) => state.levels.has(level));
  // Without levels there is one tier, and every feature is in it.
  if (!layer.by_risk_level && tier === 0) return [];
  return symbolOrigins(overview, layer).map(({ suffix, from, filter }) => ({
    id: `${layer.id}/symbol${suffix}-${tier}`,
    type: 'symbol',
    ...from,
    minzoom: POINTS_FROM_ZOOM,
    filter: all(...filter, ...chosen(layer, levels)),
    layout: {
      ...shown(layer, state),
      'icon-image': hazardImage(layer.symbol),
      'icon-allow-overlap': true,
      'symbol-sort-key': DANGER_ORDER,
      ...nameLayout(['step', ['zoom'], '', 15, nameIn(state.lang)], 1.5),
    },
    paint: namePaint(t),
  }));
}

/** Text under a symbol; the symbol stays when its text finds no room. */
export function nameLayout(text: Expression, offset: number): object {
  return {
    'text-field': text,
    'text-font': FONTS,
    'text-size': 12,
    'text-anchor': 'top',
    'text-offset': [0, offset],
    'text-max-width': 9,
    'text-optional': true,
  };
}

export function namePaint(t: { ink: string; halo: string }): object {
  return { 'text-color': t.ink, 'text-halo-color': t.halo, 'text-halo-width': 1.5 };
}

export function clusterLayers({ circle }: State): LayerSpecification[] {
  return [
    {
      id: 'clusters/symbol',
      type: 'symbol',
      source: CLUSTERS,
      maxzoom: POINTS_FROM_ZOOM,
      layout: {
        'icon-image': ['get', 'image'],
        'icon-allow-overlap': true,
        // Over a circle they step back: its bands are what was asked for.
        'icon-size': circle ? 0.7 : 1,
        'symbol-sort-key': ['get', 'order'],
      },
      paint: { 'icon-opacity': circle ? 0.7 : 1 },
    },
  ];
}
