// @ts-check
/**
 * What a page holds of an uploader, shared by all its views: the microphone, an upload on its way, sound to play.
 *
 * @typedef {{id: string, start: number | null, end: number, text: string, speaker?: string}} Line
 */

const UPLOADER_SILENT = "The kernel does not answer yet. If no cell is running, run this cell to bring the uploader to life.";
const BUSY = "Waiting for the running cell…";
const SLOW = "Waiting for the kernel…";

/** @param {Model} model */
function openAudioDesk(model) {
  const link = openLink(model);
  /** @type {Set<(changes: Record<string, any>, fresh: boolean) => void>} */
  const views = new Set();
  /** @type {(changes?: Record<string, any>, fresh?: boolean) => void} */
  const tell = (changes = {}, fresh = false) => {
    for (const draw of views) draw(changes, fresh);
  };
  /** @type {Line[]} */
  let entries = [];
  const follower = {
    /** @param {any} snapshot */
    restore(snapshot) {
      entries = snapshot.entries;
      settle(snapshot.status, true);
    },
    /** @param {any} patch */
    follow(patch) {
      if (patch.talk) {
        const [at, count, put] = patch.talk;
        entries = [...entries.slice(0, at), ...put, ...entries.slice(at + count)];
      }
      settle({ ...patch.status, ...(patch.talk ? { entries: true } : {}) }, false);
    },
    changed: () => settle({}, false),
  };
  const feed = followFeed(model, link, follower, UPLOADER_SILENT);
  const { state } = feed;
  /** @type {ReturnType<typeof sendAudio> | null} */
  let upload = null;
  /** @type {ReturnType<typeof startRecording> | null} */
  let recording = null;
  let opening = false;
  let fault = "";
  /** The sound of the audio that the kernel has; `id` says of which. @type {{id: string, url: string} | null} */
  let sound = null;
  /** @type {Blob | null} */
  let sending = null;
  let fetched = -1;
  let busySince = 0;

  /** A cell runs when the kernel is busy for long; it is busy for a moment with each slice. */
  const onStatus = (/** @type {any} */ _, /** @type {string} */ word) => {
    busySince = word === "busy" ? busySince || Date.now() : 0;
  };
  link.kernel?.statusChanged?.connect(onStatus);

  /** @param {Record<string, any>} changes @param {boolean} fresh */
  function settle(changes, fresh) {
    const audio = state.status.audio;
    if (audio && upload && audio.upload === upload.id) {
      setSound(audio.id, /** @type {Blob} */ (recording ? recording.blob() : sending));
      drop();
    }
    if (sound && sound.id !== audio?.id) setSound("", null);
    if (state.gone === GONE) recording?.stop();
    tell(changes, fresh);
  }

  function drop() {
    const dropped = upload;
    upload = recording = sending = null;
    dropped?.stop();
  }

  /** @param {string} id @param {Blob | null} blob */
  function setSound(id, blob) {
    if (sound) URL.revokeObjectURL(sound.url);
    sound = blob ? { id, url: URL.createObjectURL(blob) } : null;
  }

  /** @param {string} words */
  function refuse(words) {
    fault = words;
    tell();
  }

  const onUpload = () => {
    if (upload?.over) {
      fault = upload.failure || fault;
      recording?.stop();
      drop();
    }
    tell();
  };

  /** @param {File} file */
  async function take(file) {
    if (state.gone || opening) return;
    fault = "";
    if (recording || state.status.phase === "working") return refuse("Something is still going on here; wait for it or cancel it first.");
    if (!file.size) return refuse(`${file.name} is empty. Choose another file.`);
    const most = state.status.most ?? 1e9;
    if (file.size > most) return refuse(`${file.name} has ${sizeWords(file.size)}; ${sizeWords(most)} is the most. Cut it into parts.`);
    const head = await file.slice(0, HEAD).arrayBuffer().catch(() => null);
    if (!head) return refuse("The file cannot be read.");
    drop();
    sending = file;
    const source = { size: () => file.size, ended: () => true, slice: (/** @type {number} */ from, /** @type {number} */ to) => file.slice(from, to) };
    upload = sendAudio(model, link, source, { name: file.name, size: file.size, modified: file.lastModified, head: adler(head) }, onUpload);
    tell();
  }

  async function record() {
    if (state.gone || opening || recording || state.status.phase === "working") return;
    opening = true;
    fault = "";
    tell();
    try {
      const stream = await openMicrophone();
      drop();
      recording = startRecording(stream, onChunk);
      const now = new Date(Date.now() - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 16).replace("T", " ").replace(":", ".");
      upload = sendAudio(model, link, recording, { name: `Recording ${now}.${recording.ending}`, recorded: true }, onUpload);
    } catch (error) {
      fault = /** @type {Error} */ (error).message;
    }
    opening = false;
    tell();
  }

  function onChunk() {
    upload?.tell({ seconds: recording?.seconds() });
    void upload?.pump();
    tell();
  }

  async function listen() {
    const audio = state.status.audio;
    if (!audio || sound || fetched >= 0) return;
    fetched = 0;
    tell();
    try {
      const { blob } = await fetchPieces(link, { what: "audio", audio: audio.id }, (share) => {
        fetched = share;
        tell();
      });
      if (state.status.audio?.id === audio.id) setSound(audio.id, blob);
    } catch (error) {
      fault = `The audio could not be fetched. ${/** @type {Error} */ (error).message}`;
    }
    fetched = -1;
    tell();
  }

  return {
    link,
    state,
    views,
    take,
    record,
    listen,
    refuse,
    cancelUpload() {
      const cancelled = upload;
      recording?.stop();
      drop();
      cancelled?.cancel();
      tell();
    },
    get entries() {
      return entries;
    },
    get upload() {
      return upload;
    },
    get recording() {
      return recording;
    },
    get opening() {
      return opening;
    },
    get fault() {
      return fault;
    },
    clearFault() {
      fault = "";
    },
    get sound() {
      return sound;
    },
    get fetched() {
      return fetched;
    },
    /** Why the kernel has not taken what was sent; empty if it has. */
    get waiting() {
      if (!upload?.late) return "";
      if (upload.held || (busySince && Date.now() - busySince > ACK_LATE)) return BUSY;
      return link.kernel ? "" : SLOW;
    },
    close() {
      recording?.stop();
      drop();
      setSound("", null);
      link.kernel?.statusChanged?.disconnect(onStatus);
      feed.close();
      link.close();
    },
  };
}
