// @ts-check
// What a chat panel looks like: its parts, and how full the context window is.

/** What a person may begin with who does not know what to ask. */
const STARTERS = ["Explain in two sentences what a token is.", "Write a haiku about the sea.", "How do I say “Where is the station?” in Spanish?"];

/** The parts of a panel, in the order in which Tab reaches them. @param {string} name @param {HTMLElement} talk @param {{bar: HTMLElement, body: HTMLElement}} drawers */
function panelParts(name, talk, drawers) {
  const notice = make("div", { className: "ck-notice", role: "status" });
  const errorText = make("span", { className: "ck-error-text", dir: "auto" });
  const remedies = make("span", { className: "ck-row" });
  const error = make("div", { className: "ck-error", role: "alert", hidden: true }, errorText, remedies);
  const changed = make("span", { className: "ck-changed-words" });
  const undo = make("button", { type: "button", className: "ck-button ck-changes ck-undo" }, "Undo");
  const redo = make("button", { type: "button", className: "ck-button ck-changes ck-redo" }, "Redo");
  const change = make("div", { className: "ck-changed", role: "status", hidden: true }, changed, undo, redo);
  const who = make("div", { className: "ck-soft ck-who" });
  const chips = make("div", { className: "ck-row" }, ...STARTERS.map((words) => button(words, () => fill(words), { className: "ck-button ck-chip" })));
  const hello = make("div", { className: "ck-hello", hidden: true }, who, make("div", { className: "ck-soft" }, "Ask something, or begin with one of these:"), chips);
  const box = make("textarea", { className: "ck-box", rows: 1, dir: "auto", placeholder: "Ask something…", "aria-label": "Your message" });
  /** A text into the box, to be read and sent by a person. @param {string} words */
  const fill = (words) => {
    box.value = words;
    box.dispatchEvent(new Event("input"));
    box.focus();
  };
  const send = make("button", { type: "button", className: "ck-send", title: "Send (Enter)", "aria-label": "Send" });
  const outlook = make("span", { className: "ck-outlook" });
  const gauge = make("span", { className: "ck-gauge", role: "meter", "aria-label": "Context window", "aria-valuemin": "0", "aria-valuemax": "100", hidden: true }, make("span", { className: "ck-fill" }));
  const left = make("button", { type: "button", className: "ck-left", hidden: true });
  const endpoint = make("span", { className: "ck-endpoint" });
  const session = make("span", { className: "ck-session" });
  const spoken = make("div", { className: "ck-spoken", "aria-live": "polite" });
  const root = make(
    "section",
    { className: "ck-widget ck-panel mathjax_ignore tex2jax_ignore", "aria-label": "Chat", "data-lm-suppress-shortcuts": "true", "data-ck-name": name },
    talk,
    hello,
    change,
    notice,
    error,
    left,
    make("div", { className: "ck-composer" }, box, send),
    make("div", { className: "ck-next" }, outlook, gauge),
    make("div", { className: "ck-info" }, endpoint, session),
    make("div", { className: "ck-foot" }, drawers.bar),
    drawers.body,
    spoken,
  );
  return { root, notice, error, errorText, remedies, change, changed, undo, redo, hello, who, box, send, outlook, gauge, left, endpoint, session, spoken };
}

/** What the next request would take. @param {ReturnType<typeof panelParts>} ui @param {{caption: string, warn: boolean, fill: number | null, window: string} | null} outlook */
function drawOutlook(ui, outlook) {
  ui.outlook.textContent = outlook?.caption ?? "";
  ui.outlook.classList.toggle("ck-warned", Boolean(outlook?.warn));
  ui.gauge.hidden = outlook?.fill == null;
  if (outlook?.fill != null) {
    const percent = Math.min(100, Math.round(outlook.fill * 100));
    ui.gauge.title = outlook.window;
    ui.gauge.setAttribute("aria-valuenow", String(percent));
    ui.gauge.setAttribute("aria-valuetext", outlook.window);
    ui.gauge.classList.toggle("ck-full", outlook.fill > 0.9);
    ui.gauge.firstChild.style.inlineSize = `${Math.max(2, percent)}%`;
  }
}

/** What was changed last, and the way back. @param {ReturnType<typeof panelParts>} ui @param {{made: string, taken_back: string} | undefined} change @param {boolean} locked */
function drawChange(ui, change, locked) {
  const { made = "", taken_back: back = "" } = change ?? {};
  ui.change.hidden = !made && !back;
  ui.changed.textContent = back ? `Taken back: ${back[0].toLowerCase()}${back.slice(1)}` : made;
  ui.undo.hidden = !made;
  ui.redo.hidden = !back;
  ui.undo.disabled = ui.redo.disabled = locked;
}
