// @ts-check
/**
 * The page's side of UsageMeter: draws the state that the kernel tells.
 *
 * Every text enters by `textContent`; nodes stay and only what changed in them is touched, so nothing flickers.
 *
 * @typedef {{name: string, parts: number[], tokens: string, cost: string}} Row
 * @typedef {[number, number, number, string]} Call
 */

const METER_SILENT = "The kernel does not answer yet. If no cell is running, run this cell to see usage live.";
const METER_PARTS = ["prompt", "cached", "completion", "reasoning"];
/** @type {Record<string, string>} */
const PART_WORDS = { prompt: "prompt", cached: "cached prompt", completion: "completion", reasoning: "reasoning" };
const PLOT_WIDTH = 300;
const SVG = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {Record<string, any>} props @returns {any} */
function svgShape(tag, props) {
  const node = document.createElementNS(SVG, tag);
  setAttributes(node, props);
  return node;
}

/** Set attributes, those alone that change. @param {Element} node @param {Record<string, any>} props */
function setAttributes(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
  }
}

/** @param {Node} node @param {string} words */
function putWords(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

/** As many children as wanted, old ones kept. @param {Element} parent @param {number} count @param {() => Node} born */
function keepChildren(parent, count, born) {
  while (parent.children.length > count) parent.lastElementChild?.remove();
  while (parent.children.length < count) parent.append(born());
  return [...parent.children];
}

/* ---------------------------------------------------------------- what a meter looks like */

/** A plot with its caption and the two ends of its range. @param {string} kind */
function plotParts(kind) {
  const caption = make("figcaption");
  const svg = svgShape("svg", { role: "img", viewBox: `0 0 ${PLOT_WIDTH} 60`, preserveAspectRatio: "none", class: kind });
  const first = make("span");
  const last = make("span");
  const figure = make("figure", {}, caption, svg, make("div", { className: "ck-range" }, first, last));
  return { figure, caption, svg, first, last };
}

function meterParts() {
  const title = make("div", { className: "ck-title", dir: "auto" });
  const everywhere = make("input", { type: "checkbox" });
  const counters = make("dl", { className: "ck-counters" });
  const problem = make("div", { className: "ck-problem", role: "status" });
  const budgetWords = make("span");
  const fill = make("div", { className: "ck-fill" });
  const budget = make("div", { className: "ck-budget", hidden: true }, budgetWords, make("div", { className: "ck-track", "aria-hidden": "true" }, fill));
  const notes = make("ul", { className: "ck-notes" });
  const latest = plotParts("ck-spark");
  const tokens = plotParts("ck-tokens");
  const money = plotParts("ck-money");
  const by = make("th", { scope: "col" });
  const body = make("tbody");
  const caption = make("caption");
  const head = make("tr", {}, by, make("th", { scope: "col" }, "share"), make("th", { scope: "col" }, "tokens"), make("th", { scope: "col" }, "USD"));
  const wrap = make("div", { className: "ck-wrap", tabIndex: 0, role: "region", "aria-label": "Usage by name" }, make("table", {}, caption, make("thead", {}, head), body));
  const key = make("div", { className: "ck-key" });
  const plots = make("div", { className: "ck-plots" }, tokens.figure, money.figure);
  const root = make(
    "section",
    { className: "ck-meter mathjax_ignore tex2jax_ignore", "aria-label": "Usage" },
    make("div", { className: "ck-head" }, title, make("label", { className: "ck-switch" }, everywhere, "All my notebooks")),
    problem,
    counters,
    budget,
    latest.figure,
    wrap,
    key,
    plots,
    notes,
  );
  return { root, title, everywhere, counters, problem, budget, budgetWords, fill, notes, latest, tokens, money, by, body, caption, wrap, key, plots };
}

/** @param {ReturnType<typeof meterParts>} ui @param {any} state */
function drawMeter(ui, state) {
  putWords(ui.title, state.title);
  const problem = state.error?.text ?? "";
  putWords(ui.problem, problem);
  ui.problem.hidden = !problem;
  const counters = state.counters ?? [];
  keepChildren(ui.counters, counters.length, () => make("div", {}, make("dt"), make("dd"))).forEach((node, place) => {
    const [label, value] = counters[place];
    const [dt, dd] = node.children;
    putWords(dt, label);
    putWords(dd, value);
    dd.classList.toggle("ck-word", !/\d/.test(value));
  });
  drawBudget(ui, state.budget);
  const notes = state.notes ?? [];
  keepChildren(ui.notes, notes.length, () => make("li")).forEach((node, place) => putWords(node, notes[place]));
  drawLatest(ui.latest, state.latest ?? [], state.spoken ?? "");
  drawRows(ui, state);
  ui.plots.hidden = (state.time ?? []).length < 2;
  if (!ui.plots.hidden) {
    drawCurve(ui.tokens, state.time, 1, "Tokens, added up", "tokens");
    drawCurve(ui.money, state.time, 2, "Cost, added up", "USD");
  }
  ui.root.dataset.calls = String(state.calls ?? 0);
}

/** @param {ReturnType<typeof meterParts>} ui @param {{share: number, words: string, full: boolean} | null} budget */
function drawBudget(ui, budget) {
  ui.budget.hidden = !budget;
  if (!budget) return;
  putWords(ui.budgetWords, budget.words);
  ui.fill.style.width = `${Math.round(budget.share * 1000) / 10}%`;
  ui.budget.classList.toggle("ck-full", budget.full);
}

/** Each of the latest calls a bar; an estimate is pale, what is unknown an empty frame. @param {ReturnType<typeof plotParts>} view @param {Call[]} calls @param {string} words */
function drawLatest(view, calls, words) {
  view.figure.hidden = !calls.length;
  putWords(view.caption, "Tokens of the latest calls");
  setAttributes(view.svg, { "aria-label": words });
  const most = Math.max(1, ...calls.map(([prompt, , completion]) => prompt + completion));
  const step = PLOT_WIDTH / Math.max(calls.length, 20);
  const nodes = keepChildren(view.svg, calls.length * 3, () => svgShape("rect", {}));
  calls.forEach(([prompt, cached, completion, known], place) => {
    const unknown = known === "unknown";
    const heights = (unknown ? [12 * most / 60, 0, 0] : [prompt - cached, cached, completion]).map((size) => (60 * size) / most);
    let top = 60;
    ["prompt", "cached", "completion"].forEach((part, number) => {
      top -= heights[number];
      const look = unknown ? "ck-unknown" : `ck-${part}${known === "estimated" ? " ck-guess" : ""}`;
      setAttributes(nodes[place * 3 + number], { class: look, x: place * step + step * 0.12, width: step * 0.76, y: top, height: Math.max(0, heights[number]) });
    });
  });
}

/** @param {ReturnType<typeof meterParts>} ui @param {any} state */
function drawRows(ui, state) {
  /** @type {Row[]} */
  const rows = state.rows ?? [];
  ui.wrap.hidden = !rows.length;
  putWords(ui.by, state.by ?? "");
  putWords(ui.caption, state.more ? `The largest ${rows.length}; ${state.more} more` : `By ${state.by}`);
  const most = Math.max(1, ...rows.map((row) => row.parts.reduce((sum, size) => sum + size, 0)));
  const born = () => make("tr", {}, make("th", { scope: "row", dir: "auto" }), make("td", { className: "ck-bars" }, partsBar()), make("td"), make("td"));
  keepChildren(ui.body, rows.length, born).forEach((node, place) => {
    const row = rows[place];
    const [name, bars, tokens, cost] = node.children;
    putWords(name, row.name);
    putWords(tokens, row.tokens);
    putWords(cost, row.cost);
    [...bars.querySelectorAll("i")].forEach((part, number) => {
      const width = `${Math.round((row.parts[number] / most) * 1000) / 10}%`;
      if (part.style.width !== width) part.style.width = width;
    });
  });
  const used = METER_PARTS.filter((_, number) => rows.some((row) => row.parts[number] > 0));
  keepChildren(ui.key, used.length, () => make("span", {}, make("i"), make("span"))).forEach((node, place) => {
    setAttributes(node.children[0], { class: `ck-${used[place]}` });
    putWords(node.children[1], PART_WORDS[used[place]]);
  });
}

const partsBar = () => make("div", { className: "ck-bar", "aria-hidden": "true" }, ...METER_PARTS.map((part) => make("i", { className: `ck-${part}` })));

/** What was added up over time. @param {ReturnType<typeof plotParts>} view @param {number[][]} points @param {number} column @param {string} title @param {string} unit */
function drawCurve(view, points, column, title, unit) {
  const [begin, end] = [points[0][0], points[points.length - 1][0]];
  const most = points[points.length - 1][column];
  const at = points.map((point) => [
    ((point[0] - begin) / Math.max(1, end - begin)) * PLOT_WIDTH,
    58 - (most ? (point[column] / most) * 54 : 0),
  ]);
  let line = `M${at[0][0].toFixed(1)} ${at[0][1].toFixed(1)}`;
  for (const [x, y] of at.slice(1)) line += `H${x.toFixed(1)}V${y.toFixed(1)}`;
  const [axis, area, curve] = keepChildren(view.svg, 3, () => svgShape("path", {}));
  setAttributes(axis, { class: "ck-axis", d: `M0 58H${PLOT_WIDTH}` });
  setAttributes(area, { class: "ck-area", d: `${line}V58H${at[0][0].toFixed(1)}Z` });
  setAttributes(curve, { class: "ck-curve", d: line });
  const words = `${title}: ${shortNumber(most)} ${unit}`;
  putWords(view.caption, words);
  setAttributes(view.svg, { "aria-label": words });
  putWords(view.first, timeOfDay(begin, end));
  putWords(view.last, timeOfDay(end, begin));
}

/** @param {number} value */
const shortNumber = (value) => (value >= 1 || value === 0 ? value.toLocaleString("en-US", { maximumFractionDigits: 2 }) : Number(value.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 10 }));

