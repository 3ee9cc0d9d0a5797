"""A real JupyterLab on loopback and a real Chromium; a request that leaves the machine fails the test."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lab import PATIENCE, Lab, Notebook, is_as_it_was
from panel_page import Panel, setup
from scripted_endpoint import ScriptedEndpoint

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-features=OptimizationHints,MediaRouter",
]
RESULTS = Path(__file__).parents[2] / "test-results"
START = 180.0


@pytest.fixture(scope="session")
def endpoint() -> Iterator[ScriptedEndpoint]:
    server = ScriptedEndpoint()
    yield server
    server.close()


class Chromium:
    """Starts the browser, with more flags if they are given."""

    def __init__(self, playwright: Any, path: str) -> None:
        self._chromium, self._path = playwright.chromium, path

    def launch(self, *more: str) -> Any:
        """A browser that knows nothing."""
        return self._chromium.launch(executable_path=self._path, args=[*FLAGS, *more])

    def remembering(self, folder: Path, *more: str) -> Any:
        """A browser's own context, which keeps in a folder what it has loaded and compiled: two of seven seconds of JupyterLab."""
        return self._chromium.launch_persistent_context(
            folder, executable_path=self._path, args=[*FLAGS, *more], viewport={"width": 1100, "height": 850}
        )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    # not longer than the module: while Playwright runs, its loop runs on this thread, and asyncio allows no second
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser here; looked for {', '.join(NAMES)}")
    with sync_api.sync_playwright() as playwright:
        yield Chromium(playwright, path)


@pytest.fixture(scope="session")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one browser after the other."""
    return tmp_path_factory.mktemp("profile")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running_lab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@contextmanager
def running_lab(root: Path) -> Iterator[Lab]:
    """A Jupyter server that keeps to `root`: JupyterLab, and Notebook 7 and Voilà where they are installed."""
    environment = _own_folders(root)
    _quiet_lab(root / "settings")
    _unbuilt(root / "config")
    notebooks = root / "notebooks"
    notebooks.mkdir()
    port = _free_port()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--LabApp.expose_app_in_browser=True"),
        *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=for-this-test"),
        *(f"--ServerApp.root_dir={notebooks}", "--ServerApp.ip=127.0.0.1"),
    ]
    with (root / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=notebooks)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(f"{url}/api?token=for-this-test", server, root / "lab.log")
        yield Lab(url, "for-this-test", notebooks)
    finally:
        server.terminate()
        try:
            server.wait(START)  # it ends its kernels first
        finally:
            server.kill()


class Pages:
    """The pages of one browser. JupyterLab stays open in one of them, and in it a notebook, from a test to the next."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.context.on("request", self._look)
        self.context.set_default_timeout(PATIENCE)
        self.beyond: list[str] = []
        self.notebook: Notebook | None = None
        self._kept: Any = None
        self._blank: Any = context.pages[0]  # the browser ends with its last page

    def _look(self, request: Any) -> None:
        if not _is_local(request.url):
            self.beyond.append(request.url)

    def take(self, own: bool) -> Any:
        """The page that is kept, or a fresh one."""
        self.beyond.clear()
        if self._kept is not None and not own:
            return self._kept
        page, self._blank = self._blank or self.context.new_page(), None
        return page

    def give_back(self, page: Any, keep: bool) -> None:
        """Close all pages but the one that is kept."""
        if page is self._kept and not keep:
            self._kept = self.notebook = None
        elif keep and self._kept is None:
            self._kept = page
        if self._kept is None:
            self._blank = self.context.new_page()
        for other in self.context.pages:
            if other not in (self._kept, self._blank):
                other.close()


@pytest.fixture(scope="module")
def pages(chromium: Chromium, profile: Path) -> Iterator[Pages]:
    pages = Pages(chromium.remembering(profile))
    yield pages
    if pages.notebook is not None:
        pages.notebook.leave()
    pages.context.close()


