"""What the browser tests do in JupyterLab: open a notebook, run a cell, look at the page and at the kernel."""

import json
import re
import urllib.error
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "test-results"
PATIENCE = 90_000
"""Milliseconds after which something will never come, however busy the machine is."""
OPEN = """async (path) => {
    const widget = await window.jupyterapp.commands.execute("docmanager:open", { path, factory: "Notebook" });
    await widget.context.ready;
    window.jupyterapp.shell.activateById(widget.id);
}"""
REFILL = """(sources) => {
    const { content } = window.jupyterapp.shell.currentWidget;
    const notebook = content.model.sharedModel;
    while (notebook.cells.length > sources.length) notebook.deleteCell(notebook.cells.length - 1);
    while (notebook.cells.length < sources.length) notebook.insertCell(notebook.cells.length, { cell_type: "code" });
    content.widgets.forEach((cell, n) => {
        cell.model.sharedModel.setSource(sources[n]);
        cell.model.clearExecution();
    });
}"""
JUPYTERS = frozenset(
    [
        "MathJax",
        "axe",
        "_JUPYTERLAB",
        "__core-js_shared__",
        "caches",
        "cookieStore",
        "core",
        "documentPictureInPicture",
        "fetchLater",
        "getScreenDetails",
        "jupyterapp",
        "ondevicemotion",
        "ondeviceorientation",
        "ondeviceorientationabsolute",
        "onpointerrawupdate",
        "queryLocalFonts",
        "showDirectoryPicker",
        "showOpenFilePicker",
        "showSaveFilePicker",
    ]
)
"""What stands in `window` once JupyterLab is open, beside what any page has."""
NAMES = """() => {
    const frame = document.createElement("iframe");
    document.body.append(frame);
    const plain = new Set(Object.keys(frame.contentWindow));
    frame.remove();
    return Object.keys(window).filter((name) => !plain.has(name));
}"""
LEAVE = """async () => {
    if (!window.jupyterapp) return;
    const { shell, commands } = window.jupyterapp;
    for (const widget of [...shell.widgets("main")]) {
        widget.context?.dispose?.();
        widget.dispose();
    }
    if (document.body.dataset.jpThemeLight !== "true") await commands.execute("apputils:change-theme", { theme: "JupyterLab Light" });
}"""


@dataclass(frozen=True)
class Lab:
    """A JupyterLab server: where it is, and the folder that it shows."""

    url: str
    token: str
    folder: Path

    @cached_property
    def kernels(self) -> "Kernels":
        """Where a notebook gets a kernel that has started already."""
        return Kernels(self)

    def call(self, method: str, at: str, /, **content: Any) -> Any:
        """Ask the server itself for something."""
        body = json.dumps(content).encode() if content else None
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/{at}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read() or b"null")


