// @ts-check
/**
 * The page's side of AudioUploader: takes audio in, sends it to the kernel in slices, draws what the kernel tells.
 *
 * What a page holds (the microphone, an upload on its way, sound to play) is shared by all views in that page.
 */

const DOUBLE_CLICK = 600;
const EDIT_AFTER = 400;
const CANCEL_AGAIN = 2000;
const UNANSWERED_AFTER = 4000;
const LISTEN_MOST = 2 ** 28;
const ACCEPT = "audio/*,video/mp4,video/webm,video/quicktime,video/x-matroska,.flac,.mp3,.mp4,.mpeg,.mpga,.m4a,.ogg,.oga,.opus,.wav,.webm,.mov,.mkv,.ts,.m2ts";
const SILENT = "The kernel does not answer yet. If no cell is running, run this cell to bring the uploader to life.";
const BUSY = "Waiting for the running cell…";
const SLOW = "Waiting for the kernel…";

Object.assign(ICONS, {
  sound: "M3 6.5v3M6 4v8M9 2v12M12 5.5v5M15 7v2",
  mic: "M8 1.8a2 2 0 0 1 2 2v4a2 2 0 0 1-4 0v-4a2 2 0 0 1 2-2zM3.5 7.5a4.5 4.5 0 0 0 9 0M8 12v2.5",
  play: "M5 3.2v9.6L12.5 8z",
});

/** A time in a recording, to the second. @param {number} seconds */
function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = `${String(rest).padStart(2, "0")}`;
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** @param {number} bytes */
function sizeWords(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const [amount, unit] = bytes >= 999.5e6 ? [bytes / 1e9, "GB"] : bytes >= 999.5e3 ? [bytes / 1e6, "MB"] : [bytes / 1e3, "kB"];
  return `${amount < 9.95 ? amount.toFixed(1).replace(".0", "") : Math.round(amount)} ${unit}`;
}

/* ---------------------------------------------------------------- what this page holds */

/** @param {Model} model */
function openDesk(model) {
  const link = openLink(model);
  /** @type {Set<(changes: Record<string, any>, fresh: boolean) => void>} */
  const views = new Set();
  /** @type {(changes?: Record<string, any>, fresh?: boolean) => void} */
  const tell = (changes = {}, fresh = false) => {
    for (const draw of views) draw(changes, fresh);
  };
  const feed = followFeed(model, link, settle);
  const state = feed.state;
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

  /** @param {any} message @param {DataView[]} buffers */
  function hear(message, buffers) {
    if (message.type === "answer") link.answered(buffers?.length ? { ...message, value: { ...message.value, data: buffers[0] } } : message);
  }
  model.on("msg:custom", hear);

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
    upload?.tell({ seconds: recording?.seconds(), paused: recording?.paused() });
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
      model.off("msg:custom", hear);
      feed.close();
      link.close();
    },
  };
}

/* ---------------------------------------------------------------- what a view looks like */

/** @param {string} label @param {string} more */
function progressBar(label, more = "") {
  return make("progress", { className: `ck-progress ${more}`, max: 1, "aria-label": label });
}

/** @param {string} name @param {(event: MouseEvent) => void} act @param {string} label @param {Record<string, any>} [props] */
function pictured(name, label, act, props = {}) {
  const node = button(label, act, props);
  node.prepend(icon(/** @type {any} */ (name)));
  return node;
}

/** A labelled control. @param {string} label @param {HTMLElement} control @param {string} [more] */
const labelled = (label, control, more = "") => make("label", { className: `ck-label ${more}` }, make("span", { className: "ck-name" }, label), control);

