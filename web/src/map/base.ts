/** What everything else stands on: land, water, divisions, people, roads and their names. */

import type { LayerSpecification } from 'maplibre-gl';

import { tokens, type Token } from '../tokens';
import type { LayerInfo, Overview } from '../types';
import { all, byZoom, geometryIs, nameIn, type Expression } from './expressions';
import { FONTS } from './fonts';
import { NAME_ZOOMS } from './names';
import { CITY, NAMES, sourceOf, type State } from './state';

const COVER: Record<string, Token> = {
  sea: 'water',
  lake: 'water',
  reservoir: 'water',
  river: 'water',
  wetland: 'wetland',
  hill: 'hills',
  park: 'parks',
  industrial: 'industrial',
  built_up: 'built-up',
  farmland: 'farmland',
};

/** Built-up ground lies under parks, parks under water, whatever the order of the tile. */
const COVER_ORDER = ['farmland', 'hill', 'built_up', 'industrial', 'wetland', 'park'];

function visibility(on: boolean): { visibility: 'visible' | 'none' } {
  return { visibility: on ? 'visible' : 'none' };
}

export function coverLayers(overview: Overview, layer: LayerInfo, state: State): LayerSpecification[] {
  const t = tokens[state.theme];
  const pairs = Object.entries(COVER).flatMap(([name, token]) => [name, t[token]]);
  const colour = ['match', ['get', 'cover_class'], ...pairs, t.land] as unknown as Expression;
  const from = { source: sourceOf(overview, layer), 'source-layer': layer.id };
  const sort = COVER_ORDER.flatMap((name, at) => [name, at]);
  return [
    {
      id: `${layer.id}/fill`,
      type: 'fill',
      ...from,
      filter: all(geometryIs('Polygon')),
      layout: {
        ...visibility(state.visible.has(layer.id)),
        'fill-sort-key': ['match', ['get', 'cover_class'], ...sort, 9] as unknown as Expression,
      },
      paint: { 'fill-color': colour },
    },
    {
      id: `${layer.id}/line`,
      type: 'line',
      ...from,
      filter: all(geometryIs('LineString')),
      layout: { ...visibility(state.visible.has(layer.id)), 'line-cap': 'round', 'line-join': 'round' },
      paint: { 'line-color': colour, 'line-width': byZoom(1.6, 8, 0.8, 12, 3, 16, 14) },
    },
  ];
}

/** Neighbours both draw their common line, out of step: wide gaps leave it dashed all the same. */
const DASH_DOT = [5, 4, 1, 4];

/** Boundaries by the level of the division: from which zoom, how wide. */
const BOUNDARIES = [
  { levels: ['community', 'grid'], from: 14, width: 0.8, opacity: 0.6 },
  { levels: ['street'], from: 11, width: 1.1, opacity: 0.75 },
  { levels: ['district'], from: 0, width: 1.8, opacity: 1 },
  { levels: ['city', 'province'], from: 0, width: 1.8, opacity: 1 },
] as const;

export function boundaryLayers(overview: Overview, layer: LayerInfo, state: State): LayerSpecification[] {
  const t = tokens[state.theme];
  return BOUNDARIES.map(({ levels, from, width, opacity }) => ({
    id: `${layer.id}/${levels[0]}`,
    type: 'line',
    source: sourceOf(overview, layer),
    'source-layer': layer.id,
    minzoom: from,
    filter: all(['in', ['get', 'level'], ['literal', [...levels]]]),
    layout: { ...visibility(state.visible.has(layer.id)), 'line-join': 'round' },
    paint: {
      'line-color': t.boundary,
      'line-width': width,
      'line-opacity': opacity,
      'line-dasharray': DASH_DOT,
    },
  }));
}

/** Size of a division's name by its level. */
const NAME_SIZES: Record<string, number> = { community: 13, street: 15, district: 17 };

