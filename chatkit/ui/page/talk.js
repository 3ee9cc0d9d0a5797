// @ts-check
/**
 * The talk: messages, the answer that streams, and what can be done to each message.
 *
 * @typedef {{id: string, role: string, html?: string, streamed?: boolean, state: string, off: boolean, caption: string, of?: string,
 *   variants?: [number, number] | null, answered?: boolean, notes?: string, unfinished?: boolean, choices?: [number, string, string][], kept?: number, cut?: number[], several?: boolean, goes_on?: boolean}} Entry
 * @typedef {{run: string, blocks: [number, number, number, string][], question?: string, start?: boolean}} LivePatch
 * @typedef {{html: string[], nodes: HTMLElement[], body: HTMLElement}} LiveAnswer
 * @typedef {{model: Model, el: HTMLElement, link: ReturnType<typeof openLink>, busy: () => boolean, gone: () => boolean,
 *   act: (content: Record<string, any>) => Promise<any>, start: (content: Record<string, any>) => void, say: (text: string) => void,
 *   fail: (error: unknown) => void}} Desk
 */

/** @type {Record<string, string>} */
const ROLE_NAMES = { user: "You", assistant: "Answer", system: "System", developer: "Developer", tool: "Tool" };

/** @param {Desk} desk */
function talkOf(desk) {
  const { link } = desk;
  const node = make("div", { className: "ck-talk", role: "log", tabIndex: 0, "aria-label": "Conversation", "aria-live": "off" });
  /** What is open below or in a message, kept when the message is drawn again. @type {Map<string, Record<string, HTMLElement>>} */
  const open = new Map();
  /** @type {{run: string, question: HTMLElement | null, node: HTMLElement, columns: HTMLElement, answers: LiveAnswer[]} | null} */
  let live = null;

  const atBottom = () => node.scrollHeight - node.scrollTop - node.clientHeight < 40;
  const toBottom = () => (node.scrollTop = node.scrollHeight);
  const messages = () => /** @type {HTMLElement[]} */ ([...node.children].filter((child) => child.matches(".ck-message:not(.ck-live)")));

  /** @param {string} id @param {string} part @param {HTMLElement | null} element */
  function keep(id, part, element) {
    const parts = open.get(id) ?? {};
    parts[part]?.remove();
    if (element) parts[part] = element;
    else delete parts[part];
    if (Object.keys(parts).length) open.set(id, parts);
    else open.delete(id);
    const shown = node.querySelector(`[data-message="${id}"]`);
    if (shown) place(shown, id);
  }

  /** Put what is open for a message where it belongs. @param {Element} shown @param {string} id */
  function place(shown, id) {
    const { editing, before, after, more, inspector } = open.get(id) ?? {};
    shown.classList.toggle("ck-editing", Boolean(editing));
    if (before) shown.prepend(before);
    const text = shown.querySelector(".ck-body");
    if (editing) text?.after(editing);
    for (const part of [more, inspector, after]) if (part) shown.append(part);
    shown.querySelector(".ck-inspect")?.setAttribute("aria-expanded", String(Boolean(inspector)));
    shown.querySelector(".ck-more")?.setAttribute("aria-expanded", String(Boolean(more)));
  }

  const change = (/** @type {Record<string, any>} */ content) => desk.act(content).catch(desk.fail);
  const focusMessage = (/** @type {string} */ id) => /** @type {HTMLElement | null} */ (node.querySelector(`[data-message="${id}"]`))?.focus();

  /** @param {Entry} entry */
  async function edit(entry) {
    if (open.get(entry.id)?.editing) return;
    const source = await link.query({ type: "source", message: entry.id }).catch(desk.fail);
    if (!source) return;
    const made = editor({
      ...source,
      runs: source.role === "user",
      done: (role, text, run) =>
        run && role === "user"
          ? desk.act({ type: "rerun", message: entry.id, text })
          : desk.act({ type: "edit", message: entry.id, role, text }),
      close: () => {
        keep(entry.id, "editing", null);
        focusMessage(entry.id);
      },
      fail: desk.fail,
    });
    keep(entry.id, "editing", made.node);
    made.focus();
  }

  /** @param {Entry} entry @param {"before" | "after"} where */
  function insert(entry, where) {
    const role = (entry.role === "user") === (where === "after") ? "assistant" : "user";
    const made = editor({
      role,
      text: "",
      runs: false,
      done: (chosen, text) => desk.act({ type: "insert", message: entry.id, where, role: chosen, text }),
      close: () => keep(entry.id, where, null),
      fail: desk.fail,
    });
    keep(entry.id, where, made.node);
    made.focus();
  }

  /** @param {Entry} entry */
  function inspect(entry) {
    if (open.get(entry.id)?.inspector) keep(entry.id, "inspector", null);
    else keep(entry.id, "inspector", inspector(desk, entry.id, () => keep(entry.id, "inspector", null)));
  }

  /** @param {Entry} entry */
  function toggleMore(entry) {
    if (open.get(entry.id)?.more) return keep(entry.id, "more", null);
    const row = moreRow(entry);
    keep(entry.id, "more", row);
    return row.querySelector("select")?.focus();
  }

  /** What else can be done to a message, as it is now. @param {Entry} entry */
  function moreRow(entry) {
    const roles = roleSelect(entry.role);
    roles.addEventListener("change", () => change({ type: "role", message: entry.id, role: roles.value }));
    const to = (/** @type {Record<string, any>} */ content) => () => change({ message: entry.id, ...content });
    return make(
      "div",
      { className: "ck-row ck-morerow", role: "group", "aria-label": "More for this message" },
      make("span", { className: "ck-name" }, "Role"),
      roles,
      button("Insert before", () => insert(entry, "before")),
      button("Insert after", () => insert(entry, "after")),
      button("Move up", to({ type: "move", by: -1 })),
      button("Move down", to({ type: "move", by: 1 })),
      button(entry.off && /switched off/.test(entry.state) ? "Switch on" : "Switch off", to({ type: "switch" }), { title: "Kept, but not sent" }),
      button("Remove", to({ type: "remove" }), { className: "ck-button ck-danger" }),
    );
  }

  /** An open row follows its message; what had the focus in it has it still, once it is on the page. @param {Entry} entry @param {Element | undefined} row */
  function renewMore(entry, row) {
    if (!row) return;
    const at = [...row.children].indexOf(/** @type {any} */ (document.activeElement));
    const renewed = moreRow(entry);
    /** @type {Record<string, HTMLElement>} */ (open.get(entry.id)).more = renewed;
    if (at >= 0) queueMicrotask(() => /** @type {HTMLElement} */ (renewed.children[at])?.focus());
  }

  /** @param {Entry} entry */
  async function copy(entry) {
    return (await link.query({ type: "source", message: entry.id })).text;
  }

  /** @param {Entry} entry */
  function tools(entry) {
    const changes = { className: "ck-tool ck-changes" };
    const items = [
      iconButton("edit", "Edit", () => edit(entry), changes),
      copyButton(() => copy(entry)),
      ...(entry.role === "assistant" || entry.role === "user"
        ? [iconButton("again", entry.role === "user" ? "Run again from here" : "Answer again", () => desk.start({ type: "rerun", message: entry.id }), changes)]
        : []),
      ...(entry.answered ? [iconButton("inspect", "Inspect request and response", () => inspect(entry), { className: "ck-tool ck-inspect", "aria-expanded": "false" })] : []),
      iconButton("more", "More", () => toggleMore(entry), { className: "ck-tool ck-changes ck-more", "aria-expanded": "false" }),
    ];
    for (const item of items) item.tabIndex = -1;
    return make("div", { className: "ck-tools", role: "toolbar", "aria-label": "This message" }, ...items);
  }

  /** @param {Entry} entry @param {HTMLElement} [body] */
  function draw(entry, body) {
    const role = ROLE_NAMES[entry.role] ?? entry.role;
    let text = body ?? make("div", { className: "ck-text ck-body", dir: "auto" });
    if (entry.choices) text = choicesOf(entry, change, desk.start);
    else if (!body) putText(text, entry.html ?? "");
    const head = make("div", { className: "ck-head" }, make("span", { className: "ck-role" }, role));
    if (entry.of) head.append(make("span", { className: "ck-of" }, entry.of));
    if (entry.state) head.append(make("span", { className: "ck-state" }, entry.state));
    head.append(...variantsOf(entry, change), tools(entry));
    const shown = make(
      "article",
      { className: `ck-message ck-role-${entry.role}${entry.off ? " ck-off" : ""}`, "aria-label": role, tabIndex: -1, "data-message": entry.id },
      head,
      text,
    );
    if (entry.several) {
      shown.append(make("div", { className: "ck-row" }, button("Side by side", () => change({ type: "beside", message: entry.id }), { className: "ck-button ck-changes", title: "All answers of this turn" })));
    }
    if (entry.unfinished && !entry.choices) {
      shown.append(make("div", { className: "ck-row" }, button("Continue", () => desk.start({ type: "continue", message: entry.id }), { className: "ck-button ck-changes", title: entry.goes_on ? "It goes on in this answer" : "Asks “Continue.”, and gets a new answer" })));
    }
    if (entry.notes) shown.append(make("div", { className: "ck-caption ck-notes" }, entry.notes));
    if (entry.caption) shown.append(make("div", { className: "ck-caption" }, entry.caption));
    renewMore(entry, open.get(entry.id)?.more);
    place(shown, entry.id);
    return shown;
  }

  /** @param {[number, number, Entry[]]} change @param {typeof live} ended */
  function splice([at, count, entries], ended) {
    const had = messages();
    const focused = had.slice(at, at + count).findIndex((shown) => shown === document.activeElement);
    const nodes = entries.map((entry) => draw(entry, entry.streamed && ended ? ended.answers[0]?.body : undefined));
    for (const old of had.slice(at, at + count)) old.remove();
    const next = had[at + count] ?? live?.question ?? live?.node ?? null;
    for (const shown of nodes) node.insertBefore(shown, next);
    for (const id of [...open.keys()]) if (!node.querySelector(`[data-message="${id}"]`)) open.delete(id);
    if (focused >= 0) nodes[Math.min(focused, nodes.length - 1)]?.focus();
    lock();
    const answer = entries.findIndex((entry) => entry.streamed || (ended && entry.choices));
    return ended && answer >= 0 ? nodes[answer] : null;
  }

  /** @param {LivePatch} patch */
  function startLive(patch) {
    dropLive();
    const columns = make("div", { className: "ck-live-answers" });
    const head = make("div", { className: "ck-head" }, make("span", { className: "ck-role" }, "Answer"));
    const shown = make("article", { className: "ck-message ck-role-assistant ck-live", "aria-label": "Answer" }, head, columns);
    const question = patch.question ? make("article", { className: "ck-message ck-role-user ck-live", "aria-label": "You" }, make("div", { className: "ck-head" }, make("span", { className: "ck-role" }, "You")), make("div", { className: "ck-text ck-body", dir: "auto" })) : null;
    if (question) {
      putText(question.lastChild, patch.question ?? "");
      node.append(question);
    }
    live = { run: patch.run, question, node: shown, columns, answers: [] };
    node.append(shown);
    toBottom();
  }

  /** @param {NonNullable<typeof live>} turn @param {number} index */
  function liveAnswer(turn, index) {
    while (turn.answers.length <= index) {
      const body = make("div", { className: "ck-text ck-body", dir: "auto" });
      turn.answers.push({ html: [], nodes: [], body });
      turn.columns.append(body);
    }
    turn.columns.classList.toggle("ck-choices", turn.answers.length > 1);
    return turn.answers[index];
  }

  /** @param {LivePatch} patch */
  function grow(patch) {
    if (patch.start) startLive(patch);
    if (!live || live.run !== patch.run) return;
    for (const [number, index, kept, tail] of patch.blocks) {
      const answer = liveAnswer(live, number);
      answer.html[index] = (answer.html[index] ?? "").slice(0, kept) + tail;
      answer.nodes[index] ??= answer.body.appendChild(make("div", { className: "ck-block" }));
      putText(answer.nodes[index], answer.html[index]);
    }
    live.node.classList.toggle("ck-empty", !live.answers.length);
  }

  function dropLive() {
    live?.question?.remove();
    live?.node.remove();
    live = null;
  }

  /** Whether the answer on the page is the one that the kernel has. @param {{run: string, digest: number}} end */
  const isWhole = (end) => live?.run === end.run && digest(live.answers.flatMap((answer) => answer.html).join("")) === end.digest;

  /** No change while an answer comes: it would be built on what is about to be replaced. */
  function lock() {
    const locked = desk.busy() || desk.gone();
    if (node.dataset.locked !== String(locked)) node.dataset.locked = String(locked);
    for (const item of node.querySelectorAll(".ck-changes")) /** @type {any} */ (item).disabled = locked;
  }

  walkByKeys(node, messages);

  return {
    node,
    /** @param {Entry[]} entries @param {LivePatch | null} running */
    restore(entries, running) {
      const [low, before] = [atBottom(), node.scrollTop];
      dropLive();
      for (const old of messages()) old.remove();
      node.append(...entries.map((entry) => draw(entry)));
      for (const id of [...open.keys()]) if (!node.querySelector(`[data-message="${id}"]`)) open.delete(id);
      if (running) grow(running);
      if (low) toBottom();
      else node.scrollTop = before;
    },
    /** The kernel's patch; the message that has just ended, if one has. @param {any} patch @returns {HTMLElement | null} */
    follow(patch) {
      const low = atBottom();
      const ended = patch.end ? live : null;
      if (ended) dropLive();
      const answer = patch.talk ? splice(patch.talk, ended) : null;
      if (patch.live) grow(patch.live);
      if (low) toBottom();
      return answer;
    },
    isWhole,
    lock,
    running: () => live?.run ?? "",
    /** Whether anything was asked or answered here. */
    begun: () => Boolean(node.querySelector(".ck-role-user, .ck-role-assistant, .ck-role-tool")),
    editLast() {
      const mine = messages().filter((shown) => shown.matches(".ck-role-user")).at(-1);
      /** @type {HTMLElement | null | undefined} */ (mine?.querySelector('.ck-tools [aria-label="Edit"]'))?.click();
      return Boolean(mine);
    },
  };
}
