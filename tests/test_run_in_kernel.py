"""A run in a real kernel: whatever cell waits for it, an interrupt stops it, keeps the partial, and the kernel goes on."""

import os
import re
from collections.abc import Iterator

import pytest
from faultserver import GATE, FaultServer, cut, say
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

PATIENCE = 30
SETUP = """
import openai
from chatkit.client.engine import Engine
from chatkit.client.run import start

client = openai.AsyncOpenAI(api_key="sk-test-12345678", base_url={url!r})

def ask():
    global run
    run = start(lambda: Engine().stream(client, {{"model": "m", "messages": []}}))
    run.listen(lambda item: mark.set())
    return run
def stay():
    print("here", flush=True)
    threading.Event().wait()

import threading
mark = threading.Event()
"""
WAYS = {
    "wait": "ask().wait()",
    "for": "for delta in ask(): pass",
    "await": "await ask()",
    "async for": "async for delta in ask(): pass",
}
BESIDE = {
    "the body of a for": "for delta in ask():\n    stay()",
    "a cell that only started it": "ask()\nstay()",
}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a kernel is interrupted in another way there")


@pytest.fixture(scope="module")
def kernel() -> Iterator[tuple[KernelManager, BlockingKernelClient, FaultServer]]:
    with FaultServer(cut(say("partial"), GATE)) as server:
        manager, client = start_new_kernel(kernel_name="python3")
        try:
            assert run(client, SETUP.format(url=server.url))["status"] == "ok"
            yield manager, client, server
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def run(client: BlockingKernelClient, code: str) -> dict:
    return client.execute_interactive(code, timeout=PATIENCE, output_hook=lambda _: None)["content"]


@pytest.mark.parametrize("way", [*WAYS, *BESIDE])
def test_an_interrupt_of_the_cell_ends_the_run_and_keeps_the_partial(
    way: str, kernel: tuple[KernelManager, BlockingKernelClient, FaultServer]
) -> None:
    manager, client, server = kernel
    asked = len(server.log)
    client.execute((WAYS | BESIDE)[way], stop_on_error=False)
    server.wait_until(lambda s: len(s.log) == asked + 1)
    server.wait_until(lambda s: s.open == 1)
    if way in BESIDE:
        wait_for_output(client, "here")
    manager.interrupt_kernel()
    assert client.get_shell_msg(timeout=PATIENCE)["content"]["status"] == "error"
    server.wait_until(lambda s: s.open == 0)
    said = []
    client.execute_interactive(
        "print(run.wait(5).outcome, run.blocking)",
        timeout=PATIENCE,
        output_hook=lambda message: said.append(message["content"].get("text", "")),
    )
    assert re.search(r"cancelled False", "".join(said))


def test_an_interrupt_of_another_cell_leaves_the_run_of_an_earlier_one_alone(
    kernel: tuple[KernelManager, BlockingKernelClient, FaultServer],
) -> None:
    manager, client, server = kernel
    asked = len(server.log)
    assert run(client, "handle = ask(); mark.wait()")["status"] == "ok"
    server.wait_until(lambda s: len(s.log) == asked + 1)
    client.execute("stay()", stop_on_error=False)
    wait_for_output(client, "here")
    manager.interrupt_kernel()
    assert client.get_shell_msg(timeout=PATIENCE)["content"]["status"] == "error"
    assert run(client, "assert not handle.done, handle; handle.cancel(); handle.wait(5)")["status"] == "ok"
    server.wait_until(lambda s: s.open == 0)


def wait_for_output(client: BlockingKernelClient, text: str) -> None:
    while text not in str(client.get_iopub_msg(timeout=PATIENCE)["content"].get("text", "")):
        pass
