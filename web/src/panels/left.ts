/** Risk levels and layers: legend, counts and switches in one; on small screens behind a rail. */

import { fill, h, part } from '../dom';
import { count } from '../format';
import { other, t } from '../i18n';
import { follow, get, update, visibleLayers } from '../state';
import { levelMark, mark } from '../symbols';
import { LEVELS, type LayerInfo, type LevelKey } from '../types';
import { type Group, groupOf, inOrder, levelWord } from '../words';
import { toggleLayer, toggleLevel } from './actions';
import { twin, twinOf } from './pieces';

/** The word of a level in the language that the reader did not choose. */
function levelBeside(level: LevelKey): { lang: string; text: string } {
  switch (level) {
    case '1':
      return other('level.major');
    case '2':
      return other('level.serious');
    case '3':
      return other('level.general');
    case '4':
      return other('level.low');
    case 'null':
      return other('level.none');
  }
}

/** Features of a level in the layers that are drawn. */
export function inLevel(level: LevelKey): number {
  const shown = visibleLayers();
  const layers = get().overview.data?.layers ?? [];
  return layers.reduce((sum, { id, levels }) => sum + (shown.has(id) ? (levels?.[level] ?? 0) : 0), 0);
}

function levelRow(level: LevelKey): HTMLElement {
  return h(
    'label',
    { class: 'row' },
    h('span', { class: 'mark' }, levelMark(level, 20)),
    h('span', { class: 'name' }, twin(levelWord(level), levelBeside(level))),
    h('span', { class: 'count' }, count(get().overview.data ? inLevel(level) : null)),
    h('input', {
      type: 'checkbox',
      checked: get().levels.has(level),
      'data-focus': `level-${level}`,
      onchange: () => toggleLevel(level),
    }),
  );
}

function layerRow(layer: LayerInfo): HTMLElement {
  return h(
    'label',
    { class: 'row' },
    h('span', { class: 'mark' }, mark(layer.symbol, undefined, 20)),
    h('span', { class: 'name' }, twinOf(layer.title)),
    h('span', { class: 'count' }, count(layer.count)),
    h('input', {
      type: 'checkbox',
      class: 'switch',
      role: 'switch',
      checked: visibleLayers().has(layer.id),
      'data-focus': `layer-${layer.id}`,
      onchange: () => toggleLayer(layer.id),
    }),
  );
}

function group(name: Group, heading: Node[]): HTMLElement | null {
  const layers = inOrder(get().overview.data?.layers ?? []).filter((layer) => groupOf(layer) === name);
  if (layers.length === 0) return null;
  return h('fieldset', {}, h('legend', {}, heading), layers.map(layerRow));
}

function drawPanel(): void {
  part('left').setAttribute('aria-label', t('left'));
  fill(
    part('left-body'),
    h(
      'fieldset',
      { id: 'levels' },
      h('legend', {}, twin(t('levels'), other('levels'))),
      LEVELS.map(levelRow),
    ),
    group('hazards', twin(t('group.hazards'), other('group.hazards'))),
    group('resources', twin(t('group.resources'), other('group.resources'))),
    group('context', twin(t('group.context'), other('group.context'))),
  );
}

/** Buttons of the rail, which small screens have in the panel's place. */
function drawRail(): void {
  const { railOpen } = get();
  const button = (word: string, focus: string, first: string) =>
    h(
      'button',
      {
        type: 'button',
        'aria-expanded': String(railOpen),
        'aria-controls': 'left-body',
        'data-focus': focus,
        onclick: () => {
          update({ railOpen: !get().railOpen });
          // Opened by keyboard, its first switch is where to go on.
          if (!railOpen) {
            queueMicrotask(() =>
              part('left-body').querySelector<HTMLElement>(`[data-focus^="${first}"]`)?.focus(),
            );
          }
        },
      },
      word,
    );
  part('left').toggleAttribute('data-open', railOpen);
  fill(part('rail'), button(t('rail.levels'), 'rail-1', 'level-'), button(t('layers'), 'rail-2', 'layer-'));
}

export function left(): void {
  follow(['lang', 'theme', 'overview', 'visible', 'levels'], drawPanel);
  follow(['lang', 'railOpen'], drawRail);
}
