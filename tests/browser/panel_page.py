"""A chat panel on a page, as the browser tests use it."""

import time
from collections.abc import Callable
from typing import Any

from lab import PATIENCE, Notebook
from scripted_endpoint import ScriptedEndpoint


class Panel:
    """A chat panel on the page."""

    def __init__(self, notebook: Notebook | None, page: Any = None, nth: int = 0) -> None:
        self._notebook = notebook
        self.page = page or self.notebook.page
        self.nth = nth
        self.root = self.page.locator(".ck-panel").nth(nth)
        self.box = self.root.get_by_label("Your message")
        self.answers = self.root.locator(".ck-role-assistant .ck-body")

    @property
    def notebook(self) -> Notebook:
        """The notebook that the panel is in, where it is one that the test can reach into."""
        assert self._notebook is not None
        return self._notebook

    def message(self, nth: int) -> Any:
        """A message of the talk."""
        return self.root.locator(".ck-message:not(.ck-live)").nth(nth)

    def texts(self) -> list[str]:
        """What the messages say."""
        return [text.strip() for text in self.root.locator(".ck-message:not(.ck-live) .ck-body").all_inner_texts()]

    def wait_texts(self, *texts: str) -> None:
        """Wait until the messages on the page say exactly this."""
        self.page.wait_for_function(
            """([n, texts]) => {
                const found = document.querySelectorAll('.ck-panel')[n]?.querySelectorAll('.ck-message .ck-body') ?? [];
                return JSON.stringify([...found].map((node) => node.textContent.trim())) === JSON.stringify(texts);
            }""",
            arg=[self.nth, list(texts)],
        )

    def tool(self, nth: int, name: str) -> None:
        """Click a button of a message."""
        self.message(nth).hover()
        self.message(nth).get_by_role("button", name=name, exact=True).click()

    def drawer(self, name: str) -> Any:
        """Open a drawer below the box."""
        opener = self.root.locator(".ck-opener", has_text=name)
        if opener.get_attribute("aria-expanded") != "true":
            opener.click()
        return self.root.locator(f".ck-drawer[aria-label='{name}']")

    def ask(self, text: str) -> None:
        self.wait_idle()
        self.box.fill(text)
        self.box.press("Enter")

    def wait_phase(self, phase: str, timeout: float = PATIENCE) -> None:
        self.page.wait_for_function(
            "([n, phase]) => document.querySelectorAll('.ck-panel')[n]?.dataset.phase === phase",
            arg=[self.nth, phase],
            timeout=timeout,
        )

    def wait_idle(self) -> None:
        self.wait_phase("idle")

    def wait_answer(self, text: str) -> None:
        """Wait until the last answer on the page is exactly this text."""
        self.page.wait_for_function(
            """([n, text]) => {
                const found = document.querySelectorAll('.ck-panel')[n]?.querySelectorAll('.ck-role-assistant .ck-body');
                return found?.length && found[found.length - 1].textContent.trim() === text;
            }""",
            arg=[self.nth, text],
        )

    def wait_numbers(self, count: int) -> None:
        """Wait until an answer that counts has come to a number."""
        self.page.wait_for_function(
            """([n, count]) => {
                const found = document.querySelectorAll('.ck-panel')[n]?.querySelectorAll('.ck-live.ck-role-assistant .ck-body');
                return found?.length && found[found.length - 1].textContent.trim().split(/\\s+/).length >= count;
            }""",
            arg=[self.nth, count],
        )

    def until(self, holds: Callable[[], bool]) -> None:
        """Let the page run until something outside of it holds."""
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline, "waited in vain"
            self.page.evaluate("new Promise(requestAnimationFrame)")

    def stop(self) -> float:
        """Click Stop, wait until the panel is idle; the milliseconds in between."""
        return self.page.evaluate(
            """(n) => new Promise((resolve, reject) => {
                const root = document.querySelectorAll('.ck-panel')[n];
                const began = performance.now();
                setTimeout(() => reject(new Error(`still ${root.dataset.phase} after Stop`)), 10000);
                new MutationObserver(() => root.dataset.phase === 'idle' && resolve(performance.now() - began))
                    .observe(root, { attributes: true });
                root.querySelector('.ck-stop').click();
            })""",
            self.nth,
        )


def setup(endpoint: ScriptedEndpoint) -> str:
    return "\n".join(
        [
            "import chatkit",
            f"client = chatkit.connect(base_url={endpoint.base_url!r}, api_key='sk-test', quiet=True)",
            "chat = chatkit.Chat(client=client, model='scripted')",
            "panel = chatkit.ChatPanel(chat)",
            "panel",
        ]
    )


def write(notebook: Notebook, cell: int, code: str) -> None:
    notebook.page.evaluate(
        """([cell, code]) =>
            window.jupyterapp.shell.currentWidget.content.widgets[cell].model.sharedModel.setSource(code)""",
        [cell, code],
    )
