/** Several features lie under a click: which one is meant? */

import { h } from '../dom';
import { nameOf, t } from '../i18n';
import { get } from '../state';
import { mark } from '../symbols';
import { levelOf, levelWord } from '../words';
import { back, select } from './actions';
import { layerTitle, symbolOf } from './attention';
import { statusOf } from './card';
import { closeButton } from './pieces';

export function chooser(): Node[] {
  const found = get().chooser ?? [];
  return [
    h('header', { class: 'head' }, h('h2', {}, t('chooser', { n: found.length })), closeButton(() => back())),
    h(
      'ul',
      { class: 'items' },
      found.map(({ layer, id, at, properties }) => {
        const named = { name: (properties.name as string | undefined) ?? null, name_en: (properties.name_en as string | undefined) ?? null };
        const assessed = get().overview.data?.layers.find((one) => one.id === layer)?.levels;
        return h(
          'li',
          {},
          h(
            'button',
            {
              type: 'button',
              class: 'item',
              'data-focus': `${layer}:${id}`,
              onclick: () => select({ layer, id }, at),
            },
            h('span', { class: 'mark' }, mark(symbolOf(layer), statusOf(layer, properties), 26)),
            h(
              'span',
              { class: 'what' },
              h('b', {}, nameOf(named, t('unnamed', { id }))),
              h(
                'span',
                {},
                [assessed ? levelWord(levelOf(properties.risk_level)) : null, layerTitle(layer)]
                  .filter(Boolean)
                  .join(' · '),
              ),
            ),
          ),
        );
      }),
    ),
  ];
}
