/** Figures by district, and how old each layer is. */

import { h } from '../dom';
import { MISSING, age, count, moment } from '../format';
import { both, other, t } from '../i18n';
import { get, zone } from '../state';
import { mark } from '../symbols';
import { capacityBars, capacityKey, levelBars } from './charts';
import { section, twin } from './pieces';

function freshness(): HTMLElement {
  const layers = get().overview.data?.layers ?? [];
  const now = new Date();
  return h(
    'table',
    { class: 'plain' },
    h('caption', { class: 'unseen' }, t('stats.fresh')),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, t('stats.layer')),
        h('th', { scope: 'col', class: 'number' }, t('stats.count')),
        h('th', { scope: 'col', class: 'number' }, t('stats.updated')),
      ),
    ),
    h(
      'tbody',
      {},
      layers.map(({ title, symbol, count: rows, updated_at }) =>
        h(
          'tr',
          {},
          h('th', { scope: 'row' }, mark(symbol, undefined, 16), ` ${both(title)}`),
          h('td', { class: 'number' }, count(rows)),
          h(
            'td',
            { class: 'number', title: updated_at && moment(updated_at, zone()) },
            updated_at ? age(updated_at, now) : MISSING,
          ),
        ),
      ),
    ),
  );
}

export function statistics(): (Node | null)[] {
  const divisions = get().overview.data?.divisions ?? [];
  const empty = () => h('p', { class: 'empty' }, t('stats.none'));
  return [
    section(
      twin(t('stats.levels'), other('stats.levels')),
      divisions.length > 0 ? levelBars(divisions, divisions.length) : empty(),
    ),
    section(
      twin(t('stats.capacity'), other('stats.capacity')),
      divisions.length > 0 ? capacityBars(divisions, divisions.length) : empty(),
      divisions.length > 0 ? capacityKey() : null,
    ),
    section(twin(t('stats.fresh'), other('stats.fresh')), freshness()),
  ];
}
