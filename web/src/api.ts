/** Questions to the service, in the reader's language, and what it says when it cannot answer. */

import { getLang, t } from './i18n';
import type { Circle, Coverage, LonLat, Overview, Reach } from './types';
import type { FeatureCollection, Geometry } from 'geojson';

const TIMEOUT_MS = 30_000;

/** The service answered that it cannot; `message` is its sentence, in the reader's language. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** No answer at all: the service or the way to it is down. */
export class Lost extends Error {}

export interface FieldInfo {
  name: string;
  label: string;
  type: string;
  unit: string | null;
  values: { code: string | number; label: string }[] | null;
}

export interface CollectionInfo {
  id: string;
  title: string;
  fields: FieldInfo[];
}

export type Properties = Record<string, unknown>;

export interface Item {
  id: number;
  geometry: Geometry | null;
  properties: Properties;
}

export interface Page extends FeatureCollection {
  numberMatched?: number;
  links: { rel: string; href: string }[];
}

interface Problem {
  type?: string;
  detail?: string;
}

/** The service's own sentence; those that name a parameter are put as a reader of the map means it. */
function sentence({ type, detail }: Problem, status: number): string {
  switch (type) {
    case 'urn:riskmap:problem:response.far':
      return t('trouble.far');
    case 'urn:riskmap:problem:response.outside':
      return t('trouble.outside');
    default:
      return detail ?? t('trouble.status', { status });
  }
}

type Heard = (answered: boolean) => void;
let heard: Heard = () => undefined;

/** Be told after each question whether there was an answer. */
export function onAnswer(listener: Heard): void {
  heard = listener;
}

async function ask<T>(path: string, signal: AbortSignal, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { 'Accept-Language': getLang() };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: body === undefined ? 'GET' : 'POST',
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
  } catch (error) {
    // The reader moved on: that says nothing of the service.
    if (signal.aborted) throw error;
    heard(false);
    throw new Lost(t('trouble.lost'));
  }
  heard(true);
  if (!answer.ok) {
    const problem = (await answer.json().catch(() => ({}))) as Problem;
    throw new Refused(sentence(problem, answer.status), answer.status);
  }
  return (await answer.json()) as T;
}

export function overview(signal: AbortSignal): Promise<Overview> {
  return ask('/overview', signal);
}

export function coverage(minutes: number, signal: AbortSignal): Promise<Coverage> {
  return ask(`/analysis/coverage?minutes=${minutes}&limit=2000`, signal);
}

export function circle(at: LonLat, kind: string | null, signal: AbortSignal): Promise<Circle> {
  return ask('/analysis/response-circles', signal, { points: [at], minutes: [5, 10, 15], kind });
}

export function reach([lon, lat]: LonLat, minutes: number, signal: AbortSignal): Promise<Reach> {
  return ask(`/analysis/reach?lon=${lon}&lat=${lat}&minutes=${minutes}`, signal);
}

export function collection(layer: string, signal: AbortSignal): Promise<CollectionInfo> {
  return ask(`/collections/${encodeURIComponent(layer)}`, signal);
}

export function item(layer: string, id: number, signal: AbortSignal): Promise<Item> {
  return ask(`/collections/${encodeURIComponent(layer)}/items/${id}`, signal);
}

/** A page of features: of a layer with parameters, or the next one of a page's links. */
export function items(path: string, signal: AbortSignal): Promise<Page> {
  return ask(path, signal);
}

/** Keeps only the newest of a kind of question: the older one is called off. */
export class Newest {
  private controller = new AbortController();

  /** A signal for the newest question; the one before is aborted. */
  next(): AbortSignal {
    this.controller.abort();
    this.controller = new AbortController();
    return this.controller.signal;
  }
}
