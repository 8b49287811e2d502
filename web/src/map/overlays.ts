/** What lies over the city for a question: bands and veil, starts, uncovered places, selection. */

import type { Feature, FeatureCollection, Geometry, Position } from 'geojson';
import type { LayerSpecification, SymbolLayerSpecification } from 'maplibre-gl';

import { tokens, type Token } from '../tokens';
import type { Circle, LonLat, Uncovered } from '../types';
import { byZoom, type Expression } from './expressions';
import { FONTS } from './fonts';
import { disjoint, outside } from './rings';
import { POINTS_FROM_ZOOM, type Overlay, type State } from './state';
import { worded } from './words';

export type Collection = FeatureCollection<Geometry, Record<string, unknown>>;

export const EMPTY: Collection = { type: 'FeatureCollection', features: [] };

function feature(geometry: Geometry, properties: Record<string, unknown>): Feature<Geometry, Record<string, unknown>> {
  return { type: 'Feature', geometry, properties };
}

function points<T>(items: readonly T[], at: (item: T) => LonLat, properties: (item: T) => Record<string, unknown>): Collection {
  return {
    type: 'FeatureCollection',
    features: items.map((item) => feature({ type: 'Point', coordinates: at(item) }, properties(item))),
  };
}

/** Colour and strength of a band by its minutes: up to 5, up to 10, beyond. */
function bandLook(minutes: number): { token: Token; opacity: number } {
  if (minutes <= 5) return { token: 'band-5', opacity: 0.34 };
  if (minutes <= 10) return { token: 'band-10', opacity: 0.24 };
  return { token: 'band-15', opacity: 0.17 };
}

/** Width of a band's edge: the widest band, the limit, is the heavy one. */
function edgeWidth(fromWidest: number): number {
  return [3.4, 2.2, 1.8][fromWidest] ?? 1.8;
}

/** Width of the line around a hole. */
const HOLE_PX = 1.4;

/** The northernmost point of the greatest outline: bands nest, so that their labels keep apart. */
function topOf(shells: Position[][]): Position[] {
  const greatest = shells.reduce<Position[]>((best, ring) => (ring.length > best.length ? ring : best), []);
  return greatest.length === 0 ? [] : [greatest.reduce((top, at) => ((at[1] ?? 0) > (top[1] ?? 0) ? at : top))];
}

/** The areas of a circle, disjoint, and the veil around them; and its edges. */
export function circleData(circle: Circle | null): Record<'bands' | 'edges' | 'starts', Collection> {
  if (!circle || circle.features.length === 0) return { bands: EMPTY, edges: EMPTY, starts: EMPTY };
  const disks = circle.features.map(({ geometry }) => geometry);
  const bands = disjoint(disks).map((shape, at) => {
    const { token, opacity } = bandLook(circle.features[at]?.properties.minutes ?? 0);
    return feature(shape, { token, opacity });
  });
  const widest = disks[0];
  const veil = widest ? [feature(outside(widest), { token: 'veil', opacity: -1 })] : [];
  // Outlines and holes apart: a band may have a hundred small holes, and each with the heavy line
  // would hide the city.
  const edges = circle.features.flatMap(({ geometry, properties: { minutes } }, at) => {
    const shells = geometry.coordinates.flatMap((rings) => rings.slice(0, 1));
    const holes = geometry.coordinates.flatMap((rings) => rings.slice(1));
    return [
      feature({ type: 'MultiLineString', coordinates: shells }, { minutes, width: edgeWidth(at), shell: true }),
      feature({ type: 'MultiLineString', coordinates: holes }, { minutes, width: HOLE_PX, shell: false }),
      ...topOf(shells).map((at) => feature({ type: 'Point', coordinates: at }, { minutes, width: 0, label: true, shell: false })),
    ];
  });
  return {
    bands: { type: 'FeatureCollection', features: [...veil, ...bands] },
    edges: { type: 'FeatureCollection', features: edges },
    starts: points(circle.starts, ({ lon, lat }) => [lon, lat], () => ({})),
  };
}

export function uncoveredData(places: readonly Uncovered[]): Collection {
  return points(places, ({ lon, lat }) => [lon, lat], ({ layer, id, risk_level }) => ({ layer, id, risk_level }));
}

/** A place with a label beside it; what comes after the first line is small. */
export function labelData(place: { at: LonLat; label: string } | null): Collection {
  return points(
    place ? [place] : [],
    ({ at }) => at,
    ({ label }) => {
      const [title = '', ...rest] = label.split('\n');
      return { title, rest: rest.length ? `\n${rest.join('\n')}` : '' };
    },
  );
}

const TOKENS: readonly Token[] = ['band-5', 'band-10', 'band-15', 'veil'];

/** Veil and bands: over land and roads, under zones and symbols. */
export function bandLayers(state: State): LayerSpecification[] {
  const t = tokens[state.theme];
  const colour = [
    'match',
    ['get', 'token'],
    ...TOKENS.flatMap((token) => [token, t[token]]),
    t.veil,
  ] as unknown as Expression;
  return [
    {
      id: 'bands/fill',
      type: 'fill',
      source: 'bands',
      paint: {
        'fill-color': colour,
        'fill-opacity': ['case', ['==', ['get', 'token'], 'veil'], Number(t['veil-opacity']), ['get', 'opacity']],
        // Disjoint areas side by side: antialiased edges would show as seams.
        'fill-antialias': false,
      },
    },
  ];
}

