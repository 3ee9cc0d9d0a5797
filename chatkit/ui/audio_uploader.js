// @ts-check
/**
 * The page's side of AudioUploader: one view of what the page holds (audio_desk.js) and of what the kernel tells.
 */

const CANCEL_AGAIN = 2000;
/* ---------------------------------------------------------------- one view */

/** @param {{model: Model, el: HTMLElement}} context @param {ReturnType<typeof openAudioDesk>} desk */
function mountUploader({ model, el }, desk) {
  const { link, state } = desk;
  let startedAt = 0;
  let started = "";
  let cancelling = "";
  let said = "";
  let corrected = -1;
  let frame = 0;
  const timers = openTimers();
  const { later } = timers;

  const ui = uploaderParts(model.get("name"), {
    choose: () => ui.file.click(),
    record: () => sure(() => void desk.record()),
    stop: () => desk.recording?.stop(),
    pause: () => (desk.recording?.paused() ? desk.recording.resume() : desk.recording?.pause()),
    discard: () => desk.cancelUpload(),
    useRest: () => link.post({ type: "end", upload: state.status.incoming?.id }),
    dropRest: () => link.post({ type: "drop", upload: state.status.incoming?.id }),
    listen: () => void desk.listen(),
    go: () => sure(go),
    cancelJob,
    save: () => void save(),
    copy: async () => (await fetchText("txt")).text,
    toChat: () => void toChat(),
  });
  const lines = openLines(ui.lines, (seconds) => player.play(seconds), edit);

  const player = openPlayer(ui, desk, lines.follow);

  /* --- towards the kernel */

  /** Have something done, and say so if it was not. @param {Record<string, any>} content */
  async function act(content) {
    try {
      await link.act(content);
    } catch (error) {
      desk.refuse(/** @type {Error} */ (error).message);
    }
  }

  /** @param {string} line @param {string} text */
  function edit(line, text) {
    corrected = state.status.transcript?.id;
    return act({ type: "edit", transcript: corrected, line, text });
  }

  /** What would replace a transcript that a person has corrected is done only if that is meant. @param {() => void} work */
  function sure(work) {
    void lines.settled();
    const transcript = state.status.transcript;
    ui.ask.hidden = !transcript || !(transcript.edited || transcript.id === corrected);
    if (ui.ask.hidden) return work();
    ui.askReplace.onclick = () => {
      ui.ask.hidden = true;
      work();
    };
    ui.askReplace.focus();
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
    ui.lines.classList.toggle("ck-none", !desk.entries.length);
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
    const starting = started && Date.now() - startedAt >= ACK_LATE ? BUSY : "";
    const opening = desk.opening ? "Waiting for the microphone…" : "";
    ui.notice.textContent = state.gone || state.silent || opening || desk.waiting || starting || status.notice || "";
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
    player.draw();
    drawTask();
    drawResult();
    drawSettings(changes);
    drawWords();
    if (fresh || changes.entries) lines.draw(desk.entries);
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
    if (file) sure(() => void desk.take(file));
    ui.file.value = "";
  });
  takeDrops(ui.root, (file) => sure(() => void desk.take(file)), desk.refuse);
  for (const [value, { input }] of Object.entries(ui.verbs)) {
    input.addEventListener("change", () => link.post({ type: "set", field: "verb", value }));
  }
  for (const name of /** @type {const} */ (["language", "model", "prompt"])) {
    ui[name].addEventListener("change", () => link.post({ type: "set", field: name, value: ui[name].value }));
  }

  desk.views.add(draw);
  el.append(ui.root);
  draw(state.status, true);

  return () => {
    desk.views.delete(draw);
    cancelAnimationFrame(frame);
    timers.close();
    ui.player.removeAttribute("src");
    ui.root.remove();
  };
}

export default widgetOf(openAudioDesk, mountUploader);