/** A time of day, with its date where the other end of the range has another. @param {number} at @param {number} other */
function timeOfDay(at, other) {
  /** @type {Intl.DateTimeFormatOptions} */
  const day = new Date(at).toDateString() === new Date(other).toDateString() ? {} : { month: "short", day: "numeric" };
  return new Date(at).toLocaleString([], { ...day, hour: "2-digit", minute: "2-digit" });
}

/* ---------------------------------------------------------------- one view */

/** @param {{model: Model, el: HTMLElement}} context @param {ReturnType<typeof openLink>} link */
function mountMeter({ model, el }, link) {
  const ui = meterParts();
  // what was clicked and the kernel has not answered yet
  /** @type {boolean | null} */
  let wanted = null;
  const feed = followFeed(model, link, { restore: show, follow: show, changed: show }, METER_SILENT);
  const { state } = feed;

  function show() {
    const { status, gone, silent } = state;
    const words = gone === GONE ? "The kernel is gone; this is the last that was seen." : gone || silent;
    drawMeter(ui, { title: "Usage", ...status, ...(words ? { error: { text: words } } : {}) });
    if (wanted === null || wanted === status.everywhere) {
      ui.everywhere.checked = Boolean(status.everywhere);
      wanted = null;
    }
    // the kernel answers before it has looked at the calls
    const live = Boolean(status.counters);
    ui.everywhere.disabled = Boolean(gone);
    ui.root.dataset.phase = gone ? "gone" : live ? "live" : "waiting";
    ui.root.classList.toggle("ck-waiting", !live);
  }

  ui.everywhere.addEventListener("change", () => {
    wanted = ui.everywhere.checked;
    link.post({ type: "everywhere", view: feed.view, value: wanted });
  });
  el.append(ui.root);
  show();

  return () => {
    feed.close();
    ui.root.remove();
  };
}

export default widgetOf(openLink, mountMeter);
