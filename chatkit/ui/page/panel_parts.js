// @ts-check
// What a chat panel looks like: its parts, and how full the context window is.

/** The parts of a panel, in the order in which Tab reaches them. @param {string} name @param {HTMLElement} talk @param {{bar: HTMLElement, body: HTMLElement}} drawers */
function panelParts(name, talk, drawers) {
  const notice = make("div", { className: "ck-notice", role: "status" });
  const errorText = make("span", { className: "ck-error-text", dir: "auto" });
  const remedies = make("span", { className: "ck-row" });
  const error = make("div", { className: "ck-error", role: "alert", hidden: true }, errorText, remedies);
  const box = make("textarea", { className: "ck-box", rows: 1, dir: "auto", placeholder: "Ask something…", "aria-label": "Your message" });
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
    notice,
    error,
    left,
    make("div", { className: "ck-composer" }, box, send),
    make("div", { className: "ck-next" }, outlook, gauge),
    make("div", { className: "ck-foot" }, drawers.bar, make("div", { className: "ck-info" }, endpoint, session)),
    drawers.body,
    spoken,
  );
  return { root, notice, error, errorText, remedies, box, send, outlook, gauge, left, endpoint, session, spoken };
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
