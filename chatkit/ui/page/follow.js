// @ts-check
/**
 * What the kernel tells of a widget, kept in step: one state for all its views in this page.
 *
 * The kernel sends numbered patches; a page that opens or misses a number asks for a snapshot.
 * @typedef {{id: string, [name: string]: any}} Entry
 */

const SNAPSHOT_AGAIN = 1500;
const GONE = "The kernel is gone. The text stays readable; run the cell again to go on.";
const LOST = "The connection to the kernel is lost; trying again…";

/**
 * @param {Model} model @param {ReturnType<typeof openLink>} link
 * @param {(changes: Record<string, any>, fresh: boolean) => void} told hears of each change; `fresh` after a snapshot
 */
function followFeed(model, link, told) {
  const view = newId();
  let seq = -1;
  let waiting = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const state = { status: /** @type {Record<string, any>} */ ({}), entries: /** @type {Entry[]} */ ([]), answered: false, gone: "" };

  /** Ask for all there is, and again after a while that doubles: the question or the answer may get lost. */
  function askSnapshot(wait = SNAPSHOT_AGAIN) {
    if (waiting) return;
    waiting = true;
    link.post({ type: "hello", view });
    timer = setTimeout(() => {
      waiting = false;
      askSnapshot(Math.min(wait * 2, 30000));
    }, wait);
  }

  const acknowledge = () => link.post({ type: "ack", view, seq });

  /** @param {any} message */
  function hear(message) {
    if (message.type === "snapshot" && message.to === view) restore(message);
    else if (message.type === "patch" && seq >= 0 && message.seq > seq) follow(message);
    else if (message.type === "tail" && seq >= 0) message.seq > seq ? askSnapshot() : acknowledge();
  }

  /** @param {any} snapshot */
  function restore(snapshot) {
    clearTimeout(timer);
    waiting = false;
    seq = snapshot.seq;
    Object.assign(state, { status: snapshot.status, entries: snapshot.entries, answered: true });
    acknowledge();
    told(snapshot.status, true);
  }

  /** @param {any} patch */
  function follow(patch) {
    if (patch.seq !== seq + 1) return askSnapshot();
    seq = patch.seq;
    if (patch.talk) {
      const [at, count, entries] = patch.talk;
      state.entries = state.entries.toSpliced?.(at, count, ...entries) ?? [...state.entries.slice(0, at), ...entries, ...state.entries.slice(at + count)];
    }
    state.status = { ...state.status, ...patch.status };
    acknowledge();
    told({ ...patch.status, ...(patch.talk ? { entries: true } : {}) }, false);
  }

  /** @param {string} words */
  function setGone(words) {
    state.gone = words;
    told({}, false);
  }

  const onStatus = (/** @type {any} */ _, /** @type {string} */ word) => {
    if (/^(restarting|autorestarting|terminating|dead)$/.test(word)) setGone(GONE);
  };
  const onConnection = (/** @type {any} */ _, /** @type {string} */ word) => {
    if (state.gone === GONE) return;
    setGone(word === "connected" ? "" : LOST);
    if (word === "connected") askSnapshot();
  };
  const onDead = () => setGone(GONE);
  link.kernel?.statusChanged?.connect(onStatus);
  link.kernel?.connectionStatusChanged?.connect(onConnection);
  link.kernel?.disposed?.connect(onDead);
  model.on("comm_live_update", onDead);
  model.on("msg:custom", hear);
  askSnapshot();

  return {
    state,
    close() {
      clearTimeout(timer);
      model.off("msg:custom", hear);
      model.off("comm_live_update", onDead);
      link.kernel?.statusChanged?.disconnect(onStatus);
      link.kernel?.connectionStatusChanged?.disconnect(onConnection);
      link.kernel?.disposed?.disconnect(onDead);
      if (!state.gone) link.post({ type: "bye", view });
    },
  };
}
