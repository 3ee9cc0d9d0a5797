// @ts-check
// Below the box: branches, history, code and export, beside the settings. One drawer is open at a time.

const SEARCH_AFTER = 250;

/** @param {string} title @param {(HTMLElement | string)[]} children */
const section = (title, ...children) => make("div", { className: "ck-section" }, make("h4", { className: "ck-title" }, title), ...children);

/** Branches: go on on one, name it, take it away, lay two side by side. @param {Desk} desk */
function branchesDrawer(desk) {
  const list = make("ul", { className: "ck-list" });
  const name = make("input", { type: "text", className: "ck-field", placeholder: "a name, or none", "aria-label": "Name of the new branch" });
  const first = make("select", { className: "ck-field", "aria-label": "First branch" });
  const second = make("select", { className: "ck-field", "aria-label": "Second branch" });
  const result = make("div", { className: "ck-diff", "aria-live": "off" });
  for (const select of [first, second]) select.addEventListener("change", () => (select.dataset.chosen = select.value));
  const change = (/** @type {Record<string, any>} */ content) => desk.act(content).catch(desk.fail);
  const add = button("New branch", () => change({ type: "branch", name: name.value }).then(() => (name.value = "")), { className: "ck-button ck-changes" });
  const compare = button("Compare", async () => {
    const rows = await desk.link.query({ type: "diff", a: first.value, b: second.value }).catch(desk.fail);
    if (rows) result.replaceChildren(diffTable(rows, first.value, second.value));
  });
  const compared = make("div", { className: "ck-row" }, first, make("span", {}, "with"), second, compare);
  const undo = button("Undo the last turn", () => change({ type: "undo" }), { className: "ck-button ck-changes", title: "Take the last question and its answer out; they stay on a branch" });
  const changeBack = button("Undo the last change", () => change({ type: "undo_change" }), { className: "ck-button ck-changes", title: "Take back the last edit, removal, move or change of role; what came since stays on a branch" });
  const node = make("div", {}, section("Branches", list, make("div", { className: "ck-row" }, name, add, undo, changeBack)), section("Compare word by word", compared, result));

  /** @param {{name: string, count: number, current: boolean}} branch */
  function item(branch) {
    const rename = button("Rename", () => {
      const field = make("input", { type: "text", className: "ck-field", value: branch.name, "aria-label": "New name" });
      const done = () => change({ type: "rename", old: branch.name, name: field.value });
      field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter") done();
        else if (event.key === "Escape") field.replaceWith(rename);
        else return;
        event.stopPropagation();
      });
      rename.replaceWith(field);
      field.select();
    }, { className: "ck-button ck-quiet" });
    const count = `${branch.count} message${branch.count === 1 ? "" : "s"}`;
    const line = make("li", { className: `ck-item${branch.current ? " ck-current" : ""}` }, make("span", { className: "ck-itemname", dir: "auto" }, branch.name), make("span", { className: "ck-soft" }, branch.current ? `${count} · shown` : count), rename);
    if (!branch.current) {
      line.append(
        button("Show", () => change({ type: "checkout", name: branch.name }), { className: "ck-button ck-changes" }),
        button("Remove", () => change({ type: "drop", name: branch.name }), { className: "ck-button ck-quiet ck-changes" }),
      );
    }
    return line;
  }

  return {
    node,
    /** @param {{name: string, count: number, current: boolean}[]} branches @param {boolean} canUndo */
    take(branches, canUndo) {
      changeBack.hidden = !canUndo;
      list.replaceChildren(...branches.map(item));
      const shown = branches.find((branch) => branch.current)?.name ?? "";
      const other = branches.filter((branch) => !branch.current).at(-1)?.name ?? shown;
      for (const [select, offered] of /** @type {[any, string][]} */ ([[first, other], [second, shown]])) {
        const chosen = branches.some(({ name: value }) => value === select.dataset.chosen) ? select.dataset.chosen : offered;
        select.replaceChildren(...branches.map(({ name: value }) => make("option", { value }, value)));
        select.value = chosen;
      }
      compared.hidden = branches.length < 2;
      if (branches.length < 2) result.replaceChildren("Answer again, or edit a message and run on from there: what was stays as a branch.");
      else if (!result.querySelector("table")) result.replaceChildren();
    },
  };
}

/** @param {{role: [string, string], a: [string, string][], b: [string, string][]}[]} rows @param {string} a @param {string} b */
function diffTable(rows, a, b) {
  const words = (/** @type {[string, string][]} */ parts) =>
    parts.map(([kind, text]) => (kind === "equal" ? text : make(kind === "insert" ? "ins" : "del", {}, text)));
  const cell = (/** @type {string} */ role, /** @type {[string, string][]} */ parts) =>
    make("td", { dir: "auto" }, ...(role ? [make("div", { className: "ck-role" }, ROLE_NAMES[role] ?? role)] : []), ...words(parts));
  const body = rows.map((row) => make("tr", {}, cell(row.role[0], row.a), cell(row.role[1], row.b)));
  return make("div", { className: "ck-scroll", tabIndex: 0, role: "region", "aria-label": "Comparison" },
    make("table", { className: "ck-difftable" }, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, a), make("th", { scope: "col" }, b))), make("tbody", {}, ...body)));
}

