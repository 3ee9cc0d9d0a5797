// @ts-check
/**
 * The page's side of ChatPanel: draws what the kernel tells, sends what a person does.
 *
 * The kernel sends numbered patches; a view that mounts or misses a number asks for a snapshot. HTML comes only
 * from the kernel's renderer, already cleaned, and enters the page only through `put`.
 *
 * @typedef {{get: Function, send: Function, on: Function, off: Function, widget_manager: any}} Model
 * @typedef {{id: string, role: string, html?: string, streamed?: boolean, state: string, off: boolean, caption: string}} Entry
 * @typedef {{run: string, blocks: [number, number, string][], question?: string, start?: boolean}} LivePatch
 */

const INTERRUPT_AFTER = 700;
// the second click of a double click on Send lands on Stop
const DOUBLE_CLICK = 600;
const STOP_AGAIN = 2000;
const UNHEARD_AFTER = 700;
const SNAPSHOT_AGAIN = 1500;
const UNANSWERED_AFTER = 4000;
const SILENT = "The kernel does not answer yet. If no cell is running, run this cell to talk to the model here.";
const GONE = "The kernel is gone. The text stays readable; run the cell again to go on.";
const LOST = "The connection to the kernel is lost; trying again…";
const FORBIDDEN = "script,iframe,frame,object,embed,form,style,link,meta,base,img,svg,video,audio,input,button,template";

/** A name that no other view or request has; crypto.randomUUID is missing on plain http. */
const newId = () => Date.now().toString(36) + Math.random().toString(36).slice(2, 12);

/**
 * @param {string} tag @param {Record<string, any>} [props] @param {(Node | string)[]} children
 * @returns {any}
 */