export function divisionNames(overview: Overview, state: State): LayerSpecification[] {
  const t = tokens[state.theme];
  const english = overview.divisions.flatMap(({ name, name_en }) => (name_en ? [name, name_en] : []));
  // Tiles carry Chinese names; the English ones of districts are in the overview.
  const other = english.length
    ? (['match', ['get', 'name'], ...unique(english), ''] as unknown as Expression)
    : '';
  const second = ['coalesce', ['get', 'name_en'], other] as Expression;
  const first: Expression = ['coalesce', ['get', 'name'], ''];
  return NAME_ZOOMS.map(({ level, from, to }) => ({
    id: `names/${level}`,
    type: 'symbol',
    source: NAMES,
    minzoom: from,
    maxzoom: to,
    filter: all(['==', ['get', 'level'], level]),
    layout: {
      'text-field': bothNames(state, first, second),
      'text-font': FONTS,
      'text-size': byZoom(1, from, NAME_SIZES[level] as number, from + 3, (NAME_SIZES[level] as number) + 2),
      'text-letter-spacing': 0.08,
      'text-line-height': 1.15,
      'text-max-width': 12,
      'text-padding': 3,
      // Names step aside for symbols; where there is no room at all they lie below them.
      'text-variable-anchor': ['center', 'top', 'bottom', 'left', 'right'],
      'text-radial-offset': 1.2,
      'text-justify': 'auto',
      'text-allow-overlap': true,
    },
    paint: { 'text-color': t['map-label'], 'text-halo-color': t.land, 'text-halo-width': 1.6 },
  }));
}

/** Two names, the reader's large and the other one small below it. */
function bothNames(state: State, chinese: Expression, english: Expression): Expression {
  const [large, small] = state.lang === 'zh' ? [chinese, english] : [english, chinese];
  const hasLarge: Expression = ['!=', large, ''];
  return [
    'format',
    ['case', hasLarge, large, small],
    {},
    ['case', hasLarge, ['case', ['!=', small, ''], ['concat', '\n', small], ''], ''],
    { 'font-scale': 0.72 },
  ] as unknown as Expression;
}

/** A `match` may name each value once. */
function unique(pairs: string[]): string[] {
  const found = new Map<string, string>();
  for (let at = 0; at < pairs.length; at += 2) found.set(pairs[at] as string, pairs[at + 1] as string);
  return [...found].flat();
}

/** Upper ends of the classes of people in a cell, by the mean of the layer; the last is open. */
export function populationBreaks(layer: LayerInfo): number[] {
  const mean = (layer.people ?? 0) / Math.max(1, layer.count);
  const rounded = (value: number): number => {
    const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 0);
    return Math.max(1, Math.round((value / step) * 2) / 2) * step;
  };
  const breaks = [0.25, 0.75, 1.5, 3].map((part) => rounded(mean * part));
  return breaks.filter((value, at) => at === 0 || value > (breaks[at - 1] as number));
}

/** Opacities of the population's classes over the jade of the narrowest band. */
export const POPULATION_OPACITIES = [0.04, 0.1, 0.18, 0.28, 0.4] as const;

export function populationLayers(overview: Overview, layer: LayerInfo, state: State): LayerSpecification[] {
  const t = tokens[state.theme];
  const steps = populationBreaks(layer).flatMap((value, at) => [value, POPULATION_OPACITIES[at + 1]]);
  const opacity = [
    'step',
    ['coalesce', ['get', 'population'], 0],
    POPULATION_OPACITIES[0],
    ...steps,
  ] as unknown as Expression;
  const from = { source: sourceOf(overview, layer), 'source-layer': layer.id };
  const layout = visibility(state.visible.has(layer.id));
  return [
    {
      id: `${layer.id}/fill`,
      type: 'fill',
      ...from,
      filter: all(geometryIs('Polygon')),
      layout,
      paint: { 'fill-color': t['band-10'], 'fill-opacity': opacity, 'fill-antialias': false },
    },
    {
      id: `${layer.id}/dot`,
      type: 'circle',
      ...from,
      filter: all(geometryIs('Point')),
      layout,
      paint: {
        'circle-color': t['band-10'],
        'circle-opacity': opacity,
        'circle-radius': byZoom(2, 10, 1.5, 16, 60),
      },
    },
  ];
}

const TRUNK = ['motorway', 'trunk', 'primary'];
const TRUNK_LINKS = ['motorway_link', 'trunk_link', 'primary_link'];
const MAIN = ['secondary', 'tertiary', 'secondary_link', 'tertiary_link'];
const FOOT = ['footway', 'path', 'steps', 'pedestrian', 'cycleway'];

/** A value by the class of a road. */
function byClass<T extends string | number>(
  motorway: T,
  trunk: T,
  link: T,
  main: T,
  minor: T,
): Expression {
  return [
    'match',
    ['get', 'road_class'],
    'motorway',
    motorway,
    TRUNK.slice(1),
    trunk,
    TRUNK_LINKS,
    link,
    MAIN,
    main,
    minor,
  ] as unknown as Expression;
}

