/** Telling the page that tiles do not come, trying again, and telling it that they do. */

import type { Map as LibreMap } from 'maplibre-gl';

const RETRY_MS = 8_000;

export function watchTiles(
  map: LibreMap,
  sources: readonly string[],
  report: (trouble: 'tiles' | null) => void,
): void {
  let troubled = false;
  // Since the last rest of the map: some tiles may fail while others come.
  let failed = 0;
  let loaded = 0;
  let timer: number | undefined;

  const retry = (): void => {
    timer = undefined;
    failed = loaded = 0;
    // Only what failed and what is in view; what is drawn stays until its successor is here.
    for (const name of sources) if (map.getSource(name)) map.refreshTiles(name);
  };
  const schedule = (): void => {
    timer ??= window.setTimeout(retry, RETRY_MS);
  };
  map.on('error', (event) => {
    const { sourceId, tile, error } = event as unknown as { sourceId?: string; tile?: unknown; error?: Error };
    if (sourceId === undefined || !sources.includes(sourceId)) {
      console.error(error ?? event);
      return;
    }
    if (!tile) console.error(error);
    failed += 1;
    if (!troubled) {
      troubled = true;
      report('tiles');
    }
    schedule();
  });
  map.on('sourcedata', ({ sourceId, tile }) => {
    if (tile?.state === 'loaded' && sources.includes(sourceId)) loaded += 1;
  });
  map.on('idle', () => {
    if (troubled && failed === 0 && loaded > 0) {
      troubled = false;
      window.clearTimeout(timer);
      timer = undefined;
      report(null);
    }
  });
}
