"""The shipped notebooks as nbval checks them: with the outputs that some cells must have, which are shipped as metadata.

A notebook that is shipped with outputs is not trusted until each of its cells has run, and what is not trusted is not
drawn after a reload: a panel would be gone while its kernel lives. So the outputs stand here, not there.
"""

import json
import shutil
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
EXPECTED = "expected_outputs"
CHECKED = "nbval-check-output"


def write(folder: Path) -> None:
    """Put the notebooks into `folder`, with their outputs, and what lies beside them."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(NOTEBOOKS, folder, ignore=shutil.ignore_patterns(".*"))
    for path in folder.glob("*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if outputs := cell["metadata"].pop(EXPECTED, None):
                cell["outputs"], cell["metadata"]["tags"] = outputs, [CHECKED]
                cell["execution_count"] = 1  # nbval refuses outputs of a cell that never ran
        path.write_text(json.dumps(notebook), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