/** Width of the road, or of its casing that is `extra` px wider. */
function roadWidth(extra: number): Expression {
  const at = (...w: [number, number, number, number, number]): Expression =>
    byClass(...(w.map((width) => width + extra) as typeof w));
  return byZoom(
    1.4,
    8, at(1.4, 1.2, 0.6, 0.5, 0.3),
    11, at(2.6, 2.4, 1.2, 1.5, 0.6),
    13, at(4.4, 4, 2, 2.8, 1.3),
    15, at(8, 7.5, 4, 5.5, 3),
    17, at(16, 15, 9, 12, 8),
    19, at(34, 30, 20, 26, 18),
  );
}

export function roadLayers(state: State): LayerSpecification[] {
  const t = tokens[state.theme];
  const from = { source: CITY, 'source-layer': 'roads' };
  const motor: Expression = ['!', ['in', ['get', 'road_class'], ['literal', [...FOOT, 'ferry']]]];
  const bridge: Expression = ['==', ['get', 'bridge'], true];
  const tunnel: Expression = ['==', ['get', 'tunnel'], true];
  const colour = byClass(t['road-trunk'], t['road-trunk'], t['road-trunk'], t['road-main'], t['road-minor']);
  const order = byClass(5, 4, 3, 2, 1);
  const round = { 'line-cap': 'round', 'line-join': 'round' } as const;
  return [
    {
      id: 'roads/ferry',
      type: 'line',
      ...from,
      minzoom: 9,
      filter: all(['==', ['get', 'road_class'], 'ferry']),
      paint: { 'line-color': t.boundary, 'line-width': 1.2, 'line-dasharray': [3, 3] },
    },
    {
      id: 'roads/foot',
      type: 'line',
      ...from,
      minzoom: 15,
      filter: all(['in', ['get', 'road_class'], ['literal', FOOT]]),
      layout: round,
      paint: { 'line-color': t['road-main'], 'line-width': byZoom(1.4, 15, 0.8, 18, 2.4), 'line-dasharray': [2, 1.6] },
    },
    {
      id: 'roads/tunnel',
      type: 'line',
      ...from,
      minzoom: 11,
      filter: all(motor, tunnel),
      layout: { 'line-sort-key': order, 'line-join': 'round' },
      paint: { 'line-color': colour, 'line-width': roadWidth(0), 'line-opacity': 0.7, 'line-dasharray': [1.6, 0.9] },
    },
    {
      id: 'roads/casing',
      type: 'line',
      ...from,
      minzoom: 12,
      filter: all(motor, ['!', tunnel], ['!', bridge]),
      layout: { ...round, 'line-sort-key': order },
      paint: { 'line-color': t.land, 'line-width': roadWidth(2) },
    },
    {
      id: 'roads/line',
      type: 'line',
      ...from,
      filter: all(motor, ['!', tunnel], ['any', ['!', bridge], ['<', ['zoom'], 12]] as Expression),
      layout: { ...round, 'line-sort-key': order },
      paint: { 'line-color': colour, 'line-width': roadWidth(0) },
    },
    {
      id: 'roads/bridge-casing',
      type: 'line',
      ...from,
      minzoom: 12,
      filter: all(motor, bridge),
      layout: { 'line-sort-key': order, 'line-join': 'round' },
      paint: { 'line-color': t.boundary, 'line-width': roadWidth(1.6), 'line-opacity': 0.8 },
    },
    {
      id: 'roads/bridge',
      type: 'line',
      ...from,
      minzoom: 12,
      filter: all(motor, bridge),
      layout: { 'line-sort-key': order, 'line-join': 'round' },
      paint: { 'line-color': colour, 'line-width': roadWidth(0) },
    },
  ];
}

export function roadNames(state: State): LayerSpecification[] {
  const t = tokens[state.theme];
  return [
    {
      id: 'roads/name',
      type: 'symbol',
      source: CITY,
      'source-layer': 'roads',
      minzoom: 14,
      filter: all(['!=', ['coalesce', ['get', 'name'], ''], '']),
      layout: {
        'symbol-placement': 'line',
        'symbol-spacing': 400,
        'symbol-sort-key': byClass(1, 2, 5, 3, 4),
        'text-field': nameIn(state.lang),
        'text-font': FONTS,
        'text-size': 12,
        'text-padding': 8,
      },
      paint: { 'text-color': t.ink3, 'text-halo-color': t.land, 'text-halo-width': 1.4 },
    },
  ];
}
