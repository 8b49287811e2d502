/** Reading tiles from a PMTiles archive instead of the service. */

import { addProtocol } from 'maplibre-gl';
import { PMTiles, Protocol } from 'pmtiles';

import type { Archive, Overview } from '../types';
import { POINTS_FROM_ZOOM } from './state';

const PATIENCE_MS = 8_000;

let protocol: Protocol | null = null;

/** Teach MapLibre, once, to read what this archive's addresses stand for. */
function teach(source: PMTiles): void {
  if (!protocol) {
    protocol = new Protocol();
    addProtocol('pmtiles', protocol.tile);
  }
  protocol.add(source);
}

async function look(source: PMTiles): Promise<[number, number, Record<string, unknown>]> {
  const late = new Promise<never>((_, refuse) => {
    setTimeout(() => refuse(new Error(`no answer in ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  const read = async (): Promise<[number, number, Record<string, unknown>]> => {
    const [{ minZoom, maxZoom }, metadata] = await Promise.all([source.getHeader(), source.getMetadata()]);
    const ours = ((metadata ?? {}) as Record<string, unknown>)['riskmap'];
    return [minZoom, maxZoom, (ours ?? {}) as Record<string, unknown>];
  };
  return Promise.race([read(), late]);
}

/**
 * Open the archive that the service names, if it names one.
 *
 * null: there is none, it does not answer, or it is not of this program's schema or from the world
 * down to where all points are drawn; then tiles come from the service.
 */
export async function openArchive(overview: Overview): Promise<Archive | null> {
  if (overview.archive === null) return null;
  const url = new URL(overview.archive.url, location.href).href;
  try {
    const source = new PMTiles(url);
    const [minZoom, maxZoom, ours] = await look(source);
    if (ours['schema'] !== overview.archive.schema || minZoom > 0 || maxZoom < POINTS_FROM_ZOOM) {
      console.warn(`${url}: another schema or other zooms; tiles come from the service`);
      return null;
    }
    teach(source);
    return { url, maxZoom, generatedAt: String(ours['generated_at']), revision: Number(ours['revision']) };
  } catch (error) {
    console.warn(`${url}: tiles come from the service`, error);
    return null;
  }
}
