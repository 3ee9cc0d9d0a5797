"""The shipped notebooks: a reader's Jupyter trusts them, so that a page that is loaded again draws their widgets."""

import json
import re
from pathlib import Path

import pytest
from checked_notebooks import CHECKED, EXPECTED, NOTEBOOKS, write

sign = pytest.importorskip("nbformat.sign", reason="nbformat is not installed")
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))


def code_cells(path: Path) -> list[dict]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_shipped_as_nobody_has_run_it_and_is_trusted_once_one_cell_ran(path: Path, tmp_path: Path):
    assert [(cell["outputs"], cell["execution_count"]) for cell in code_cells(path)] == [([], None)] * len(
        code_cells(path)
    )
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    run = next(cell for cell in notebook.cells if cell.cell_type == "code")
    run.metadata["trusted"] = True  # as a front end marks what it ran
    run.outputs = [nbformat.v4.new_output("display_data", {"text/html": "<b>a widget</b>"})]
    notary = sign.NotebookNotary(data_dir=str(tmp_path))
    assert notary.check_cells(notebook)
    for other in notebook.cells[1:]:
        if other.cell_type == "code" and other is not run and EXPECTED in other.metadata:
            other.outputs = [nbformat.from_dict(output) for output in other.metadata[EXPECTED]]
    assert not notary.check_cells(notebook), "outputs of cells that were not run would take the trust away"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_cell_that_opens_a_text_names_its_encoding_since_windows_takes_another(path: Path):
    for cell in code_cells(path):
        for call in re.findall(r"\b(?:open|read_text|write_text)\((.*)\)", "".join(cell["source"])):
            assert "encoding=" in call or re.search(r"[\"'][rwax]?b[\"']", call), call


def test_what_cells_must_say_is_checked_beside_the_notebooks(tmp_path: Path):
    write(tmp_path / "checked")
    shipped = [
        cell["metadata"][EXPECTED] for path in PATHS for cell in code_cells(path) if EXPECTED in cell["metadata"]
    ]
    checked = [
        cell["outputs"] * bool(cell["execution_count"])
        for path in PATHS
        for cell in code_cells(tmp_path / "checked" / path.name)
        if CHECKED in cell["metadata"].get("tags", [])
    ]
    assert checked == shipped
    assert len(checked) >= 20
    assert (tmp_path / "checked" / "audio" / "english.m4a").is_file()
