/** MapLibre's worker is a file of its own whose name carries a hash: say where it is. */

import { setWorkerUrl } from 'maplibre-gl';

/** Set by build.mjs: the worker's file, relative to this bundle. */
declare const MAPLIBRE_WORKER: string;

setWorkerUrl(new URL(MAPLIBRE_WORKER, import.meta.url).href);