/** The parts of an uploader, in the order in which Tab reaches them. @param {string} name @param {Record<string, (event?: any) => void>} on */
function build(name, on) {
  const uid = newId();
  const file = make("input", { type: "file", accept: ACCEPT, hidden: true, tabIndex: -1, "aria-label": "Audio file" });

  const invitation = make("div", { className: "ck-hint" }, make("strong", {}, "Drop audio here"));
  const most = make("div", { className: "ck-soft" });
  const choose = button("Choose a file", on.choose, { className: "ck-button ck-primary" });
  const record = pictured("mic", "Record", on.record);
  const drop = make("div", { className: "ck-drop" }, icon(/** @type {any} */ ("sound")), invitation, make("div", { className: "ck-row ck-centre" }, choose, record), most);

  const audioName = make("bdi", { className: "ck-filename" });
  const audioFacts = make("span", { className: "ck-soft ck-facts" });
  const chooseAgain = button("Choose another", on.choose, { className: "ck-button ck-quiet" });
  const recordAgain = pictured("mic", "Record", on.record, { className: "ck-button ck-quiet" });
  const head = make("div", { className: "ck-audio" }, make("div", { className: "ck-title" }, audioName, audioFacts), make("div", { className: "ck-row" }, chooseAgain, recordAgain));
  const player = make("audio", { controls: true, preload: "metadata", className: "ck-player", "aria-label": "Player", hidden: true });
  const listen = pictured("play", "Listen", on.listen, { hidden: true });
  const fetching = progressBar("Fetching the audio", "ck-thin");

  const dot = make("span", { className: "ck-dot", "aria-hidden": "true" });
  const timer = make("span", { className: "ck-timer", role: "timer", "aria-label": "Recorded" });
  const level = make("span", { className: "ck-fill" });
  const stop = button("Finish", on.stop, { className: "ck-button ck-primary" });
  const pause = button("Pause", on.pause);
  const discard = button("Discard", on.discard, { className: "ck-button ck-quiet" });
  const strip = make("div", { className: "ck-strip ck-recording", role: "group", "aria-label": "Recording" }, dot, timer, make("span", { className: "ck-level", "aria-hidden": "true" }, level), make("div", { className: "ck-row" }, pause, stop, discard));

  const upName = make("bdi", { className: "ck-filename" });
  const upFacts = make("span", { className: "ck-soft ck-facts" });
  const upBar = progressBar("Upload");
  const upCancel = button("Cancel", on.discard);
  const up = make("div", { className: "ck-strip ck-uploading", role: "group", "aria-label": "Upload" }, make("div", { className: "ck-grow" }, make("div", { className: "ck-title" }, upName, upFacts), upBar), upCancel);

  const restWords = make("span", { className: "ck-rest-words" });
  const restUse = button("Use what came", on.useRest, { className: "ck-button ck-primary" });
  const restChoose = button("Choose the file again", on.choose, { className: "ck-button ck-primary" });
  const restDrop = button("Discard", on.dropRest, { className: "ck-button ck-quiet" });
  const rest = make("div", { className: "ck-strip ck-rest", role: "group", "aria-label": "Unfinished" }, make("div", { className: "ck-grow" }, restWords), make("div", { className: "ck-row" }, restUse, restChoose, restDrop));

  const verbs = Object.fromEntries([["transcribe", "Transcribe"], ["translate", "Translate into English"]].map(([value, label]) => {
    const input = make("input", { type: "radio", name: `ck-verb-${uid}`, value });
    return [value, { input, node: make("label", { className: "ck-choice" }, input, make("span", {}, label)) }];
  }));
  const price = make("span", { className: "ck-soft ck-price" });
  const go = button("Transcribe", on.go, { className: "ck-button ck-primary ck-go" });
  const task = make("div", { className: "ck-task" }, make("div", { className: "ck-choices", role: "radiogroup", "aria-label": "What to do" }, verbs.transcribe.node, verbs.translate.node), make("div", { className: "ck-row ck-end" }, price, go));

  const jobWords = make("span", { className: "ck-soft ck-job-words" });
  const jobBar = progressBar("Recognition");
  const jobCancel = button("Cancel", on.cancelJob);
  const job = make("div", { className: "ck-strip ck-job", role: "group", "aria-label": "Recognition" }, make("div", { className: "ck-grow" }, jobWords, jobBar), jobCancel);

  const notice = make("div", { className: "ck-notice", role: "status" });
  const errorText = make("span", { dir: "auto" });
  const error = make("div", { className: "ck-error", role: "alert", hidden: true }, errorText);

  const caption = make("span", { className: "ck-soft ck-caption" });
  const lines = make("div", { className: "ck-lines", role: "list", "aria-label": "Transcript" });
  const notes = make("ul", { className: "ck-notes ck-soft" });
  const format = make("select", { className: "ck-field", "aria-label": "Format" });
  const save = button("Download", on.save);
  const copy = copyButton(/** @type {any} */ (on.copy), "Copy the text");
  const toChat = button("Send to chat", on.toChat, { title: "Puts the text into the chat's box; you send it" });
  const result = make("section", { className: "ck-result", "aria-label": "Result" }, make("div", { className: "ck-row ck-between" }, make("span", { className: "ck-heading" }, "Transcript"), caption), lines, notes, make("div", { className: "ck-row" }, format, save, copy, toChat));

  const models = make("datalist", { id: `ck-models-${uid}` });
  const languages = make("datalist", { id: `ck-languages-${uid}` });
  const language = make("input", { type: "text", className: "ck-field", list: languages.id, autocomplete: "off", spellcheck: false, placeholder: "found out" });
  const modelName = make("input", { type: "text", className: "ck-field", list: models.id, autocomplete: "off", spellcheck: false, placeholder: "default" });
  const prompt = make("textarea", { className: "ck-field", rows: 2, dir: "auto", placeholder: "names and terms that occur" });
  const settings = make("details", { className: "ck-settings" }, make("summary", { className: "ck-summary" }, "Settings"), make("div", { className: "ck-fields" }, labelled("Language", language), labelled("Model", modelName), labelled("Prompt", prompt, "ck-wide"), models, languages));
  const endpoint = make("span", { className: "ck-endpoint" });
  const session = make("span", { className: "ck-session" });
  const spoken = make("div", { className: "ck-spoken", "aria-live": "polite" });
  const root = make(
    "section",
    { className: "ck-widget ck-uploader mathjax_ignore tex2jax_ignore", "aria-label": "Audio", "data-lm-suppress-shortcuts": "true", "data-ck-name": name },
    file, drop, head, player, listen, fetching, strip, up, rest, task, job, notice, error, result,
    make("div", { className: "ck-foot" }, settings, make("div", { className: "ck-info" }, endpoint, session)),
    spoken,
  );
  return {
    root, file, invitation, most, choose, record, drop, audioName, audioFacts, chooseAgain, recordAgain, head, player, listen, fetching, dot, timer, level, stop, pause, discard, strip,
    upName, upFacts, upBar, up, rest, restWords, restUse, restChoose, verbs, price, go, task, jobWords, jobBar, jobCancel, job, notice, error, errorText,
    caption, lines, notes, format, save, copy, toChat, result, models, languages, language, model: modelName, prompt, settings, endpoint, session, spoken,
  };
}

