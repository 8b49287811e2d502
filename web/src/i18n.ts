/** The page's words: the catalogue's entries `page.*`, which the service puts into the HTML. */

import type { Both, Lang } from './types';

type Texts = Record<Lang, Record<string, string>>;

let lang: Lang = 'zh';
let texts: Texts = { zh: {}, en: {} };

export function setTexts(to: Texts): void {
  texts = to;
}

/** Read the texts out of the HTML; without them the page cannot speak and says so. */
export function readTexts(): void {
  const element = document.getElementById('texts');
  if (!element) throw new Error('the HTML holds no texts: it must come from the service');
  setTexts(JSON.parse(element.textContent ?? '') as Texts);
}

export function setLang(to: Lang): void {
  lang = to;
}

export function getLang(): Lang {
  return lang;
}

/** One text in the reader's language, its `{placeholders}` filled. */
export function t(key: string, values: Record<string, string | number> = {}): string {
  return filled(key, lang, values);
}

function filled(key: string, from: Lang, values: Record<string, string | number>): string {
  const text = texts[from][`page.${key}`];
  if (text === undefined) throw new Error(`the catalogue has no page.${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`page.${key} needs ${name}`);
    return String(value);
  });
}

/** A text that the data carries in both languages. */
export function both(text: Both): string {
  return text[lang];
}

/** The name of a thing: its English one for English readers where there is one. */
export function nameOf(
  thing: { name: string | null; name_en?: string | null },
  otherwise: string,
): string {
  return (lang === 'en' && thing.name_en) || thing.name || thing.name_en || otherwise;
}

/** The same text in the other language, which stands small beside the reader's. */
export function other(
  key: string,
  values: Record<string, string | number> = {},
): { lang: string; text: string } {
  const from = lang === 'zh' ? 'en' : 'zh';
  return { lang: from === 'zh' ? 'zh-CN' : 'en', text: filled(key, from, values) };
}

/** Things one after the other: 甲、乙 or a, b. */
export function listed(things: string[]): string {
  return things.join(lang === 'zh' ? '、' : ', ');
}