@pytest.fixture
def page(pages: Pages, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page; one of its own for a test that loads it again or changes more than a notebook (`own_page`)."""
    page = pages.take(_has_own_page(request))
    yield page
    pages.give_back(page, keep=not _has_own_page(request) and not _failed(request) and is_as_it_was(page))
    assert pages.beyond == [], "the page asked for something beyond this machine"


@pytest.fixture
def notebook(page: Any, lab: Lab, request: pytest.FixtureRequest, pages: Pages) -> Iterator[Notebook]:
    """A notebook of its own, with a kernel of its own."""
    if pages.notebook is not None and pages.notebook.page is page:
        pages.notebook.leave()
        pages.notebook = None
    opened = Notebook(page, lab, request.node.name)
    yield opened
    if _failed(request):
        opened.screenshot(f"failed-{request.node.name}")
    opened.leave()


@pytest.fixture
def reopened(page: Any, lab: Lab, request: pytest.FixtureRequest, pages: Pages) -> Iterator[Callable[..., Notebook]]:
    """What gives a notebook of these cells: that of the test before, emptied, with nothing in its kernel's namespace."""
    opened: list[Notebook] = []

    def open_cells(*cells: str) -> Notebook:
        if pages.notebook is not None and pages.notebook.page is page:
            pages.notebook.refill(*cells)
            opened.append(pages.notebook)
        else:
            opened.append(Notebook(page, lab, request.node.name))
            opened[0].open(*cells)
        return opened[0]

    yield open_cells
    for notebook in opened:
        if _failed(request):
            notebook.screenshot(f"failed-{request.node.name}")
        if _failed(request) or _has_own_page(request):
            notebook.leave()
        else:
            pages.notebook = notebook


@pytest.fixture
def panel(reopened: Callable[..., Notebook], endpoint: ScriptedEndpoint) -> Panel:
    """A panel of a chat that has just begun, and three empty cells below it."""
    notebook = reopened(setup(endpoint), "", "", "")
    notebook.run(0)
    shown = Panel(notebook)
    shown.wait_idle()
    return shown


def _has_own_page(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker("own_page") is not None


def _failed(request: pytest.FixtureRequest) -> bool:
    return getattr(request.node, "failed", False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    item.failed = getattr(item, "failed", False) or report.failed
    return report


def _is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob", "about", "file") or parts.hostname in ("127.0.0.1", "localhost")


def _own_folders(root: Path) -> dict[str, str]:
    folders = {
        "JUPYTER_CONFIG_DIR": root / "config",
        "JUPYTER_DATA_DIR": root / "data",
        "JUPYTER_RUNTIME_DIR": root / "runtime",
        "IPYTHONDIR": root / "ipython",
        "JUPYTERLAB_SETTINGS_DIR": root / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": root / "workspaces",
    }
    return os.environ | {name: str(path) for name, path in folders.items()} | _own_files(root)


def _own_files(root: Path) -> dict[str, str]:
    return {"CHATKIT_DB": str(root / "usage.sqlite"), "CHATKIT_HISTORY": str(root / "history.sqlite")}


def _quiet_lab(settings: Path) -> None:
    folder = settings / "@jupyterlab" / "apputils-extension"
    folder.mkdir(parents=True)
    choice = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
    (folder / "notification.jupyterlab-settings").write_text(json.dumps(choice), encoding="utf-8")


def _unbuilt(config: Path) -> None:
    """No page asks whether JupyterLab should be built anew: three starts of Node for each that is loaded."""
    folder = config / "labconfig"
    folder.mkdir(parents=True)
    choice = {"buildAvailable": False, "buildCheck": False}
    (folder / "page_config.json").write_text(json.dumps(choice), encoding="utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_it_answers(url: str, server: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            server_is_up = False
        else:
            server_is_up = True
        if server_is_up:
            return
        try:
            server.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-3000:]}")
