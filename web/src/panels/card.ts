/** The card of a feature: everything public that is known of it. */

import type { FieldInfo, Properties } from '../api';
import { h } from '../dom';
import { MISSING, age, moment } from '../format';
import { listed, nameOf, t } from '../i18n';
import { type Card, get, zone } from '../state';
import { mark } from '../symbols';
import { levelOf, levelWord, unit } from '../words';
import { back, drawCircle, startOf } from './actions';
import { layerTitle, symbolOf } from './attention';
import { loadCard } from '../load';
import { busyBar, closeButton, trouble } from './pieces';

/** Shown in the card's head, so not again among the fields. */
const IN_HEAD = new Set(['name', 'name_en', 'risk_level']);

function label(field: FieldInfo, value: unknown): string {
  return field.values?.find(({ code }) => code === value)?.label ?? String(value);
}

/** A field's value as people read it. */
function shown(field: FieldInfo, value: unknown): string {
  if (Array.isArray(value)) return listed(value.map((one) => label(field, one)));
  if (typeof value === 'boolean') return value ? t('yes') : t('no');
  if (field.type === 'datetime') return moment(String(value), zone());
  if (typeof value === 'number' && !field.values) {
    const text = value.toLocaleString('en-US', { maximumFractionDigits: 6 });
    return field.unit ? `${text} ${unit(field.unit)}` : text;
  }
  return label(field, value);
}

function missing(value: unknown): boolean {
  return value === null || value === undefined || value === '' || (Array.isArray(value) && value.length === 0);
}

function fields(card: Card): HTMLElement[] {
  const { properties } = card.item;
  const all = card.collection.fields.filter(({ name, type }) => !IN_HEAD.has(name) && type !== 'json');
  const known = all.filter(({ name }) => !missing(properties[name]));
  const blank = all.filter(({ name }) => missing(properties[name]));
  const line = (field: FieldInfo, value: string) => [h('dt', {}, field.label), h('dd', {}, value)];
  const parts: HTMLElement[] = [
    h('dl', { class: 'fields' }, known.map((field) => line(field, shown(field, properties[field.name])))),
  ];
  if (blank.length > 0) {
    parts.push(
      h(
        'details',
        { class: 'blank' },
        h('summary', { 'data-focus': 'blank' }, t('card.blank', { n: blank.length })),
        h('dl', { class: 'fields' }, blank.map((field) => line(field, MISSING))),
      ),
    );
  }
  return parts;
}

/** Whether a feature has a level, a state, or neither, as its symbol shows it. */
export function statusOf(layer: string, properties: Properties): string | undefined {
  const known = get().overview.data?.layers.find(({ id }) => id === layer);
  if (known?.levels) return levelOf(properties.risk_level);
  const state = properties.open_status ?? properties.duty_status;
  return typeof state === 'string' ? state : undefined;
}

export function cardName(card: Card): string {
  const named = card.item.properties as { name: string | null; name_en: string | null };
  return nameOf(named, t('unnamed', { id: card.item.id }));
}

export function card(): (Node | null)[] {
  const { selected, card: loaded, overview } = get();
  if (!selected) return [];
  const { data } = loaded;
  if (!data) {
    const heading = layerTitle(selected.layer);
    return [
      h('header', { class: 'head' }, h('h2', {}, heading), closeButton(() => back())),
      busyBar(loaded.busy),
      trouble(loaded, loadCard),
    ];
  }
  const { properties } = data.item;
  const layer = overview.data?.layers.find(({ id }) => id === selected.layer);
  const status = statusOf(selected.layer, properties);
  const assessed = layer?.levels !== null;
  const start = startOf(data, layer?.role ?? '');
  const updated = typeof properties.updated_at === 'string' ? properties.updated_at : null;
  const synthetic = overview.data?.city?.synthetic || properties.data_quality === 'synthetic';
  return [
    h(
      'header',
      { class: 'head' },
      h('span', { class: 'mark' }, mark(symbolOf(selected.layer), status, 36)),
      h(
        'div',
        {},
        h('h2', {}, cardName(data)),
        h(
          'p',
          {},
          [assessed ? levelWord(levelOf(properties.risk_level)) : null, layerTitle(selected.layer)]
            .filter(Boolean)
            .join(' · '),
        ),
      ),
      closeButton(() => back()),
    ),
    busyBar(loaded.busy),
    trouble(loaded, loadCard),
    h(
      'p',
      { class: 'marks' },
      synthetic ? h('span', { class: 'synthetic' }, `▲ ${t('synthetic')}`) : null,
      updated
        ? h('span', { title: moment(updated, zone()), tabindex: 0 }, t('card.updated', { age: age(updated, new Date()) }))
        : null,
    ),
    start
      ? h(
          'p',
          { class: 'act' },
          h(
            'button',
            { type: 'button', class: 'main', 'data-focus': 'draw', onclick: () => drawCircle(start) },
            t('card.circle'),
          ),
        )
      : null,
    ...fields(data),
  ];
}

