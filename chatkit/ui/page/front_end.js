// @ts-check
// Which front end shows this page, and what of it the rest has to know. Nobody else asks where it runs.

/**
 * `is` tells it by the page's address; `noMicrophone` is why it can never record there; `server` whether the Jupyter
 * server that runs the kernel answers at this page's own address.
 * @typedef {{name: string, is: () => boolean, noMicrophone: string, server: boolean}} FrontEnd
 */

/** @type {FrontEnd[]} */
const FRONT_ENDS = [
  {
    name: "VS Code",
    is: () => location.protocol === "vscode-webview:",
    noMicrophone: "VS Code does not pass the microphone on to notebooks. Record in another program, or open the notebook in JupyterLab.",
    server: false,
  },
  // Colab shows each output in a frame of another site; whether that may use the microphone is asked where it is needed
  { name: "Google Colab", is: () => /(^|[.-])colab\.googleusercontent\.com$/.test(location.hostname), noMicrophone: "", server: false },
  { name: "Jupyter", is: () => true, noMicrophone: "", server: true },
];

/** The front end that shows this page. @returns {FrontEnd} */
function frontEnd() {
  return /** @type {FrontEnd} */ (FRONT_ENDS.find((one) => one.is()));
}

/** The system at which the person sits, wherever the kernel runs. @returns {"windows" | "mac" | "other"} */
function ownSystem() {
  const { userAgentData, platform } = /** @type {any} */ (navigator);
  const name = userAgentData?.platform || platform || "";
  return /^win/i.test(name) ? "windows" : /^mac/i.test(name) ? "mac" : "other";
}

/** Where front ends say on the page, or on its body, which theme they show; what they say beside that is measured. */
const THEME_ATTRIBUTES = ["data-vscode-theme-kind", "theme", "data-theme", "data-color-mode", "data-color-scheme", "data-bs-theme"];
const THEME_WORD = /(?:^|[-_\s])(dark|light)(?:[-_](?:theme|mode))?$/i;

/** What an element says of its theme; null if it says nothing. @param {Element} node @returns {boolean | null} */
function saysDark(node) {
  const light = node.getAttribute("data-jp-theme-light");
  if (light === "true" || light === "false") return light === "false";
  for (const words of [...THEME_ATTRIBUTES.map((name) => node.getAttribute(name) ?? ""), ...node.classList]) {
    const found = THEME_WORD.exec(words);
    if (found) return found[1].toLowerCase() === "dark";
    if (words === "vscode-high-contrast") return true;
  }
  return null;
}

/** How light a colour is, from 0 to 1; null where it lets through what is behind it. @param {string} colour */
function lightness(colour) {
  const [red, green, blue, alpha = 1] = (colour.match(/[\d.]+/g) ?? []).map(Number);
  if (blue === undefined || alpha < 0.5) return null;
  const most = colour.startsWith("color(") ? 1 : 255;
  return (0.299 * red + 0.587 * green + 0.114 * blue) / most;
}

/** Whether the page around an element is dark: by what it says, by what is seen behind the element, by the colour of its text. @param {HTMLElement} el */
function isDark(el) {
  for (const node of [document.body, document.documentElement]) {
    const said = saysDark(node);
    if (said !== null) return said;
  }
  for (let node = /** @type {any} */ (el); node; node = node.assignedSlot ?? node.parentNode ?? node.host) {
    const behind = node instanceof Element ? lightness(getComputedStyle(node).backgroundColor) : null;
    if (behind !== null) return behind < 0.5;
  }
  return (lightness(getComputedStyle(el).color) ?? 0) > 0.5;
}

/** Keep an element told of the theme of the page around it, not of the system's; gives back the way to stop. @param {HTMLElement} el */
function followTheme(el) {
  const look = () => {
    if (el.isConnected) el.dataset.ckTheme = isDark(el) ? "dark" : "light";
  };
  const changes = new MutationObserver(look);
  for (const node of [document.documentElement, document.body]) changes.observe(node, { attributes: true });
  const sizes = new ResizeObserver(look); // it is laid out only after it was drawn
  sizes.observe(el);
  const system = matchMedia("(prefers-color-scheme: dark)"); // a page may follow it
  system.addEventListener("change", look);
  look();
  return () => {
    changes.disconnect();
    sizes.disconnect();
    system.removeEventListener("change", look);
  };
}

/** Where the Jupyter server takes requests; null where none answers at this page's address. @returns {string | null} */
function serverUrl() {
  if (!frontEnd().server) return null;
  const config = JSON.parse(document.getElementById("jupyter-config-data")?.textContent || "{}");
  return config.baseUrl || document.body.dataset.baseUrl || "/";
}

/**
 * Put code into a new cell below the one that `el` is in, where the front end lets a widget reach its notebook.
 * @param {Model} model @param {HTMLElement} el @param {string} source
 */
function intoNewCell(model, el, source) {
  const notebook = model.widget_manager?.context?.model?.sharedModel;
  if (!notebook?.insertCell) return false;
  const cell = el.closest(".jp-Cell");
  const cells = cell?.parentElement ? [...cell.parentElement.children].filter((node) => node.matches(".jp-Cell")) : [];
  const listed = Number(/** @type {HTMLElement | null} */ (cell)?.dataset.windowedListIndex ?? NaN);
  const place = Number.isInteger(listed) ? listed : cell ? cells.indexOf(cell) : -1;
  notebook.insertCell(place >= 0 ? place + 1 : notebook.cells.length, { cell_type: "code", source });
  return true;
}
