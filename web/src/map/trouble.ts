/** Telling the page that tiles do not come, trying again, and telling it that they do. */

import type { Map as LibreMap, Tile } from 'maplibre-gl';

const RETRY_MS = 8_000;

interface Failed {
  source: string;
  z: number;
  x: number;
  y: number;
}

export function watchTiles(
  map: LibreMap,
  sources: readonly string[],
  report: (trouble: 'tiles' | null) => void,
): void {
  let troubled = false;
  // Since the last try: some tiles may fail while others come.
  const failed = new Map<string, Failed>();
  let loaded = 0;
  let timer: number | undefined;

  const retry = (): void => {
    timer = undefined;
    const again = [...failed.values()];
    failed.clear();
    loaded = 0;
    for (const source of new Set(again.map((tile) => tile.source))) {
      // One by one: told to refresh all, MapLibre 6.17 waits for ever for a tile that has failed.
      map.refreshTiles(
        source,
        again.filter((tile) => tile.source === source),
      );
    }
  };
  map.on('error', (event) => {
    const { sourceId, tile, error } = event as unknown as {
      sourceId?: string;
      tile?: Tile;
      error: Error;
    };
    if (sourceId === undefined || !tile || !sources.includes(sourceId)) {
      console.error(error);
      return;
    }
    const { z, x, y } = tile.tileID.canonical;
    failed.set(`${sourceId}/${z}/${x}/${y}`, { source: sourceId, z, x, y });
    if (!troubled) {
      troubled = true;
      report('tiles');
    }
    timer ??= window.setTimeout(retry, RETRY_MS);
  });
  map.on('sourcedata', ({ sourceId, tile }) => {
    if (tile?.state === 'loaded' && sources.includes(sourceId)) loaded += 1;
  });
  map.on('idle', () => {
    if (troubled && failed.size === 0 && loaded > 0) {
      troubled = false;
      report(null);
    }
  });
}
