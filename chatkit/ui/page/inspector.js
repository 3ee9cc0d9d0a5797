// @ts-check
/**
 * What was really sent and what really came back: a few views on one turn, each to be copied.
 *
 * @typedef {{label: string, html: string, text: string, runs?: boolean, system?: "sh" | "powershell"}} Sheet
 */

/** A command comes for each shell: the one of this browser's system stands first, the other is called by its shell. @param {Sheet[]} sheets */
function ownShellFirst(sheets) {
  const own = ownSystem() === "windows" ? "powershell" : "sh";
  const first = sheets.findIndex(({ system }) => system);
  if (first < 0) return sheets;
  const commands = sheets.filter(({ system }) => system).sort((a, b) => Number(b.system === own) - Number(a.system === own));
  const named = commands.map((sheet, at) => (at ? { ...sheet, label: sheet.system === "sh" ? "sh" : "PowerShell" } : sheet));
  return [...sheets.slice(0, first), ...named, ...sheets.slice(first).filter(({ system }) => !system)];
}

/** Tabs over texts. @param {Desk} desk @param {Sheet[]} sheets */
function sheetsOf(desk, sheets) {
  const uid = newId();
  const body = make("div", { className: "ck-sheet", role: "tabpanel", id: `ck-sheet-${uid}`, tabIndex: 0 });
  const bar = make("div", { className: "ck-tabs", role: "tablist", "aria-label": "Views" });
  const aside = make("div", { className: "ck-row ck-tabtools" });
  const show = (/** @type {number} */ at) => {
    [...bar.children].forEach((tab, n) => {
      tab.setAttribute("aria-selected", String(n === at));
      tab.tabIndex = n === at ? 0 : -1;
    });
    put(body, sheets[at].html);
    body.setAttribute("aria-label", sheets[at].label);
    aside.replaceChildren(copyButton(() => sheets[at].text, `Copy ${sheets[at].label}`));
    if (sheets[at].runs) aside.prepend(toCellButton(desk, () => sheets[at].text));
  };
  sheets.forEach((sheet, at) => {
    const tab = button(sheet.label, () => show(at), { className: "ck-tab", role: "tab", "aria-controls": body.id });
    bar.append(tab);
  });
  bar.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const tabs = [...bar.children];
    const next = (tabs.indexOf(document.activeElement) + by + tabs.length) % tabs.length;
    tabs[next].focus();
    show(next);
  });
  if (sheets.length) show(0);
  return make("div", { className: "ck-sheets" }, make("div", { className: "ck-tabbar" }, bar, aside), body);
}

/** Into a new cell where the front end lets a widget do that, else onto the clipboard. @param {Desk} desk @param {() => string} text */
function toCellButton(desk, text) {
  return button("To cell", async () => {
    if (intoNewCell(desk.model, desk.el, text())) desk.say("The code is in a new cell below.");
    else if (await copyText(text())) desk.say("The code is on the clipboard; paste it into a cell.");
    else desk.say("This front end allows neither a new cell nor the clipboard.");
  }, { title: "Put this code into a new cell below" });
}

/** @param {Desk} desk @param {string} message @param {() => void} close */
function inspector(desk, message, close) {
  const node = make("section", { className: "ck-inspector", "aria-label": "Request and response" }, make("div", { className: "ck-notice" }, "Looking…"));
  node.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  });
  desk.link.query({ type: "inspect", message }).then(
    (/** @type {{facts: [string, string][], sheets: Sheet[]}} */ { facts, sheets }) => {
      const list = make("dl", { className: "ck-facts" });
      for (const [name, value] of facts) list.append(make("div", {}, make("dt", {}, name), make("dd", { dir: "auto" }, value)));
      node.replaceChildren(list, sheetsOf(desk, ownShellFirst(sheets)));
    },
    (error) => node.replaceChildren(make("div", { className: "ck-notice" }, String(error.message))),
  );
  return node;
}
