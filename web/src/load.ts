/** What is asked of the service, when, and where its answers go. */

import * as api from './api';
import { COVERED_MINUTES, type Loaded, type Ref, type State, get, nothing, update } from './state';
import type { Coverage, Overview } from './types';

/** How often the facts are asked for anew, and how often while nothing answers. */
const REFRESH_MS = 10_000;
const RETRY_MS = 3_000;

type LoadedKey = {
  [K in keyof State]: State[K] extends Loaded<unknown> ? K : never;
}[keyof State];

/**
 * Ask, keep the old answer meanwhile, and put the new one or the reason into the store.
 *
 * `again`: the same question as before, whose old answer outlives a failure.
 */
async function load<K extends LoadedKey>(
  key: K,
  signal: AbortSignal,
  ask: () => Promise<NonNullable<State[K]['data']>>,
  again = false,
): Promise<boolean> {
  const put = (loaded: Loaded<unknown>) => {
    const { data, problem, busy } = get()[key];
    if (loaded.data === data && loaded.problem === problem && loaded.busy === busy) return;
    update({ [key]: loaded } as unknown as Partial<State>);
  };
  const old = get()[key];
  // What is asked again and again shows no bar each time, and keeps its trouble until it is over.
  if (!again || old.data === null) put({ ...old, problem: again ? old.problem : null, busy: true });
  try {
    const data = await ask();
    if (signal.aborted) return false;
    put({ data, problem: null, later: false, busy: false });
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    if (!(error instanceof api.Refused || error instanceof api.Lost)) throw error;
    // Facts stay true enough; the answer to another question would be wrong here.
    // What a caller got wrong (4xx) stays wrong.
    const later = error instanceof api.Lost || error.status >= 500;
    put({ data: again ? get()[key].data : null, problem: error.message, later, busy: false });
    return false;
  }
}

const newest = {
  overview: new api.Newest(),
  coverage: new api.Newest(),
  card: new api.Newest(),
  circle: new api.Newest(),
  startCard: new api.Newest(),
};

/** What a change of makes the coverage old. */
function stamp(overview: Overview): string {
  return JSON.stringify([overview.roads, overview.layers.map(({ revision }) => revision)]);
}

function same(one: Overview, other: Overview): boolean {
  return JSON.stringify({ ...one, as_of: '' }) === JSON.stringify({ ...other, as_of: '' });
}

let coverageOf: string | null = null;

/** Ask who is covered, unless the answer at hand is still of the same data. */
async function loadCoverage(overview: Overview): Promise<void> {
  const now = stamp(overview);
  if (coverageOf === now && get().coverage.problem === null) return;
  if (overview.hint !== null) {
    update({ coverage: nothing });
    return;
  }
  coverageOf = now;
  const signal = newest.coverage.next();
  await load('coverage', signal, (): Promise<Coverage> => api.coverage(COVERED_MINUTES, signal), true);
}

async function refresh(): Promise<void> {
  const signal = newest.overview.next();
  const ask = async (): Promise<Overview> => {
    const told = await api.overview(signal);
    update({ asOf: told.as_of });
    const old = get().overview.data;
    // Nothing is drawn anew when nothing is new.
    return old && same(old, told) ? old : told;
  };
  await load('overview', signal, ask, true);
  const known = get().overview;
  if (known.data && known.problem === null) void loadCoverage(known.data);
}

/** Ask for the facts now and again and again; a page that nobody looks at asks nothing. */
export async function keepFresh(): Promise<void> {
  api.onAnswer((answered) => {
    if (answered === (get().lostAt === null)) return;
    update({ lostAt: answered ? null : new Date() });
    if (!answered) return;
    // Back again: what failed meanwhile is asked once more.
    if (get().card.later) loadCard();
    if (get().circle.later || get().reach.later) loadStart();
  });
  for (;;) {
    if (!document.hidden) await refresh();
    const { overview, lostAt } = get();
    // An empty city may be filling: that is worth looking again soon.
    const well = overview.problem === null && lostAt === null && overview.data?.hint === null;
    await new Promise((resolve) => setTimeout(resolve, well ? REFRESH_MS : RETRY_MS));
  }
}

/** Ask for everything anew whose words are in a language. */
export function reload(): void {
  coverageOf = null;
  void refresh();
  loadCard();
  loadStart();
}

async function card(key: 'card' | 'startCard', ref: Ref | null): Promise<void> {
  const signal = newest[key].next();
  if (ref === null) {
    update({ [key]: nothing });
    return;
  }
  // Another feature's fields under this one's name would be wrong.
  const { data } = get()[key];
  if (data?.item.id !== ref.id || data.collection.id !== ref.layer) update({ [key]: nothing });
  await load(key, signal, async () => {
    const [collection, item] = await Promise.all([
      api.collection(ref.layer, signal),
      api.item(ref.layer, ref.id, signal),
    ]);
    return { collection, item };
  });
}

/** The card of the selected feature. */
export function loadCard(): void {
  void card('card', get().selected);
}

/** The circle of the chosen start, and who reaches it. */
export function loadStart(): void {
  const { start } = get();
  const signal = newest.circle.next();
  void card('startCard', start?.team ?? null);
  if (start === null) {
    update({ circle: nothing, reach: nothing });
    return;
  }
  void load('circle', signal, () => api.circle(start.at, start.kind, signal));
  void load('reach', signal, () => api.reach(start.at, COVERED_MINUTES, signal));
}
