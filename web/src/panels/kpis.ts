/** The four figures that always stay in sight. */

import { fill, h, part } from '../dom';
import { MISSING, age, count, moment, people, percent } from '../format';
import { both, other, t } from '../i18n';
import { COVERED_MINUTES, follow, get, zone } from '../state';
import { twin } from './pieces';

function figure(heading: Node[], value: string, unit: string, below: (Node | string)[]): HTMLElement {
  return h(
    'div',
    { class: 'kpi' },
    h('h2', {}, heading),
    h('p', { class: 'figure' }, h('strong', {}, value), h('span', {}, unit)),
    h('p', { class: 'below' }, below),
  );
}

function strong(text: string): HTMLElement {
  return h('b', {}, text);
}

/** A sentence with one part in bold: the part stands for `{n}`. */
function emphasised(sentence: string, bold: string): (Node | string)[] {
  const [before = '', after = ''] = sentence.split('\u0000');
  return [before, strong(bold), after];
}

function majorRisks(): HTMLElement {
  const known = get().overview.data;
  const coverage = get().coverage.data;
  const assessed = known?.layers.filter(({ levels, count: rows }) => levels && rows > 0) ?? [];
  // A city without data has no count of risks, not a count of none.
  const total = assessed.length > 0 ? assessed.reduce((sum, { levels }) => sum + (levels?.['1'] ?? 0), 0) : null;
  const unreached = coverage ? coverage.major.count - coverage.major.covered : null;
  return figure(
    twin(t('kpi.major'), other('kpi.major')),
    count(total),
    t('kpi.major.unit'),
    emphasised(t('kpi.major.below', { n: '\u0000', minutes: COVERED_MINUTES }), count(unreached)),
  );
}

function covered(): HTMLElement {
  const minutes = { minutes: COVERED_MINUTES };
  const { data, problem } = get().coverage;
  return figure(
    twin(t('kpi.covered', minutes), other('kpi.covered', minutes)),
    percent(data?.total.covered, data?.total.count),
    t('kpi.covered.unit'),
    problem !== null && data === null
      ? [problem]
      : [
          t('kpi.covered.people', { n: percent(data?.population.covered, data?.population.count) }),
          ' · ',
          t('kpi.covered.teams', { n: count(data?.teams.available) }),
        ],
  );
}

function shelters(): HTMLElement {
  const told = get().overview.data?.shelters;
  const known = told && told.count > 0 ? told : undefined;
  const usable = known && (known.by_status.open ?? 0) + (known.by_status.standby ?? 0);
  return figure(
    twin(t('kpi.shelters'), other('kpi.shelters')),
    count(usable),
    t('kpi.shelters.unit', { n: count(known?.count) }),
    emphasised(t('kpi.shelters.below', { n: '\u0000' }), people(known?.free)),
  );
}

function freshness(): HTMLElement {
  const layers = get().overview.data?.layers ?? null;
  const dated = layers?.filter(({ updated_at }) => updated_at !== null) ?? [];
  const oldest = dated.reduce<(typeof dated)[number] | null>(
    (old, layer) => (old && (old.updated_at ?? '') <= (layer.updated_at ?? '') ? old : layer),
    null,
  );
  return figure(
    twin(t('kpi.fresh'), other('kpi.fresh')),
    layers ? count(dated.length) : MISSING,
    t('kpi.fresh.unit', { n: layers ? count(layers.length) : MISSING }),
    oldest?.updated_at
      ? [
          t('kpi.fresh.oldest'),
          ' ',
          strong(both(oldest.title)),
          ' ',
          h('span', { title: moment(oldest.updated_at, zone()) }, age(oldest.updated_at, new Date())),
        ]
      : [MISSING],
  );
}

export function kpis(): void {
  follow(['lang', 'overview', 'coverage', 'minute'], () => {
    part('kpis').setAttribute('aria-label', t('kpis'));
    fill(part('kpis'), majorRisks(), covered(), shelters(), freshness());
  });
}
