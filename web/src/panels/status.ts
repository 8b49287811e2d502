/** The last line: connection, date of the data, roads, pointer, zoom, how many of how many. */

import { fill, h, part } from '../dom';
import { MISSING, count, hour, lonLat, moment, revision } from '../format';
import { t } from '../i18n';
import { follow, get, zone } from '../state';
import { shownOfAll } from './right';

function connection(): HTMLElement {
  const { lostAt, overview } = get();
  if (lostAt !== null) {
    return h('span', { class: 'lost', role: 'status' }, `● ${t('status.lost', { at: hour(lostAt, zone()) })}`);
  }
  return h('span', { class: 'live', role: 'status' }, `● ${overview.data ? t('status.live') : t('loading')}`);
}

function drawFacts(): void {
  const { asOf, archive } = get();
  const known = get().overview.data;
  fill(
    part('status-facts'),
    connection(),
    asOf && h('span', {}, t('status.as_of', { at: moment(asOf, zone()) })),
    archive &&
      h(
        'span',
        { title: `${archive.url} · ${archive.revision}` },
        t('status.archive', { at: moment(archive.generatedAt, zone()) }),
      ),
    known &&
      h(
        'span',
        { title: known.roads?.revision },
        known.roads ? t('status.roads', { revision: revision(known.roads.revision) }) : t('status.no_roads'),
      ),
  );
}

function drawPlace(): void {
  const { pointer, camera, overview } = get();
  const { shown, all } = shownOfAll();
  fill(
    part('status-place'),
    h('span', { class: 'pointer' }, pointer ? `${lonLat(pointer)} WGS-84` : null),
    h('span', {}, `z ${camera ? camera.zoom.toFixed(1) : MISSING}`),
    h('span', {}, overview.data ? t('status.shown', { shown: count(shown), all: count(all) }) : MISSING),
  );
}

export function status(): void {
  follow(['lang', 'overview', 'archive', 'asOf', 'lostAt'], drawFacts);
  follow(['lang', 'pointer', 'camera', 'overview', 'visible', 'levels'], drawPlace);
}
