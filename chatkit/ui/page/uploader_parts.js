// @ts-check
// What an audio uploader looks like: its parts.

const ACCEPT = "audio/*,video/mp4,video/webm,video/quicktime,video/x-matroska,.flac,.mp3,.mp4,.mpeg,.mpga,.m4a,.ogg,.oga,.opus,.wav,.webm,.mov,.mkv,.ts,.m2ts";

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
function uploaderParts(name, on) {
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

  const askReplace = button("Replace it", () => {}, { className: "ck-button ck-danger" });
  const askKeep = button("Keep it", () => (ask.hidden = true));
  const ask = make("div", { className: "ck-strip ck-ask", role: "group", "aria-label": "The corrected transcript", hidden: true }, make("div", { className: "ck-grow" }, "The transcript was corrected by hand, and this would replace it."), make("div", { className: "ck-row" }, askKeep, askReplace));

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
    file, drop, head, player, listen, fetching, strip, up, rest, task, job, ask, notice, error, result,
    make("div", { className: "ck-foot" }, settings, make("div", { className: "ck-info" }, endpoint, session)),
    spoken,
  );
  return {
    root, file, invitation, most, choose, record, drop, audioName, audioFacts, chooseAgain, recordAgain, head, player, listen, fetching, dot, timer, level, stop, pause, discard, strip,
    upName, upFacts, upBar, up, rest, restWords, restUse, restChoose, verbs, price, go, task, jobWords, jobBar, jobCancel, job, notice, error, errorText,
    caption, lines, notes, format, save, copy, toChat, result, ask, askReplace, models, languages, language, model: modelName, prompt, settings, endpoint, session, spoken,
  };
}
