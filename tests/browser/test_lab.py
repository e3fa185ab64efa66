"""The lesson in a real browser: it opens without questions and runs."""

import json
import shutil

import pytest

from resnet_lesson.tools.publish import NOTEBOOKS
from tests.browser import lab

PROJECT = NOTEBOOKS.parent
pytestmark = pytest.mark.skipif(
    lab.browser_path() is None, reason="no Chromium or Chrome on this machine")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    for path in NOTEBOOKS.glob("*.ipynb"):
        (folder / path.name).write_bytes(path.read_bytes())
    with lab.serve(folder) as found:
        yield found


@pytest.fixture
def page():
    with lab.chromium() as found:
        yield found


@pytest.mark.skipif(not (PROJECT / ".venv" / "ready").exists() or not shutil.which("make"),
                    reason="make lab would first install everything; run make test instead")
def test_make_lab_shows_notebook_00_without_questions(page):
    with lab.started(["make", "lab"], cwd=PROJECT) as address:
        assert "/lab/tree/00_start_here.ipynb?token=" in address
        page.goto(address)
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        page.wait_for_selector(".jp-StatusBar-Widget :text('| Idle')")
        page_config = json.loads(page.locator("#jupyter-config-data").text_content())
        assert "@jupyterlab/apputils-extension:announcements" in page_config["disabledExtensions"]
        page.wait_for_timeout(3000)
        assert page.locator(".Toastify__toast, .jp-Dialog").count() == 0
        assert page.locator(".jp-Notebook").get_by_text("Start here").count() > 0


def test_notebook_00_runs_to_ready(address, page):
    lab.open_notebook(page, address, "00_start_here.ipynb")
    lab.run_all(page)
    assert page.locator('.jp-RenderedText[data-mime-type*="error"]').count() == 0
    lab.scroll_to(page, "Ready.")


def test_without_the_token_nothing_is_shown(address, page):
    page.goto(address.split("?")[0])
    page.wait_for_selector("text=token")
    assert page.locator(".jp-Notebook").count() == 0
