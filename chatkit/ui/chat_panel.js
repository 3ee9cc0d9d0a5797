// @ts-check
/**
 * The page's side of ChatPanel: draws what the kernel tells, sends what a person does.
 *
 * Each view follows the kernel's feed (follow.js). HTML comes only from the kernel's renderer, already cleaned, and enters
 * the page only through `put`.
 */

const INTERRUPT_AFTER = 700;
const STOP_AGAIN = 2000;
const UNHEARD_AFTER = 700;
const OUTLOOK_AFTER = 300;
const PANEL_SILENT = "The kernel does not answer yet. If no cell is running, run this cell to talk to the model here.";

/* ---------------------------------------------------------------- one view */

/** @param {{model: Model, el: HTMLElement}} context @param {ReturnType<typeof openLink>} link */
function mountPanel({ model, el }, link) {
  let kernelId = "";
  let asked = "";
  let askedAt = 0;
  let askedText = "";
  let stopping = "";
  let untaken = "";
  let outlookFor = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let outlookTimer;
  const timers = openTimers();
  const { later } = timers;
  /** @type {Map<string, number>} */
  const unheard = new Map();

  const feed = followFeed(model, link, { restore, follow, isWhole: (end) => talk.isWhole(end), hear, back: () => unheard.clear(), changed }, PANEL_SILENT);
  const { state, view } = feed;
  const busy = () => Boolean(asked) || (state.status.phase ?? "idle") !== "idle";

  /** @type {Desk} */
  const desk = {
    model,
    el,
    link,
    busy,
    gone: () => Boolean(state.gone),
    act: (content) => link.act({ view, ...content }),
    start(content) {
      if (busy() || state.gone) return;
      asked = request(content);
      showState();
    },
    say: (text) => (ui.spoken.textContent = ui.notice.textContent = text),
    fail(error) {
      state.status = { ...state.status, error: { text: /** @type {Error} */ (error).message, acts: [] } };
      showState();
    },
  };
  const talk = talkOf(desk);
  const drawers = drawersOf(desk);
  const ui = panelParts(model.get("name"), talk.node, drawers);

  /* --- towards the kernel */

  /** A request whose receipt is watched for. @param {Record<string, any>} content */
  function request(content) {
    const id = link.post({ view, ...content });
    untaken = "";
    unheard.set(id, Date.now());
    later(showState, UNHEARD_AFTER);
    return id;
  }

  function ask() {
    const text = ui.box.value;
    if (busy() || state.gone || !text.trim()) return;
    asked = request({ type: "ask", text });
    askedAt = Date.now();
    askedText = text;
    ui.box.value = "";
    fitBox();
    showState();
  }

  function retry() {
    if (busy() || state.gone) return;
    const { status } = state;
    if (status.draft && ui.box.value === status.draft.text) ui.box.value = "";
    asked = request({ type: "retry" });
    fitBox();
    showState();
  }

  function stop() {
    if (!busy() || stopping) return;
    const run = talk.running();
    stopping = run || asked;
    link.post({ type: "stop", view, run, ask: asked });
    showState();
    later(() => {
      stopping = "";
      takeBack("The kernel has not taken the question; it is in the box again.");
      showState();
    }, STOP_AGAIN);
    // Only where both messages wait behind the cell: the run still streams and the cell still waits for it.
    later(() => {
      if (run && talk.running() === run && state.status.blocking && !state.gone) link.interrupt(kernelId);
    }, INTERRUPT_AFTER);
  }

  /** A question that the kernel never took goes back into the box. @param {string} words */
  function takeBack(words) {
    if (!asked || !unheard.has(asked)) return;
    unheard.delete(asked);
    asked = "";
    untaken = words;
    if (!ui.box.value) ui.box.value = askedText;
    fitBox();
  }

  /** The kernel is gone, or is there again. */
  function changed() {
    if (state.gone === GONE) takeBack("");
    showState();
  }

  /** What the next request would take, once the hand rests. */
  function look() {
    clearTimeout(outlookTimer);
    outlookTimer = setTimeout(async () => {
      const text = ui.box.value;
      if (state.gone || !state.answered || text === outlookFor) return;
      outlookFor = text;
      const outlook = await link.query({ type: "outlook", text }).catch(() => null);
      if (outlook && ui.box.value === text) drawOutlook(ui, outlook);
    }, OUTLOOK_AFTER);
  }

  /* --- from the kernel */

  /** @param {any} message */
  function hear(message) {
    if (message.type !== "seen") return;
    unheard.delete(message.id);
    showState();
  }

  /** @param {any} snapshot */
  function restore(snapshot) {
    kernelId = snapshot.kernel;
    stopping = "";
    // a question that the kernel has not taken yet is still on its way
    const onItsWay = unheard.has(asked) ? asked : "";
    talk.restore(snapshot.entries, snapshot.live);
    take(snapshot.status, {});
    asked = onItsWay;
    showState();
  }

  /** @param {any} patch @param {Record<string, any>} before */
  function follow(patch, before) {
    if (patch.live?.start) asked = "";
    if (patch.end) stopping = "";
    const ended = talk.follow(patch);
    if (ended) speak(ended);
    take(patch.status ?? {}, before);
  }

  /** Say a finished answer once, though the panel may be shown twice. @param {Element} node */
  function speak(node) {
    if (document.querySelector(`[data-ck-name="${model.get("name")}"]`) === ui.root) {
      ui.spoken.textContent = node.querySelector(".ck-body")?.textContent ?? "";
    }
  }

  /* --- state */

  /** @param {Record<string, any>} changes @param {Record<string, any>} before */
  function take(changes, before) {
    const { draft } = before;
    if ("draft" in changes || "error" in changes) asked = "";
    if ("draft" in changes) {
      if (changes.draft && (!ui.box.value || changes.draft.over)) ui.box.value = changes.draft.text;
      else if (!changes.draft && draft && ui.box.value === draft.text) ui.box.value = "";
      fitBox();
    }
    if ("outlook" in changes) {
      outlookFor = "";
      if (ui.box.value) look();
      else drawOutlook(ui, state.status.outlook);
    }
    drawers.take(changes, state.status);
    showState();
  }

  /** @param {[string, string][]} acts */
  function showRemedies(acts) {
    const wanted = JSON.stringify(acts);
    if (ui.remedies.dataset.acts === wanted) return;
    ui.remedies.dataset.acts = wanted;
    ui.remedies.replaceChildren(...acts.map(([type, label]) => button(label, () => (type === "retry" ? retry() : desk.act({ type }).catch(desk.fail)))));
  }

  function showState() {
    const { status, gone, silent } = state;
    const running = busy();
    const late = running && !talk.running() && [...unheard.values()].some((sent) => Date.now() - sent >= UNHEARD_AFTER);
    const words = { waiting: "Waiting for the answer…", thinking: "Thinking…" }[/** @type {string} */ (status.phase)] ?? "";
    ui.notice.textContent = gone || silent || (stopping ? "Stopping…" : status.notice || words || untaken || (late ? "Waiting for the running cell…" : ""));
    ui.error.hidden = Boolean(gone) || !status.error || running;
    ui.errorText.textContent = status.error?.text ?? "";
    ui.error.dataset.kind = status.error?.kind ?? "";
    ui.error.setAttribute("role", status.error?.kind === "stopped" ? "status" : "alert");
    showRemedies(status.error?.acts ?? []);
    ui.root.classList.toggle("ck-running", running && !gone);
    ui.root.classList.toggle("ck-gone", Boolean(gone));
    ui.root.classList.toggle("ck-silent", Boolean(silent));
    ui.send.classList.toggle("ck-stop", running);
    ui.send.title = running ? "Stop (Escape)" : "Send (Enter)";
    ui.send.setAttribute("aria-label", running ? "Stop" : "Send");
    ui.send.disabled = Boolean(gone) || Boolean(stopping) || (!running && !ui.box.value.trim());
    ui.box.disabled = Boolean(gone) && !ui.box.value; // what is in it can be read and copied
    ui.box.readOnly = Boolean(gone);
    ui.left.hidden = !status.left;
    ui.left.textContent = status.left ?? "";
    ui.endpoint.textContent = ui.who.textContent = status.endpoint ?? "";
    drawChange(ui, status.changed, running || Boolean(gone));
    ui.hello.hidden = Boolean(gone) || running || !state.answered || talk.begun();
    ui.endpoint.hidden = !ui.hello.hidden;
    ui.session.textContent = status.session ?? "";
    drawers.bar.hidden = Boolean(gone);
    drawers.body.hidden = Boolean(gone);
    talk.lock();
    drawers.lock(running || Boolean(gone));
    ui.root.dataset.phase = gone ? "gone" : running ? (status.phase ?? "idle") === "idle" ? "asking" : status.phase : "idle";
  }

  function fitBox() {
    ui.box.style.height = "auto";
    ui.box.style.height = `${Math.min(ui.box.scrollHeight + 2, 200)}px`;
  }

  /** JupyterLab keeps the browser from doing this for Shift+Enter inside a cell. */
  function newLine() {
    const before = ui.box.value;
    document.execCommand("insertText", false, "\n");
    if (ui.box.value === before) ui.box.setRangeText("\n", ui.box.selectionStart, ui.box.selectionEnd, "end");
    fitBox();
  }

  /* --- listen */

  ui.box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "ArrowUp" && !ui.box.value && talk.editLast()) return event.preventDefault();
    if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    if (event.shiftKey) newLine();
    else if (!event.repeat) ask();
  });
  ui.root.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape" && busy() && !event.isComposing) stop();
  });
  ui.box.addEventListener("input", () => {
    fitBox();
    showState();
    look();
  });
  ui.send.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    if (!busy()) ask();
    else if (event.detail < 2 || Date.now() - askedAt > DOUBLE_CLICK) stop();
  });
  ui.undo.addEventListener("click", () => desk.act({ type: "undo_change" }).catch(desk.fail));
  ui.redo.addEventListener("click", () => desk.act({ type: "redo_change" }).catch(desk.fail));
  // to the message that is left out first
  ui.left.addEventListener("click", () => /** @type {HTMLElement | null} */ (talk.node.querySelector(".ck-off"))?.focus());

  el.append(ui.root);
  showState();

  return () => {
    feed.close();
    timers.close();
    clearTimeout(outlookTimer);
    drawers.close();
    ui.root.remove();
  };
}

export default widgetOf(openLink, mountPanel);
