/** Elements without markup in strings: the page's CSP allows no inline style, and no text of the
 * data can become markup this way. */

type Child = Node | string | null | false | undefined | Child[];
type Value = string | number | boolean | null | undefined | ((event: never) => void);
export type Props = Record<string, Value>;

const SVG = 'http://www.w3.org/2000/svg';

function add(node: Element, children: Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) add(node, child);
    else if (child) node.append(child);
  }
}

function set(node: Element, props: Props): void {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name.slice(2), value as EventListener);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
}

/** An HTML element; `onclick` and the like take listeners, false and null leave an attribute out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  set(node, props);
  add(node, children);
  return node;
}

/** An SVG element. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const node = document.createElementNS(SVG, tag);
  set(node, props);
  add(node, children);
  return node;
}

/** An element of index.html. */
export function part(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/** Draw a part anew; focus and what was unfolded (by `data-focus`), and scroll, stay. */
export function fill(root: HTMLElement, ...children: Child[]): void {
  const active = document.activeElement;
  const focused = active && root.contains(active) ? active.getAttribute('data-focus') : null;
  const unfolded = [...root.querySelectorAll('details[open] > summary')].map((summary) =>
    summary.getAttribute('data-focus'),
  );
  const top = root.scrollTop;
  root.replaceChildren();
  add(root, children);
  for (const name of unfolded) {
    const summary = name && root.querySelector(`summary[data-focus="${CSS.escape(name)}"]`);
    if (summary) summary.parentElement?.setAttribute('open', '');
  }
  root.scrollTop = top;
  if (focused) root.querySelector<HTMLElement>(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}
