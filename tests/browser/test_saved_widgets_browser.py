"""A notebook with an uploader and a meter is opened again, and no kernel knows them: there is a sentence, and no error."""

import pytest
from lab import Notebook
from test_saved_panel_browser import visible

MADE = ("import chatkit\nchatkit.UsageMeter()", "chatkit.AudioUploader()")
SENTENCES = [
    ["UsageMeter: run this cell to see here what is used."],
    ["AudioUploader: run this cell to turn speech into text here."],
]


@pytest.mark.own_page
def test_a_meter_and_an_uploader_without_their_kernel_leave_a_sentence_and_no_error(notebook: Notebook):
    notebook.open(*MADE)
    for nth, kind in enumerate((".ck-meter", ".ck-uploader")):
        notebook.run(nth)
        notebook.page.locator(kind).wait_for()
    assert notebook.page.locator(".ck-saved").evaluate_all("nodes => nodes.map(node => node.offsetHeight)") == [0, 0]
    notebook.command("docmanager:save")
    notebook.shut_down()
    notebook.page.reload()
    notebook.wait_for_kernel()
    notebook.page.get_by_text("Error displaying widget: model not found").nth(1).wait_for(state="attached")
    assert visible(notebook) == SENTENCES
    notebook.screenshot("saved-widgets")
