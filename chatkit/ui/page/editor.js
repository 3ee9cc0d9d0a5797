// @ts-check
// A place to write a message in the talk.

const ROLES = ["system", "developer", "user", "assistant", "tool"];
/** @param {string} role */
function roleSelect(role) {
  const roles = make("select", { className: "ck-field ck-roles", "aria-label": "Role" }, ...ROLES.map((value) => make("option", { value }, value)));
  roles.value = role;
  return roles;
}

/** A place to write a message: its role, its text, what to do with it. @param {{role: string, text: string, runs: boolean, done: (role: string, text: string, run: boolean) => Promise<any>, close: () => void, fail: (error: unknown) => void}} options */
function editor({ role, text, runs, done, close, fail }) {
  const roles = roleSelect(role);
  const box = make("textarea", { className: "ck-field ck-edit", value: text, dir: "auto", "aria-label": "Message text", rows: Math.min(14, Math.max(2, text.split("\n").length + 1)) });
  const buttons = make("div", { className: "ck-row" });
  const node = make("div", { className: "ck-editor" }, box, make("div", { className: "ck-row" }, roles, buttons));
  const finish = (/** @type {boolean} */ run) => {
    for (const item of buttons.children) item.disabled = true;
    done(roles.value, box.value, run).then(close, (error) => {
      for (const item of buttons.children) item.disabled = false;
      fail(error);
      box.focus();
    });
  };
  const run = button("Save and run", () => finish(true), { className: "ck-button ck-primary", title: "Ask from here (Ctrl+Enter)" });
  buttons.append(button("Save", () => finish(false), { title: runs ? "Change it, ask nothing" : "Save (Ctrl+Enter)" }));
  if (runs) buttons.append(run);
  buttons.append(button("Cancel", close, { title: "Cancel (Escape)" }));
  roles.addEventListener("change", () => (run.hidden = roles.value !== "user"));
  node.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    event.stopPropagation();
    if (event.isComposing) return;
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      finish(runs && roles.value === "user");
    }
  });
  return { node, focus: () => box.focus() };
}