/** History: talks that were kept, in this kernel or before. @param {Desk} desk */
function historyDrawer(desk) {
  const search = make("input", { type: "search", className: "ck-field", placeholder: "Search in all talks", "aria-label": "Search in all talks" });
  const list = make("ul", { className: "ck-list" });
  const note = make("div", { className: "ck-soft" });
  const fresh = button("New chat", () => desk.act({ type: "new" }).then(refresh).catch(desk.fail), { className: "ck-button ck-changes" });
  const node = make("div", {}, section("History", make("div", { className: "ck-row" }, search, fresh), list, note));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** @param {{id: string, title: string, when: string, about: string, shown: boolean}} kept */
  function item(kept) {
    const forget = button("Delete", () => {
      const sure = button("Delete for good", () => desk.act({ type: "forget", kept: kept.id }).then(refresh).catch(desk.fail), { className: "ck-button ck-danger" });
      forget.replaceWith(sure, button("Keep", refresh));
      sure.focus();
    }, { className: "ck-button ck-quiet" });
    const line = make("li", { className: `ck-item${kept.shown ? " ck-current" : ""}` }, make("span", { className: "ck-itemname", dir: "auto" }, kept.title), make("span", { className: "ck-soft" }, `${kept.when} · ${kept.about}${kept.shown ? " · shown" : ""}`));
    if (!kept.shown) line.append(button("Open", () => desk.act({ type: "open", kept: kept.id }).then(refresh).catch(desk.fail), { className: "ck-button ck-changes" }));
    line.append(forget);
    return line;
  }

  async function refresh() {
    const found = await desk.link.query({ type: "history", search: search.value }).catch(desk.fail);
    if (!found) return;
    list.replaceChildren(...found.talks.map(item));
    note.textContent = found.note;
    search.hidden = Boolean(found.off);
  }

  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(refresh, SEARCH_AFTER);
  });
  return { node, opened: refresh, take() {}, close: () => clearTimeout(timer) };
}

/** Code and export: the talk as Python, and as a file in each form that the kernel offers. @param {Desk} desk */
function codeDrawer(desk) {
  const sheet = make("div", {});
  const files = make("div", { className: "ck-row" });
  const save = (/** @type {string} */ format, /** @type {string} */ words) =>
    button(words, async () => {
      const file = await desk.link.query({ type: "export", format }).catch(desk.fail);
      if (file) download(file.name, file.mime, file.text);
    });
  const node = make("div", {}, section("Export", files), section("Python that recreates this talk", sheet));
  return {
    node,
    take() {},
    async opened() {
      const found = await desk.link.query({ type: "code" }).catch(desk.fail);
      if (!found) return;
      sheet.replaceChildren(sheetsOf(desk, [found]));
      files.replaceChildren(...found.exports.map((/** @type {{format: string, label: string}} */ form) => save(form.format, form.label)));
    },
  };
}

const KEYS = [
  ["Enter", "send"],
  ["Shift+Enter", "new line"],
  ["Escape", "stop the answer; close what is open"],
  ["↑ in an empty box", "edit your last message"],
  ["↑ ↓ in the talk", "go from message to message"],
  ["← →", "the message's other variants"],
  ["Enter, r, c, i, m", "on a message: edit, answer again, copy, inspect, more"],
  ["Ctrl+Enter", "in an edited message: save and run from there"],
];

function keysDrawer() {
  const list = make("dl", { className: "ck-facts ck-keys" });
  for (const [keys, words] of KEYS) list.append(make("div", {}, make("dt", {}, make("kbd", {}, keys)), make("dd", {}, words)));
  return { node: section("Keys", list), take() {} };
}

/** @param {Desk} desk */
function drawersOf(desk) {
  const uid = newId();
  const settings = settingsDrawer(desk);
  const branches = branchesDrawer(desk);
  const history = historyDrawer(desk);
  const code = codeDrawer(desk);
  /** @type {[string, {node: HTMLElement, opened?: () => any}][]} */
  const drawers = [["Settings", settings], ["Branches", branches], ["History", history], ["Code & export", code], ["Keys", keysDrawer()]];
  const bar = make("div", { className: "ck-bar", role: "group", "aria-label": "Panel" });
  const body = make("div", { className: "ck-drawers" });
  const close = () => show("");

  /** @param {string} name */
  function show(name) {
    drawers.forEach(([label, drawer], at) => {
      const opens = label === name;
      /** @type {any} */ (body.children[at]).hidden = !opens;
      bar.children[at].setAttribute("aria-expanded", String(opens));
      if (opens) drawer.opened?.();
    });
  }

  drawers.forEach(([label, drawer], at) => {
    const id = `ck-drawer-${uid}-${at}`;
    body.append(make("section", { id, className: "ck-drawer", hidden: true, "aria-label": label }, drawer.node));
    bar.append(button(label, () => show(bar.children[at].getAttribute("aria-expanded") === "true" ? "" : label), { className: "ck-opener", "aria-expanded": "false", "aria-controls": id }));
  });
  body.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.stopPropagation();
    const opener = /** @type {HTMLElement | null} */ (bar.querySelector('[aria-expanded="true"]'));
    close();
    opener?.focus();
  });

  return {
    bar,
    body,
    /** @param {Record<string, any>} changes @param {Record<string, any>} status */
    take(changes, status) {
      if ("controls" in changes) settings.take(status.controls);
      if ("branches" in changes || "changed" in changes) {
        branches.take(status.branches, Boolean(status.changed?.more));
        bar.children[1].textContent = status.branches.length > 1 ? `Branches (${status.branches.length})` : "Branches";
      }
      if ("chat" in changes && !(/** @type {any} */ (body.children[2]).hidden)) history.opened();
    },
    /** @param {boolean} locked */
    lock(locked) {
      for (const item of body.querySelectorAll(".ck-changes")) /** @type {any} */ (item).disabled = locked;
    },
    close: () => history.close(),
  };
}
