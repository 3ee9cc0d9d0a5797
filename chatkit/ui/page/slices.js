// @ts-check
/**
 * Audio on its way to the kernel and back, in slices: the kernel says how far it has them without a gap.
 *
 * @typedef {{size: () => number, ended: () => boolean, slice: (from: number, to: number) => Blob}} Source
 */

// one message over 10 MiB closes the kernel's connection
const SLICE = 2 ** 20;
const IN_FLIGHT = 8 * SLICE;
const HEAD = 65536;
const ACK_LATE = 700;
const ASK_FIRST = 1000;
const ASK_LATEST = 60000;
const PIECE = 2 ** 19;

/** Adler-32 of bytes, as zlib computes it, on top of that of the bytes before them. @param {ArrayBuffer} buffer @param {number} [sum] */
function adler(buffer, sum = 1) {
  const bytes = new Uint8Array(buffer);
  let a = sum % 65536;
  let b = Math.floor(sum / 65536);
  // so few that the sums stay exact in between
  for (let start = 0; start < bytes.length; start += 3800) {
    const end = Math.min(start + 3800, bytes.length);
    for (let i = start; i < end; i += 1) b += a += bytes[i];
    a %= 65521;
    b %= 65521;
  }
  return b * 65536 + a;
}

/**
 * Send a source from where the kernel has it, at most `IN_FLIGHT` bytes ahead of what it has acknowledged.
 * @param {Model} model @param {ReturnType<typeof openLink>} link @param {Source} source
 * @param {Record<string, any>} about what the kernel is told of it: name, size, recorded…
 * @param {() => void} changed
 */
function sendAudio(model, link, source, about, changed) {
  const id = newId();
  let going = false;
  let pumping = false;
  let checking = false;
  let over = false;
  let sent = 0;
  let have = 0;
  // counts how often sending went back; what was acknowledged before that says nothing about a gap
  let round = 0;
  let heardAt = Date.now();
  let askedAt = Date.now();
  let pause = ASK_FIRST;
  let fresh = false;
  let ending = false;
  let more = {};
  // the kernel answers beside a running cell, which holds the slices up
  let held = false;

  const begin = () => link.post({ type: "begin", upload: id, fresh, ...about });

  async function pump() {
    if (pumping || !going || over) return;
    pumping = true;
    while (!over && sent < source.size() && sent - have < IN_FLIGHT) {
      const [from, to, turn] = [sent, Math.min(sent + SLICE, source.size()), round];
      const data = await source.slice(from, to).arrayBuffer().catch(() => null);
      if (!data) {
        fail("The file can no longer be read; it was changed or taken away.");
        break;
      }
      if (over || turn !== round) continue;
      if (sent === have) heardAt = Date.now();
      model.send({ type: "slice", upload: id, offset: from, round, ...more }, undefined, [data]);
      sent = to;
    }
    pumping = false;
    if (!over && !ending && source.ended() && have === source.size()) {
      ending = true;
      link.post({ type: "end", upload: id });
    }
  }

  /** Adler-32 of the source up to there; NaN if it cannot be read. @param {number} end */
  async function sumUpTo(end) {
    let sum = 1;
    for (let from = 0; from < end && !over; from += SLICE) {
      const data = await source.slice(from, Math.min(from + SLICE, end)).arrayBuffer().catch(() => null);
      sum = data ? adler(data, sum) : NaN;
    }
    return sum;
  }

  /** The kernel has a part already: go on there, if it is a part of this file. @param {number} offset @param {number} sum */
  async function goOn(offset, sum) {
    checking = true;
    const same = !offset || (await sumUpTo(offset)) === sum;
    checking = false;
    if (over || going) return undefined;
    if (!same) {
      fresh = true;
      return begin();
    }
    have = sent = offset;
    going = true;
    heardAt = Date.now();
    changed();
    return pump();
  }

  /** @param {any} message */
  function hear(message) {
    if (message.upload !== id || over) return;
    if (message.aside) {
      if (held !== sent > message.offset) {
        held = !held;
        changed();
      }
      return;
    }
    held = false;
    heardAt = Date.now();
    pause = ASK_FIRST;
    if (message.type === "go" && !going && !checking) void goOn(message.offset, message.sum);
    else if (message.type === "refused") stop();
    else if (message.type === "lost") startAgain();
    else if (message.type === "have") {
      have = Math.max(have, message.offset);
      if (message.gap && message.round === round) {
        round += 1;
        sent = have = message.offset;
      }
      sent = Math.max(sent, have);
      changed();
      void pump();
    }
  }

  /** The kernel has never heard of it: what was said got lost with a connection. */
  function startAgain() {
    round += 1;
    have = sent = 0;
    going = Boolean(about.recorded);
    begin();
    void pump();
  }

  /** Something may have been lost: ask what the kernel has. */
  function askAgain() {
    askedAt = Date.now();
    if (!going) begin();
    else if (ending) link.post({ type: "end", upload: id });
    else link.post({ type: "where", upload: id, round });
  }

  const late = () => !over && !checking && (!going || sent > have || ending) && Date.now() - heardAt > ACK_LATE;
  const watch = setInterval(() => {
    if (late()) changed();
    if (late() && Date.now() - Math.max(heardAt, askedAt) > pause) {
      pause = Math.min(pause * 2, ASK_LATEST);
      askAgain();
    }
  }, 500);

  function stop() {
    if (over) return;
    over = true;
    clearInterval(watch);
    model.off("msg:custom", hear);
    changed();
  }

  let failure = "";
  /** @param {string} words */
  function fail(words) {
    failure = words;
    link.post({ type: "drop", upload: id });
    stop();
  }

  model.on("msg:custom", hear);
  begin();
  if (about.recorded) {
    // nobody has a part of it: what is said is sent at once, even if the kernel is busy and answers later
    going = true;
  }
  return {
    id,
    about,
    pump,
    stop,
    /** Words that go along with each slice. @param {Record<string, any>} words */
    tell(words) {
      more = words;
    },
    cancel() {
      link.post({ type: "drop", upload: id });
      stop();
    },
    get have() {
      return have;
    },
    get size() {
      return source.size();
    },
    get late() {
      return late();
    },
    get held() {
      return held;
    },
    get over() {
      return over;
    },
    get failure() {
      return failure;
    },
  };
}

/**
 * Fetch something from the kernel, piece by piece.
 * @param {ReturnType<typeof openLink>} link @param {Record<string, any>} what @param {(share: number) => void} [progress]
 * @returns {Promise<{blob: Blob, name: string}>}
 */
async function fetchPieces(link, what, progress = () => {}) {
  /** @type {Blob[]} */
  let pieces = [];
  let offset = 0;
  let stamp;
  for (;;) {
    const piece = await link.query({ type: "fetch", ...what, offset, length: PIECE });
    if (offset && piece.stamp !== stamp) {
      [pieces, offset] = [[], 0];
      continue;
    }
    stamp = piece.stamp;
    if (piece.data) pieces.push(new Blob([piece.data]));
    offset += piece.data?.byteLength ?? 0;
    progress(piece.total ? offset / piece.total : 1);
    if (offset >= piece.total) return { blob: new Blob(pieces, { type: piece.mime }), name: piece.name };
  }
}
