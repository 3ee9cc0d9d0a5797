// @ts-check
/**
 * Where a message has others beside it: variants of other branches, and answers of which one can be kept.
 *
 * @typedef {(content: Record<string, any>) => Promise<any>} Change
 */

/** Which of the variants of a message is shown, and the way to the others. @param {Entry} entry @param {Change} change */
function variantsOf(entry, change) {
  if (!entry.variants || entry.variants[1] < 2) return [];
  const [shown, count] = entry.variants;
  const turn = (/** @type {number} */ by) => () => change({ type: "choose", message: entry.id, variant: (shown - 1 + by + count) % count });
  return [
    make(
      "span",
      { className: "ck-variants", role: "group", "aria-label": `Variant ${shown} of ${count}` },
      iconButton("left", "Previous variant", turn(-1), { className: "ck-tool ck-changes" }),
      make("span", {}, `${shown}/${count}`),
      iconButton("right", "Next variant", turn(1), { className: "ck-tool ck-changes" }),
    ),
  ];
}

/** Answers side by side, of which one can be kept. @param {Entry} entry @param {Change} change @param {(content: Record<string, any>) => void} start */
function choicesOf(entry, change, start) {
  const columns = (entry.choices ?? []).map(([index, html, state]) => {
    const text = make("div", { className: "ck-text", dir: "auto" });
    putText(text, html);
    const kept = entry.kept === index;
    const pick = button(kept ? "Kept" : "Keep this one", () => change({ type: "keep", message: entry.id, index }), { className: "ck-button ck-changes", title: kept ? "Show this one alone" : "Go on with this answer" });
    const acts = make("div", { className: "ck-row" }, pick);
    if (entry.cut?.includes(index)) acts.append(button("Continue", () => start({ type: "continue", message: entry.id, index }), { className: "ck-button ck-changes", title: "Keep this answer, and let it go on" }));
    const head = make("div", { className: "ck-role" }, `Answer ${index + 1}${kept ? " · kept" : ""}${state ? ` · ${state}` : ""}`);
    return make("div", { className: `ck-choice${kept ? " ck-kept" : ""}` }, head, acts, text);
  });
  return make("div", { className: "ck-body ck-choices" }, ...columns);
}