/** The edge's width and `more`, thinner where the whole circle is small. */
function edgeWidthAt(more: number): Expression {
  const width: Expression = ['+', ['get', 'width'], more];
  return byZoom(1, 9, ['*', 0.5, width], 12, width);
}

export function edgeLayers(state: State): LayerSpecification[] {
  const t = tokens[state.theme];
  return [
    {
      id: 'edges/casing',
      type: 'line',
      source: 'edges',
      layout: { 'line-join': 'round' },
      paint: {
        'line-color': t.land,
        'line-opacity': 0.7,
        'line-width': edgeWidthAt(2),
      },
    },
    {
      id: 'edges/line',
      type: 'line',
      source: 'edges',
      layout: { 'line-join': 'round' },
      paint: { 'line-color': t['band-5'], 'line-width': edgeWidthAt(0) },
    },
  ];
}

/**
 * Minutes on the lines, over whatever lies there: they tell what a line means. Far out each band
 * has one, on its greatest outline; closer up they repeat along the lines.
 */
export function edgeLabels(state: State): { far: LayerSpecification[]; near: LayerSpecification[] } {
  const t = tokens[state.theme];
  const labels = (
    id: string,
    which: string,
    place: Partial<SymbolLayerSpecification['layout']>,
    zooms: { minzoom?: number; maxzoom?: number },
  ): LayerSpecification => ({
    id: `edges/${id}`,
    type: 'symbol',
    source: 'edges',
    ...zooms,
    filter: ['==', ['get', which], true],
    layout: {
      'symbol-sort-key': ['get', 'minutes'],
      'text-field': worded('map.minutes', ['to-string', ['get', 'minutes']]),
      'text-font': FONTS,
      'text-size': 13,
      'text-rotation-alignment': 'viewport',
      'icon-rotation-alignment': 'viewport',
      'icon-image': 'pill',
      'icon-text-fit': 'both',
      'icon-text-fit-padding': [1, 4, 1, 4],
      ...place,
    },
    paint: { 'text-color': t['on-jade'] },
  });
  const always = { 'icon-allow-overlap': true, 'text-allow-overlap': true };
  const along = { 'symbol-placement': 'line', 'symbol-spacing': 420, 'text-padding': 30, 'text-max-angle': 180 } as const;
  return {
    far: [labels('minutes-far', 'label', always, { maxzoom: POINTS_FROM_ZOOM })],
    near: [labels('minutes', 'shell', along, { minzoom: POINTS_FROM_ZOOM })],
  };
}

/** A dot where the clock starts, under the symbols, and its ring over them. */
export function startLayers(state: State): { under: LayerSpecification[]; over: LayerSpecification[] } {
  const t = tokens[state.theme];
  return {
    under: [
      {
        id: 'starts/dot',
        type: 'circle',
        source: 'starts',
        paint: {
          'circle-radius': 6,
          'circle-color': t['band-5'],
          'circle-stroke-color': t.halo,
          'circle-stroke-width': 2,
        },
      },
    ],
    over: [
      {
        id: 'starts/ring',
        type: 'circle',
        source: 'starts',
        paint: {
          'circle-radius': 22,
          'circle-color': 'rgba(0,0,0,0)',
          'circle-stroke-color': t.focus,
          'circle-stroke-width': 4,
          'circle-stroke-opacity': 0.85,
        },
      },
    ],
  };
}

export function uncoveredLayers(): LayerSpecification[] {
  return [
    {
      id: 'uncovered/ring',
      type: 'symbol',
      source: 'uncovered',
      layout: {
        'icon-image': 'ring/uncovered',
        // Smaller among the clusters of low zooms.
        'icon-size': ['interpolate', ['linear'], ['zoom'], 8, 0.45, 12, 0.8, 13, 1],
        'icon-allow-overlap': true,
        'icon-ignore-placement': true,
        'symbol-sort-key': ['-', 4, ['get', 'risk_level']],
      },
    },
  ];
}

function boxLayer(source: Overlay, image: string, state: State): LayerSpecification {
  const t = tokens[state.theme];
  return {
    id: `${source}/label`,
    type: 'symbol',
    source,
    layout: {
      'text-field': [
        'format',
        ['get', 'title'],
        {},
        ['get', 'rest'],
        { 'font-scale': 0.86, 'text-color': t.ink2 },
      ],
      'text-font': FONTS,
      'text-size': 14,
      'text-variable-anchor': ['left', 'right', 'bottom', 'top'],
      'text-radial-offset': 2.3,
      'text-justify': 'left',
      'text-max-width': 22,
      'text-line-height': 1.35,
      'text-allow-overlap': true,
      'text-ignore-placement': true,
      'icon-image': image,
      'icon-text-fit': 'both',
      'icon-text-fit-padding': [3, 6, 3, 6],
      'icon-allow-overlap': true,
      'icon-ignore-placement': true,
    },
    paint: { 'text-color': t.ink },
  };
}

export function selectionLayers(state: State): LayerSpecification[] {
  const t = tokens[state.theme];
  const ring = (id: string, radius: number, width: number, colour: string): LayerSpecification => ({
    id: `selected/${id}`,
    type: 'circle',
    source: 'selected',
    paint: {
      'circle-radius': radius,
      'circle-color': 'rgba(0,0,0,0)',
      'circle-stroke-color': colour,
      'circle-stroke-width': width,
    },
  });
  return [
    ring('gap', 18, 3, t.halo),
    ring('ring', 21, 3, t.focus),
    boxLayer('hovered', 'box/line', state),
    boxLayer('selected', 'box/focus', state),
  ];
}
