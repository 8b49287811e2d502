/** Language and theme, kept between visits; a browser that keeps nothing is no fault. */

import type { Lang, Theme } from './types';

const KEY = 'riskmap';

export function remembered(): { lang: Lang; theme: Theme } {
  const preferred = {
    lang: navigator.language.startsWith('en') ? 'en' : 'zh',
    theme: matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light',
  } as const;
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '{}') as { lang?: Lang; theme?: Theme };
    return {
      lang: kept.lang === 'zh' || kept.lang === 'en' ? kept.lang : preferred.lang,
      theme: kept.theme === 'light' || kept.theme === 'dark' ? kept.theme : preferred.theme,
    };
  } catch (error) {
    console.warn('what was remembered cannot be read', error);
    return preferred;
  }
}

export function remember(chosen: { lang: Lang; theme: Theme }): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(chosen));
  } catch (error) {
    console.warn('language and theme cannot be remembered', error);
  }
}
