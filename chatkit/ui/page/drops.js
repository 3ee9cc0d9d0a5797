// @ts-check
// Files that are dropped on an element.

/** @param {HTMLElement} root @param {(file: File) => void} take @param {(words: string) => void} refuse */
function takeDrops(root, take, refuse) {
  let over = 0;
  const carriesFiles = (/** @type {DragEvent} */ event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  /** @type {[string, (event: DragEvent) => void][]} */
  const drags = [
    ["dragenter", () => (over += 1)],
    ["dragleave", () => (over -= 1)],
    ["dragover", () => {}],
    [
      "drop",
      (event) => {
        over = 0;
        const files = [...(event.dataTransfer?.files ?? [])];
        if (files.length > 1) refuse("One file at a time, please: drop just one.");
        else if (files[0]) take(files[0]);
      },
    ],
  ];
  for (const [name, act] of drags) {
    root.addEventListener(name, (/** @type {any} */ event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      event.stopPropagation();
      act(event);
      root.classList.toggle("ck-over", over > 0);
    });
  }
}
