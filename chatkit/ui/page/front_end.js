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
