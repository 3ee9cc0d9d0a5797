// @ts-check
/**
 * The page's side of UsageMeter: draws the state that the kernel sends, whole and numbered.
 *
 * Every text enters by `textContent`; nodes stay and only what changed in them is touched, so nothing flickers.
 *
 * @typedef {{name: string, parts: number[], tokens: string, cost: string}} Row
 * @typedef {[number, number, number, string]} Call
 */

const HELLO_AGAIN = 1500;
const UNANSWERED_AFTER = 4000;
const SILENT = "The kernel does not answer yet. If no cell is running, run this cell to see usage live.";
const GONE = "The kernel is gone; this is the last that was seen.";
const LOST = "The connection to the kernel is lost; trying again…";
const PARTS = ["prompt", "cached", "completion", "reasoning"];
const WORDS = { prompt: "prompt", cached: "cached prompt", completion: "completion", reasoning: "reasoning" };
const WIDTH = 300;
const SVG = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {Record<string, any>} props @returns {any} */
function shape(tag, props) {
  const node = document.createElementNS(SVG, tag);
  set(node, props);
  return node;
}

/** Set attributes, those alone that change. @param {Element} node @param {Record<string, any>} props */
function set(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
  }
}

/** @param {Node} node @param {string} words */
function say(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

/** As many children as wanted, old ones kept. @param {Element} parent @param {number} count @param {() => Node} born */
function keep(parent, count, born) {
  while (parent.children.length > count) parent.lastElementChild?.remove();
  while (parent.children.length < count) parent.append(born());
  return [...parent.children];
}

/* ---------------------------------------------------------------- what a meter looks like */

/** A plot with its caption and the two ends of its range. @param {string} kind */
function plot(kind) {
  const caption = make("figcaption");
  const svg = shape("svg", { role: "img", viewBox: `0 0 ${WIDTH} 60`, preserveAspectRatio: "none", class: kind });
  const first = make("span");
  const last = make("span");
  const figure = make("figure", {}, caption, svg, make("div", { className: "ck-range" }, first, last));
  return { figure, caption, svg, first, last };
}

function build() {
  const title = make("div", { className: "ck-title", dir: "auto" });
  const everywhere = make("input", { type: "checkbox" });
  const counters = make("dl", { className: "ck-counters" });
  const problem = make("div", { className: "ck-problem", role: "status" });
  const budgetWords = make("span");
  const fill = make("div", { className: "ck-fill" });
  const budget = make("div", { className: "ck-budget", hidden: true }, budgetWords, make("div", { className: "ck-track", "aria-hidden": "true" }, fill));
  const notes = make("ul", { className: "ck-notes" });
  const latest = plot("ck-spark");
  const tokens = plot("ck-tokens");
  const money = plot("ck-money");
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

/** @param {ReturnType<typeof build>} ui @param {any} state */
function draw(ui, state) {
  say(ui.title, state.title);
  say(ui.problem, state.problem ?? "");
  ui.problem.hidden = !state.problem;
  const counters = state.counters ?? [];
  keep(ui.counters, counters.length, () => make("div", {}, make("dt"), make("dd"))).forEach((node, place) => {
    const [label, value] = counters[place];
    const [dt, dd] = node.children;
    say(dt, label);
    say(dd, value);
    dd.classList.toggle("ck-word", !/\d/.test(value));
  });
  drawBudget(ui, state.budget);
  const notes = state.notes ?? [];
  keep(ui.notes, notes.length, () => make("li")).forEach((node, place) => say(node, notes[place]));
  drawLatest(ui.latest, state.latest ?? [], state.spoken ?? "");
  drawRows(ui, state);
  ui.plots.hidden = (state.time ?? []).length < 2;
  if (!ui.plots.hidden) {
    drawCurve(ui.tokens, state.time, 1, "Tokens, added up", "tokens");
    drawCurve(ui.money, state.time, 2, "Cost, added up", "USD");
  }
  ui.root.dataset.calls = String(state.calls ?? 0);
}

/** @param {ReturnType<typeof build>} ui @param {{share: number, words: string, full: boolean} | null} budget */
function drawBudget(ui, budget) {
  ui.budget.hidden = !budget;
  if (!budget) return;
  say(ui.budgetWords, budget.words);
  ui.fill.style.width = `${Math.round(budget.share * 1000) / 10}%`;
  ui.budget.classList.toggle("ck-full", budget.full);
}

/** Each of the latest calls a bar; an estimate is pale, what is unknown an empty frame. @param {ReturnType<typeof plot>} view @param {Call[]} calls @param {string} words */
function drawLatest(view, calls, words) {
  view.figure.hidden = !calls.length;
  say(view.caption, "Tokens of the latest calls");
  set(view.svg, { "aria-label": words });
  const most = Math.max(1, ...calls.map(([prompt, , completion]) => prompt + completion));
  const step = WIDTH / Math.max(calls.length, 20);
  const nodes = keep(view.svg, calls.length * 3, () => shape("rect", {}));
  calls.forEach(([prompt, cached, completion, known], place) => {
    const unknown = known === "unknown";
    const heights = (unknown ? [12 * most / 60, 0, 0] : [prompt - cached, cached, completion]).map((size) => (60 * size) / most);
    let top = 60;
    ["prompt", "cached", "completion"].forEach((part, number) => {
      top -= heights[number];
      const look = unknown ? "ck-unknown" : `ck-${part}${known === "estimated" ? " ck-guess" : ""}`;
      set(nodes[place * 3 + number], { class: look, x: place * step + step * 0.12, width: step * 0.76, y: top, height: Math.max(0, heights[number]) });
    });
  });
}

/** @param {ReturnType<typeof build>} ui @param {any} state */
function drawRows(ui, state) {
  /** @type {Row[]} */
  const rows = state.rows ?? [];
  ui.wrap.hidden = !rows.length;
  say(ui.by, state.by ?? "");
  say(ui.caption, state.more ? `The largest ${rows.length}; ${state.more} more` : `By ${state.by}`);
  const most = Math.max(1, ...rows.map((row) => row.parts.reduce((sum, size) => sum + size, 0)));
  const born = () => make("tr", {}, make("th", { scope: "row", dir: "auto" }), make("td", { className: "ck-bars" }, bar()), make("td"), make("td"));
  keep(ui.body, rows.length, born).forEach((node, place) => {
    const row = rows[place];
    const [name, bars, tokens, cost] = node.children;
    say(name, row.name);
    say(tokens, row.tokens);
    say(cost, row.cost);
    [...bars.firstElementChild.children].forEach((part, number) => {
      const width = `${Math.round((row.parts[number] / most) * 1000) / 10}%`;
      if (part.style.width !== width) part.style.width = width;
    });
  });
  const used = PARTS.filter((_, number) => rows.some((row) => row.parts[number] > 0));
  keep(ui.key, used.length, () => make("span", {}, make("i"), make("span"))).forEach((node, place) => {
    set(node.children[0], { class: `ck-${used[place]}` });
    say(node.children[1], WORDS[used[place]]);
  });
}

const bar = () => make("div", { className: "ck-bar", "aria-hidden": "true" }, ...PARTS.map((part) => make("i", { className: `ck-${part}` })));

/** What was added up over time. @param {ReturnType<typeof plot>} view @param {number[][]} points @param {number} column @param {string} title @param {string} unit */
function drawCurve(view, points, column, title, unit) {
  const [begin, end] = [points[0][0], points[points.length - 1][0]];
  const most = points[points.length - 1][column];
  const at = points.map((point) => [
    ((point[0] - begin) / Math.max(1, end - begin)) * WIDTH,
    58 - (most ? (point[column] / most) * 54 : 0),
  ]);
  let line = `M${at[0][0].toFixed(1)} ${at[0][1].toFixed(1)}`;
  for (const [x, y] of at.slice(1)) line += `H${x.toFixed(1)}V${y.toFixed(1)}`;
  const [axis, area, curve] = keep(view.svg, 3, () => shape("path", {}));
  set(axis, { class: "ck-axis", d: `M0 58H${WIDTH}` });
  set(area, { class: "ck-area", d: `${line}V58H${at[0][0].toFixed(1)}Z` });
  set(curve, { class: "ck-curve", d: line });
  const words = `${title}: ${short(most)} ${unit}`;
  say(view.caption, words);
  set(view.svg, { "aria-label": words });
  say(view.first, clock(begin, end));
  say(view.last, clock(end, begin));
}

/** @param {number} value */
const short = (value) => (value >= 1 || value === 0 ? value.toLocaleString("en-US", { maximumFractionDigits: 2 }) : Number(value.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 10 }));

/** A time of day, with its date where the other end of the range has another. @param {number} at @param {number} other */
function clock(at, other) {
  const day = new Date(at).toDateString() === new Date(other).toDateString() ? {} : { month: "short", day: "numeric" };
  return new Date(at).toLocaleString([], { ...day, hour: "2-digit", minute: "2-digit" });
}

/* ---------------------------------------------------------------- one view */

/** @param {{model: Model, el: HTMLElement}} context @param {ReturnType<typeof openLink>} link */
function mount({ model, el }, link) {
  const view = newId();
  const ui = build();
  /** @type {any} */
  let state = {};
  let seq = -1;
  let gone = "";
  // what was clicked and the kernel has not answered yet
  /** @type {boolean | null} */
  let wanted = null;
  /** @type {Set<ReturnType<typeof setTimeout>>} */
  const timers = new Set();

  /** @param {() => void} act @param {number} wait */
  function later(act, wait) {
    const timer = setTimeout(() => {
      timers.delete(timer);
      act();
    }, wait);
    timers.add(timer);
  }

  /** Ask for the state, and again after a while that doubles: the question or the answer may get lost. */
  function greet(wait = HELLO_AGAIN) {
    if (seq >= 0 || gone) return;
    link.post({ type: "hello", view });
    later(() => greet(Math.min(wait * 2, 30000)), wait);
  }

  /** @param {any} message */
  function hear(message) {
    if (message.type !== "state") return;
    link.post({ type: "ack", view, seq: message.seq });
    if (message.seq <= seq) return;
    seq = message.seq;
    state = message.state;
    show();
  }

  function show() {
    draw(ui, gone ? { ...state, problem: gone } : state);
    if (wanted === null || wanted === state.everywhere) {
      ui.everywhere.checked = Boolean(state.everywhere);
      wanted = null;
    }
    ui.everywhere.disabled = Boolean(gone);
    ui.root.dataset.phase = gone ? "gone" : seq < 0 ? "waiting" : "live";
    ui.root.classList.toggle("ck-waiting", seq < 0);
  }

  /** @param {string} words */
  function setGone(words) {
    gone = words;
    show();
  }

  ui.everywhere.addEventListener("change", () => {
    wanted = ui.everywhere.checked;
    link.post({ type: "everywhere", view, value: wanted });
  });

  const onStatus = (/** @type {any} */ _, /** @type {string} */ word) => {
    if (/^(restarting|autorestarting|terminating|dead)$/.test(word)) setGone(GONE);
  };
  const onConnection = (/** @type {any} */ _, /** @type {string} */ word) => {
    if (gone && gone !== LOST) return;
    setGone(word === "connected" ? "" : LOST);
    if (word === "connected") {
      seq = -1;
      greet();
    }
  };
  const onDead = () => setGone(GONE);
  link.kernel?.statusChanged?.connect(onStatus);
  link.kernel?.connectionStatusChanged?.connect(onConnection);
  link.kernel?.disposed?.connect(onDead);
  model.on("comm_live_update", onDead);
  model.on("msg:custom", hear);

  el.append(ui.root);
  draw(ui, { title: "Usage", everywhere: false });
  greet();
  later(() => seq < 0 && !gone && draw(ui, { title: "Usage", everywhere: false, problem: SILENT }), UNANSWERED_AFTER);

  return () => {
    model.off("msg:custom", hear);
    model.off("comm_live_update", onDead);
    link.kernel?.statusChanged?.disconnect(onStatus);
    link.kernel?.connectionStatusChanged?.disconnect(onConnection);
    link.kernel?.disposed?.disconnect(onDead);
    for (const timer of timers) clearTimeout(timer);
    if (!gone) link.post({ type: "bye", view });
    ui.root.remove();
  };
}

// anywidget calls this once for each model: its views share one link.
export default () => {
  /** @type {ReturnType<typeof openLink> | null} */
  let link = null;
  return {
    /** @param {{model: Model}} context */
    initialize({ model }) {
      const opened = (link = openLink(model));
      return () => opened.close();
    },
    /** @param {{model: Model, el: HTMLElement}} context */
    render(context) {
      return mount(context, /** @type {ReturnType<typeof openLink>} */ (link));
    },
  };
};
