/** A map of given features over the city's ground: what a page lists, or the one that it shows. */

import type { Feature, Geometry, Position } from 'geojson';
import { Map as LibreMap, ScaleControl, type LayerSpecification, type StyleSpecification } from 'maplibre-gl';

import { tokens } from '../tokens';
import type { Box, Lang, LayerInfo, LonLat, MapView, Overview, Theme } from '../types';
import { LEVELS } from '../types';
import { DANGER_ORDER, LEVEL, all, geometryIs, levelColours, levelEdges, type Expression } from './expressions';
import { Images } from './images';
import { DivisionNames } from './names';
import { EMPTY, type Collection } from './overlays';
import { middleOf, placeOf } from './pieces';
import { resourceImage } from './resources';
import { areaOf } from './rings';
import { kindOf, type State } from './state';
import { layersOf, styleOf } from './style';

const FIT = { padding: 48, maxZoom: 15 } as const;
const READ_EVERY_MS = 200;
const FEATURES = 'features';
const PLACES = 'places';

export interface Listed {
  overview: Overview;
  layer: LayerInfo;
  features: Collection;
  lang: Lang;
  /** A feature was chosen. */
  onPick: (id: number) => void;
}

function parts(geometry: Geometry): { rings: Position[][]; lines: Position[][]; points: Position[] } {
  switch (geometry.type) {
    case 'Point':
      return { rings: [], lines: [], points: [geometry.coordinates] };
    case 'MultiPoint':
      return { rings: [], lines: [], points: geometry.coordinates };
    case 'LineString':
      return { rings: [], lines: [geometry.coordinates], points: [] };
    case 'MultiLineString':
      return { rings: [], lines: geometry.coordinates, points: [] };
    case 'Polygon':
      return { rings: geometry.coordinates.slice(0, 1), lines: [], points: [] };
    case 'MultiPolygon':
      return { rings: geometry.coordinates.flatMap((one) => one.slice(0, 1)), lines: [], points: [] };
    case 'GeometryCollection': {
      const all = geometry.geometries.map(parts);
      return {
        rings: all.flatMap(({ rings }) => rings),
        lines: all.flatMap(({ lines }) => lines),
        points: all.flatMap(({ points }) => points),
      };
    }
  }
}

/** Where the symbol of a feature stands: an area may be too small to be seen, its symbol is not. */
function placeOfFeature(geometry: Geometry): LonLat | null {
  const { rings, lines, points } = parts(geometry);
  const pieces = rings.map((ring) => ({ ring, area: areaOf(ring) })).filter(({ area }) => area > 0);
  if (pieces.length) return placeOf(pieces);
  if (rings[0]?.[0]) return rings[0][0] as LonLat;
  if (lines.length) return middleOf(lines.reduce((best, line) => (line.length > best.length ? line : best)));
  return (points[0] as LonLat | undefined) ?? null;
}

function places(features: Collection): Collection {
  const found = features.features.flatMap((feature): Feature<Geometry, Record<string, unknown>>[] => {
    const at = feature.geometry && placeOfFeature(feature.geometry);
    if (!at) return [];
    const properties = { ...feature.properties, id: feature.id };
    return [{ type: 'Feature', geometry: { type: 'Point', coordinates: at }, properties }];
  });
  return { ...EMPTY, features: found };
}

function boxOf(features: Collection): Box | null {
  const box: Box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { geometry } of features.features) {
    if (!geometry) continue;
    const { rings, lines, points } = parts(geometry);
    for (const [x, y] of [...rings.flat(), ...lines.flat(), ...points] as LonLat[]) {
      box[0] = Math.min(box[0], x);
      box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x);
      box[3] = Math.max(box[3], y);
    }
  }
  return box[0] <= box[2] ? box : null;
}

