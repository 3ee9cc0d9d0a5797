// @ts-check
// How long and how large, in words.

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
