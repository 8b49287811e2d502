// Draws what riskmap.client.maps prepared, with Leaflet and nothing else. Names from the database
// become text nodes, never HTML.

// folium's own Popup is written with two calls of jQuery; this is all it needs of it.
window.$ = window.$ || function (html) {
  if (typeof html !== 'string') return { ready: (run) => run() };
  const template = document.createElement('template');
  template.innerHTML = html.trim();
  return template.content.children;
};

function riskmapDraw(map, data) {
  const element = (tag, css, text) => {
    const made = document.createElement(tag);
    if (css) made.style.cssText = css;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // Thousands of symbols on a whole city would hide it and each other.
  const shrink = () => (map.getZoom() < 10.5 ? 0.6 : map.getZoom() < 12.5 ? 0.8 : 1);

  // A symbol: white halo, fill, outline, glyph; its path is drawn in a box of 24.
  const paint = (context, symbol, x, y, size) => {
    const scale = size / 24;
    const outline = new Path2D(symbol.path);
    context.save();
    context.translate(x, y);
    context.scale(scale, scale);
    context.translate(-12, -12);
    context.lineJoin = 'round';
    context.lineWidth = 4 / scale;
    context.strokeStyle = 'rgba(255, 255, 255, 0.85)';
    context.stroke(outline);
    context.fillStyle = symbol.fill;
    context.fill(outline);
    context.setLineDash(symbol.dash);
    context.lineWidth = 1.4 / scale;
    context.strokeStyle = symbol.stroke;
    context.stroke(outline);
    if (symbol.glyph) {
      context.fillStyle = '#FFFFFF';
      context.fill(new Path2D(symbol.glyph));
    }
    context.restore();
  };

  const Mark = L.CircleMarker.extend({
    _updatePath() {
      if (this._renderer._drawing && !this._empty()) {
        const { symbol } = this.options;
        paint(this._renderer._ctx, symbol, this._point.x, this._point.y, symbol.size * shrink());
      }
    },
  });

  const pane = (name, order) => {
    map.createPane(name).style.zIndex = order;
    return { pane: name, renderer: L.canvas({ pane: name, padding: 0.3 }) };
  };
  const under = { ...pane('riskmap-base', 210), interactive: false };
  const bands = { ...pane('riskmap-bands', 310), interactive: false };
  // Areas and points share one canvas: the upper of two would keep the pointer from the lower.
  const above = pane('riskmap-features', 410);
  const labels = map.createPane('riskmap-labels');
  labels.style.zIndex = 620;
  labels.style.pointerEvents = 'none';

  const shapes = (features, options) =>
    L.geoJSON(features, { style: (feature) => ({ ...options, ...feature.properties.style }), ...options });

  const label = (at, text, css) => {
    const icon = element('span', `position:absolute;transform:translate(-50%,-50%);white-space:nowrap;${css}`, text);
    return L.marker(at, {
      icon: L.divIcon({ html: icon, className: '', iconSize: [0, 0] }),
      pane: 'riskmap-labels',
      interactive: false,
      keyboard: false,
    });
  };

  const popup = (properties) => {
    const box = element('div', 'font:13px/1.5 var(--riskmap-font)');
    box.append(element('strong', 'display:block;font-size:15px', properties.name));
    for (const line of properties.lines) box.append(element('div', '', line));
    return box;
  };

  map.setMaxZoom(19);
  map.getContainer().style.background = data.land;
  map.getContainer().style.fontFamily = 'var(--riskmap-font)';
  shapes(data.base, under).addTo(map);
  for (const name of data.names) {
    label(name.at, name.text, `font:500 14px var(--riskmap-font);color:${name.colour};text-shadow:0 0 3px #fff,0 0 3px #fff`).addTo(map);
  }
  shapes(data.bands, bands).addTo(map);
  for (const minute of data.minutes) {
    label(minute.at, minute.text, `font:600 12px var(--riskmap-font);color:#fff;background:${minute.colour};padding:1px 8px;border-radius:9px`).addTo(map);
  }

  const overlays = {};
  for (const layer of data.layers) {
    const group = L.geoJSON(layer.features, {
      ...above,
      style: (feature) => feature.properties.style,
      pointToLayer: (feature, at) => {
        const symbol = data.symbols[feature.properties.symbol];
        return new Mark(at, { ...above, symbol, radius: symbol.size / 2 + 2, weight: 2 });
      },
      onEachFeature: (feature, drawn) => drawn.bindPopup(() => popup(feature.properties)),
    }).addTo(map);
    const title = element('span', '', `${layer.title} ${layer.features.length.toLocaleString('en')}`);
    overlays[title.innerHTML] = group;
  }
  for (const at of data.starts) {
    L.circleMarker(at, { ...above, radius: 7, weight: 4, color: data.start_colour, fillColor: '#fff', fillOpacity: 1 })
      .bindPopup(() => popup({ name: data.start_word, lines: [`${at[1].toFixed(5)}, ${at[0].toFixed(5)}`] }))
      .addTo(map);
  }
  if (data.layers.length) L.control.layers(null, overlays, { collapsed: data.layers.length > 4 }).addTo(map);
  L.control.scale({ imperial: false, position: 'bottomright' }).addTo(map);

  const panel = 'background:rgba(255,255,255,.94);border:1px solid #D8DEE4;border-radius:6px;color:#16202B;';
  if (data.legend.length) {
    const legend = L.control({ position: 'bottomleft' });
    legend.onAdd = () => {
      const box = element('div', `${panel}padding:6px 10px;display:flex;flex-wrap:wrap;gap:4px 14px;font:13px/20px var(--riskmap-font);max-width:70vw`);
      box.className = 'riskmap-legend';
      for (const item of data.legend) {
        const row = element('span', 'display:inline-flex;align-items:center;gap:5px');
        const sample = element('canvas', 'width:24px;height:20px');
        sample.width = 48;
        sample.height = 40;
        const context = sample.getContext('2d');
        context.scale(2, 2);
        if (item.symbol) {
          const symbol = data.symbols[item.symbol];
          paint(context, symbol, 12, 10, symbol.size);
        } else {
          context.fillStyle = item.fill;
          context.fillRect(1, 3, 22, 14);
          context.strokeStyle = item.stroke;
          context.lineWidth = item.weight;
          context.strokeRect(2, 4, 20, 12);
        }
        row.append(sample, element('span', '', item.text));
        box.append(row);
      }
      return box;
    };
    legend.addTo(map);
  }
  if (data.note) {
    const note = element('div', 'position:absolute;top:10px;left:54px;z-index:900;pointer-events:none;padding:2px 12px;border-radius:6px;font:600 13px/22px var(--riskmap-font);color:#7A4B00;background:#FFF3D6;border:1px solid #E0C78F;white-space:nowrap', data.note);
    note.className = 'riskmap-note';
    map.getContainer().append(note);
  }
  if (data.bounds) map.fitBounds(data.bounds, { padding: [16, 16], maxZoom: 16 });
}
