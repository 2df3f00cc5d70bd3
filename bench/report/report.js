// SPDX-License-Identifier: Apache-2.0
// Draws the page from the records that lie in it. What a run did not measure leaves no plot; the
// tables at the end list every metric, with the reason where it has no value.
'use strict';

const records = JSON.parse(document.getElementById('results').textContent);
const main = document.getElementById('main');

const COLOURS = ['#2166c4', '#d9822b', '#1d7a55', '#9b3fb5', '#c03a2b', '#0f8f9e', '#7a6a2f', '#5c6b7c'];
const STAGES = [
  ['ring', 'published → encode begin', 'us'],
  ['encode', 'encode', 'ms'],
  ['packet', 'encode end → packet published', 'us'],
  ['fanout', 'packet → the socket', 'us'],
  ['socket', 'the socket → last byte', 'us'],
  ['decode', 'browser: decode', 'ms'],
  ['draw', 'browser: until the display refreshes', 'ms'],
];
const POINTS = [
  ['p50', 'p50'],
  ['p90', 'p90'],
  ['p99', 'p99'],
  ['p99_9', 'p99.9'],
  ['max', 'max'],
];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function number(value) {
  if (value === null || value === undefined) return '–';
  const size = Math.abs(value);
  if (size >= 10000) return Math.round(value).toLocaleString('en');
  return size >= 100 ? value.toFixed(0) : size >= 1 ? value.toFixed(2) : value.toFixed(3);
}

const find = (caseName) => records.find((record) => record.case === caseName);
const metricOf = (caseName, name) => {
  const found = find(caseName)?.results.find((result) => result.metric === name);
  return found && found.value !== null ? found : null;
};

function section(title, text, ...children) {
  main.append(element('section', {}, element('h2', { textContent: title }), element('p', { textContent: text }), ...children));
}

// ---- head

function head() {
  const { machine, commit, quick } = records[0];
  const memory = (machine.memory_bytes / 2 ** 30).toFixed(0);
  document.getElementById('machine').textContent =
    `${machine.cpu}, ${machine.cores} cores, ${memory} GiB, Linux ${machine.kernel}, ${machine.architecture}` +
    ` · commit ${commit}${quick ? ' · quick run' : ''}`;
  const disturbed = records.filter((record) => record.others_core_percent > 15).map((record) => record.case);
  const notice = document.getElementById('disturbed');
  notice.hidden = disturbed.length === 0;
  notice.textContent =
    `Other processes used this machine during ${disturbed.join(', ')}: take those numbers for a trend.`;
}

// ---- ratios to yardsticks

function verdict(result) {
  if (result.target === null) return element('span', { className: 'value', textContent: number(result.value) });
  const bound = `${result.better === 'lower' ? '≤' : '≥'} ${number(result.target)}`;
  return element(
    'span',
    { className: 'value' },
    `${number(result.value)} `,
    element('span', {
      className: result.pass ? 'met' : 'missed',
      textContent: `${result.pass ? '✓' : '✗'} ${bound}`,
    }),
  );
}

/** Bars on a logarithmic scale; the dark line is where the yardstick stands. */
function ratioBars(results) {
  const low = Math.log10(Math.min(0.002, ...results.map((result) => result.value)) / 2);
  const high = Math.log10(Math.max(2, ...results.map((result) => result.value)));
  const place = (value) => `${(100 * (Math.log10(value) - low)) / (high - low)}%`;
  const bars = element('div', { className: 'bars' });
  for (const result of results) {
    const fill = element('div', { className: 'fill' });
    fill.style.width = place(Math.max(result.value, 10 ** low));
    const mark = element('div', { className: 'mark', title: 'the yardstick' });
    mark.style.left = place(1);
    bars.append(
      element('div', { className: 'name' }, element('code', { textContent: result.metric }), element('small', { textContent: `against ${result.yardstick}` })),
      element('div', { className: 'track' }, fill, mark),
      verdict(result),
    );
  }
  return bars;
}

