"""A saved notebook with every widget in it, read where no kernel and no widget lives: one sentence for each, or the talk."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nbconvert.exporters import HTMLExporter, MarkdownExporter

CELLS = {
    "ChatPanel: run this cell": "import chatkit\nchatkit.ChatPanel(system='Be brief.')",
    "In Brazil.": "chatkit.ChatPanel(conversation=[{'role': 'assistant', 'content': 'In Brazil.'}, "
    "{'role': 'user', 'content': 'When?'}], save_transcript=True)",
    "UsageMeter: run this cell": "chatkit.UsageMeter()",
    "AudioUploader: run this cell": "chatkit.AudioUploader()",
    "shown": "from IPython.display import display\ndisplay(chatkit.UsageMeter())\nprint('shown')",
}
VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "widgets.ipynb"
    new = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [{**new, "id": f"c{n}", "source": code} for n, code in enumerate(CELLS.values())]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content), encoding="utf-8")
    convert = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", path.name]
    subprocess.run(convert, cwd=path.parent, check=True, capture_output=True, timeout=120)
    return path


def test_each_widget_stands_beside_one_text_for_who_has_no_kernel(notebook: Path):
    for cell, code in zip(json.loads(notebook.read_text(encoding="utf-8"))["cells"], CELLS.values(), strict=True):
        view, beside = [output["data"] for output in cell["outputs"] if "data" in output]
        assert (VIEW in view, "".join(view["text/plain"])) == (True, ""), code
        assert {"text/html", "text/plain"} <= set(beside), code


@pytest.mark.parametrize("state", [True, False], ids=["with widget state", "without"])
@pytest.mark.parametrize("exporter", [HTMLExporter, MarkdownExporter])
def test_a_hand_out_says_each_sentence_once_and_shows_no_empty_line_of_a_widget(notebook: Path, exporter, state: bool):
    content = json.loads(notebook.read_text(encoding="utf-8"))
    if not state:
        del content["metadata"]["widgets"]
    for number, (words, cell) in enumerate(zip(CELLS, content["cells"], strict=True)):
        alone = notebook.with_name(f"{number}.ipynb")
        alone.write_text(json.dumps({**content, "cells": [cell | {"source": ""}]}), encoding="utf-8")
        shown = re.sub(r"<(style|script).*?</\1>|<[^>]*>", "", exporter().from_filename(str(alone))[0], flags=re.S)
        assert shown.count(words) == 1, shown[-2000:]
        assert not re.search(r"(ChatPanel|UsageMeter|AudioUploader)\(", shown)
