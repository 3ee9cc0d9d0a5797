// @ts-check
/**
 * The ways from a page to the kernel.
 *
 * @typedef {{get: Function, send: Function, on: Function, off: Function, widget_manager: any}} Model
 */

const QUERY_AGAIN = 2000;
const QUERY_TRIES = 5;

/**
 * Messages go by the widget's own comm and, where the kernel has subshells, by a control comm that is open while
 * a cell runs. The kernel takes each request id once.
 * @param {Model} model
 */
function openLink(model) {
  const kernel = model.widget_manager?.kernel ?? null;
  /** @type {any} */
  let control = null;
  let closed = false;
  /** @type {Map<string, (answer: any) => void>} */
  const questions = new Map();

  async function openControl() {
    if (!kernel?.createComm) return;
    await kernel.info;
    if (!kernel.supportsSubshells || closed) return;
    const comm = kernel.createComm("chatkit.control", newId());
    await comm.subshellStarted;
    if (closed) return comm.dispose();
    comm.open({ panel: model.get("name") });
    control = comm;
  }
  openControl().catch((error) => console.debug("chatkit: no control comm", error));

  /** @param {Record<string, any>} content */
  function post(content) {
    const message = { id: newId(), ...content };
    model.send(message);
    try {
      control?.send({ panel: model.get("name"), content: message });
    } catch (error) {
      console.debug("chatkit: control comm", error);
    }
    return message.id;
  }

  /** @param {Record<string, any>} content @param {boolean} once @returns {Promise<any>} */
  function ask(content, once) {
    const question = newId();
    return new Promise((resolve, reject) => {
      let tries = 0;
      /** @type {ReturnType<typeof setTimeout>} */
      let timer;
      const send = () => {
        if (closed || (tries += 1) > QUERY_TRIES) {
          questions.delete(question);
          return reject(new Error("The kernel does not answer."));
        }
        post({ ...content, question, ...(once ? { id: question } : {}) });
        timer = setTimeout(send, QUERY_AGAIN * tries);
      };
      questions.set(question, (answer) => {
        clearTimeout(timer);
        questions.delete(question);
        answer.error ? reject(new Error(answer.error)) : resolve(answer.value);
      });
      send();
    });
  }

  /** What is bytes comes beside the answer. @param {any} message @param {DataView[]} buffers */
  function hear(message, buffers) {
    if (message.type !== "answer") return;
    questions.get(message.question)?.(buffers?.length ? { ...message, value: { ...message.value, data: buffers[0] } } : message);
  }
  model.on("msg:custom", hear);

  return {
    kernel,
    post,
    /** Ask for something that changes nothing, and ask again if no answer comes. @param {Record<string, any>} content */
    query: (content) => ask(content, false),
    /** Have something done once, and know that it was done. @param {Record<string, any>} content */
    act: (content) => ask(content, true),
    /** Interrupt the cell that waits for the answer. @param {string} kernelId */
    async interrupt(kernelId) {
      if (kernel?.interrupt) return kernel.interrupt();
      if (!kernelId) return undefined;
      const base = serverUrl();
      if (base === null) return undefined;
      const xsrf = /(?:^|; )_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? "";
      const url = `${base}api/kernels/${encodeURIComponent(kernelId)}/interrupt`;
      return fetch(url, { method: "POST", credentials: "same-origin", headers: { "X-XSRFToken": decodeURIComponent(xsrf) } });
    },
    close() {
      closed = true;
      model.off("msg:custom", hear);
      if (control && !control.isDisposed && !kernel.isDisposed) control.close();
    },
  };
}
