// @ts-check
// What every widget's page is made of: elements, icons, clean HTML, the clipboard, downloads, timers.

const FORBIDDEN = "script,iframe,frame,object,embed,form,style,link,meta,base,img,svg,video,audio,input,button,template";

// within so many milliseconds the second click of a double click lands on what the first one put there
const DOUBLE_CLICK = 600;

/** A name that no other view or request has; crypto.randomUUID is missing on plain http. */
const newId = () => Date.now().toString(36) + Math.random().toString(36).slice(2, 12);

/**
 * @param {string} tag @param {Record<string, any>} [props] @param {(Node | string)[]} children
 * @returns {any}
 */
function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined) continue;
    if (name in node && name !== "list") /** @type {any} */ (node)[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** The one way for HTML into the page. The kernel cleaned it; this is the second fence. @param {Element} target @param {string} html */
function put(target, html) {
  const body = new DOMParser().parseFromString(html, "text/html").body;
  for (const node of body.querySelectorAll(FORBIDDEN)) node.remove();
  for (const node of body.querySelectorAll("*")) {
    for (const { name } of [...node.attributes]) {
      if (/^(on|style$|src|id$|name$|data-|form|action)/i.test(name)) node.removeAttribute(name);
    }
  }
  target.replaceChildren(...body.childNodes);
}

const ICONS = Object.freeze({
  edit: "M11.5 2.5l2 2L5.5 12.5l-2.8.8.8-2.8zM10 4l2 2",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  again: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  inspect: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.3 10.3l3.2 3.2",
  more: "M3 8h.01M8 8h.01M13 8h.01",
  up: "M8 13V3M4 7l4-4 4 4",
  down: "M8 3v10M4 9l4 4 4-4",
  left: "M10 3L5 8l5 5",
  right: "M6 3l5 5-5 5",
  close: "M4 4l8 8M12 4l-8 8",
  check: "M3 8.5l3.5 3.5L13 4.5",
  sound: "M3 6.5v3M6 4v8M9 2v12M12 5.5v5M15 7v2",
  mic: "M8 1.8a2 2 0 0 1 2 2v4a2 2 0 0 1-4 0v-4a2 2 0 0 1 2-2zM3.5 7.5a4.5 4.5 0 0 0 9 0M8 12v2.5",
  play: "M5 3.2v9.6L12.5 8z",
});

/** @param {keyof typeof ICONS} name */
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" })) svg.setAttribute(key, value);
  svg.classList.add("ck-icon");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button that says what it does in words. @param {string} label @param {(event: MouseEvent) => void} act @param {Record<string, any>} [props] */
const button = (label, act, props = {}) => make("button", { type: "button", className: "ck-button", onclick: act, ...props }, label);

/** A button that shows an icon and has its words as a name. @param {keyof typeof ICONS} name @param {string} label @param {(event: MouseEvent) => void} act @param {Record<string, any>} [props] */
const iconButton = (name, label, act, props = {}) =>
  make("button", { type: "button", className: "ck-tool", title: label, "aria-label": label, onclick: act, ...props }, icon(name));

/**
 * Copy a text, or one that the kernel has yet to send; to be called in the click itself.
 * @param {string | Promise<string>} text @returns {Promise<boolean>}
 */
async function copyText(text) {
  try {
    if (typeof text === "string") await navigator.clipboard.writeText(text);
    // a promise is handed over before anything is waited for: Safari takes nothing that comes after the click
    else await navigator.clipboard.write([new ClipboardItem({ "text/plain": text.then((words) => new Blob([words], { type: "text/plain" })) })]);
    return true;
  } catch {
    return copyAtOnce(await text);
  }
}

/** The ways that are left: a browser that takes no promises; plain http, where there is no clipboard API. @param {string} text */
async function copyAtOnce(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make("textarea", { value: text, className: "ck-aside", "aria-hidden": "true" });
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    before?.focus?.({ preventScroll: true });
    return copied;
  }
}

/** A button that copies and says so for a moment. @param {() => string | Promise<string>} text @param {string} [label] */
function copyButton(text, label = "Copy") {
  const node = iconButton("copy", label, async () => {
    const copied = await copyText(text()).catch(() => false);
    node.replaceChildren(icon(copied ? "check" : "close"));
    node.setAttribute("aria-label", copied ? "Copied" : "Could not copy");
    setTimeout(() => {
      node.replaceChildren(icon("copy"));
      node.setAttribute("aria-label", label);
    }, 1500);
  });
  return node;
}

/** @param {string} name @param {string} type @param {string} text */
function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/** Timers that end together. */
function openTimers() {
  /** @type {Set<ReturnType<typeof setTimeout>>} */
  const running = new Set();
  return {
    /** @param {() => void} act @param {number} wait */
    later(act, wait) {
      const timer = setTimeout(() => {
        running.delete(timer);
        act();
      }, wait);
      running.add(timer);
    },
    close() {
      for (const timer of running) clearTimeout(timer);
    },
  };
}

/** Adler-32 of the UTF-8 bytes, as the kernel computes it. @param {string} text */
function digest(text) {
  let a = 1;
  let b = 0;
  for (const byte of new TextEncoder().encode(text)) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return b * 65536 + a;
}
