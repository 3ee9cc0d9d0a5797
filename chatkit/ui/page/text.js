// @ts-check
// Text of messages on the page: what is wider than its place, and code to copy.

/** Give each block of code a button that copies it as it is shown. @param {Element} target */
function addCopyButtons(target) {
  for (const code of target.querySelectorAll("pre.ck-code")) {
    const frame = make("div", { className: "ck-codeframe" });
    code.replaceWith(frame);
    frame.append(code, copyButton(() => code.textContent ?? "", "Copy code"));
  }
}

/** Text into the page; what is wider than its place can be scrolled by keys too. @param {Element} target @param {string} html */
function putText(target, html) {
  put(target, html);
  addCopyButtons(target);
  const wide = /** @type {NodeListOf<HTMLElement>} */ (target.querySelectorAll(".ck-scroll, .ck-math"));
  if (!wide.length) return;
  requestAnimationFrame(() => {
    for (const node of wide) if (node.scrollWidth > node.clientWidth) node.tabIndex = 0;
  });
}
