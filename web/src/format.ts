/** Numbers and times as people read them; what is missing is a dash, never 0. */

import { getLang, t } from './i18n';
import type { LonLat } from './types';

export const MISSING = '—';

type Maybe = number | null | undefined;

function missing(value: Maybe): value is null | undefined {
  return value === null || value === undefined || !Number.isFinite(value);
}

function grouped(value: number, digits = 0): string {
  return value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** 5,506 */
export function count(value: Maybe): string {
  return missing(value) ? MISSING : grouped(value);
}

/** 44.4 万 for Chinese readers from ten thousand on, 444,000 for others. */
export function people(value: Maybe): string {
  if (missing(value)) return MISSING;
  if (getLang() === 'zh' && Math.abs(value) >= 10_000) return `${grouped(value / 10_000, 1)} 万`;
  return grouped(Math.round(value));
}

/** 91.4; what is not whole never reads as 100.0, and some never as 0.0. */
export function percent(part: Maybe, whole: Maybe): string {
  if (missing(part) || missing(whole) || whole === 0) return MISSING;
  const value = (100 * part) / whole;
  if (part < whole && value > 99.9) return '99.9';
  if (part > 0 && value < 0.1) return '0.1';
  return grouped(value, 1);
}

/** Seconds as 17.4 (minutes, without the unit). */
export function minutes(seconds: Maybe): string {
  return missing(seconds) ? MISSING : grouped(seconds / 60, 1);
}

/** Seconds as 1:05. */
export function clock(seconds: Maybe): string {
  if (missing(seconds)) return MISSING;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** +910 or −3,150, with a real minus sign. */
export function signed(value: Maybe): string {
  if (missing(value)) return MISSING;
  const sign = value < 0 ? '−' : '+';
  return `${sign}${people(Math.abs(value))}`;
}

export function lonLat([lon, lat]: LonLat): string {
  return `${lon.toFixed(5)}, ${lat.toFixed(5)}`;
}

function parts(at: Date, zone: string): Record<string, string> {
  const found = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(at);
  return Object.fromEntries(found.map(({ type, value }) => [type, value]));
}

/** 2026-11-22 in the city's time zone. */
export function day(at: Date, zone: string): string {
  const { year, month, day } = parts(at, zone);
  return `${year}-${month}-${day}`;
}

/** 14:30 in the city's time zone. */
export function hour(at: Date, zone: string): string {
  const { hour, minute } = parts(at, zone);
  return `${hour}:${minute}`;
}

/** 2026-11-22 14:30 */
export function moment(at: string | Date, zone: string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? MISSING : `${day(date, zone)} ${hour(date, zone)}`;
}

/** A revision by the day that it carries, where it carries one: 2026-11-22. */
export function revision(name: string): string {
  return name.replace(/^.*?(\d{4})(\d{2})(\d{2})T\d{6}.*$/, '$1-$2-$3');
}

/** 周日 or Sun */
export function weekday(at: Date, zone: string): string {
  const locale = getLang() === 'zh' ? 'zh-CN' : 'en-GB';
  return new Intl.DateTimeFormat(locale, { timeZone: zone, weekday: 'short' }).format(at);
}

/** 46 天前; the coarsest unit that fits. */
export function age(at: string | null, now: Date): string {
  if (at === null) return MISSING;
  const minutesAgo = Math.max(0, (now.getTime() - new Date(at).getTime()) / 60_000);
  if (minutesAgo < 1) return t('age.now');
  if (minutesAgo < 60) return t('age.minutes', { n: Math.floor(minutesAgo) });
  if (minutesAgo < 48 * 60) return t('age.hours', { n: Math.floor(minutesAgo / 60) });
  return t('age.days', { n: Math.floor(minutesAgo / 1440) });
}