/* ---------------------------------------------------------------- the transcript's lines */

/**
 * Lines that a person can edit; what is being edited is not overwritten.
 * @param {HTMLElement} list @param {(start: number) => void} play @param {(line: string, text: string) => Promise<void>} edit
 */
function openLines(list, play, edit) {
  /** @type {Map<string, {entry: Entry, node: HTMLElement, text: HTMLElement}>} */
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

  /** @param {Entry} entry */
  function drawLine(entry) {
    const label = entry.start === null ? "Text" : `Text at ${clock(entry.start)}`;
    const text = make("div", { className: "ck-line-text", role: "textbox", tabIndex: 0, dir: "auto", "aria-label": label, "aria-multiline": "true", spellcheck: true }, entry.text);
    text.setAttribute("contenteditable", "plaintext-only");
    if (text.contentEditable !== "plaintext-only") text.setAttribute("contenteditable", "true");
    const node = make("div", { className: "ck-line", role: "listitem" });
    if (entry.start !== null) {
      node.append(make("button", { type: "button", className: "ck-time", "aria-label": `Play from ${clock(entry.start)}`, onclick: () => play(entry.start) }, clock(entry.start)));
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
    /** @param {Entry[]} entries */
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

/* ---------------------------------------------------------------- one view */

/** @param {{model: Model, el: HTMLElement}} context @param {ReturnType<typeof openDesk>} desk */
function mount({ model, el }, desk) {
  const { link, state } = desk;
  const mounted = Date.now();
  let startedAt = 0;
  let started = "";
  let cancelling = "";
  let said = "";
  let seek = -1;
  let frame = 0;
  /** @type {Set<ReturnType<typeof setTimeout>>} */
  const timers = new Set();

  const ui = build(model.get("name"), {
    choose: () => ui.file.click(),
    record: () => void desk.record(),
    stop: () => desk.recording?.stop(),
    pause: () => (desk.recording?.paused() ? desk.recording.resume() : desk.recording?.pause()),
    discard: () => desk.cancelUpload(),
    useRest: () => link.post({ type: "end", upload: state.status.incoming?.id }),
    dropRest: () => link.post({ type: "drop", upload: state.status.incoming?.id }),
    listen: () => void desk.listen(),
    go,
    cancelJob,
    save: () => void save(),
    copy: async () => (await fetchText("txt")).text,
    toChat: () => void toChat(),
  });
  const lines = openLines(ui.lines, play, (line, text) => act({ type: "edit", transcript: state.status.transcript?.id, line, text }));

  /** @param {() => void} call @param {number} wait */
  function later(call, wait) {
    const timer = setTimeout(() => {
      timers.delete(timer);
      call();
    }, wait);
    timers.add(timer);
  }

  /* --- towards the kernel */

  /** Have something done, and say so if it was not. @param {Record<string, any>} content */
  async function act(content) {
    try {
      await link.act(content);
    } catch (error) {
      desk.refuse(/** @type {Error} */ (error).message);
    }
  }

  function go() {
    if (state.status.phase !== "ready" || started || state.gone) return;
    desk.clearFault();
    startedAt = Date.now();
    started = link.post({ type: "start", audio: state.status.audio.id });
    draw();
    later(draw, ACK_LATE + 50);
  }

  function cancelJob(/** @type {MouseEvent} */ event) {
    // the second click of a double click on Transcribe lands on Cancel
    if (cancelling || (event.detail > 1 && Date.now() - startedAt < DOUBLE_CLICK)) return;
    cancelling = state.status.job?.id ?? started;
    link.post({ type: "cancel", job: state.status.job?.id ?? "", start: started });
    draw();
    later(() => {
      cancelling = "";
      draw();
    }, CANCEL_AGAIN);
  }

  /** @param {string} format */
  async function fetchText(format) {
    await lines.settled();
    const { blob, name } = await fetchPieces(link, { what: format });
    return { text: await blob.text(), blob, name };
  }

  async function save() {
    try {
      const { text, blob, name } = await fetchText(ui.format.value);
      download(name, blob.type, text);
    } catch (error) {
      desk.refuse(/** @type {Error} */ (error).message);
    }
  }

  async function toChat() {
    await lines.settled();
    await act({ type: "to_chat" });
  }

  /* --- sound */

  /** @param {number} seconds */
  function play(seconds) {
    seek = seconds;
    if (desk.sound) playNow();
    else void desk.listen();
  }

  function playNow() {
    if (seek < 0 || !Number.isFinite(ui.player.duration)) return;
    ui.player.currentTime = seek;
    seek = -1;
    ui.player.play().catch((/** @type {Error} */ error) => console.debug("chatkit: play", error));
  }

  // A recording has no duration in its container: the end is looked for once.
  ui.player.addEventListener("loadedmetadata", () => {
    if (Number.isFinite(ui.player.duration)) return playNow();
    const back = () => {
      if (!Number.isFinite(ui.player.duration)) return;
      ui.player.removeEventListener("durationchange", back);
      ui.player.currentTime = 0;
      playNow();
    };
    ui.player.addEventListener("durationchange", back);
    ui.player.currentTime = 1e9;
  });
  ui.player.addEventListener("timeupdate", () => lines.follow(ui.player.currentTime));

  function drawSound() {
    const audio = state.status.audio;
    const url = desk.sound?.url ?? "";
    const tooLong = audio && audio.size > LISTEN_MOST;
    if ((ui.player.getAttribute("src") ?? "") !== url) {
      if (url) ui.player.src = url;
      else {
        ui.player.removeAttribute("src");
        ui.player.load();
      }
    }
    const quiet = !audio || Boolean(desk.recording) || Boolean(desk.upload);
    ui.player.hidden = quiet || !url;
    ui.listen.hidden = quiet || Boolean(url) || desk.fetched >= 0 || tooLong || Boolean(state.gone);
    ui.listen.lastChild.textContent = `Listen (fetches ${sizeWords(audio?.size ?? 0)} from the kernel)`;
    ui.fetching.hidden = quiet || desk.fetched < 0;
    if (desk.fetched >= 0) ui.fetching.value = desk.fetched;
  }

  /* --- state */

  function drawSource() {
    const { audio, incoming } = state.status;
    const { upload, recording } = desk;
    const here = Boolean(upload);
    const busy = here || Boolean(recording) || state.status.phase === "working" || Boolean(started);
    const rest = !here && incoming;
    const empty = !audio && !here && !rest;
    ui.drop.hidden = !empty;
    ui.head.hidden = !audio || here;
    ui.audioName.textContent = audio?.name ?? "";
    ui.audioFacts.textContent = audio ? [audio.duration ? clock(audio.duration) : "", sizeWords(audio.size)].filter(Boolean).join(" · ") : "";
    for (const node of [ui.choose, ui.record, ui.chooseAgain, ui.recordAgain]) node.disabled = busy || desk.opening || Boolean(state.gone);
    ui.most.textContent = `flac, mp3, mp4, m4a, ogg, wav, webm · up to ${sizeWords(state.status.most ?? 1e9)}`;
    ui.strip.hidden = !recording;
    ui.up.hidden = !here || Boolean(recording && !recording.ended());
    if (recording?.ended()) ui.strip.hidden = true;
    if (recording) drawRecording(recording);
    if (upload) drawUpload(upload);
    ui.rest.hidden = !rest;
    if (rest) drawRest(incoming);
  }

  /** @param {NonNullable<typeof desk.recording>} recording */
  function drawRecording(recording) {
    const paused = recording.paused();
    ui.strip.classList.toggle("ck-paused", paused);
    ui.pause.textContent = paused ? "Resume" : "Pause";
    ui.timer.textContent = clock(recording.seconds());
    if (!frame) frame = requestAnimationFrame(tick);
  }

  function tick() {
    frame = 0;
    const recording = desk.recording;
    if (!recording || recording.ended()) return;
    ui.level.style.transform = `scaleX(${recording.level().toFixed(3)})`;
    const words = clock(recording.seconds());
    if (ui.timer.textContent !== words) ui.timer.textContent = words;
    frame = requestAnimationFrame(tick);
  }

  /** @param {NonNullable<typeof desk.upload>} upload */
  function drawUpload(upload) {
    ui.upName.textContent = upload.about.name;
    ui.upFacts.textContent = `${sizeWords(upload.have)} of ${sizeWords(upload.size)}`;
    ui.upBar.value = upload.size ? upload.have / upload.size : 0;
  }

  /** @param {any} incoming */
  function drawRest(incoming) {
    const words = incoming.recorded
      ? ["A recording of ", `${clock(incoming.seconds)} is here, made on another page or before this page was loaded again.`]
      : [incoming.name, ` is here in part: ${sizeWords(incoming.have)} of ${sizeWords(incoming.size)}. It is being sent from another page, or this page was loaded again.`];
    ui.restWords.replaceChildren(incoming.recorded ? words[0] : make("bdi", { className: "ck-filename" }, words[0]), words[1]);
    ui.restUse.hidden = !incoming.recorded;
    ui.restChoose.hidden = incoming.recorded;
  }

  function drawTask() {
    const { status } = state;
    const working = status.phase === "working";
    if (working) started = "";
    ui.task.hidden = status.phase !== "ready" || Boolean(desk.upload) || Boolean(started);
    for (const [value, { input }] of Object.entries(ui.verbs)) input.checked = status.verb === value;
    ui.price.textContent = status.price ?? "";
    ui.go.textContent = status.verb === "translate" ? "Translate" : "Transcribe";
    ui.go.disabled = Boolean(state.gone) || status.phase !== "ready";
    ui.job.hidden = Boolean(state.gone) || (!working && !started);
    ui.jobWords.textContent = cancelling ? "Cancelling…" : status.job?.words ?? "Starting…";
    const share = status.job?.share;
    typeof share === "number" ? (ui.jobBar.value = share) : ui.jobBar.removeAttribute("value");
    ui.jobCancel.disabled = Boolean(cancelling);
  }

  function drawResult() {
    const transcript = state.status.transcript;
    ui.result.hidden = !transcript;
    if (!transcript) return;
    ui.caption.textContent = transcript.caption;
    const values = [...ui.format.options].map((option) => option.value).join();
    if (values !== transcript.forms.join()) ui.format.replaceChildren(...transcript.forms.map((/** @type {string} */ value) => make("option", { value }, value)));
    ui.notes.replaceChildren(...transcript.notes.map((/** @type {string} */ note) => make("li", { dir: "auto" }, note)));
    ui.toChat.hidden = !state.status.chat;
    ui.lines.classList.toggle("ck-none", !state.entries.length);
  }

  function drawSettings(/** @type {Record<string, any>} */ changes) {
    const status = state.status;
    for (const name of /** @type {const} */ (["language", "model", "prompt"])) {
      if (name in changes && document.activeElement !== ui[name]) ui[name].value = changes[name];
    }
    if ("models" in changes) ui.models.replaceChildren(...status.models.map((/** @type {string} */ value) => make("option", { value })));
    if ("languages" in changes) ui.languages.replaceChildren(...status.languages.map((/** @type {[string, string]} */ [value, label]) => make("option", { value, label })));
    ui.language.disabled = Boolean(state.gone) || status.verb === "translate";
    ui.language.placeholder = status.verb === "translate" ? "found out; into English" : "found out";
    ui.settings.hidden = Boolean(state.gone);
    ui.endpoint.textContent = status.endpoint ?? "";
    ui.session.textContent = status.session ?? "";
  }

  function drawWords() {
    const { status } = state;
    const silent = !state.answered && Date.now() - mounted >= UNANSWERED_AFTER ? SILENT : "";
    const starting = started && Date.now() - startedAt >= ACK_LATE ? BUSY : "";
    const opening = desk.opening ? "Waiting for the microphone…" : "";
    ui.notice.textContent = state.gone || silent || opening || desk.waiting || starting || status.notice || "";
    const words = desk.fault || (status.error?.text ?? "");
    ui.error.hidden = !words || Boolean(state.gone);
    if (ui.errorText.textContent !== words) ui.errorText.textContent = words;
    ui.root.classList.toggle("ck-gone", Boolean(state.gone));
    const phase = desk.recording && !desk.recording.ended() ? "recording" : desk.upload ? "uploading" : started ? "starting" : status.phase ?? "silent";
    ui.root.dataset.phase = state.gone ? "gone" : phase;
  }

  /** @param {Record<string, any>} [changes] @param {boolean} [fresh] */
  function draw(changes = {}, fresh = false) {
    if (changes.error) started = "";
    if (fresh) started = "";
    drawSource();
    drawSound();
    drawTask();
    drawResult();
    drawSettings(changes);
    drawWords();
    if (fresh || changes.entries) lines.draw(state.entries);
    if (changes.transcript && changes.transcript.id !== said && !fresh) speak(changes.transcript);
    if ("transcript" in changes) said = changes.transcript?.id ?? "";
  }

  /** Say once that it is done, though it may be shown twice. @param {any} transcript */
  function speak(transcript) {
    if (document.querySelector(`[data-ck-name="${model.get("name")}"]`) === ui.root) {
      ui.spoken.textContent = transcript.empty ? "No speech found" : "Transcript ready";
    }
  }

  /* --- listen */

  ui.file.addEventListener("change", () => {
    const [file] = ui.file.files ?? [];
    if (file) void desk.take(file);
    ui.file.value = "";
  });
  let over = 0;
  const carriesFiles = (/** @type {DragEvent} */ event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  /** @type {[string, (event: DragEvent) => void][]} */
  const drags = [
    ["dragenter", () => (over += 1)],
    ["dragleave", () => (over -= 1)],
    ["dragover", () => {}],
    [
      "drop",
      (event) => {
        over = 0;
        const files = [...(event.dataTransfer?.files ?? [])];
        if (files.length > 1) desk.refuse("One file at a time, please: drop just one.");
        else if (files[0]) void desk.take(files[0]);
      },
    ],
  ];
  for (const [name, take] of drags) {
    ui.root.addEventListener(name, (/** @type {DragEvent} */ event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      event.stopPropagation();
      take(event);
      ui.root.classList.toggle("ck-over", over > 0);
    });
  }
  for (const [value, { input }] of Object.entries(ui.verbs)) {
    input.addEventListener("change", () => link.post({ type: "set", field: "verb", value }));
  }
  for (const name of /** @type {const} */ (["language", "model", "prompt"])) {
    ui[name].addEventListener("change", () => link.post({ type: "set", field: name, value: ui[name].value }));
  }

  desk.views.add(draw);
  el.append(ui.root);
  draw(state.status, true);
  later(draw, UNANSWERED_AFTER);

  return () => {
    desk.views.delete(draw);
    cancelAnimationFrame(frame);
    for (const timer of timers) clearTimeout(timer);
    ui.player.removeAttribute("src");
    ui.root.remove();
  };
}

// anywidget calls this once for each model: its views share one desk.
export default () => {
  /** @type {ReturnType<typeof openDesk> | null} */
  let desk = null;
  return {
    /** @param {{model: Model}} context */
    initialize({ model }) {
      const opened = (desk = openDesk(model));
      return () => opened.close();
    },
    /** @param {{model: Model, el: HTMLElement}} context */
    render(context) {
      return mount(context, /** @type {ReturnType<typeof openDesk>} */ (desk));
    },
  };
};