/** The layers of the features, over those of the ground. */
function drawn(layer: LayerInfo, theme: Theme): LayerSpecification[] {
  const t = tokens[theme];
  const help = kindOf(layer) === 'resource';
  const plain = help ? t.jade : kindOf(layer) === 'fault' ? t.fault : t.focus;
  const edge = layer.by_risk_level ? levelEdges(theme) : plain;
  const fill = layer.by_risk_level ? levelColours(theme) : plain;
  const filter = all(geometryIs('Polygon'));
  const mark: LayerSpecification =
    help || layer.by_risk_level
      ? {
          id: 'features/symbol',
          type: 'symbol',
          source: PLACES,
          layout: {
            'icon-image': help
              ? resourceImage(layer)
              : (['concat', `hazard/${layer.symbol}/`, LEVEL, '/20'] as unknown as Expression),
            'icon-allow-overlap': true,
            'symbol-sort-key': DANGER_ORDER,
          },
        }
      : {
          id: 'features/symbol',
          type: 'circle',
          source: PLACES,
          paint: {
            'circle-radius': 4,
            'circle-color': plain,
            'circle-stroke-color': t.halo,
            'circle-stroke-width': 1.5,
          },
        };
  return [
    {
      id: 'features/fill',
      type: 'fill',
      source: FEATURES,
      filter,
      paint: { 'fill-color': fill, 'fill-opacity': 0.2, 'fill-antialias': false },
    },
    {
      id: 'features/edge',
      type: 'line',
      source: FEATURES,
      filter: all(geometryIs('Polygon', 'LineString')),
      layout: { 'line-join': 'round', 'line-cap': 'round' },
      paint: { 'line-color': edge, 'line-width': 2.4 },
    },
    mark,
  ];
}

function style({ overview, layer, features, lang }: Listed, theme: Theme): StyleSpecification {
  const state = stateOf(overview, lang, theme);
  const ground = styleOf(overview, state);
  const data = { type: 'geojson', buffer: 64 } as const;
  return {
    ...ground,
    sources: {
      ...ground.sources,
      [FEATURES]: { ...data, data: features },
      [PLACES]: { ...data, data: places(features) },
    },
    layers: [...layersOf(overview, state), ...drawn(layer, theme)],
  };
}

function stateOf(overview: Overview, lang: Lang, theme: Theme): State {
  const visible = new Set(overview.layers.map(({ id }) => id));
  return { lang, theme, visible, levels: new Set(LEVELS), circle: false };
}

/** Draw the map; throws where the browser has no WebGL. */
export function listedMap(
  container: HTMLElement,
  listed: Listed,
  first: Theme,
): Pick<MapView, 'setTheme' | 'zoomBy'> {
  const { overview, features, lang, onPick } = listed;
  const home = boxOf(features) ?? overview.extent ?? overview.city?.bbox ?? [-180, -60, 180, 75];
  const map = new LibreMap({
    container,
    style: style(listed, first),
    bounds: home,
    fitBoundsOptions: FIT,
    attributionControl: false,
    dragRotate: false,
    touchPitch: false,
    pitchWithRotate: false,
    renderWorldCopies: false,
    maxZoom: 18,
  });
  map.addControl(new ScaleControl({ maxWidth: 120, unit: 'metric' }), 'bottom-right');
  const images = new Images(map, first);
  const names = new DivisionNames(map, overview);
  let theme = first;
  // Tiles come in bursts: one look at them for each.
  let timer: number | undefined;
  const name = (): void => {
    timer ??= window.setTimeout(() => {
      timer = undefined;
      if (map.isStyleLoaded()) names.update(stateOf(overview, lang, theme));
    }, READ_EVERY_MS);
  };
  map.on('moveend', name);
  map.on('sourcedata', ({ tile }) => {
    if (tile) name();
  });
  const under = (point: { x: number; y: number }) =>
    map.queryRenderedFeatures([point.x, point.y], {
      layers: ['features/symbol', 'features/edge', 'features/fill'],
    })[0];
  map.on('mousemove', ({ point }) => {
    const hit = under(point);
    const canvas = map.getCanvas();
    canvas.style.cursor = hit ? 'pointer' : '';
    canvas.title = String(hit?.properties['name'] ?? hit?.properties['code'] ?? '');
  });
  map.on('click', ({ point }) => {
    const hit = under(point);
    const id = hit && (hit.source === PLACES ? hit.properties['id'] : hit.id);
    if (id != null) onPick(Number(id));
  });
  return {
    setTheme(next) {
      theme = next;
      images.setTheme(next);
      map.setStyle(style(listed, next));
    },
    zoomBy: (steps) => map.easeTo({ zoom: map.getZoom() + steps, duration: 250 }),
  };
}
