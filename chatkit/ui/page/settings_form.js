// @ts-check
/**
 * The settings of a chat as fields, drawn from what the kernel says about each.
 *
 * @typedef {{name: string, label: string, kind: "text" | "number" | "select" | "area" | "list" | "output", value: string, options?: [string, string][],
 *   hint?: string, reason?: string, note?: string, help?: string, code?: boolean, resets?: boolean, wide?: boolean}} Control
 */

/** Settings: drawn from what the kernel says about each. @param {Desk} desk */
function settingsDrawer(desk) {
  const node = make("div", { className: "ck-fields" });
  /** @type {Map<string, {shape: string, field: any, why: HTMLElement, label: HTMLElement, reset: any, refused: (error: unknown) => void, value: string}>} */
  const drawn = new Map();

  /** @param {Control} control */
  function draw(control) {
    const props = { className: `ck-field ck-set-${control.name}`, spellcheck: false, autocomplete: "off", placeholder: control.hint ?? "" };
    const options = (control.options ?? []).map(([value, words]) => make("option", { value }, words));
    let field;
    let extra = [];
    if (control.kind === "select") field = make("select", { className: props.className }, ...options);
    else if (control.kind === "area") field = make("textarea", { ...props, rows: control.code ? 10 : 2, dir: control.code ? "ltr" : "auto" });
    else if (control.kind === "output") field = make("output", { className: props.className });
    else if (control.kind === "list") {
      const list = make("datalist", { id: `ck-list-${newId()}` }, ...options);
      field = make("input", { type: "text", ...props, list: list.id });
      extra = [list];
    } else field = make("input", { type: "text", inputMode: control.kind === "number" ? "decimal" : "text", ...props });
    if (control.code) field.classList.add("ck-codefield");
    const why = make("span", { className: "ck-why", id: `ck-why-${newId()}` });
    const fault = make("span", { className: "ck-fault", id: `ck-fault-${newId()}`, role: "alert" });
    field.setAttribute("aria-describedby", `${why.id} ${fault.id}`);
    /** What a person typed stays until it is taken, or code sets something else. */
    const refused = (/** @type {unknown} */ error) => {
      if (!error) delete field.dataset.typed;
      fault.classList.toggle("ck-error-text", Boolean(error));
      fault.textContent = error ? /** @type {Error} */ (error).message : "";
      error ? field.setAttribute("aria-invalid", "true") : field.removeAttribute("aria-invalid");
    };
    const set = (/** @type {string} */ value) => {
      field.dataset.typed = value;
      return desk.act({ type: "set", field: control.name, value }).then(() => refused(null), refused);
    };
    field.addEventListener("change", () => set(field.value));
    field.id = `ck-field-${newId()}`;
    const name = make("label", { className: "ck-name", id: `ck-name-${newId()}`, htmlFor: field.id, title: control.help ?? "" }, control.label);
    const reset = button("Reset", () => set((field.value = "")), { className: "ck-reset", title: `Back to the default${control.hint ? ` (${control.hint})` : ""}`, "aria-describedby": name.id });
    const head = make("div", { className: "ck-fieldhead" }, name, reset);
    const label = make("div", { className: `ck-label${control.wide ? " ck-wide" : ""}` }, head, field, ...extra, why, fault);
    return { shape: shapeOf(control), field, why, label, reset, refused, value: control.value };
  }

  const shapeOf = (/** @type {Control} */ control) => JSON.stringify([control.kind, control.options, control.wide, control.hint, control.help]);

  return {
    node,
    opened: () => void desk.act({ type: "models" }).catch(desk.fail),
    /** @param {Control[]} controls */
    take(controls) {
      for (const control of controls) {
        let known = drawn.get(control.name);
        const typed = known?.field.dataset.typed !== undefined && known.value === control.value;
        if (!known || (known.shape !== shapeOf(control) && !typed)) {
          const made = draw(control);
          known?.label.replaceWith(made.label);
          drawn.set(control.name, (known = made));
        }
        const { field, why, label, reset } = known;
        if (known.value !== control.value) known.refused(null);
        known.value = control.value;
        if (!typed && (document.activeElement !== field || control.kind === "select")) field.value = control.value;
        field.disabled = Boolean(control.reason) && !control.value;
        why.textContent = control.reason ?? control.note ?? control.help ?? "";
        reset.hidden = !control.value || !control.resets;
        label.classList.toggle("ck-refused", Boolean(control.reason));
      }
      const names = new Set(controls.map((control) => control.name));
      for (const [name, { label }] of drawn) {
        if (names.has(name)) continue;
        label.remove();
        drawn.delete(name);
      }
      // each at its place: one that comes later, such as a schema, stands at what it belongs to
      controls.forEach(({ name }, at) => {
        const { label } = /** @type {any} */ (drawn.get(name));
        if (node.children[at] !== label) node.insertBefore(label, node.children[at] ?? null);
      });
    },
  };
}
