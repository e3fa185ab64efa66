"""The lesson in a real browser: it opens without questions and runs."""

import pytest

from resnet_lesson.publish import NOTEBOOKS
from tests.browser import lab

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


def test_notebook_00_opens_without_questions_and_runs(address, page):
    lab.open_notebook(page, address, "00_start_here.ipynb")
    page.wait_for_timeout(3000)
    assert page.locator(".Toastify__toast, .jp-Dialog").count() == 0
    lab.run_all(page)
    assert page.locator('.jp-RenderedText[data-mime-type*="error"]').count() == 0
    lab.scroll_to(page, "Ready.")


def test_without_the_token_nothing_is_shown(address, page):
    page.goto(address.split("?")[0])
    page.wait_for_selector("text=token")
    assert page.locator(".jp-Notebook").count() == 0
