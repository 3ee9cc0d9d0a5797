// @ts-check
// The microphone: whether there is one, what it hears, how loud it is.

const TIMESLICE = 1000;
const IN_THE_SITE = "Allow it in the site's settings, beside the address, and try again.";
const IN_THE_SYSTEM = {
  windows: "Allow it in Windows' Settings, Privacy & security, Microphone (for desktop apps too), and try again.",
  mac: "Allow it for this browser in System Settings, Privacy & Security, Microphone, start the browser again and try again.",
  other: "Allow it in the privacy settings of the system and try again.",
};
const NO_MICROPHONE = {
  NotFoundError: "No microphone was found. Connect one and try again.",
  NotReadableError: "The microphone cannot be opened; another program may be using it. Close that and try again.",
};
const INSECURE = "Browsers give the microphone to pages on https or localhost only, and this page came over plain http.";
const EMBEDDED = "This page is shown inside another one that does not pass the microphone on.";
const NO_RECORDER = "This browser cannot record.";
const UPLOAD_STAYS = "Choosing a file still works.";

/** Why the microphone cannot work here; empty if it may. */
function microphoneFault() {
  const secure = window.isSecureContext && navigator.mediaDevices?.getUserMedia;
  const policy = /** @type {any} */ (document).featurePolicy ?? /** @type {any} */ (document).permissionsPolicy;
  if (frontEnd().noMicrophone) return frontEnd().noMicrophone;
  if (!secure) return INSECURE;
  if (policy?.allowsFeature && !policy.allowsFeature("microphone")) return EMBEDDED;
  return window.MediaRecorder ? "" : NO_RECORDER;
}

/** Who does not let this page use the microphone, and where that is changed. @param {string} message */
function deniedBy(message) {
  const system = IN_THE_SYSTEM[ownSystem()];
  if (/\bby (the )?(operating )?system\b/i.test(message)) return `The system does not let the browser use the microphone. ${system}`;
  const site = `The browser does not let this page use the microphone. ${IN_THE_SITE}`;
  // Safari and Firefox say the same of both
  return /\bplatform\b/i.test(message) ? `${site} If it is allowed there: ${system}` : site;
}

/** The microphone's sound, or an Error that says why not, in a sentence. @returns {Promise<MediaStream>} */
async function openMicrophone() {
  const fault = microphoneFault();
  if (fault) throw new Error(`${fault} ${UPLOAD_STAYS}`);
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    const { name, message } = /** @type {DOMException} */ (error);
    const words = /^(NotAllowed|Security)Error$/.test(name)
      ? deniedBy(message)
      : (NO_MICROPHONE[/** @type {keyof typeof NO_MICROPHONE} */ (name)] ?? `The microphone cannot be opened: ${message || name}.`);
    throw new Error(`${words} ${UPLOAD_STAYS}`);
  }
}

/** How loud a stream is, from 0 to 1. @param {MediaStream} stream */
function openMeter(stream) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  return {
    level() {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
      // -60 dB to 0 dB
      return Math.min(1, Math.max(0, 1 + Math.log10(power + 1e-12) / 6));
    },
    close: () => void context.close(),
  };
}

/**
 * Record a stream, in chunks of a second; a source that grows.
 * @param {MediaStream} stream @param {() => void} changed hears of each chunk, each pause, and the end
 */
function startRecording(stream, changed) {
  const type = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"].find((name) => MediaRecorder.isTypeSupported(name));
  const recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
  const meter = openMeter(stream);
  /** @type {Blob[]} */
  const chunks = [];
  let size = 0;
  let before = 0;
  let since = performance.now();
  let ended = false;
  const mime = (recorder.mimeType || type || "").split(";")[0];

  function pauseClock() {
    if (recorder.state === "recording") before += performance.now() - since;
  }

  recorder.ondataavailable = ({ data }) => {
    chunks.push(data);
    size += data.size;
    changed();
  };
  recorder.onstop = () => {
    ended = true;
    meter.close();
    for (const track of stream.getTracks()) track.stop();
    changed();
  };
  // a microphone that is pulled out, or a permission that is taken back
  stream.getAudioTracks()[0]?.addEventListener("ended", () => stop());
  recorder.start(TIMESLICE);

  function stop() {
    pauseClock();
    if (recorder.state !== "inactive") recorder.stop();
  }

  return {
    mime,
    ending: { "audio/webm": "webm", "audio/mp4": "m4a", "audio/ogg": "ogg" }[mime] ?? "webm",
    size: () => size,
    ended: () => ended,
    /** @param {number} from @param {number} to */
    slice: (from, to) => new Blob(chunks).slice(from, to),
    blob: () => new Blob(chunks, { type: mime }),
    level: () => (recorder.state === "recording" ? meter.level() : 0),
    seconds: () => (before + (recorder.state === "recording" ? performance.now() - since : 0)) / 1000,
    paused: () => recorder.state === "paused",
    pause() {
      pauseClock();
      recorder.pause();
      recorder.requestData();
      changed();
    },
    resume() {
      since = performance.now();
      recorder.resume();
      changed();
    },
    stop,
  };
}
