// @ts-check
/**
 * What the kernel tells of a widget, kept in step by numbers.
 *
 * The kernel sends numbered patches; a page that opens or misses a number asks for a snapshot. What it has it says, and
 * until then the kernel tells the last number again.
 *
 * @typedef {{
 *   restore: (snapshot: any) => void,
 *   follow: (patch: any, before: Record<string, any>) => void,
 *   isWhole?: (end: {run: string, digest: number}) => boolean,
 *   hear?: (message: any) => void,
 *   back?: () => void,
 *   changed: () => void,
 * }} Follower `restore` and `follow` take what is told, `before` is the status before it; `isWhole` says whether an answer came as it was sent; `hear` takes
 *   other messages; `back` hears of a connection that was lost and is there again; `changed` that `gone` or `silent` is another
 */

const SNAPSHOT_AGAIN = 1500;
const SNAPSHOT_AGAIN_LATEST = 30000;
const UNANSWERED_AFTER = 4000;
const GONE = "The kernel is gone. The text stays readable; run the cell again to go on.";
const LOST = "The connection to the kernel is lost; trying again…";

/**
 * @param {Model} model @param {ReturnType<typeof openLink>} link @param {Follower} follower
 * @param {string} silence what is said where the kernel does not answer for a while
 */
function followFeed(model, link, follower, silence) {
  const view = newId();
  let seq = -1;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let asking;
  /** `status`: of the controls; `gone`: why nothing more comes; `silent`: that nothing came yet. */
  const state = { status: /** @type {Record<string, any>} */ ({}), answered: false, gone: "", silent: "" };

  /** Ask for all there is, and again after a while that doubles: the question or the answer may get lost. */
  function askSnapshot(wait = SNAPSHOT_AGAIN) {
    if (asking) return;
    link.post({ type: "hello", view });
    asking = setTimeout(() => {
      asking = undefined;
      askSnapshot(Math.min(wait * 2, SNAPSHOT_AGAIN_LATEST));
    }, wait);
  }

  function stopAsking() {
    clearTimeout(asking);
    asking = undefined;
  }

  const acknowledge = () => link.post({ type: "ack", view, seq });

  /** @param {any} message */
  function hear(message) {
    if (message.type === "snapshot" && message.to === view) restore(message);
    else if (message.type === "patch" && seq >= 0 && message.seq > seq) follow(message);
    else if (message.type === "tail" && seq >= 0) message.seq > seq ? askSnapshot() : acknowledge();
    else follower.hear?.(message);
  }

  /** @param {any} snapshot */
  function restore(snapshot) {
    stopAsking();
    seq = snapshot.seq;
    Object.assign(state, { status: snapshot.status, answered: true, silent: "" });
    follower.restore(snapshot);
    acknowledge();
  }

  /** @param {any} patch */
  function follow(patch) {
    if (patch.seq !== seq + 1) return askSnapshot();
    if (patch.end && follower.isWhole?.(patch.end) === false) {
      seq = -1;
      return askSnapshot();
    }
    seq = patch.seq;
    const before = state.status;
    state.status = { ...before, ...patch.status };
    follower.follow(patch, before);
    if (!patch.live || patch.end) acknowledge();
  }

  /** @param {string} words */
  function setGone(words) {
    state.gone = words;
    follower.changed();
  }

  const onStatus = (/** @type {any} */ _, /** @type {string} */ word) => {
    if (/^(restarting|autorestarting|terminating|dead)$/.test(word)) setGone(GONE);
  };
  const onConnection = (/** @type {any} */ _, /** @type {string} */ word) => {
    if (state.gone === GONE) return;
    setGone(word === "connected" ? "" : LOST);
    if (word !== "connected") return;
    follower.back?.();
    stopAsking();
    askSnapshot();
  };
  const onDead = () => setGone(GONE);
  /** Another page may have started the kernel anew, which nobody else tells: what it sends then is of another session. */
  let session = "";
  const onMessage = (/** @type {any} */ _, /** @type {any} */ message) => {
    const { header, content } = message;
    if (header.msg_type === "status" && !/^(busy|idle)$/.test(content.execution_state)) return; // the server's own word
    if (session && session !== header.session) setGone(GONE);
    session = header.session;
  };
  link.kernel?.iopubMessage?.connect(onMessage);
  link.kernel?.statusChanged?.connect(onStatus);
  link.kernel?.connectionStatusChanged?.connect(onConnection);
  link.kernel?.disposed?.connect(onDead);
  model.on("comm_live_update", onDead);
  model.on("msg:custom", hear);
  askSnapshot();
  const unanswered = setTimeout(() => {
    if (state.answered) return;
    state.silent = silence;
    follower.changed();
  }, UNANSWERED_AFTER);

  return {
    state,
    view,
    close() {
      clearTimeout(unanswered);
      stopAsking();
      model.off("msg:custom", hear);
      model.off("comm_live_update", onDead);
      link.kernel?.iopubMessage?.disconnect(onMessage);
      link.kernel?.statusChanged?.disconnect(onStatus);
      link.kernel?.connectionStatusChanged?.disconnect(onConnection);
      link.kernel?.disposed?.disconnect(onDead);
      if (!state.gone) link.post({ type: "bye", view });
    },
  };
}

/**
 * What anywidget asks of a module, once for each model: all views of it in this page share what `open` makes.
 * @template {{close: () => void}} Shared
 * @param {(model: Model) => Shared} open @param {(context: {model: Model, el: HTMLElement}, shared: Shared) => () => void} mount
 */
function widgetOf(open, mount) {
  return () => {
    /** @type {Shared | null} */
    let shared = null;
    return {
      /** @param {{model: Model}} context */
      initialize({ model }) {
        const opened = (shared = open(model));
        return () => opened.close();
      },
      /** @param {{model: Model, el: HTMLElement}} context */
      render(context) {
        const end = mount(context, /** @type {Shared} */ (shared));
        const unfollow = followTheme(context.el);
        return () => {
          unfollow();
          end();
        };
      },
    };
  };
}
