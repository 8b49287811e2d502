/** Teams, shelters and depots: what helps, by its state. */

import type { LayerSpecification } from 'maplibre-gl';

import { tokens } from '../tokens';
import type { LayerInfo, Overview } from '../types';
import { all, nameIn, type Expression } from './expressions';
import { nameLayout, namePaint } from './hazards';
import { POINTS_FROM_ZOOM, symbolOrigins, type State } from './state';
import { LOOK_OF_STATUS, type Look } from './symbols';
import { worded } from './words';

/** Which field of a tile holds the state, by role; depots have none. */
const STATUS_FIELD: Record<string, string> = { team: 'duty_status', shelter: 'open_status' };

function lookOf(role: string): Expression | Look {
  const field = STATUS_FIELD[role];
  if (!field) return 'solid';
  const looks = Object.entries(LOOK_OF_STATUS).filter(([status]) => status !== 'null');
  return ['match', ['coalesce', ['get', field], 'null'], ...looks.flat(), 'unknown'] as unknown as Expression;
}

/** 16 px for teams from zoom 8, all of them 20 px at zoom 12 and 22 from 13. */
export function resourceImage(layer: LayerInfo): Expression {
  const at = (px: number): Expression => ['concat', `resource/${layer.symbol}/`, lookOf(layer.role), `/${px}`];
  return ['step', ['zoom'], at(16), POINTS_FROM_ZOOM, at(20), 13, at(22)] as unknown as Expression;
}

/** Room left, where a shelter takes people at all. */
function labelOf(layer: LayerInfo, state: State): Expression {
  const name = nameIn(state.lang);
  if (layer.role !== 'shelter') return ['step', ['zoom'], '', 15, name] as unknown as Expression;
  const left: Expression = [
    'max',
    0,
    ['-', ['get', 'capacity_persons'], ['coalesce', ['get', 'current_occupancy'], 0]],
  ];
  const free = [
    'case',
    ['all', ['in', ['get', 'open_status'], ['literal', ['open', 'standby']]], ['has', 'capacity_persons']],
    worded('map.free', ['number-format', left, { locale: 'en' }] as unknown as Expression),
    '',
  ];
  return ['step', ['zoom'], '', 14, free, 15, ['concat', name, '\n', free]] as unknown as Expression;
}

export function resourceLayers(overview: Overview, layer: LayerInfo, state: State): LayerSpecification[] {
  const t = tokens[state.theme];
  return symbolOrigins(overview, layer).map(({ suffix, from, filter }) => ({
    id: `${layer.id}/symbol${suffix}`,
    type: 'symbol',
    ...from,
    minzoom: layer.role === 'team' ? layer.min_zoom : POINTS_FROM_ZOOM,
    filter: all(...filter),
    layout: {
      visibility: state.visible.has(layer.id) ? 'visible' : 'none',
      'icon-image': resourceImage(layer),
      'icon-allow-overlap': true,
      ...nameLayout(labelOf(layer, state), 1.2),
    },
    paint: namePaint(t),
  }));
}
