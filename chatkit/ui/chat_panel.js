// @ts-check
/**
 * The page's side of ChatPanel: draws what the kernel tells, sends what a person does.
 *
 * The kernel sends numbered patches; a view that mounts or misses a number asks for a snapshot. HTML comes only
 * from the kernel's renderer, already cleaned, and enters the page only through `put`.
 */

const INTERRUPT_AFTER = 700;
// the second click of a double click on Send lands on Stop
const DOUBLE_CLICK = 600;
const STOP_AGAIN = 2000;
const UNHEARD_AFTER = 700;
const SNAPSHOT_AGAIN = 1500;
const UNANSWERED_AFTER = 4000;
const OUTLOOK_AFTER = 300;
const SILENT = "The kernel does not answer yet. If no cell is running, run this cell to talk to the model here.";
const GONE = "The kernel is gone. The text stays readable; run the cell again to go on.";
const LOST = "The connection to the kernel is lost; trying again…";

/** The parts of a panel, in the order in which Tab reaches them. @param {string} name @param {HTMLElement} talk @param {{bar: HTMLElement, body: HTMLElement}} drawers */
function build(name, talk, drawers) {
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

/* ---------------------------------------------------------------- one view */

/** @param {{model: Model, el: HTMLElement}} context @param {ReturnType<typeof openLink>} link */
function mount({ model, el }, link) {
  const view = newId();
  /** @type {Record<string, any>} */
  let status = {};
  let seq = -1;
  const mounted = Date.now();
  let kernelId = "";
  let waiting = false;
  let gone = "";
  let asked = "";
  let askedAt = 0;
  let stopping = "";
  let outlookFor = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let outlookTimer;
  /** @type {Set<ReturnType<typeof setTimeout>>} */
  const timers = new Set();
  /** @type {Map<string, number>} */
  const unheard = new Map();

  const busy = () => Boolean(asked) || (status.phase ?? "idle") !== "idle";

  /** @type {Desk} */
  const desk = {
    model,
    el,
    link,
    busy,
    gone: () => Boolean(gone),
    act: (content) => link.act({ view, ...content }),
    start(content) {
      if (busy() || gone) return;
      asked = request(content);
      showState();
    },
    say: (text) => (ui.spoken.textContent = ui.notice.textContent = text),
    fail(error) {
      status = { ...status, error: { text: /** @type {Error} */ (error).message, acts: [] } };
      showState();
    },
  };
  const talk = talkOf(desk);
  const drawers = drawersOf(desk);
  const ui = build(model.get("name"), talk.node, drawers);

  /** @param {() => void} act @param {number} wait */
  function later(act, wait) {
    const timer = setTimeout(() => {
      timers.delete(timer);
      act();
    }, wait);
    timers.add(timer);
  }

  /* --- towards the kernel */

  /** A request whose receipt is watched for. @param {Record<string, any>} content */
  function request(content) {
    const id = link.post({ view, ...content });
    unheard.set(id, Date.now());
    later(showState, UNHEARD_AFTER);
    return id;
  }

  /** Ask for all there is, and again after a while that doubles: the question or the answer may get lost. */
  function askSnapshot(wait = SNAPSHOT_AGAIN) {
    if (waiting) return;
    waiting = true;
    link.post({ type: "hello", view });
    later(() => {
      if (!waiting) return;
      waiting = false;
      askSnapshot(Math.min(wait * 2, 30000));
    }, wait);
  }

  const acknowledge = () => link.post({ type: "ack", view, seq });

  function ask() {
    const text = ui.box.value;
    if (busy() || gone || !text.trim()) return;
    asked = request({ type: "ask", text });
    askedAt = Date.now();
    ui.box.value = "";
    fitBox();
    showState();
  }

  function retry() {
    if (busy() || gone) return;
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
      showState();
    }, STOP_AGAIN);
    // Only where both messages wait behind the cell: the run still streams and the cell still waits for it.
    later(() => {
      if (run && talk.running() === run && status.blocking && !gone) link.interrupt(kernelId);
    }, INTERRUPT_AFTER);
  }

  /** What the next request would take, once the hand rests. */
  function look() {
    clearTimeout(outlookTimer);
    outlookTimer = setTimeout(async () => {
      const text = ui.box.value;
      if (gone || seq < 0 || text === outlookFor) return;
      outlookFor = text;
      const outlook = await link.query({ type: "outlook", text }).catch(() => null);
      if (outlook && ui.box.value === text) showOutlook(outlook);
    }, OUTLOOK_AFTER);
  }

  /* --- from the kernel */

  /** @param {any} message */
  function hear(message) {
    if (message.type === "seen") heard(message.id);
    else if (message.type === "answer") link.answered(message);
    else if (message.type === "snapshot" && message.to === view) restore(message);
    else if (message.type === "patch") follow(message);
    else if (message.type === "tail" && seq >= 0) message.seq > seq ? askSnapshot() : acknowledge();
  }

  /** @param {string} id */
  function heard(id) {
    unheard.delete(id);
    showState();
  }

  /** @param {any} snapshot */
  function restore(snapshot) {
    waiting = false;
    kernelId = snapshot.kernel;
    seq = snapshot.seq;
    stopping = "";
    status = {};
    // a question that the kernel has not taken yet is still on its way
    const onItsWay = unheard.has(asked) ? asked : "";
    talk.restore(snapshot.entries, snapshot.live);
    take(snapshot.status);
    asked = onItsWay;
    showState();
    acknowledge();
  }

  /** @param {any} patch */
  function follow(patch) {
    if (seq < 0 || patch.seq <= seq) return;
    if (patch.seq !== seq + 1) return askSnapshot();
    if (patch.end && !talk.isWhole(patch.end)) {
      seq = -1;
      return askSnapshot();
    }
    seq = patch.seq;
    if (patch.live?.start) asked = "";
    if (patch.end) stopping = "";
    const ended = talk.follow(patch);
    if (ended) speak(ended);
    take(patch.status ?? {});
    if (!patch.live || patch.end) acknowledge();
  }

  /** Say a finished answer once, though the panel may be shown twice. @param {Element} node */
  function speak(node) {
    if (document.querySelector(`[data-ck-name="${model.get("name")}"]`) === ui.root) {
      ui.spoken.textContent = node.querySelector(".ck-body")?.textContent ?? "";
    }
  }

  /* --- state */

  /** @param {Record<string, any>} changes */
  function take(changes) {
    const draft = status.draft;
    status = { ...status, ...changes };
    if ("draft" in changes || "error" in changes) asked = "";
    if ("draft" in changes) {
      if (changes.draft && (!ui.box.value || changes.draft.over)) ui.box.value = changes.draft.text;
      else if (!changes.draft && draft && ui.box.value === draft.text) ui.box.value = "";
      fitBox();
    }
    if ("outlook" in changes) {
      outlookFor = "";
      if (ui.box.value) look();
      else showOutlook(status.outlook);
    }
    drawers.take(changes, status);
    showState();
  }

  /** @param {{caption: string, warn: boolean, fill: number | null, window: string} | null} outlook */
  function showOutlook(outlook) {
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

  /** @param {[string, string][]} acts */
  function showRemedies(acts) {
    const wanted = JSON.stringify(acts);
    if (ui.remedies.dataset.acts === wanted) return;
    ui.remedies.dataset.acts = wanted;
    ui.remedies.replaceChildren(...acts.map(([type, label]) => button(label, () => (type === "retry" ? retry() : desk.act({ type }).catch(desk.fail)))));
  }

  function showState() {
    const running = busy();
    const late = running && !talk.running() && [...unheard.values()].some((sent) => Date.now() - sent >= UNHEARD_AFTER);
    const words = { waiting: "Waiting for the answer…", thinking: "Thinking…" }[/** @type {string} */ (status.phase)] ?? "";
    const silent = seq < 0 && Date.now() - mounted >= UNANSWERED_AFTER ? SILENT : "";
    ui.notice.textContent = gone || silent || (stopping ? "Stopping…" : status.notice || words || (late ? "Waiting for the running cell…" : ""));
    ui.error.hidden = Boolean(gone) || !status.error || running;
    ui.errorText.textContent = status.error?.text ?? "";
    ui.error.dataset.kind = status.error?.kind ?? "";
    showRemedies(status.error?.acts ?? []);
    ui.root.classList.toggle("ck-running", running && !gone);
    ui.root.classList.toggle("ck-gone", Boolean(gone));
    ui.root.classList.toggle("ck-silent", Boolean(silent));
    ui.send.classList.toggle("ck-stop", running);
    ui.send.title = running ? "Stop (Escape)" : "Send (Enter)";
    ui.send.setAttribute("aria-label", running ? "Stop" : "Send");
    ui.send.disabled = Boolean(gone) || Boolean(stopping) || (!running && !ui.box.value.trim());
    ui.box.disabled = Boolean(gone);
    ui.left.hidden = !status.left;
    ui.left.textContent = status.left ?? "";
    ui.endpoint.textContent = status.endpoint ?? "";
    ui.session.textContent = status.session ?? "";
    drawers.bar.hidden = Boolean(gone);
    drawers.body.hidden = Boolean(gone);
    talk.lock();
    drawers.lock(running || Boolean(gone));
    ui.root.dataset.phase = gone ? "gone" : running ? (status.phase ?? "idle") === "idle" ? "asking" : status.phase : "idle";
  }

  /** @param {string} words */
  function setGone(words) {
    gone = words;
    showState();
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
  // to the message that is left out first
  ui.left.addEventListener("click", () => /** @type {HTMLElement | null} */ (talk.node.querySelector(".ck-off"))?.focus());

  const onStatus = (/** @type {any} */ _, /** @type {string} */ word) => {
    if (/^(restarting|autorestarting|terminating|dead)$/.test(word)) setGone(GONE);
  };
  const onConnection = (/** @type {any} */ _, /** @type {string} */ word) => {
    if (gone && gone !== LOST) return;
    setGone(word === "connected" ? "" : LOST);
    if (word === "connected") {
      unheard.clear(); // what was on its way may be lost: the snapshot tells what came
      askSnapshot();
    }
  };
  const onDead = () => setGone(GONE);
  link.kernel?.statusChanged?.connect(onStatus);
  link.kernel?.connectionStatusChanged?.connect(onConnection);
  link.kernel?.disposed?.connect(onDead);
  model.on("comm_live_update", onDead);
  model.on("msg:custom", hear);

  el.append(ui.root);
  showState();
  askSnapshot();
  later(showState, UNANSWERED_AFTER);

  return () => {
    model.off("msg:custom", hear);
    model.off("comm_live_update", onDead);
    link.kernel?.statusChanged?.disconnect(onStatus);
    link.kernel?.connectionStatusChanged?.disconnect(onConnection);
    link.kernel?.disposed?.disconnect(onDead);
    for (const timer of timers) clearTimeout(timer);
    clearTimeout(outlookTimer);
    drawers.close();
    if (!gone) link.post({ type: "bye", view });
    ui.root.remove();
  };
}

// anywidget calls this once for each model: its views share one link.
export default () => {
  /** @type {ReturnType<typeof openLink> | null} */
  let link = null;
  return {
    /** @param {{model: Model}} context */
    initialize({ model }) {
      const opened = (link = openLink(model));
      return () => opened.close();
    },
    /** @param {{model: Model, el: HTMLElement}} context */
    render(context) {
      return mount(context, /** @type {ReturnType<typeof openLink>} */ (link));
    },
  };
};
