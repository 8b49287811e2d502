/** The map of the page: MapLibre over our own tiles, as `MapView`. */

import { Map as LibreMap, ScaleControl, type GeoJSONSource, type LayerSpecification } from 'maplibre-gl';

import type { Box, Circle, LonLat, MapEvents, MapOptions, MapView, Overview } from '../types';
import { AreaSymbols } from './areas';
import { Clusters, SPLIT_ZOOM } from './clusters';
import { Images } from './images';
import { circleData, labelData, uncoveredData, type Collection } from './overlays';
import { DivisionNames } from './names';
import { Picker, preview } from './pick';
import { PEOPLE, cityName, groups, type Overlay, type State } from './state';
import { layersOf, restyle, styleOf } from './style';
import { watchTiles } from './trouble';

/** Room for the legend strip at the foot of the map. */
const FIT = { padding: { top: 24, right: 24, bottom: 84, left: 24 }, maxZoom: 15 } as const;
const FLY_MS = 700;
const MAX_ZOOM = 18;
const FOCUS_ZOOM = 14.5;
const READ_EVERY_MS = 120;

/** A view that does nothing: the browser cannot draw the map, and the panels work without it. */
function noMap(): MapView {
  const nothing = (): void => undefined;
  return {
    setTheme: nothing,
    setLang: nothing,
    setVisible: nothing,
    setLevels: nothing,
    showCircle: nothing,
    showUncovered: nothing,
    select: nothing,
    flyTo: nothing,
    fit: nothing,
    home: nothing,
    zoomBy: nothing,
    resize: nothing,
  };
}

export function createMap(
  container: HTMLElement,
  overview: Overview,
  options: MapOptions,
  events: MapEvents,
): MapView {
  const state: State = {
    lang: options.lang,
    theme: options.theme,
    visible: options.visible,
    levels: options.levels,
    circle: false,
  };
  let map: LibreMap;
  const home: Box = overview.extent ?? overview.city?.bbox ?? [-180, -60, 180, 75];
  try {
    map = new LibreMap({
      container,
      style: styleOf(overview, state),
      ...(options.camera
        ? { center: options.camera.center, zoom: options.camera.zoom }
        : { bounds: home, fitBoundsOptions: FIT }),
      attributionControl: false,
      dragRotate: false,
      touchPitch: false,
      pitchWithRotate: false,
      renderWorldCopies: false,
      maxZoom: MAX_ZOOM,
      fadeDuration: options.reducedMotion ? 0 : 150,
    });
  } catch (error) {
    // After the caller has its view.
    queueMicrotask(() => {
      console.warn(error);
      events.onTrouble('webgl');
    });
    return noMap();
  }
  return new LibreView(map, overview, state, options.reducedMotion, home, events);
}

class LibreView implements MapView {
  private layers: LayerSpecification[];
  private readonly images: Images;
  private readonly clusters: Clusters;
  private readonly names: DivisionNames;
  private readonly areas: AreaSymbols;
  private readonly picker: Picker;
  private idle: boolean | null = null;
  private readonly sources: string[];
  private timer: number | undefined;
  private hovered = '';
  private styled = false;
  /** What came before the style was ready. */
  private readonly waiting = new Map<Overlay, Collection>();

  constructor(
    private readonly map: LibreMap,
    private readonly overview: Overview,
    private state: State,
    private readonly reducedMotion: boolean,
    private readonly homeBox: Box,
    private readonly events: MapEvents,
  ) {
    this.layers = layersOf(overview, state);
    this.images = new Images(map, state.theme);
    this.clusters = new Clusters(map, overview, this.images);
    this.names = new DivisionNames(map, overview);
    this.areas = new AreaSymbols(map, overview);
    this.picker = new Picker(map, overview);
    map.addControl(new ScaleControl({ maxWidth: 120, unit: 'metric' }), 'bottom-right');
    map.keyboard.disableRotation();
    map.touchZoomRotate.disableRotation();
    this.sources = groups(overview).map((_, at) => cityName(at));
    watchTiles(map, [...this.sources, PEOPLE], (trouble) => events.onTrouble(trouble));
    map.once('style.load', () => {
      this.styled = true;
      this.restyle();
      for (const [name, data] of this.waiting) this.setData(name, data);
      this.waiting.clear();
    });
    this.listen();
  }

