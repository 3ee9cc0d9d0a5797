"""The main job, on real input: no key, no network, a real model answers, and every call is on the books."""

import json
import os
import subprocess
import sys

from local_server import needs_weights

NOTEBOOK = """
import json, os
import chatkit

client = chatkit.connect()
question = [{"role": "user", "content": "Where is the 2014 World Cup held?"}]
whole = client.chat.completions.create(model="gpt-6-luna", messages=question, temperature=0)
chunks = list(client.chat.completions.create(model="gpt-6-luna", messages=question, temperature=0, stream=True))
told = chatkit.Chat("Answer in one sentence.", temperature=0).send("Name a city in Brazil.")
rows = list(chatkit.UsageStore().records(session=chatkit.current_session()))
print(json.dumps({
    "base_url": str(client.base_url),
    "answer": whole.choices[0].message.content,
    "model": whole.model,
    "whole": [whole.usage.prompt_tokens, whole.usage.completion_tokens],
    "streamed": "".join(c.choices[0].delta.content or "" for c in chunks),
    "usage_chunks": sum(not c.choices for c in chunks),
    "told": [told.outcome, told.usage.prompt_tokens, told.usage.completion_tokens],
    "rows": [
        [r.outcome, r.streamed, r.attempt, r.model, r.usage.known, r.usage.prompt_tokens, r.usage.completion_tokens,
         str(r.usage.cost)] for r in rows
    ],
}))
"""


def start(folder):
    environment = os.environ | {"CHATKIT_DB": str(folder / "usage.sqlite")}
    command = [sys.executable, "-c", NOTEBOOK]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


def test_two_notebooks_side_by_side_ask_a_real_model_and_each_call_is_one_row_with_exact_tokens(tmp_path):
    needs_weights()
    notebooks = [start(tmp_path), start(tmp_path)]
    said = [notebook.communicate(timeout=180)[0].splitlines() for notebook in notebooks]
    assert [notebook.returncode for notebook in notebooks] == [0, 0]
    assert [lines[0] for lines in said] == [
        "SmolLM2-135M-Instruct answers on this machine: no key, no network, no cost."
    ] * 2
    seen = [json.loads(lines[1]) for lines in said]
    assert seen[0]["base_url"] != seen[1]["base_url"]
    for one in seen:
        assert "Brazil" in one["answer"]
        assert one["model"] == "SmolLM2-135M-Instruct"
        assert (one["streamed"], one["usage_chunks"]) == (one["answer"], 0)
        whole, turn = one["whole"], one["told"]
        assert turn[0] == "complete"
        assert one["rows"] == [
            ["complete", False, 1, "gpt-6-luna", "measured", *whole, "0"],
            ["complete", True, 1, "gpt-6-luna", "measured", *whole, "0"],
            ["complete", True, 1, "SmolLM2-135M-Instruct", "measured", *turn[1:], "0"],
        ]