function ratios() {
  const charts = [];
  for (const record of records) {
    const results = record.results.filter(
      (result) => result.unit === 'ratio' && result.value > 0 && result.yardstick,
    );
    if (results.length === 0) continue;
    charts.push(element('h3', { textContent: `Case ${record.case}` }), ratioBars(results));
  }
  if (charts.length === 0) return;
  section(
    'Against whom',
    'Each bar is a ratio to a yardstick measured in the same run, in turns. The dark line is the yardstick itself; left of it is less. The scale is logarithmic.',
    ...charts,
  );
}

// ---- the ladder of stages

function steps(prefix) {
  return STAGES.map(([stage, label, unit], at) => {
    const result = metricOf('glass', `${prefix}${stage}_p50_${unit}`);
    return { label, colour: COLOURS[at], ms: result ? (unit === 'us' ? result.value / 1000 : result.value) : 0 };
  });
}

/** The stages up to the socket, then what a browser adds. */
function browserSteps(prefix) {
  const inBrowser = steps(`browser_${prefix}`);
  if (inBrowser.every((step) => step.ms === 0)) return inBrowser;
  return steps(prefix).map((step, at) => (step.ms > 0 ? step : inBrowser[at]));
}

function ladders() {
  const rows = [
    ['JPEG 720p', steps('')],
    ['JPEG, in a browser', browserSteps('')],
    ['H.264 720p', steps('h264_')],
    ['H.264, in a browser', browserSteps('h264_')],
  ].filter(([, row]) => row.some((step) => step.ms > 0));
  if (rows.length === 0) return;
  const total = (row) => row.reduce((sum, step) => sum + step.ms, 0);
  const longest = Math.max(...rows.map(([, row]) => total(row)));
  const grid = element('div', { className: 'ladder' });
  for (const [name, row] of rows) {
    const line = element('div', { className: 'steps' });
    for (const { label, colour, ms } of row.filter((step) => step.ms > 0)) {
      const share = (100 * ms) / longest;
      const step = element('span', { title: `${label}: ${number(ms)} ms`, textContent: share > 6 ? number(ms) : '' });
      step.style.width = `${share}%`;
      step.style.background = colour;
      line.append(step);
    }
    grid.append(element('div', { className: 'name', textContent: name }), line, element('div', { textContent: `${number(total(row))} ms` }));
  }
  const legend = element('div', { className: 'legend' });
  STAGES.forEach(([, label], at) => {
    const swatch = element('i');
    swatch.style.background = COLOURS[at];
    legend.append(element('span', {}, swatch, label));
  });
  section(
    'Where a frame’s time goes',
    'From the simulator’s publish to the last byte at a viewer on this machine, and on to the display where a browser watched; medians of each stage.',
    grid,
    legend,
  );
}

// ---- curves

function plot(title, data, options) {
  const box = element('div', { className: 'plot' }, element('h3', { textContent: title }));
  const frame = { width: 500, height: 260, legend: { live: false }, ...options };
  // uPlot measures text, so the box must be in the document first.
  return { box, draw: () => new uPlot(frame, data, box) };
}

function addPlots(title, text, plots) {
  if (plots.length === 0) return;
  if (typeof uPlot === 'undefined') {
    section(title, 'The curves need npm’s uplot: run npm ci --prefix bench/node and make the report again. The numbers are in the tables below.');
    return;
  }
  section(title, text, element('div', { className: 'plots' }, ...plots.map(({ box }) => box)));
  for (const { draw } of plots) draw();
}

const logAxis = (label) => ({
  label,
  size: 60,
  values: (self, ticks) => ticks.map((tick) => (tick === null ? '' : String(Number(tick.toPrecision(3))))),
});

/** curves: at most as many as there are colours; [name, percentiles] each. */
function percentilePlot(title, unit, curves) {
  const xs = POINTS.map((_, at) => at);
  const data = [xs, ...curves.map(([, percentiles]) => POINTS.map(([key]) => percentiles[key]))];
  return plot(title, data, {
    scales: { x: { time: false }, y: { distr: 3 } },
    axes: [{ splits: () => xs, values: () => POINTS.map(([, label]) => label) }, logAxis(unit)],
    series: [
      {},
      ...curves.map(([name], at) => ({ label: name, stroke: COLOURS[at], width: 2, points: { show: true } })),
    ],
  });
}

