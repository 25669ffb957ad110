// The page's program: unpack what lies in the page, put the parts together, listen to the keyboard, and keep the address
// in step. Nothing is fetched: the page's policy forbids it.

import { grouped } from '../../figures.js';
import { type DifferenceView, splitPayload } from '../payload.js';
import { formatAddress, parseAddress } from './address.js';
import { BootPanel } from './boot.js';
import { TraceData } from './columns.js';
import { ConsolePanel } from './console.js';
import { Detail } from './detail.js';
import { DifferencePanel } from './difference.js';
import { button, el, fill } from './dom.js';
import { EventTable } from './event-table.js';
import { Flame } from './flame.js';
import { timeText } from './format.js';
import { helpDialog } from './help.js';
import { Model, makeTrace, type Tab, type Trace } from './model.js';
import { ScreenPanel } from './screen.js';
import { StructuresPanel } from './structures.js';
import { followSystem, nextTheme, showTheme } from './theme.js';
import { Timeline } from './timeline.js';

const TAB_NAMES: Readonly<Record<Tab, string>> = {
  events: 'Events',
  flame: 'Flame graph',
  structures: 'Structures',
  console: 'Console',
  screen: 'Screen',
  difference: 'Difference',
  boot: 'Boot',
};

/** Bytes of a part of the page: base64, then deflate. */
async function unpack(id: string): Promise<Uint8Array | undefined> {
  const element = document.getElementById(id);
  if (!element) return undefined;
  const text = element.textContent ?? '';
  element.remove();
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function load(): Promise<Model> {
  const traces: Trace[] = [];
  for (const [n, name] of (['A', 'B'] as const).entries()) {
    const payload = await unpack(`trace-${n}`);
    if (!payload) break;
    const { head, columns } = splitPayload(payload);
    traces.push(makeTrace(new TraceData(head, columns), name, columns));
  }
  if (traces.length === 0) throw new Error('this page has no trace in it');
  const view = await unpack('difference');
  const difference = view && (JSON.parse(new TextDecoder().decode(view)) as DifferenceView);
  return new Model(traces, difference);
}

function start(model: Model): void {
  const app = document.getElementById('app')!;
  const table = new EventTable(model);
  const timeline = new Timeline(model);
  const status = el('output', { class: 'toast', role: 'status', 'aria-live': 'polite' });
  let hide = 0;
  const say = (text: string) => {
    status.textContent = text;
    clearTimeout(hide);
    hide = window.setTimeout(() => fill(status), 2500);
  };
  const detail = new Detail(model, say);
  const panels: Readonly<Record<Tab, HTMLElement>> = {
    events: table.element,
    flame: new Flame(model).element,
    structures: new StructuresPanel(model).element,
    console: new ConsolePanel(model).element,
    screen: new ScreenPanel(model).element,
    difference: new DifferencePanel(model).element,
    boot: new BootPanel(model).element,
  };
  const shown = (Object.keys(panels) as Tab[]).filter(
    (tab) =>
      (tab !== 'difference' || model.difference) &&
      (tab !== 'screen' || model.traces.some(({ data }) => data.head.screens.length > 0)),
  );
  const tabs = shown.map((tab) => {
    const made = button(TAB_NAMES[tab], `${TAB_NAMES[tab]} (${shown.indexOf(tab) + 1})`, () => model.setTab(tab), {
      role: 'tab',
      id: `tab-${tab}`,
      'aria-controls': `panel-${tab}`,
    });
    panels[tab].id = `panel-${tab}`;
    panels[tab].setAttribute('role', 'tabpanel');
    panels[tab].setAttribute('aria-labelledby', `tab-${tab}`);
    panels[tab].classList.add('panel');
    return made;
  });
  const bar = el('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Views' }, ...tabs);
  const facts = el('p', { class: 'facts-line' });
  const choose = model.traces.map((trace, n) =>
    button(trace.data.head.file, `Trace ${trace.name} (b switches)`, () => model.setTrace(n), {
      class: 'trace-choice',
      'aria-pressed': n === 0,
    }),
  );
  choose.forEach((made, n) => {
    made.prepend(el('span', { class: 'badge' }, model.traces[n]!.name));
  });
  const help = helpDialog();
  const header = el(
    'header',
    { class: 'top' },
    el('h1', {}, 'vmreplay'),
    model.traces.length > 1
      ? el('div', { class: 'choice', role: 'group', 'aria-label': 'Trace' }, ...choose)
      : el('b', { class: 'file' }, model.data.head.file),
    facts,
    el(
      'div',
      { class: 'top-tools' },
      button('Theme', 'Light or dark (t)', () => changeTheme()),
      button('Keys', 'Keyboard (?)', () => help.showModal()),
    ),
  );
  const splitter = el('div', {
    class: 'splitter',
    role: 'separator',
    tabindex: 0,
    'aria-orientation': 'horizontal',
    'aria-label': 'Height of the timeline',
  });
  fill(
    app,
    header,
    timeline.element,
    splitter,
    el('div', { class: 'below' }, el('main', {}, bar, ...shown.map((tab) => panels[tab])), detail.element),
    status,
    help,
  );
  split(splitter, timeline);

  const changeTheme = () => {
    say(`${nextTheme()} theme`);
    model.tell('theme');
  };
  const showFacts = () => {
    const { head, count } = model.data;
    const { inspection: i } = head;
    const end = i.end ? `${i.end.reason}${i.end.code === null ? '' : ` ${i.end.code}`}` : 'cut off';
    const parts = [
      `${i.machine} · ${head.route}`,
      `${timeText(head.cycles * i.timing.nsPerCycle)} of guest time`,
      `${grouped(count)} events`,
      `end: ${end}`,
    ];
    fill(
      facts,
      parts.join('  ·  '),
      head.notes.length > 0 && el('span', { class: 'note', title: head.notes.join('\n') }, ' ! '),
    );
    choose.forEach((made, n) => {
      made.setAttribute('aria-pressed', String(n === model.index));
    });
  };
  const showTab = () => {
    shown.forEach((tab, n) => {
      const chosen = tab === model.tab;
      panels[tab].hidden = !chosen;
      tabs[n]!.setAttribute('aria-selected', String(chosen));
      tabs[n]!.tabIndex = chosen ? 0 : -1;
    });
    if (model.tab === 'events') table.invalidate();
  };
  bar.addEventListener('keydown', (event) => {
    const by = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (by === 0) return;
    const n = (shown.indexOf(model.tab) + by + shown.length) % shown.length;
    model.setTab(shown[n]!);
    tabs[n]!.focus();
    event.preventDefault();
  });

  let own = '';
  let writing = 0;
  const writeAddress = () => {
    clearTimeout(writing);
    writing = window.setTimeout(() => {
      own = formatAddress(model.address);
      if (own !== location.hash) history.replaceState(null, '', own);
    }, 150);
  };
  window.addEventListener('hashchange', () => {
    if (location.hash === own) return;
    model.goTo(parseAddress(location.hash));
    table.sync();
  });
  followSystem(() => model.tell('theme'));
  model.listen((change) => {
    if (change === 'trace') showFacts();
    if (change === 'tab') showTab();
    if (change === 'filter') table.sync();
    if (change !== 'theme') writeAddress();
  });

  const step = (by: number) => {
    if (model.tab === 'events') table.move(by);
    else model.select(model.event < 0 ? 0 : model.event + by);
  };
  const phase = (by: 1 | -1) => {
    const { phases } = model.data.head;
    const now = model.event < 0 ? 0 : model.cycle;
    const next = by > 0 ? phases.find(({ from }) => from > now) : phases.findLast(({ from }) => from < now);
    if (next) model.select(model.data.firstAt(next.from));
    if (next) say(`phase ${next.name}`);
  };
  const keys: Readonly<Record<string, () => void>> = {
    '/': () => {
      model.setTab('events');
      table.search.focus();
      table.search.select();
    },
    '?': () => help.showModal(),
    '+': () => model.zoom(0.5),
    '=': () => model.zoom(0.5),
    '-': () => model.zoom(2),
    f: () => model.setView(0, model.whole),
    x: () => model.setMode(model.mode === 'time' ? 'events' : 'time'),
    t: () => changeTheme(),
    b: () => model.setTrace(1 - model.index),
    c: () => void detail.copy(),
    d: () => {
      const index = model.difference?.index;
      if (index === undefined || index === null) return say('no difference to go to');
      model.select(index);
    },
    e: () => {
      model.setTab('events');
      table.focus();
    },
    g: () => {
      model.setTab('events');
      model.setQuery('event:');
      table.search.value = 'event:';
      table.search.focus();
    },
    ',': () => step(-1),
    '.': () => step(1),
    j: () => step(1),
    k: () => step(-1),
    '[': () => phase(-1),
    ']': () => phase(1),
    Escape: () => {
      if (model.query !== '') model.setQuery('');
    },
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const target = event.target as HTMLElement;
    const typing = target.matches('input:not([type=range]), select, textarea');
    if (typing && event.key !== 'Escape') return;
    const number = Number(event.key);
    if (number >= 1 && number <= shown.length) model.setTab(shown[number - 1]!);
    else if (keys[event.key]) keys[event.key]!();
    else return;
    event.preventDefault();
  });

  showFacts();
  showTab();
  model.goTo(parseAddress(location.hash));
  table.sync();
  if (location.hash === '' && model.difference && !model.difference.explanation.same) model.setTab('difference');
  // Two frames on, what was asked for has been drawn.
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      document.documentElement.dataset.ready = '';
      performance.mark('ready');
    }),
  );
}

/** The bar between timeline and the rest: dragged, or moved by the arrow keys. */
function split(bar: HTMLElement, timeline: Timeline): void {
  const set = (height: number) => {
    const most = window.innerHeight * 0.75;
    timeline.element.style.maxHeight = `${Math.max(90, Math.min(most, height))}px`;
    timeline.element.style.height = timeline.element.style.maxHeight;
    timeline.invalidate();
  };
  bar.addEventListener('pointerdown', (event) => {
    bar.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  bar.addEventListener('pointermove', (event) => {
    if (bar.hasPointerCapture(event.pointerId)) set(event.clientY - timeline.element.getBoundingClientRect().top);
  });
  bar.addEventListener('keydown', (event) => {
    const by = event.key === 'ArrowUp' ? -24 : event.key === 'ArrowDown' ? 24 : 0;
    if (by === 0) return;
    set(timeline.element.getBoundingClientRect().height + by);
    event.preventDefault();
  });
}

showTheme();
load().then(start, (error: Error) => {
  fill(
    document.getElementById('app')!,
    el('p', { class: 'loading', role: 'alert' }, `This report cannot be shown: ${error.message}`),
  );
});
