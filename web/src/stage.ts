/** The map on the stage: made when there is something to show, then kept in step with the store. */

import { part } from './dom';
import { createMap } from './map';
import { openArchive } from './map/archive';
import { lonLat } from './format';
import { t } from './i18n';
import { boxOf, choose, drawCircle, placeOf, select, useMap } from './panels/actions';
import { cardName } from './panels/card';
import { follow, get, update, visibleLayers, watch } from './state';
import type { Box, MapView, Overview } from './types';

const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)').matches;

function make(overview: Overview): MapView {
  const { lang, theme, levels, camera } = get();
  return createMap(
    part('map'),
    overview,
    { lang, theme, levels, visible: visibleLayers(), camera, reducedMotion },
    {
      onPick(found, at) {
        const [first] = found;
        if (!first) drawCircle({ at, kind: null, team: null });
        else if (found.length === 1) select(first, first.at);
        else choose(found);
      },
      onMove: (center, zoom, bounds) => update({ camera: { center, zoom }, bounds }),
      onPointer: (pointer) => update({ pointer }),
      onIdle: (idle) => update({ tilesBusy: !idle }),
      onTrouble: (mapTrouble) => update({ mapTrouble }),
    },
  );
}

/** Ring and name at what is selected. */
function showSelected(map: MapView): void {
  const { selected, clicked, card, view, start, circle } = get();
  // A circle draws its own middle; where there is none, show at least the place.
  if (!selected && view === 'circle' && start && circle.problem !== null) {
    map.select({ at: start.at, label: lonLat(start.at) });
    return;
  }
  const { data } = card;
  const here = selected && data?.item.id === selected.id && data.collection.id === selected.layer;
  const at = clicked ?? (here ? placeOf(data.item.geometry) : null);
  map.select(selected && here && at ? { at, label: cardName(data) } : null);
}

function within(inner: Box, outer: Box): boolean {
  return inner[0] >= outer[0] && inner[1] >= outer[1] && inner[2] <= outer[2] && inner[3] <= outer[3];
}

/** Bring a new circle into view as a whole; one that the URL restores keeps the URL's camera. */
function frameCircles(map: MapView): void {
  let framed = get().start;
  watch(['circle'], () => {
    const { start, circle, bounds } = get();
    const widest = circle.data?.features[0];
    if (!start || start === framed || circle.busy || !widest) return;
    framed = start;
    const box = boxOf(widest.geometry);
    if (bounds && !within(box, bounds)) map.fit(box);
  });
}

function keepInStep(map: MapView): void {
  frameCircles(map);
  follow(['lang'], () => {
    // MapLibre calls its canvas a region and labels it in English.
    part('map').querySelector('canvas')?.setAttribute('aria-label', t('map.label'));
  });
  watch(['theme'], () => map.setTheme(get().theme));
  watch(['lang'], () => map.setLang(get().lang));
  watch(['visible'], () => map.setVisible(visibleLayers()));
  watch(['levels'], () => map.setLevels(get().levels));
  follow(['selected', 'clicked', 'card', 'lang', 'view', 'start', 'circle'], () => showSelected(map));
  follow(['view', 'circle', 'lang'], () => {
    map.showCircle(get().view === 'circle' ? get().circle.data : null);
  });
  follow(['view', 'circle', 'coverage'], () => {
    const shown = get().view === 'circle' && get().circle.data !== null;
    map.showUncovered(shown ? (get().coverage.data?.uncovered ?? []) : []);
  });
}

/** Make the map as soon as there is a city with something in it. */
export function stage(): void {
  let begun = false;
  const begin = async (overview: Overview): Promise<void> => {
    // A host that is slow to answer keeps the map waiting.
    update({ tilesBusy: true });
    const archive = await openArchive(overview);
    update({ archive, tilesBusy: false });
    const map = make({ ...overview, opened: archive });
    useMap(map);
    keepInStep(map);
  };
  follow(['overview'], () => {
    const { data } = get().overview;
    if (begun || !data?.city || data.hint !== null) return;
    begun = true;
    void begin(data);
  });
}
