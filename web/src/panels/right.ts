/** The right panel: a card over everything, else what the view asks for. */

import { fill, h, part } from '../dom';
import { count } from '../format';
import { t } from '../i18n';
import { reload } from '../load';
import { type State, type Tab, follow, get, update, visibleLayers, watch } from '../state';
import { attention } from './attention';
import { card } from './card';
import { chooser } from './chooser';
import { circlePanel } from './circle';
import { list, refreshList } from './list';
import { statistics } from './statistics';

/** Features of the drawn layers and levels, and of all, in the whole city. */
export function shownOfAll(): { shown: number; all: number } {
  const { overview, levels } = get();
  const visible = visibleLayers();
  let shown = 0;
  let all = 0;
  for (const layer of overview.data?.layers ?? []) {
    if (layer.role === 'context' || layer.role === 'population' || layer.role === 'area') continue;
    all += layer.count;
    if (!visible.has(layer.id)) continue;
    if (layer.levels) for (const level of levels) shown += layer.levels[level];
    else shown += layer.count;
  }
  return { shown, all };
}

const TABS: readonly Tab[] = ['attention', 'list', 'stats'];

function tabs(): HTMLElement {
  const { tab, coverage, overview } = get();
  const number = (value: number | undefined) => (value === undefined ? '' : ` ${count(value)}`);
  const words: Record<Tab, string> = {
    attention: t('tab.attention') + number(coverage.data?.uncovered_count),
    list: t('tab.list') + (overview.data ? number(shownOfAll().shown) : ''),
    stats: t('tab.stats'),
  };
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length] ?? tab;
    update({ tab: next });
    queueMicrotask(() => document.getElementById(`tab-${next}`)?.focus());
  };
  return h(
    'div',
    { role: 'tablist', class: 'tabs', 'aria-label': t('view.overview'), onkeydown: move },
    TABS.map((name) =>
      h(
        'button',
        {
          type: 'button',
          role: 'tab',
          id: `tab-${name}`,
          'data-focus': `tab-${name}`,
          'aria-selected': String(tab === name),
          'aria-controls': 'tab-body',
          tabindex: tab === name ? 0 : -1,
          onclick: () => update({ tab: name }),
        },
        words[name],
      ),
    ),
  );
}

function overviewPanel(): Node[] {
  const { tab } = get();
  const contents = {
    attention: () => attention(draw, reload),
    list: () => list(draw),
    stats: statistics,
  }[tab]();
  return [
    tabs(),
    h('div', { id: 'tab-body', role: 'tabpanel', 'aria-labelledby': `tab-${tab}` }, contents),
  ];
}

/** What is open; what lay beneath a card is found again as it was left. */
function subject(): string {
  const { chooser: found, selected, view, tab, start } = get();
  if (found) return 'chooser';
  if (selected) return `${selected.layer}:${selected.id}`;
  return view === 'overview' ? tab : `circle ${start?.at.join()}`;
}

let drawn = '';
const left = new Map<string, number>();

/** Go to where this was left, or to its top; focus follows, lest it fall back to the page's start. */
function arrive(right: HTMLElement, from: string, hadFocus: boolean): void {
  right.scrollTop = left.get(drawn) ?? 0;
  const now = document.activeElement;
  if (!hadFocus || (now !== right && right.contains(now))) return;
  const row = right.querySelector<HTMLElement>(`[data-focus="${CSS.escape(from)}"]`);
  (row ?? right).focus({ preventScroll: true });
}

function draw(): void {
  const { chooser: found, selected, view } = get();
  const right = part('right');
  const now = subject();
  const hadFocus = right.contains(document.activeElement);
  const open = found !== null || selected !== null;
  if (now !== drawn) left.set(drawn, right.scrollTop);
  right.setAttribute('aria-label', t('right'));
  if (found) fill(right, chooser());
  else if (selected) fill(right, card());
  else if (view === 'overview') fill(right, overviewPanel());
  else fill(right, circlePanel(draw));
  if (now === drawn) return;
  const from = drawn;
  drawn = now;
  if (open) left.delete(now);
  arrive(right, from, hadFocus);
}

/** All that any of the panels shows. */
const SHOWN: readonly (keyof State)[] = [
  ...(['lang', 'theme', 'view', 'tab', 'visible', 'levels', 'selected', 'chooser', 'start', 'minute'] as const),
  ...(['overview', 'coverage', 'card', 'circle', 'reach', 'startCard'] as const),
];

export function right(): void {
  follow(SHOWN, draw);
  watch(['tab', 'bounds', 'visible', 'levels', 'overview', 'mapTrouble'], () => refreshList(draw));
}
