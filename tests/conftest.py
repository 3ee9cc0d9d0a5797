"""What holds for every test: no key of the user, no folder of the user, no network beyond loopback."""

import gc
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from windows import holder, open_files_keep_their_place, windows  # noqa: F401  # fixtures

if TYPE_CHECKING:
    from panel_wire import ScriptedChat, View, Wire
    from postgres import Cluster

    from chatkit.ui.chat_panel import ChatPanel

GUARD = Path(__file__).parent / "guard"
HOME = Path(tempfile.mkdtemp(prefix="chatkit-tests-"))

NO_SKIPS = bool(os.environ.get("CHATKIT_NO_SKIPS"))
"""Where everything is there to run (CI), a skipped test is a failed one."""

PARENT_LOG = os.environ.get("CHATKIT_GUARD_LOG") if "PYTEST_XDIST_WORKER" in os.environ else None
"""The log of the process that started this one to run a part of the tests: it looks at it in the end."""

for name in list(os.environ):
    if name.startswith(("OPENAI_", "AZURE_OPENAI_", "CHATKIT_")) and name not in ("CHATKIT_MODELS", "CHATKIT_NO_SKIPS"):
        del os.environ[name]
os.environ.update(
    CHATKIT_DB=str(HOME / "usage.sqlite"),
    CHATKIT_HISTORY="off",
    CHATKIT_GUARD_LOG=PARENT_LOG or str(HOME / "refused.log"),
    IPYTHONDIR=str(HOME / "ipython"),
    JUPYTER_CONFIG_DIR=str(HOME / "jupyter-config"),
    JUPYTER_DATA_DIR=str(HOME / "jupyter-data"),
    JUPYTER_RUNTIME_DIR=str(HOME / "jupyter-runtime"),
    XDG_DATA_HOME=str(HOME / "data"),
    PYTHONPATH=os.pathsep.join(filter(None, [str(GUARD), os.environ.get("PYTHONPATH")])),
)

# no test is timed: a busy machine makes an example slow, and wrong it is not
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

spec = importlib.util.spec_from_file_location("chatkit_test_guard", GUARD / "sitecustomize.py")
spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.fixture(scope="session")
def server() -> Iterator["Cluster"]:
    """A PostgreSQL for the tests that need one, with few connections to give."""
    import postgres

    with postgres.cluster(connections=20) as cluster:
        yield cluster


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> "Wire":
    """All that chat panels send."""
    from panel_wire import Wire

    from chatkit.ui.chat_panel import ChatPanel

    wire = Wire()
    monkeypatch.setattr(ChatPanel, "send", lambda _, content, buffers=None: wire.send(content))
    return wire


@pytest.fixture
def chat() -> "ScriptedChat":
    """A chat whose turns the test plays."""
    from panel_wire import ScriptedChat

    return ScriptedChat()


@pytest.fixture
def panel(chat: "ScriptedChat", wire: "Wire") -> Iterator["ChatPanel"]:
    """A panel of that chat."""
    from chatkit.ui.chat_panel import ChatPanel

    panel = ChatPanel(chat)
    yield panel
    panel.close()


@pytest.fixture
def view(panel: "ChatPanel", wire: "Wire") -> "View":
    """A view of that panel, which has greeted."""
    from panel_wire import View

    view = View(panel)
    wire.views.append(view)
    view.hello()
    return view


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[object]:
    """What was imported and collected lasts: no garbage is looked for in it, neither now nor whenever a test has it looked for."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_sessionfinish(session: pytest.Session) -> None:
    log = Path(os.environ["CHATKIT_GUARD_LOG"])
    if log.exists():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.stash[REFUSED] = log.read_text(encoding="utf-8")


REFUSED = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if refused := config.stash.get(REFUSED, None):
        terminalreporter.section("connections beyond this machine", red=True)
        terminalreporter.write(refused)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    # what a test of half characters has logged cannot be sent to the process that gathers the reports
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
