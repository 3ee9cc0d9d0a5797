"""How fast a file goes from the page to the kernel's disk in JupyterLab, beside a plain copy over loopback.

The file is chosen in a real Chromium; the time runs from there until the kernel has all of it. The copy sends the same
bytes over one socket to a process that writes them to the same disk. Rounds alternate, for a busy machine slows both.
Goals: 25 MB in 0.7 s, at most 16 MB more memory in the kernel at its peak.

Run: python benchmarks/upload.py
"""

import hashlib
import shutil
import socket
import statistics
import sys
import tempfile
import time
import wave
from multiprocessing import Process
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path += [str(Path(__file__).parent.parent / "tests" / "browser")]
from conftest import FLAGS, NAMES, running_lab  # the tests' own JupyterLab
from lab import Notebook

SIZES = (25_000_000, 200 * 2**20)
ROUNDS = 5
SETUP = """
import chatkit
uploader = chatkit.AudioUploader()
def peak():
    return int(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))
def forget_peak():
    open('/proc/self/clear_refs', 'w').write('5')
    return peak()
uploader
"""
WATCH = """() => {
    const root = document.querySelector('.ck-uploader');
    window.took = new Promise((resolve) => {
        root.querySelector('input[type=file]').addEventListener('change', () => {
            const began = performance.now();
            new MutationObserver((_, watch) => {
                if (!/checking|ready/.test(root.dataset.phase) || !root.dataset.was) {
                    root.dataset.was = root.dataset.phase === 'uploading' ? '1' : root.dataset.was || '';
                    return;
                }
                watch.disconnect();
                delete root.dataset.was;
                resolve((performance.now() - began) / 1000);
            }).observe(root, { attributes: true, attributeFilter: ['data-phase'] });
        }, { once: true, capture: true });
    });
}"""


def write_wav(path: Path, size: int) -> None:
    block = hashlib.shake_256(b"noise").digest(2**20)
    with wave.open(str(path), "wb") as file:
        file.setparams((8, 4, 192_000, 0, "NONE", ""))
        for start in range(0, size - 44, len(block)):
            file.writeframesraw(block[: size - 44 - start])


def receive(server: socket.socket, target: Path) -> None:
    while True:
        connection, _ = server.accept()
        with connection, target.open("wb") as file:
            while data := connection.recv(2**20):
                file.write(data)
            file.flush()
            connection.sendall(b"!")


def copy(port: int, path: Path) -> float:
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection, path.open("rb") as file:
        while data := file.read(2**20):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b"!"
    return time.perf_counter() - began


def upload(notebook: Notebook, path: Path) -> tuple[float, float]:
    """Seconds, and by how many MB the kernel grew at its peak."""
    page = notebook.page
    before = notebook.python("forget_peak()")
    page.evaluate(WATCH)
    page.locator(".ck-uploader input[type=file]").set_input_files(path)
    took = page.evaluate("window.took")
    page.wait_for_selector(".ck-uploader[data-phase=ready]", timeout=120_000)
    return took, (notebook.python("peak()") - before) / 1000


def main() -> None:
    browser_path = next(found for name in NAMES if (found := shutil.which(name)))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        server = socket.create_server(("127.0.0.1", 0))
        receiver = Process(target=receive, args=(server, folder / "copy"), daemon=True)
        receiver.start()
        with running_lab(folder) as lab:
            browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
            notebook = Notebook(browser.new_page(), lab, "upload")
            notebook.open(SETUP)
            notebook.run(0)
            notebook.page.wait_for_selector(".ck-uploader[data-phase=empty]")
            for size in SIZES:
                path = folder / f"{size}.wav"
                write_wav(path, size)
                upload(notebook, path)
                pairs = [(*upload(notebook, path), copy(server.getsockname()[1], path)) for _ in range(ROUNDS)]
                took, grown, plain = (statistics.median(side) for side in zip(*pairs, strict=True))
                ratio = statistics.median(a / b for a, _, b in pairs)
                print(
                    f"{size / 1e6:6.1f} MB: upload {took:5.2f} s (fastest {min(pairs)[0]:.2f}), {size / took / 1e6:4.0f} MB/s; "
                    f"plain copy {plain:5.2f} s; ratio {ratio:.1f}; "
                    f"kernel's memory {grown:+.1f} MB (worst {max(g for _, g, _ in pairs):+.1f})",
                    flush=True,
                )
            notebook.shut_down()
            browser.close()
        receiver.kill()


if __name__ == "__main__":
    main()
