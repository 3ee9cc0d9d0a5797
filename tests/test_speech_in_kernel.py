"""The verbs in a real kernel: an interrupt stops a job and the kernel goes on; a long one shows a bar, a short one none."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from faultserver import GATE
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel
from sounds import CLIPS, Hearing, whole

PATIENCE = 60
SETUP = """
import chatkit, openai
from chatkit.speech import job as bar, job as jobs

client = openai.OpenAI(api_key="sk-test-12345678", base_url={url!r})
clip = {clip!r}
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a kernel is interrupted in another way there")


@pytest.fixture(scope="module")
def kernel() -> Iterator[tuple[KernelManager, BlockingKernelClient, Hearing]]:
    with Hearing(lambda form: [GATE, *whole()] if form.name.startswith("held") else whole()) as server:
        manager, client = start_new_kernel(kernel_name="python3")
        try:
            made = SETUP.format(url=server.url, clip=str(CLIPS / "english.flac"))
            assert run(client, made)[0]["status"] == "ok"
            yield manager, client, server
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def run(client: BlockingKernelClient, code: str) -> tuple[dict, list[Any]]:
    shown: list[Any] = []
    reply = client.execute_interactive(code, timeout=PATIENCE, output_hook=shown.append)
    return reply["content"], [message["content"] for message in shown]


@pytest.mark.parametrize(
    "code",
    [
        "chatkit.transcribe(clip, model='whisper-1', client=client, name='held')",
        "bar.LATE = 0.0; chatkit.transcribe(clip, model='whisper-1', client=client, name='held')",
        "await jobs.start('transcribe', clip, model='whisper-1', client=client, name='held')",
    ],
)
def test_an_interrupt_stops_the_job_and_the_kernel_goes_on(kernel, code):
    manager, client, server = kernel
    asked = len(server.log)
    message = client.execute(code, stop_on_error=False)  # else the kernel drops what comes right after the error
    server.wait_until(lambda server: len(server.log) > asked)
    manager.interrupt_kernel()
    while (reply := client.get_shell_msg(timeout=PATIENCE))["parent_header"]["msg_id"] != message:
        pass
    assert reply["content"]["ename"] in ("KeyboardInterrupt", "CancelledError")  # the latter of an await
    content, shown = run(client, "print(chatkit.transcribe(clip, model='whisper-1', client=client, progress=False))")
    assert content["status"] == "ok"
    assert [c["text"] for c in shown if c.get("name") == "stdout"] == ["Hello there.\n"]


def test_a_job_that_takes_long_shows_a_bar_and_a_short_one_does_not(kernel):
    _, client, _ = kernel
    line = "bar.LATE = {late}; said = chatkit.transcribe(clip, model='whisper-1', client=client)"
    _, short = run(client, line.format(late=60.0))
    _, long = run(client, line.format(late=0.0))
    assert [content for content in short if "data" in content] == []
    assert any("application/vnd.jupyter.widget-view+json" in content.get("data", {}) for content in long)


def test_a_transcript_is_shown_as_html_and_as_one_stable_line(kernel):
    _, client, _ = kernel
    _, shown = run(client, "chatkit.transcribe(clip, model='whisper-1', client=client, progress=False)")
    [data] = [content["data"] for content in shown if "data" in content]
    assert data["text/plain"] == "Transcript('Hello there.', 0:09)"
    assert "<audio controls" in data["text/html"]
