// @ts-check
// The transcript's lines: each can be edited, and played from where it was said.

const EDIT_AFTER = 400;

/**
 * Lines that a person can edit; what is being edited is not overwritten.
 * @param {HTMLElement} list @param {(start: number) => void} play @param {(line: string, text: string) => Promise<void>} edit
 */
function openLines(list, play, edit) {
  /** @type {Map<string, {entry: Line, node: HTMLElement, text: HTMLElement}>} */
  let shown = new Map();
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  const pending = new Map();
  /** @type {Set<Promise<void>>} */
  const onTheWay = new Set();
  let now = "";

  /** @param {string} id */
  function hand(id) {
    clearTimeout(pending.get(id));
    pending.delete(id);
    const line = shown.get(id);
    if (!line) return;
    const sent = edit(id, line.text.innerText.replace(/\n$/, "")).finally(() => onTheWay.delete(sent));
    onTheWay.add(sent);
  }

  /** @param {Line} entry */
  function drawLine(entry) {
    const label = entry.start === null ? "Text" : `Text at ${clock(entry.start)}`;
    const text = make("div", { className: "ck-line-text", role: "textbox", tabIndex: 0, dir: "auto", "aria-label": label, "aria-multiline": "true", spellcheck: true }, entry.text);
    text.setAttribute("contenteditable", "plaintext-only");
    if (text.contentEditable !== "plaintext-only") text.setAttribute("contenteditable", "true");
    const node = make("div", { className: "ck-line", role: "listitem" });
    const { start } = entry;
    if (start !== null) {
      node.append(make("button", { type: "button", className: "ck-time", "aria-label": `Play from ${clock(start)}`, onclick: () => play(start) }, clock(start)));
    }
    const words = entry.speaker ? make("div", {}, make("div", { className: "ck-speaker ck-soft" }, entry.speaker), text) : text;
    node.append(words);
    text.addEventListener("input", () => {
      clearTimeout(pending.get(entry.id));
      pending.set(entry.id, setTimeout(hand, EDIT_AFTER, entry.id));
    });
    text.addEventListener("blur", () => {
      if (pending.has(entry.id)) hand(entry.id);
      else text.textContent = shown.get(entry.id)?.entry.text ?? text.textContent;
    });
    text.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape") text.blur();
      if (event.key === "Enter" && entry.start !== null && !event.isComposing) {
        event.preventDefault();
        text.blur();
      }
    });
    return { entry, node, text };
  }

  return {
    /** @param {Line[]} entries */
    draw(entries) {
      const next = new Map();
      for (const entry of entries) {
        const had = shown.get(entry.id);
        const same = had && had.entry.start === entry.start && had.entry.speaker === entry.speaker;
        const line = same ? had : drawLine(entry);
        if (same && had.entry !== entry) {
          had.entry = entry;
          if (document.activeElement !== had.text && !pending.has(entry.id)) had.text.textContent = entry.text;
        }
        next.set(entry.id, line);
      }
      const nodes = [...next.values()].map((line) => line.node);
      if (nodes.length !== list.children.length || nodes.some((node, i) => node !== list.children[i])) list.replaceChildren(...nodes);
      shown = next;
    },
    /** Mark the line that is heard now. @param {number} seconds */
    follow(seconds) {
      const line = [...shown.values()].find(({ entry }) => entry.start !== null && entry.start <= seconds && seconds < entry.end);
      if ((line?.entry.id ?? "") === now) return;
      for (const { entry, node } of shown.values()) {
        node.classList.toggle("ck-now", entry === line?.entry);
        entry === line?.entry ? node.setAttribute("aria-current", "true") : node.removeAttribute("aria-current");
      }
      now = line?.entry.id ?? "";
    },
    /** All edits are with the kernel. */
    async settled() {
      for (const id of [...pending.keys()]) hand(id);
      await Promise.all(onTheWay);
    },
  };
}
