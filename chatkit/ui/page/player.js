// @ts-check
// The sound of the audio: played from where a person clicks, fetched from the kernel when somebody wants to hear it.

const LISTEN_MOST = 2 ** 28;

/**
 * @param {ReturnType<typeof uploaderParts>} ui @param {ReturnType<typeof openAudioDesk>} desk
 * @param {(seconds: number) => void} follow hears where it plays
 */
function openPlayer(ui, desk, follow) {
  let seek = -1;

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
  ui.player.addEventListener("timeupdate", () => follow(ui.player.currentTime));

  function draw() {
    const { state } = desk;
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

  return { play, draw };
}
