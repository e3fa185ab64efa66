"""The training dashboard in a real browser: its stop button ends a running cell."""

import re

import nbformat
import pytest

from resnet_lesson.tools.publish import KERNEL
from tests.browser import lab

pytestmark = pytest.mark.skipif(
    lab.browser_path() is None, reason="no Chromium or Chrome on this machine")
CELLS = (
    "import torch\nfrom resnet_lesson import data, training\n"
    "from resnet_lesson.networks import resnet\n"
    "from resnet_lesson.panels.training_dashboard import TrainingDashboard\n"
    'splits = data.load_fashion_mnist("mini", quiet=True)\n'
    "splits = splits._replace(train=splits.train.take(slice(640)),\n"
    "                         validation=splits.validation.take(slice(100)))\n"
    "torch.set_num_threads(1)\n"
    'model = resnet.small_resnet(8, widths=(4, 4, 4), stem="small/2")',
    "dashboard = TrainingDashboard()\ndashboard",
    "history = training.fit(model, splits, epochs=1000, batch_size=64, watch=dashboard.watch,\n"
    "                       progress=False)\n"
    'print("kept", len(history.step_losses) > 0, history.interrupted)',
    "print(repr(dashboard))",
    "history = training.fit(model, splits, epochs=1, batch_size=64, watch=dashboard.watch,\n"
    "                       progress=False)\n"
    'print("second", history.interrupted, repr(dashboard))')


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dashboard")
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": KERNEL},
        cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    nbformat.write(notebook, folder / "dashboard.ipynb")
    with lab.serve(folder) as found:
        yield found


@pytest.fixture
def page(address):
    with lab.chromium(height=1500) as found:
        found.set_default_timeout(300_000)  # a machine may be busy with other things
        lab.open_notebook(found, address, "dashboard.ipynb")
        yield found


def start(page):
    """Run all cells; return the panel once the first epoch of the training is over."""
    page.click('text="Run"')
    page.click('li[data-command="runmenu:run-all"]')
    panel = page.locator(".lesson-panel").first
    panel.get_by_text(re.compile("Best validation accuracy so far")).wait_for()
    return panel


def wait_for_idle(page):
    page.get_by_text(re.compile("^second")).first.wait_for()
    page.wait_for_selector(".jp-StatusBar-Widget :text('| Idle')")


def output(page, beginning):
    return page.locator(".jp-OutputArea-output").get_by_text(
        re.compile(f"^{beginning}")).first.inner_text().strip()


def test_the_stop_button_ends_the_training_and_the_history_is_kept(page):
    panel = start(page)
    panel.get_by_role("button", name="Larger").click()
    page.wait_for_selector(".lesson-larger")  # seen during the run
    panel.get_by_role("button", name="Stop training").click()
    wait_for_idle(page)
    assert output(page, "kept") == "kept True True"
    where = r"Stopped by the button (in epoch \d+ of 1000, after step \d of 10|after epoch \d+ of)"
    assert re.match(where, output(page, "Stopped"))
    # The second run of the same panel goes to its end: the click was for the first one.
    assert "second False Finished: 1 epoch of 10 steps." in output(page, "second")
    assert panel.get_by_text(re.compile("^Finished: 1 epoch of 10 steps")).count() == 1
    assert panel.get_by_role("button", name="Stop training").is_disabled()


def test_jupyters_own_stop_button_does_the_same(page):
    panel = start(page)
    page.locator('[data-command="notebook:interrupt-kernel"]').first.click()
    page.get_by_text(re.compile("^kept True True")).first.wait_for()
    panel.get_by_text(re.compile("^(Stopped|Finished)")).wait_for()
