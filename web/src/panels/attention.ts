/** What nobody reaches in time: the worst first, with the minutes of the nearest team. */

import { h } from '../dom';
import { count } from '../format';
import { both, nameOf, other, t } from '../i18n';
import { COVERED_MINUTES, get } from '../state';
import { mark } from '../symbols';
import type { LonLat, Uncovered } from '../types';
import { arrival, levelOf, levelWord, threatened } from '../words';
import { select } from './actions';
import { capacityBars, capacityKey, levelBars } from './charts';
import { busyBar, link, section, trouble, twin } from './pieces';

/** Rows before the reader asks for all: as many as leave room for the charts. */
const FIRST = 6;
const DIVISIONS = 6;
let all = false;

export function layerTitle(id: string): string {
  const layer = get().overview.data?.layers.find((one) => one.id === id);
  return layer ? both(layer.title) : id;
}

export function symbolOf(id: string): string {
  return get().overview.data?.layers.find((one) => one.id === id)?.symbol ?? '';
}

/** One place that waits too long, as a row that opens its card. */
export function uncoveredRow(place: Uncovered, over: boolean): HTMLElement {
  const { selected } = get();
  const at: LonLat = [place.lon, place.lat];
  const level = levelOf(place.risk_level);
  const late = place.arrival_s === null ? null : place.arrival_s / 60 - COVERED_MINUTES;
  const below = over && late !== null ? t('attention.over', { n: late.toFixed(1) }) : t('attention.nearest');
  const about = [levelWord(level), layerTitle(place.layer), threatened(place.people)];
  return h(
    'li',
    {},
    h(
      'button',
      {
        type: 'button',
        class: 'item',
        'aria-current': selected?.layer === place.layer && selected.id === place.id ? 'true' : null,
        'data-focus': `${place.layer}:${place.id}`,
        onclick: () => select(place, at, true),
      },
      h('span', { class: 'mark' }, mark(symbolOf(place.layer), level, 26)),
      h(
        'span',
        { class: 'what' },
        h('b', {}, nameOf(place, t('unnamed', { id: place.id }))),
        h('span', {}, about.filter(Boolean).join(' · ')),
      ),
      h(
        'span',
        { class: 'side' },
        h('b', {}, arrival(place.arrival_s)),
        h('span', {}, place.arrival_s === null ? t('attention.hour') : below),
      ),
    ),
  );
}

export function attention(redraw: () => void, again: () => void): (Node | null)[] {
  const { coverage, overview } = get();
  const places = coverage.data?.uncovered ?? [];
  const shown = all ? places : places.slice(0, FIRST);
  const more = places.length > FIRST && !all;
  const divisions = overview.data?.divisions ?? [];
  return [
    busyBar(coverage.busy),
    trouble(coverage, again),
    overview.data?.hint ? h('p', { class: 'empty' }, overview.data.hint) : null,
    coverage.data && places.length === 0
      ? h('p', { class: 'empty' }, t('attention.none', { minutes: COVERED_MINUTES }))
      : null,
    h(
      'ul',
      { class: 'items' },
      shown.map((place) => uncoveredRow(place, false)),
    ),
    more
      ? h(
          'p',
          { class: 'more' },
          link(
            t('attention.all', { n: count(places.length) }),
            () => {
              all = true;
              redraw();
            },
            'all',
          ),
        )
      : null,
    divisions.length > 0
      ? section(twin(t('stats.levels'), other('stats.levels')), levelBars(divisions, DIVISIONS))
      : null,
    divisions.length > 0
      ? section(
          twin(t('stats.capacity'), other('stats.capacity')),
          capacityBars(divisions, DIVISIONS),
          capacityKey(),
        )
      : null,
  ];
}