  private listen(): void {
    const { map, events } = this;
    const moved = (): void => {
      const { lng, lat } = map.getCenter();
      const box = map.getBounds();
      events.onMove([lng, lat], map.getZoom(), [
        box.getWest(),
        box.getSouth(),
        box.getEast(),
        box.getNorth(),
      ]);
    };
    map.on('moveend', moved);
    map.on('moveend', () => this.scheduleRead());
    map.on('sourcedata', ({ sourceId, tile }) => {
      if (tile && this.sources.includes(sourceId)) this.scheduleRead();
    });
    map.once('load', moved);
    map.on('dataloading', () => this.setIdle(false));
    map.on('movestart', () => this.setIdle(false));
    map.on('idle', () => {
      // A tile that failed brings no event of its own.
      if (this.clusters.isBehind()) this.scheduleRead();
      else this.setIdle(true);
    });

    // One look under the pointer for each frame at most: queries cost more than moves.
    let waiting = false;
    map.on('mousemove', ({ point, lngLat }) => {
      events.onPointer([lngLat.lng, lngLat.lat]);
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        this.hover(point, [lngLat.lng, lngLat.lat]);
      });
    });
    map.on('mouseout', () => {
      events.onPointer(null);
      this.setHovered(null);
    });
    map.on('click', ({ point, lngLat }) => {
      const at: LonLat = [lngLat.lng, lngLat.lat];
      const { picked, cluster } = this.picker.at(point, at);
      if (cluster) this.move(cluster.at, SPLIT_ZOOM);
      else events.onPick(picked, at);
    });
  }

  /** Clusters, names and areas' symbols are made of what the tiles hold. Tiles come in bursts: one look for each. */
  private scheduleRead(): void {
    this.timer ??= window.setTimeout(() => {
      this.timer = undefined;
      if (this.styled) this.readTiles();
    }, READ_EVERY_MS);
  }

  private readTiles(): void {
    this.clusters.update(this.state);
    this.names.update(this.state);
    this.areas.update(this.state);
  }

  private hover(point: { x: number; y: number }, at: LonLat): void {
    if (!this.styled || this.map.isMoving()) return;
    const { picked, cluster } = this.picker.at(point as never, at);
    this.map.getCanvas().style.cursor = cluster || picked.length ? 'pointer' : '';
    const first = picked[0];
    const layer = first && this.picker.layer(first.layer);
    const others = picked.length > 1 ? ` +${picked.length - 1}` : '';
    this.setHovered(
      first && layer ? { at: first.at, label: preview(first, layer, this.state) + others } : null,
    );
  }

  private setHovered(place: { at: LonLat; label: string } | null): void {
    const key = JSON.stringify(place);
    if (key === this.hovered) return;
    this.hovered = key;
    this.setData('hovered', labelData(place));
  }

  private setIdle(idle: boolean): void {
    if (idle === this.idle) return;
    this.idle = idle;
    this.events.onIdle(idle);
  }

  private setData(name: Overlay, data: Collection): void {
    if (!this.styled) {
      this.waiting.set(name, data);
      return;
    }
    this.map.getSource<GeoJSONSource>(name)?.setData(data);
  }

  private setState(change: Partial<State>): void {
    this.state = { ...this.state, ...change };
    if (!this.styled) return;
    this.restyle();
    this.readTiles();
  }

  private restyle(): void {
    const next = layersOf(this.overview, this.state);
    restyle(this.map, this.layers, next);
    this.layers = next;
  }

  setTheme(theme: State['theme']): void {
    this.images.setTheme(theme);
    this.setState({ theme });
  }

  setLang(lang: State['lang']): void {
    this.setState({ lang });
  }

  setVisible(visible: State['visible']): void {
    this.setState({ visible });
  }

  setLevels(levels: State['levels']): void {
    this.setState({ levels });
  }

  showCircle(circle: Circle | null): void {
    const data = circleData(circle);
    this.setData('bands', data.bands);
    this.setData('edges', data.edges);
    this.setData('starts', data.starts);
    if (this.state.circle !== (circle !== null)) this.setState({ circle: circle !== null });
  }

  showUncovered(places: Parameters<MapView['showUncovered']>[0]): void {
    this.setData('uncovered', uncoveredData(places));
  }

  select(place: { at: LonLat; label: string } | null): void {
    this.setHovered(null);
    this.setData('selected', labelData(place));
  }

  private move(center: LonLat, zoom: number): void {
    if (this.reducedMotion) this.map.jumpTo({ center, zoom });
    else this.map.easeTo({ center, zoom, duration: FLY_MS });
  }

  flyTo(at: LonLat, zoom?: number): void {
    this.move(at, zoom ?? Math.max(this.map.getZoom(), FOCUS_ZOOM));
  }

  fit(box: Box): void {
    this.map.fitBounds(box, { ...FIT, duration: this.reducedMotion ? 0 : FLY_MS });
  }

  home(): void {
    this.fit(this.homeBox);
  }

  zoomBy(steps: number): void {
    const zoom = this.map.getZoom() + steps;
    this.map.easeTo({ zoom, duration: this.reducedMotion ? 0 : 250 });
  }

  resize(): void {
    this.map.resize();
  }
}