function percentilePlots() {
  const plots = [];
  for (const record of records) {
    const units = new Map();
    for (const result of record.results) {
      if (!result.percentiles || !(result.percentiles.p50 > 0)) continue;
      // p50 and p99 of one thing are one curve.
      const name = result.metric.replace(/_p(50|99)_/, '_').replace(/_p(50|99)$/, '');
      if (!units.has(result.unit)) units.set(result.unit, new Map());
      units.get(result.unit).set(name, result.percentiles);
    }
    for (const [unit, curves] of units) {
      const all = [...curves];
      for (let first = 0; first < all.length; first += COLOURS.length) {
        plots.push(percentilePlot(`${record.case}, ${unit}`, unit, all.slice(first, first + COLOURS.length)));
      }
    }
  }
  addPlots('Percentiles', 'Of all samples of all counted rounds; the vertical scale is logarithmic.', plots);
}

/** Metrics of case `scale` are named WHAT_NUMBER_MEASURE: clients_200_core_percent. */
function scalePlots() {
  const curves = new Map();
  for (const result of find('scale')?.results ?? []) {
    const parts = /^([a-z]+)_(\d+)_(.+)$/.exec(result.metric);
    if (!parts || result.value === null) continue;
    const key = `${parts[1]}|${parts[3]}`;
    if (!curves.has(key)) curves.set(key, { unit: result.unit, points: [] });
    curves.get(key).points.push([Number(parts[2]), result.value]);
  }
  const plots = [];
  for (const [key, { unit, points }] of curves) {
    if (points.length < 2) continue;
    const [what, measure] = key.split('|');
    points.sort((a, b) => a[0] - b[0]);
    plots.push(
      plot(`${measure.replaceAll('_', ' ')}, by ${what}`, [points.map(([x]) => x), points.map(([, y]) => y)], {
        scales: { x: { time: false, distr: 3, log: 2 } },
        axes: [logAxis(what), { label: unit, size: 60 }],
        series: [{}, { label: measure, stroke: COLOURS[0], width: 2, points: { show: true, size: 7 } }],
      }),
    );
  }
  addPlots('As the work grows', 'One thing grows at a time; all else stays as docs/benchmarks.md says.', plots);
}

// ---- tables

function table(record) {
  const rows = record.results.map((result) => {
    const name = element('td', { title: result.figure }, element('code', { textContent: result.metric }));
    if (result.value === null) {
      return element('tr', {}, name, element('td', { className: 'why', colSpan: 8, textContent: `${result.failed ? 'failed' : 'skipped'}: ${result.skipped}` }));
    }
    const cells = [number(result.value), result.unit].map((text) => element('td', { textContent: text }));
    const target = element('td');
    if (result.target !== null) {
      target.className = result.pass ? 'met' : 'missed';
      target.textContent = `${result.better === 'lower' ? '≤' : '≥'} ${number(result.target)}`;
    }
    const rest = ['p90', 'p99', 'p99_9', 'max'].map((key) => element('td', { textContent: number(result.percentiles?.[key]) }));
    const yardstick = result.yardstick ? `${number(result.ratio)} of ${result.yardstick}` : '';
    return element('tr', {}, name, ...cells, target, ...rest, element('td', { textContent: yardstick }));
  });
  const titles = ['metric', 'median', 'unit', 'target', 'p90', 'p99', 'p99.9', 'max', 'yardstick'];
  return element(
    'details',
    { open: true },
    element('summary', { textContent: `Case ${record.case}: ${record.rounds} rounds, ${record.rounds_discarded} discarded, seed ${record.seed}` }),
    element('table', {}, element('tr', {}, ...titles.map((text) => element('th', { textContent: text }))), ...rows),
  );
}

if (records.length > 0) {
  head();
  ladders();
  ratios();
  percentilePlots();
  scalePlots();
  section('All numbers', 'Medians over the counted rounds. The raw lines are in results.json.', ...records.map(table));
} else {
  section('Nothing was measured', 'No case ended.');
}
