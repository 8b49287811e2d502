/** The map as a list: features of the drawn layers and levels in the map's box, the worst first. */

import * as api from '../api';
import { h } from '../dom';
import { count } from '../format';
import { nameOf, t } from '../i18n';
import { get, update, visibleLayers } from '../state';
import { mark } from '../symbols';
import { type Box, LEVELS, type LayerInfo, type LevelKey } from '../types';
import { groupOf, levelOf, levelWord } from '../words';
import { placeOf, select } from './actions';
import { layerTitle, symbolOf } from './attention';
import { busyBar } from './pieces';

/** Rows that are added at once. */
const STEP = 40;

interface Row {
  layer: string;
  feature: api.Item;
}

/** A question that is still to be asked: one layer at one level, or the next page of it. */
interface Wanted {
  layer: string;
  path: string;
}

let rows: Row[] = [];
let wanted: Wanted[] = [];
let problem: string | null = null;
let busy = false;
let shownFor = '';
const newest = new api.Newest();

function itemsPath(layer: LayerInfo, box: Box, level: LevelKey | null): string {
  const asked = new URLSearchParams({
    bbox: box.map((degrees) => degrees.toFixed(5)).join(','),
    limit: String(STEP),
  });
  if (level !== null) asked.set('risk_level', level);
  return `/collections/${encodeURIComponent(layer.id)}/items?${asked}`;
}

/** Every question whose answers make the list, in its order. */
function questions(box: Box): Wanted[] {
  const { overview, levels } = get();
  const shown = visibleLayers();
  const layers = (overview.data?.layers ?? []).filter(
    (layer) => shown.has(layer.id) && layer.count > 0 && groupOf(layer) !== 'context',
  );
  const assessed = layers.filter((layer) => layer.levels !== null);
  const others = layers.filter((layer) => layer.levels === null);
  return [
    ...LEVELS.filter((level) => levels.has(level)).flatMap((level) =>
      assessed
        .filter((layer) => (layer.levels?.[level] ?? 0) > 0)
        .map((layer) => ({ layer: layer.id, path: itemsPath(layer, box, level) })),
    ),
    ...others.map((layer) => ({ layer: layer.id, path: itemsPath(layer, box, null) })),
  ];
}

/** Ask until there are enough more rows or nothing is left. */
async function more(signal: AbortSignal, redraw: () => void): Promise<void> {
  const enough = rows.length + STEP;
  busy = true;
  problem = null;
  redraw();
  try {
    while (rows.length < enough) {
      const next = wanted[0];
      if (!next) break;
      const page = await api.items(next.path, signal);
      if (signal.aborted) return;
      wanted.shift();
      rows.push(
        ...page.features.map((feature) => ({ layer: next.layer, feature: feature as api.Item })),
      );
      // Its address may name another host where a proxy stands between: only the path counts.
      const following = page.links.find(({ rel }) => rel === 'next');
      if (following) {
        const url = new URL(following.href, location.href);
        wanted.unshift({ layer: next.layer, path: url.pathname + url.search });
      } else if (page.features.length > 0 || rows.length < enough) {
        redraw();
      }
    }
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof api.Refused || error instanceof api.Lost)) throw error;
    problem = error.message;
  }
  busy = false;
  redraw();
}

/** Begin anew when the box, the layers or the levels are others than those shown. */
export function refreshList(redraw: () => void): void {
  const { bounds, mapTrouble, overview, tab } = get();
  // Without a map, all of the city is in view.
  const box = bounds ?? (mapTrouble === 'webgl' ? (overview.data?.extent ?? null) : null);
  if (!box || tab !== 'list') return;
  const asked = questions(box);
  const now = JSON.stringify([asked, overview.data?.layers.map(({ revision }) => revision)]);
  if (now === shownFor && problem === null) return;
  shownFor = now;
  rows = [];
  wanted = asked;
  void more(newest.next(), redraw);
}

function row({ layer, feature }: Row): HTMLElement {
  const { properties, id } = feature;
  const { selected, overview } = get();
  const assessed = overview.data?.layers.find((one) => one.id === layer)?.levels !== null;
  const level = levelOf(properties.risk_level);
  const status = assessed ? level : ((properties.open_status ?? properties.duty_status) as string | undefined);
  const named = properties as { name: string | null; name_en: string | null };
  return h(
    'li',
    {},
    h(
      'button',
      {
        type: 'button',
        class: 'item',
        'aria-current': selected?.layer === layer && selected.id === id ? 'true' : null,
        'data-focus': `${layer}:${id}`,
        // It is in view already; to fly there would make another list.
        onclick: () => select({ layer, id }, placeOf(feature.geometry)),
      },
      h('span', { class: 'mark' }, mark(symbolOf(layer), status, 24)),
      h(
        'span',
        { class: 'what' },
        h('b', {}, nameOf(named, t('unnamed', { id }))),
        h('span', {}, [assessed ? levelWord(level) : null, layerTitle(layer)].filter(Boolean).join(' · ')),
      ),
    ),
  );
}

export function list(redraw: () => void): (Node | null)[] {
  const { overview } = get();
  const none = !busy && problem === null && rows.length === 0 && overview.data?.hint === null;
  return [
    busyBar(busy),
    h('p', { class: 'note', 'aria-live': 'polite' }, t('list.shown', { n: count(rows.length) })),
    problem === null
      ? null
      : h(
          'div',
          { class: 'problem', role: 'alert' },
          h('p', {}, problem),
          h('button', { type: 'button', onclick: () => void more(newest.next(), redraw) }, t('retry')),
        ),
    none
      ? h(
          'div',
          { class: 'empty' },
          h('p', {}, t('list.none')),
          h(
            'button',
            {
              type: 'button',
              'data-focus': 'clear',
              onclick: () => update({ visible: null, levels: new Set(LEVELS) }),
            },
            t('list.clear'),
          ),
        )
      : null,
    h('ul', { class: 'items' }, rows.map(row)),
    wanted.length > 0 && !busy && problem === null
      ? h(
          'p',
          { class: 'more' },
          h(
            'button',
            { type: 'button', 'data-focus': 'more', onclick: () => void more(newest.next(), redraw) },
            t('list.more'),
          ),
        )
      : null,
  ];
}
