"""Streams that are opened and never read: a row, also from a script that ends at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faultserver import GATE, FaultServer, cut, say

from chatkit.ledger.store import UsageStore

OPEN = """
import gc, sys, chatkit
client = chatkit.connect(base_url=sys.argv[1], api_key="sk-test-abcdefghijkl-wxyz", quiet=True)
def opened():
    return client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}], stream=True)
"""
WAYS = {
    "dropped at once": "opened()",
    "kept to the end": "stream = opened()",
    "in a circle, which the collector finds while the prices are loaded": "stream = opened(); stream.me = stream; del stream",
    "collected by hand": "opened(); gc.collect()",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_script_that_ends_without_reading_its_stream_has_a_row(way: str, tmp_path: Path) -> None:
    file = tmp_path / "usage.sqlite"
    settings = {**os.environ, "CHATKIT_DB": f"sqlite:///{file}", "CHATKIT_HISTORY": "off"}
    with FaultServer(cut(say("Hello"), GATE)) as server:
        command = [sys.executable, "-c", OPEN + WAYS[way], server.url]
        ran = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    [row] = UsageStore(file).records()
    assert (row.outcome, row.model, row.streamed) == ("cancelled", "gpt-4o-mini", True)
