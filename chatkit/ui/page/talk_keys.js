// @ts-check
// The talk by keyboard: from message to message, and what can be done to the one that has the focus.

/** @param {HTMLElement} node @param {() => HTMLElement[]} messages */
function walkByKeys(node, messages) {
  /** One message at a time is in the order of Tab, with its buttons. @param {HTMLElement | null} shown */
  function activate(shown) {
    for (const other of node.querySelectorAll(".ck-active")) {
      other.classList.remove("ck-active");
      for (const item of other.querySelectorAll(".ck-tools .ck-tool")) /** @type {any} */ (item).tabIndex = -1;
    }
    shown?.classList.add("ck-active");
    for (const item of shown?.querySelectorAll(".ck-tools .ck-tool") ?? []) /** @type {any} */ (item).tabIndex = 0;
  }

  /** @param {number} by */
  function step(by) {
    const all = messages();
    const at = all.findIndex((shown) => shown.contains(document.activeElement));
    const next = all[at < 0 ? (by < 0 ? all.length - 1 : 0) : Math.min(Math.max(at + by, 0), all.length - 1)];
    next?.focus();
  }

  node.addEventListener("focusin", (/** @type {FocusEvent} */ event) => activate(/** @type {HTMLElement} */ (event.target).closest(".ck-message")));
  node.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const onMessage = target.matches(".ck-message") || target === node;
    if (!onMessage || event.ctrlKey || event.metaKey) return;
    const press = (/** @type {string} */ selector) => /** @type {HTMLElement | null} */ (target.querySelector(selector))?.click();
    const keys = /** @type {Record<string, () => void>} */ ({
      ArrowUp: () => step(-1),
      ArrowDown: () => step(1),
      Home: () => messages()[0]?.focus(),
      End: () => messages().at(-1)?.focus(),
      ArrowLeft: () => press(".ck-variants .ck-tool:first-child"),
      ArrowRight: () => press(".ck-variants .ck-tool:last-child"),
      Enter: () => press('.ck-tools [aria-label="Edit"]'),
      i: () => press(".ck-inspect"),
      c: () => press('.ck-tools [aria-label="Copy"]'),
      r: () => press('.ck-tools [aria-label$="gain"], .ck-tools [aria-label$="here"]'),
      m: () => press(".ck-more"),
    });
    const act = keys[event.key];
    if (!act || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
}
