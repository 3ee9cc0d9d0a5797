"""What the browser tests do in JupyterLab: open a notebook, run a cell, look at the page and at the kernel."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "test-results"
PATIENCE = 30_000


@dataclass(frozen=True)
class Lab:
    """A JupyterLab server: where it is, and the folder that it shows."""

    url: str
    token: str
    folder: Path


class Notebook:
    """One notebook in one browser page."""

    def __init__(self, page: Any, lab: Lab, name: str) -> None:
        self.page = page
        self.lab = lab
        self.name = re.sub(r"\W+", "-", name).strip("-")
        self.path = lab.folder / f"{self.name}.ipynb"

    def open(self, *cells: str) -> None:
        """Write the notebook with these code cells, open it, wait for its kernel."""
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
        self.show()

    def show(self, page: Any = None, workspace: str = "") -> None:
        """Open the notebook in a page (this one, or another)."""
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
            timeout=60_000,
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

    def shut_down(self) -> None:
        """End the kernel."""
        self.page.evaluate(
            "async () => { await window.jupyterapp?.shell?.currentWidget?.sessionContext?.shutdown?.() }"
        )


def _text_of(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return "".join(output["text"])
    if output["output_type"] == "error":
        return f"{output['ename']}: {output['evalue']}"
    return "".join(output.get("data", {}).get("text/plain", ""))
