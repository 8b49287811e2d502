// Build the page into ../src/riskmap/web/static: `npm run build`, or `node build.mjs FOLDER`.
//
// MapLibre stays a file of its own, beside its worker, and is not bundled: bundled or renamed it
// would not find the worker. Every name but index.html carries a hash, so that files can be
// cached for ever; the page tells MapLibre the worker's name (src/map_library.ts).
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const target = resolve(process.argv[2] ?? join(here, '../src/riskmap/web/static'));
const modules = join(here, 'node_modules');
const library = join(modules, 'maplibre-gl/dist');

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const files = [];

/** Write one file of the page and note it for the manifest. */
function put(name, bytes, source) {
  writeFileSync(join(target, name), bytes);
  files.push({ file: name, sha256: sha256(bytes), ...source });
}

/** Put the hash of its bytes into a file's name, in esbuild's own form. */
function hashed(name, bytes) {
  const stem = basename(name, extname(name));
  return `${stem}-${sha256(bytes).slice(0, 8).toUpperCase()}${extname(name)}`;
}

function described(folder) {
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return { name: about.name, version: about.version, licence: about.license };
}

/** Text of the licence that a package ships, or that we keep for one which ships none. */
function licence(folder) {
  const found = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  const kept = join(here, 'licences', `${basename(folder)}.txt`);
  const file = found ? join(folder, found) : existsSync(kept) && kept;
  return file ? readFileSync(file, 'utf8').trim() : undefined;
}

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });

const maplibre = described(join(modules, 'maplibre-gl'));
const shipped = {};
for (const name of ['maplibre-gl.mjs', 'maplibre-gl-worker.mjs']) {
  // Their source maps are not shipped.
  const text = readFileSync(join(library, name), 'utf8').replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n');
  shipped[name] = hashed(name, text);
  put(shipped[name], text, maplibre);
}

// Leaflet draws the maps of the notebook client, which knows it by a plain name.
const leaflet = described(join(modules, 'leaflet'));
mkdirSync(join(target, 'vendor/leaflet/images'), { recursive: true });
const leafletImages = ['layers', 'layers-2x', 'marker-icon', 'marker-icon-2x', 'marker-shadow'];
for (const name of ['leaflet.css', ...leafletImages.map((image) => `images/${image}.png`)]) {
  put(`vendor/leaflet/${name}`, readFileSync(join(modules, 'leaflet/dist', name)), leaflet);
}
const leafletCode = readFileSync(join(modules, 'leaflet/dist/leaflet.js'), 'utf8');
put('vendor/leaflet/leaflet.js', leafletCode.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n'), leaflet);

const own = described(here);

/** The colours of src/tokens.ts as custom properties of each theme: chosen, or by the reader's system. */
async function themes() {
  const colours = await build({
    absWorkingDir: here,
    entryPoints: ['src/tokens.ts'],
    bundle: true,
    write: false,
    format: 'esm',
  });
  const source = Buffer.from(colours.outputFiles[0].contents).toString('base64');
  const { tokens } = await import(`data:text/javascript;base64,${source}`);
  const rules = Object.entries(tokens).map(([theme, values]) => {
    const lines = Object.entries(values).map(([name, value]) => `--${name}:${value};`);
    return [theme, `{color-scheme:${theme};${lines.join('')}}`];
  });
  const { light, dark } = Object.fromEntries(rules);
  return {
    themes: rules.map(([theme, rule]) => `[data-theme="${theme}"]${rule}`).join('\n'),
    // Paper is white, whatever the screen is.
    schemes: `:root${light}\n@media screen and (prefers-color-scheme:dark){:root${dark}}`,
  };
}

const colours = await themes();
const result = await build({
  absWorkingDir: here,
  entryPoints: [
    { in: 'src/main.ts', out: 'app' },
    { in: 'src/style.css', out: 'app' },
    // The pages of layers and features: one small style, and a map where there is one.
    { in: 'src/features.ts', out: 'features' },
    { in: 'src/features.css', out: 'features' },
    { in: 'src/features_map.css', out: 'features-map' },
  ],
  bundle: true,
  write: false,
  outdir: target,
  entryNames: '[name]-[hash]',
  format: 'esm',
  target: ['es2022'],
  minify: true,
  legalComments: 'none',
  metafile: true,
  define: { MAPLIBRE_WORKER: JSON.stringify(`./${shipped['maplibre-gl-worker.mjs']}`) },
  plugins: [
    {
      name: 'colours',
      setup(pages) {
        pages.onResolve({ filter: /^(themes|schemes)$/ }, ({ path }) => ({ path, namespace: 'colours' }));
        pages.onLoad({ filter: /.*/, namespace: 'colours' }, ({ path }) => ({
          contents: colours[path],
          loader: 'css',
        }));
      },
    },
    {
      name: 'maplibre stays outside',
      setup(pages) {
        pages.onResolve({ filter: /^maplibre-gl$/ }, () => ({
          path: `./${shipped['maplibre-gl.mjs']}`,
          external: true,
        }));
      },
    },
  ],
});
for (const output of result.outputFiles) put(basename(output.path), output.contents, own);

const named = (pattern) => files.find(({ file }) => pattern.test(file)).file;
const page = readFileSync(join(here, 'index.html'), 'utf8')
  .replaceAll('{{app.css}}', named(/^app-.*\.css$/))
  .replaceAll('{{app.js}}', named(/^app-.*\.js$/))
  .replaceAll('{{maplibre.mjs}}', shipped['maplibre-gl.mjs']);
if (page.includes('{{')) throw new Error('index.html names a file that was not built');
put('index.html', page, own);

// What runs in the reader's browser: MapLibre and every package that it has bundled in turn, and
// what our own bundle took in. Packages that only build are not shipped and not listed.
const lock = JSON.parse(readFileSync(join(here, 'package-lock.json'), 'utf8')).packages;
const packages = Object.entries(lock).filter(([path, entry]) => path && !entry.dev);
const notices = packages.map(([path, entry]) => {
  const folder = join(here, path);
  if (!existsSync(folder)) throw new Error(`${path} is not installed: run npm ci --ignore-scripts`);
  const { name, version } = described(folder);
  const text = licence(folder) ?? 'The package ships no licence file; its package.json names the licence above.';
  return `${name} ${version} (${entry.license})\n\n${text}\n`;
});
put('THIRD_PARTY_LICENSES.txt', notices.join(`\n${'-'.repeat(80)}\n\n`), own);

const manifest = {
  files,
  packages: packages.map(([path, entry]) => ({
    name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
    version: entry.version,
    licence: entry.license,
    integrity: entry.integrity,
  })),
};
writeFileSync(join(target, 'MANIFEST.json'), `${JSON.stringify(manifest, null, 1)}\n`);
for (const { file } of files) {
  console.log(`${String(readFileSync(join(target, file)).length).padStart(8)}  ${file}`);
}
