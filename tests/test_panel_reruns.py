"""A cell that makes a panel and starts a stream, run a thousand times in a real kernel: nothing piles up."""

import json
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel
from scripted_endpoint import ScriptedEndpoint

RUNS = 1_000
SETUP = """
import gc, json, threading
import comm, ipywidgets, psutil
import chatkit
client = chatkit.connect(base_url={url!r}, api_key="sk-test", quiet=True)

def counts():
    gc.collect()
    here = psutil.Process()
    return json.dumps({{
        "comms": len(comm.get_comm_manager().comms),
        "chats": sum(type(o) is chatkit.Chat for o in gc.get_objects()),
        "widgets": len(ipywidgets.widgets.widget._instances),
        "threads": threading.active_count(),
        "sockets": sum(c.status == "ESTABLISHED" and bool(c.raddr) and c.raddr.port == {port} for c in here.net_connections()),
        "MB": here.memory_info().rss / 1e6,
    }})
"""
CELL = """
panel = chatkit.ChatPanel(client=client, model="m", history=False)
panel.simulate({"type": "ask", "id": panel.name, "view": "v", "text": "count 200"})
"""
SETTLED = "panel.close()\nassert panel.chat.run.wait(10).outcome == 'cancelled'"


@pytest.fixture(scope="module")
def endpoint() -> Any:
    server = ScriptedEndpoint()
    yield server
    server.close()


def execute(client: BlockingKernelClient, code: str, **more: Any) -> None:
    """Run code as a front end does: with the id of its cell."""
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    message = client.session.msg("execute_request", content | more)
    message["metadata"]["cellId"] = "the-cell"
    client.shell_channel.send(message)
    while (reply := client.get_shell_msg(timeout=30))["parent_header"].get("msg_id") != message["header"]["msg_id"]:
        continue
    assert reply["content"]["status"] == "ok", reply["content"]
    client.last = reply["content"]


def counts(client: BlockingKernelClient) -> dict[str, float]:
    execute(client, SETTLED)
    execute(client, "", user_expressions={"counts": "counts()"})
    return json.loads(eval(client.last["user_expressions"]["counts"]["data"]["text/plain"]))  # a text's own repr


def test_a_thousand_runs_of_a_cell_leave_nothing_behind(endpoint: ScriptedEndpoint):
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        execute(client, SETUP.format(url=endpoint.base_url, port=endpoint.port))
        for _ in range(20):
            execute(client, CELL)
        before = counts(client)
        for _ in range(RUNS):
            execute(client, CELL)
        after = counts(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert len(endpoint.asked("count 200")) <= RUNS + 20
    assert not any(exchange.finished for exchange in endpoint.asked("count 200"))
    for kind in ("comms", "widgets", "threads"):
        assert after[kind] <= before[kind], kind
    assert after["chats"] <= 3  # the last one, and those that a frame still names
    assert after["sockets"] <= max(1, before["sockets"])
    assert after["MB"] - before["MB"] < 30
