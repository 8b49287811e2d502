/** The whole style, built from the overview and the state; its layers are the same for any state. */

import type { GeoJSONSourceSpecification, LayerSpecification, Map as LibreMap, SourceSpecification, StyleSpecification } from 'maplibre-gl';

import { tokens } from '../tokens';
import type { Box, LayerInfo, Overview } from '../types';
import { boundaryLayers, coverLayers, divisionNames, populationLayers, roadLayers, roadNames } from './base';
import { clusterLayers, faultLayers, hazardLayers, outlineLayers, setbackSources, zoneLayers } from './hazards';
import { bandLayers, edgeLabels, edgeLayers, EMPTY, selectionLayers, startLayers, uncoveredLayers } from './overlays';
import { resourceLayers } from './resources';
import { AREAS, CLUSTERS, NAMES, OVERLAYS, PEOPLE, cityName, groups, kindOf, type Kind, type State } from './state';

/** Tiles beyond this zoom show nothing new: the one before is drawn larger. */
const TILES_TO_ZOOM = 16;

/** The box that tiles can lie in: nothing is asked for outside of it. */
function bounds(overview: Overview): { bounds?: Box } {
  const boxes = [overview.city?.bbox, overview.extent].filter((box) => box != null);
  if (boxes.length === 0) return {};
  const edge = (at: 0 | 1 | 2 | 3, pick: (...values: number[]) => number): number =>
    pick(...boxes.map((box) => box[at]));
  return { bounds: [edge(0, Math.min), edge(1, Math.min), edge(2, Math.max), edge(3, Math.max)] };
}

function tiles(names: readonly string[], overview: Overview): SourceSpecification {
  return {
    type: 'vector',
    tiles: [
      overview.opened
        ? `pmtiles://${overview.opened.url}/{z}/{x}/{y}`
        : `${location.origin}/tiles/${names.join(',')}/{z}/{x}/{y}.mvt`,
    ],
    minzoom: 0,
    maxzoom: Math.min(TILES_TO_ZOOM, overview.opened?.maxZoom ?? TILES_TO_ZOOM),
    ...bounds(overview),
  };
}

function sources(overview: Overview): Record<string, SourceSpecification> {
  const found: Record<string, SourceSpecification> = {};
  groups(overview).forEach((ids, at) => {
    found[cityName(at)] = tiles(at === 0 ? [...ids, 'roads'] : ids, overview);
  });
  // Cells of people are heavy: asked for only while they are shown.
  const people = overview.layers.filter(({ role }) => role === 'population').map(({ id }) => id);
  if (people.length && !overview.opened) found[PEOPLE] = tiles(people, overview);
  Object.assign(found, setbackSources(overview));
  const own: GeoJSONSourceSpecification = { type: 'geojson', data: EMPTY };
  for (const name of [CLUSTERS, NAMES, AREAS, ...OVERLAYS]) found[name] = own;
  return found;
}

/** All layers, from the ground up. */
export function layersOf(overview: Overview, state: State): LayerSpecification[] {
  const each = (kind: Kind, draw: (layer: LayerInfo) => LayerSpecification[]): LayerSpecification[] =>
    overview.layers.filter((layer) => kindOf(layer) === kind).flatMap(draw);
  const start = startLayers(state);
  const minutes = edgeLabels(state);
  return [
    { id: 'land', type: 'background', paint: { 'background-color': tokens[state.theme].land } },
    ...each('cover', (layer) => coverLayers(overview, layer, state)),
    ...each('population', (layer) => populationLayers(overview, layer, state)),
    ...roadLayers(state),
    ...bandLayers(state),
    ...each('division', (layer) => boundaryLayers(overview, layer, state)),
    ...each('resource', (layer) => outlineLayers(overview, layer, state)),
    ...each('hazard', (layer) => outlineLayers(overview, layer, state)),
    ...each('zone', (layer) => zoneLayers(overview, layer, state)),
    ...each('fault', (layer) => faultLayers(overview, layer, state)),
    ...edgeLayers(state),
    ...roadNames(state),
    ...divisionNames(overview, state),
    ...start.under,
    ...uncoveredLayers(),
    ...each('resource', (layer) => resourceLayers(overview, layer, state)),
    ...each('hazard', (layer) => hazardLayers(overview, layer, state, 0)),
    ...each('hazard', (layer) => hazardLayers(overview, layer, state, 1)),
    ...clusterLayers(state),
    ...minutes.far,
    ...minutes.near,
    ...start.over,
    ...selectionLayers(state),
  ];
}

export function styleOf(overview: Overview, state: State): StyleSpecification {
  // No `glyphs` and no `sprite`: text comes from the reader's fonts, images from code.
  return { version: 8, sources: sources(overview), layers: layersOf(overview, state) };
}

type Loose = Record<string, unknown>;

function changes(before: Loose, after: Loose): [string, unknown][] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names]
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .map((name) => [name, after[name]]);
}

/**
 * Bring a map from one state's layers to another's.
 *
 * `Map.setStyle` would do it too, but it also sets the data of our GeoJSON sources back.
 */
export function restyle(map: LibreMap, before: LayerSpecification[], after: LayerSpecification[]): void {
  const old = new Map(before.map((layer) => [layer.id, layer as unknown as Loose]));
  for (const layer of after as unknown as Loose[]) {
    const id = layer['id'] as string;
    const was = old.get(id);
    if (!was) throw new Error(`no layer ${id} to restyle`);
    for (const [name, value] of changes((was['paint'] ?? {}) as Loose, (layer['paint'] ?? {}) as Loose)) {
      map.setPaintProperty(id, name as never, value as never);
    }
    for (const [name, value] of changes((was['layout'] ?? {}) as Loose, (layer['layout'] ?? {}) as Loose)) {
      map.setLayoutProperty(id, name as never, value as never);
    }
    if (JSON.stringify(was['filter']) !== JSON.stringify(layer['filter'])) {
      map.setFilter(id, layer['filter'] as never);
    }
  }
}