function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name in node && name !== "list") /** @type {any} */ (node)[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** The one way for HTML into the page. The kernel cleaned it; this is the second fence. @param {Element} target @param {string} html */
function put(target, html) {
  const body = new DOMParser().parseFromString(html, "text/html").body;
  for (const node of body.querySelectorAll(FORBIDDEN)) node.remove();
  for (const node of body.querySelectorAll("*")) {
    for (const { name } of [...node.attributes]) {
      if (/^(on|style$|src|id$|name$|data-|form|action)/i.test(name)) node.removeAttribute(name);
    }
  }
  target.replaceChildren(...body.childNodes);
}

/** Adler-32 of the UTF-8 bytes, as the kernel computes it. @param {string} text */
function digest(text) {
  let a = 1;
  let b = 0;
  for (const byte of new TextEncoder().encode(text)) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return b * 65536 + a;
}

/* ---------------------------------------------------------------- the ways to the kernel */

/**
 * Messages go by the widget's own comm and, where the kernel has subshells, by a control comm that is open while
 * a cell runs. The kernel takes each request id once.
 * @param {Model} model
 */
function openLink(model) {
  const kernel = model.widget_manager?.kernel ?? null;
  /** @type {any} */
  let control = null;
  let closed = false;

  async function openControl() {
    if (!kernel?.createComm) return;
    await kernel.info;
    if (!kernel.supportsSubshells || closed) return;
    const comm = kernel.createComm("chatkit.control", newId());
    await comm.subshellStarted;
    if (closed) return comm.dispose();
    comm.open({ panel: model.get("name") });
    control = comm;
  }
  openControl().catch((error) => console.debug("chatkit: no control comm", error));

  return {
    kernel,
    /** @param {Record<string, any>} content */
    post(content) {
      const message = { id: newId(), ...content };
      model.send(message);
      try {
        control?.send({ panel: model.get("name"), content: message });
      } catch (error) {
        console.debug("chatkit: control comm", error);
      }
      return message.id;
    },
    /** Interrupt the cell that waits for the answer. @param {string} kernelId */
    async interrupt(kernelId) {
      if (kernel?.interrupt) return kernel.interrupt();
      if (!kernelId) return undefined;
      const config = JSON.parse(document.getElementById("jupyter-config-data")?.textContent || "{}");
      const base = config.baseUrl || document.body.dataset.baseUrl || "/";
      const xsrf = /(?:^|; )_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? "";
      const url = `${base}api/kernels/${encodeURIComponent(kernelId)}/interrupt`;
      return fetch(url, { method: "POST", credentials: "same-origin", headers: { "X-XSRFToken": decodeURIComponent(xsrf) } });
    },
    close() {
      closed = true;
      if (control && !control.isDisposed && !kernel.isDisposed) control.close();
    },
  };
}

/* ---------------------------------------------------------------- what a view looks like */

/** The parts of a panel, in the order in which Tab reaches them. @param {string} name */
function build(name) {
  const uid = newId();
  const talk = make("div", { className: "ck-talk", role: "log", tabIndex: 0, "aria-label": "Conversation", "aria-live": "off" });
  const notice = make("div", { className: "ck-notice", role: "status" });
  const errorText = make("span", { className: "ck-error-text", dir: "auto" });
  const retry = make("button", { type: "button", className: "ck-button" }, "Retry");
  const error = make("div", { className: "ck-error", role: "alert", hidden: true }, errorText, retry);
  const box = make("textarea", { className: "ck-box", rows: 1, dir: "auto", placeholder: "Ask something…", "aria-label": "Your message" });
  const send = make("button", { type: "button", className: "ck-send", title: "Send (Enter)", "aria-label": "Send" });
  const models = make("datalist", { id: `ck-models-${uid}` });
  const model = make("input", { type: "text", className: "ck-field ck-model", list: models.id, spellcheck: false, autocomplete: "off", placeholder: "default" });
  const temperature = make("input", { type: "text", inputMode: "decimal", className: "ck-field ck-temperature", placeholder: "default", autocomplete: "off" });
  const system = make("textarea", { className: "ck-field ck-system", rows: 2, dir: "auto", placeholder: "none" });
  const settings = make(
    "details",
    { className: "ck-settings" },
    make("summary", { className: "ck-summary" }, "Settings"),
    make(
      "div",
      { className: "ck-fields" },
      make("label", { className: "ck-label" }, "Model", model, models),
      make("label", { className: "ck-label ck-narrow" }, "Temperature", temperature),
      make("label", { className: "ck-label ck-wide" }, "System prompt", system),
    ),
  );
  const endpoint = make("span", { className: "ck-endpoint" });
  const session = make("span", { className: "ck-session" });
  const spoken = make("div", { className: "ck-spoken", "aria-live": "polite" });
  const root = make(
    "section",
    { className: "ck-panel", "aria-label": "Chat", "data-lm-suppress-shortcuts": "true", "data-ck-name": name },
    talk,
    notice,
    error,
    make("div", { className: "ck-composer" }, box, send),
    make("div", { className: "ck-foot" }, settings, make("div", { className: "ck-info" }, endpoint, session)),
    spoken,
  );
  return { root, talk, notice, error, errorText, retry, box, send, models, model, temperature, system, settings, endpoint, session, spoken };
}

/** @param {Entry} entry @param {Element} [body] */
function drawEntry(entry, body) {
  const role = { user: "You", assistant: "Answer", system: "System", developer: "System", tool: "Tool" }[entry.role] ?? entry.role;
  const text = body ?? make("div", { className: "ck-text", dir: "auto" });
  if (!body) put(text, entry.html ?? "");
  const head = make("div", { className: "ck-role" }, role);
  if (entry.state) head.append(make("span", { className: "ck-state" }, entry.state));
  const node = make("article", { className: `ck-message ck-${entry.role}${entry.off ? " ck-off" : ""}`, "aria-label": role }, head, text);
  if (entry.caption) node.append(make("div", { className: "ck-caption" }, entry.caption));
  return node;
}

/* ---------------------------------------------------------------- one view */

/** @param {{model: Model, el: HTMLElement}} context @param {ReturnType<typeof openLink>} link */
function mount({ model, el }, link) {
  const view = newId();
  const ui = build(model.get("name"));
  /** @type {Record<string, any>} */
  let status = {};
  /** @type {{run: string, html: string[], nodes: HTMLElement[], question: HTMLElement | null, body: HTMLElement, node: HTMLElement} | null} */
  let live = null;
  let seq = -1;
  const mounted = Date.now();
  let kernelId = "";
  let waiting = false;
  let gone = "";
  let asked = "";
  let askedAt = 0;
  let stopping = "";
  /** @type {Set<ReturnType<typeof setTimeout>>} */
  const timers = new Set();
  /** @type {Map<string, number>} */
  const unheard = new Map();

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

  const busy = () => Boolean(asked) || (status.phase ?? "idle") !== "idle";

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
    const run = live?.run ?? "";
    stopping = run || asked;
    link.post({ type: "stop", view, run, ask: asked });
    showState();
    later(() => {
      stopping = "";
      showState();
    }, STOP_AGAIN);
    // Only where both messages wait behind the cell: the run still streams and the cell still waits for it.
    later(() => {
      if (run && live?.run === run && status.blocking && !gone) link.interrupt(kernelId);
    }, INTERRUPT_AFTER);
  }

  /* --- from the kernel */

  /** @param {any} message */
  function hear(message) {
    if (message.type === "seen") heard(message.id);
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
    ui.talk.replaceChildren(...snapshot.entries.map((/** @type {Entry} */ entry) => drawEntry(entry)));
    dropLive();
    if (snapshot.live) grow(snapshot.live);
    status = {};
    asked = "";
    take(snapshot.status);
    ui.talk.scrollTop = ui.talk.scrollHeight;
    acknowledge();
  }

  /** @param {any} patch */
  function follow(patch) {
    if (seq < 0 || patch.seq <= seq) return;
    if (patch.seq !== seq + 1) return askSnapshot();
    const whole = !patch.end || (live?.run === patch.end.run && digest(live.html.join("")) === patch.end.digest);
    if (!whole) {
      seq = -1;
      return askSnapshot();
    }
    seq = patch.seq;
    const low = atBottom();
    const ended = patch.end ? live : null;
    if (ended) dropLive();
    if (patch.talk) splice(patch.talk, ended);
    if (patch.live) grow(patch.live);
    take(patch.status ?? {});
    if (low) ui.talk.scrollTop = ui.talk.scrollHeight;
    if (!patch.live || patch.end) acknowledge();
  }

  /** @param {[number, number, Entry[]]} change @param {typeof live} ended */
  function splice([at, count, entries], ended) {
    const had = [...ui.talk.children].filter((node) => node.matches(".ck-message:not(.ck-live)"));
    const nodes = entries.map((entry) => drawEntry(entry, entry.streamed && ended ? ended.body : undefined));
    for (const node of had.slice(at, at + count)) node.remove();
    const next = had[at + count] ?? live?.question ?? live?.node ?? null;
    for (const node of nodes) ui.talk.insertBefore(node, next);
    const answer = entries.find((entry) => entry.streamed);
    if (ended && answer) speak(nodes[entries.indexOf(answer)]);
  }

  /** @param {LivePatch} patch */
  function grow(patch) {
    if (patch.start) startLive(patch);
    if (!live || live.run !== patch.run) return;
    for (const [index, keep, tail] of patch.blocks) {
      live.html[index] = (live.html[index] ?? "").slice(0, keep) + tail;
      live.nodes[index] ??= live.body.appendChild(make("div", { className: "ck-block" }));
      put(live.nodes[index], live.html[index]);
    }
    live.node.classList.toggle("ck-empty", !live.html.length);
  }

  /** @param {LivePatch} patch */
  function startLive(patch) {
    dropLive();
    const body = make("div", { className: "ck-text", dir: "auto" });
    const node = make("article", { className: "ck-message ck-assistant ck-live", "aria-label": "Answer" }, make("div", { className: "ck-role" }, "Answer"), body);
    const question = patch.question ? drawEntry({ id: "", role: "user", html: patch.question, state: "", off: false, caption: "" }) : null;
    question?.classList.add("ck-live");
    live = { run: patch.run, html: [], nodes: [], question, body, node };
    if (question) ui.talk.append(question);
    ui.talk.append(node);
    asked = "";
    ui.talk.scrollTop = ui.talk.scrollHeight;
  }

  function dropLive() {
    live?.question?.remove();
    live?.node.remove();
    live = null;
    stopping = "";
  }

  /** Say a finished answer once, though the panel may be shown twice. @param {Element} node */
  function speak(node) {
    if (document.querySelector(`[data-ck-name="${model.get("name")}"]`) === ui.root) {
      ui.spoken.textContent = node.querySelector(".ck-text")?.textContent ?? "";
    }
  }

  /* --- state */

  /** @param {Record<string, any>} changes */
  function take(changes) {
    const draft = status.draft;
    status = { ...status, ...changes };
    if ("draft" in changes || "error" in changes) asked = "";
    if ("draft" in changes) {
      if (changes.draft && !ui.box.value) ui.box.value = changes.draft.text;
      else if (!changes.draft && draft && ui.box.value === draft.text) ui.box.value = "";
      fitBox();
    }
    for (const name of /** @type {const} */ (["model", "temperature", "system"])) {
      if (name in changes && document.activeElement !== ui[name]) ui[name].value = changes[name];
    }
    if ("models" in changes) ui.models.replaceChildren(...status.models.map((/** @type {string} */ value) => make("option", { value })));
    showState();
  }

  function showState() {
    const running = busy();
    const late = running && !live && [...unheard.values()].some((sent) => Date.now() - sent >= UNHEARD_AFTER);
    const words = { waiting: "Waiting for the answer…", thinking: "Thinking…" }[/** @type {string} */ (status.phase)] ?? "";
    const silent = seq < 0 && Date.now() - mounted >= UNANSWERED_AFTER ? SILENT : "";
    ui.notice.textContent = gone || silent || (stopping ? "Stopping…" : status.notice || words || (late ? "Waiting for the running cell…" : ""));
    ui.error.hidden = Boolean(gone) || !status.error || running;
    ui.errorText.textContent = status.error?.text ?? "";
    ui.error.dataset.kind = status.error?.kind ?? "";
    ui.retry.hidden = !status.error?.retry;
    ui.root.classList.toggle("ck-running", running && !gone);
    ui.root.classList.toggle("ck-gone", Boolean(gone));
    ui.send.classList.toggle("ck-stop", running);
    ui.send.title = running ? "Stop (Escape)" : "Send (Enter)";
    ui.send.setAttribute("aria-label", running ? "Stop" : "Send");
    ui.send.disabled = Boolean(gone) || Boolean(stopping) || (!running && !ui.box.value.trim());
    ui.box.disabled = Boolean(gone);
    ui.settings.hidden = Boolean(gone);
    ui.endpoint.textContent = status.endpoint ?? "";
    ui.session.textContent = status.session ?? "";
    ui.root.dataset.phase = gone ? "gone" : running ? status.phase === "idle" ? "asking" : status.phase : "idle";
  }

  /** @param {string} words */
  function setGone(words) {
    gone = words;
    showState();
  }

  const atBottom = () => ui.talk.scrollHeight - ui.talk.scrollTop - ui.talk.clientHeight < 40;

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
  });
  ui.send.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    if (!busy()) ask();
    else if (event.detail < 2 || Date.now() - askedAt > DOUBLE_CLICK) stop();
  });
  ui.retry.addEventListener("click", retry);
  for (const name of /** @type {const} */ (["model", "temperature", "system"])) {
    ui[name].addEventListener("change", () => link.post({ type: "set", view, field: name, value: ui[name].value }));
  }

  const onStatus = (/** @type {any} */ _, /** @type {string} */ word) => {
    if (/^(restarting|autorestarting|terminating|dead)$/.test(word)) setGone(GONE);
  };
  const onConnection = (/** @type {any} */ _, /** @type {string} */ word) => {
    if (gone && gone !== LOST) return;
    setGone(word === "connected" ? "" : LOST);
    if (word === "connected") {
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