class Kernels:
    """One kernel more than are in use: it starts while a test runs, for the one after it. None is used twice."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._pool = ThreadPoolExecutor(2)
        self._next: Future[str] | None = None

    def take(self) -> str:
        """The id of a fresh kernel."""
        started, self._next = self._next or self._pool.submit(self._start), self._pool.submit(self._start)
        return started.result()

    def end(self, kernel: str) -> None:
        """Have a kernel shut down, and do not wait for it."""
        self._pool.submit(self._end, kernel)

    def end_all_but_the_next(self) -> None:
        """Shut down what any page has started."""
        spare = self._next and self._next.result()
        for kernel in self._lab.call("GET", "kernels"):
            if kernel["id"] != spare:
                self._end(kernel["id"])

    def _start(self) -> str:
        return str(self._lab.call("POST", "kernels", name="python3")["id"])

    def _end(self, kernel: str) -> None:
        try:
            self._lab.call("DELETE", f"kernels/{kernel}")
        except urllib.error.HTTPError as error:
            if error.code != 404:  # it is gone already
                raise


class Notebook:
    """One notebook in one browser page."""

    def __init__(self, page: Any, lab: Lab, name: str) -> None:
        self.page = page
        self.lab = lab
        self.name = re.sub(r"\W+", "-", name).strip("-")
        self.path = lab.folder / f"{self.name}.ipynb"

    def open(self, *cells: str) -> None:
        """Write the notebook with these code cells, open it (in the JupyterLab that is open, if one is), wait for its kernel."""
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        made = [
            {
                "cell_type": "code",
                "id": f"cell-{n}",
                "source": code,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for n, code in enumerate(cells)
        ]
        content = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        self.path.write_text(json.dumps(content), encoding="utf-8")
        kernel = {"id": self.lab.kernels.take()}
        # JupyterLab goes on with the session that a notebook has
        self.lab.call("POST", "sessions", path=self.path.name, name=self.path.name, type="notebook", kernel=kernel)
        if self.page.evaluate("Boolean(window.jupyterapp)"):
            self.page.evaluate(OPEN, self.path.name)
            self.wait_for_kernel()
        else:
            self.show()

    def show(self, page: Any = None, workspace: str = "") -> None:
        """Load JupyterLab with the notebook into a page (this one, or another)."""
        page = page or self.page
        place = f"lab/workspaces/{self.name}{workspace}/tree/{self.path.name}"
        page.goto(f"{self.lab.url}/{place}?token={self.lab.token}")
        self.wait_for_kernel(page)

    def wait_for_kernel(self, page: Any = None) -> None:
        """Wait until the notebook is there and its kernel says what it is."""
        (page or self.page).wait_for_function(
            """() => {
                const panel = window.jupyterapp?.shell?.currentWidget;
                const kernel = panel?.sessionContext?.session?.kernel;
                return panel?.content?.widgets?.length && kernel?.status === "idle" && kernel.connectionStatus === "connected";
            }""",
            timeout=PATIENCE,
        )

    def start(self, cell: int) -> None:
        """Run a cell and do not wait for it."""
        self.page.evaluate(
            """(cell) => {
                const panel = window.jupyterapp.shell.currentWidget;
                panel.content.activeCellIndex = cell;
                panel.content.deselectAll();
                void window.jupyterapp.commands.execute("notebook:run-cell");
            }""",
            cell,
        )

    def run(self, cell: int) -> None:
        """Run a cell and wait until it has ended."""
        before = self._count(cell)
        self.start(cell)
        self.wait_for_end(cell, before)

    def wait_for_end(self, cell: int, before: int | None = None) -> None:
        """Wait until the cell that was started has ended."""
        self.page.wait_for_function(
            """([cell, before]) => {
                const model = window.jupyterapp.shell.currentWidget.content.widgets[cell].model;
                return model.executionState !== "running" && model.executionCount && model.executionCount !== before;
            }""",
            arg=[cell, before],
            timeout=PATIENCE,
        )

    def _count(self, cell: int) -> int | None:
        return self.page.evaluate(
            "(cell) => window.jupyterapp.shell.currentWidget.content.widgets[cell].model.executionCount", cell
        )

    def output(self, cell: int) -> str:
        """What a cell printed and showed, as text."""
        outputs = self.page.evaluate(
            "(cell) => window.jupyterapp.shell.currentWidget.content.widgets[cell].model.outputs.toJSON()", cell
        )
        return "".join(map(_text_of, outputs))

    def python(self, expression: str) -> Any:
        """The value of a Python expression in the kernel, by way of JSON; waits for the cell that runs."""
        reply = self.page.evaluate(
            """async (code) => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const message = { code: "", silent: true, store_history: false, user_expressions: { value: code } };
                return (await kernel.requestExecute(message).done).content;
            }""",
            f"__import__('json').dumps({expression})",
        )
        value = reply["user_expressions"]["value"]
        assert value["status"] == "ok", value
        return json.loads(eval(value["data"]["text/plain"]))  # a Python string's own repr

    def command(self, name: str) -> None:
        """Run one of JupyterLab's commands and wait for it."""
        self.page.evaluate("async (name) => { await window.jupyterapp.commands.execute(name) }", name)

    def save_with_widgets(self) -> str:
        """Save the notebook with the state of its widgets, and leave that setting as it was; what was saved."""
        switch = "@jupyter-widgets/jupyterlab-manager:saveWidgetState"
        self.command(switch)
        self.command("docmanager:save")
        self.command(switch)
        return self.path.read_text(encoding="utf-8")

    def screenshot(self, name: str, of: Any = None) -> Path:
        """Save a picture of the page, or of one element."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{name}.png"
        (of or self.page).screenshot(path=path)
        return path

    def refill(self, *cells: str) -> None:
        """Make this the notebook of these cells: nothing is shown, no name is set, no widget is left."""
        self.page.evaluate(REFILL, list(cells))
        self.wait_for_kernel()
        self.python("[get_ipython().reset(), __import__('ipywidgets').Widget.close_all()]")

    def leave(self) -> None:
        """Close all that is open, unsaved; the kernel ends in its own time."""
        for session in self.lab.call("GET", "sessions"):
            if session["path"] == self.path.name:
                self.lab.kernels.end(session["kernel"]["id"])
        self.page.evaluate(LEAVE)

    def shut_down(self) -> None:
        """End the kernel."""
        self.page.evaluate(
            "async () => { await window.jupyterapp?.shell?.currentWidget?.sessionContext?.shutdown?.() }"
        )


def is_as_it_was(page: Any) -> bool:
    """Whether JupyterLab is open in a page, and a test has left nothing of its own in `window`."""
    names = page.evaluate(NAMES)
    strange = {name for name in names if not re.search("[cC]hunk|YJS", name)} - JUPYTERS
    return "jupyterapp" in names and not strange


def _text_of(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return "".join(output["text"])
    if output["output_type"] == "error":
        return f"{output['ename']}: {output['evalue']}"
    return "".join(output.get("data", {}).get("text/plain", ""))
