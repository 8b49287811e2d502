/** Pieces that several panels are made of. */

import { h } from '../dom';
import { other, t } from '../i18n';
import type { Loaded } from '../state';
import { get } from '../state';
import type { Both } from '../types';

/** Both languages of a heading or label: the reader's, and small beside it the other. */
export function twin(text: string, beside: { lang: string; text: string }): Node[] {
  return [document.createTextNode(`${text} `), h('small', { lang: beside.lang }, beside.text)];
}

/** Both languages of a text that the data carries. */
export function twinOf(text: Both): Node[] {
  return get().lang === 'zh'
    ? twin(text.zh, { lang: 'en', text: text.en })
    : twin(text.en, { lang: 'zh-CN', text: text.zh });
}

/** A section of a panel with its heading. `key` is a literal at every call, for the tests' sake. */
export function section(heading: Node[], ...children: (Node | null)[]): HTMLElement {
  return h('section', {}, h('h3', {}, heading), children);
}

/** A button that is only words. */
export function link(text: string, act: () => void, focus: string): HTMLElement {
  return h('button', { type: 'button', class: 'link', onclick: act, 'data-focus': focus }, text);
}

export function closeButton(act: () => void): HTMLElement {
  return h(
    'button',
    { type: 'button', class: 'close', 'aria-label': t('close'), title: t('close.key'), onclick: act },
    '×',
  );
}

/** Why something is not shown, or nothing. */
export function trouble(loaded: Loaded<unknown>, again: (() => void) | null): HTMLElement | null {
  if (loaded.problem === null) return null;
  return h(
    'div',
    { class: 'problem', role: 'alert' },
    h('p', {}, loaded.problem),
    again && loaded.later && h('button', { type: 'button', onclick: again, 'data-focus': 'again' }, t('retry')),
  );
}

/** A bar that shows itself when something takes long. */
export function busyBar(busy: boolean): HTMLElement | null {
  return busy ? h('div', { class: 'busy', role: 'progressbar', 'aria-label': t('loading') }) : null;
}

export { other };
