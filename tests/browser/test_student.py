"""A student at work in a real browser: mistakes, a right answer, a restart, and what remains."""

import json
import re
import sys

import pytest
from playwright.sync_api import expect

from resnet_lesson import reader
from tests.browser import lab

pytestmark = pytest.mark.skipif(
    lab.browser_path() is None, reason="no Chromium or Chrome on this machine")
QUESTION = "Of all numbers in the 5,000 training pictures, how many are exactly 0?"
CHECK = "SHARE_RIGHT.check(accuracy)"
# what is typed below `def accuracy(answers, labels):`, and how the words begin that it earns
TRIES = (("...", "✗ Not solved yet"),
         ("return (answers == labels).sum().item()", "✗ For 103 pictures: .* Divide by how"),
         ("return (anwsers == labels).float().mean()", "✗ Your answer raised NameError in line 2"),
         ("while True: pass", "✗ Your answer ran for more than 1 seconds and was stopped"),
         ("return (answers == labels).float().mean().item()", "✓ Right"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Start JupyterLab as a student does; yield the working copy and its address."""
    folder = tmp_path_factory.mktemp("student") / "my-lesson"
    command = [sys.executable, "-m", "resnet_lesson.tools.cli", "lab", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RESNET_LESSON_READER")
        with lab.started(command, cwd=folder.parent) as address:
            yield folder, address


@pytest.fixture
def page():
    with lab.chromium(height=5000) as found:   # so that all that is used here is on the screen
        yield found


def run(page, text, source=None):
    """Run the code cell in which a text stands, with another source if given; return its output."""
    cell = page.locator(".jp-CodeCell").filter(
        has=page.locator(".jp-InputArea").filter(has_text=text))
    prompt = cell.locator(".jp-InputArea .jp-InputPrompt")
    before = prompt.inner_text()
    cell.locator(".cm-content").click()
    if source:
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.insert_text(source)
    page.keyboard.press("Shift+Enter")
    expect(prompt).not_to_have_text(before, timeout=120_000)
    expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=120_000)
    return cell.locator(".jp-OutputArea")


def says(output, words):
    expect(output).to_contain_text(re.compile(words, re.DOTALL), timeout=60_000)


def restart(page):
    """Restart the kernel by the menu, and clear what the old one said."""
    page.click('text="Kernel"')
    page.click('li[data-command="kernelmenu:restart-and-clear"]')
    page.locator(".jp-Dialog button.jp-mod-warn, .jp-Dialog button.jp-mod-accept").last.click()
    expect(page.locator(".jp-OutputArea-output")).to_have_count(0)
    page.wait_for_selector(".jp-StatusBar-Widget :text('| Idle')")


def test_what_was_solved_and_predicted_outlives_the_kernel(copy, page):
    folder, address = copy
    lab.open_notebook(page, address, "00_start_here.ipynb")
    page.get_by_role("heading", name="What you have built").wait_for()
    expect(page.locator(".jp-OutputArea-output")).to_have_count(0)   # so no answer is shown
    run(page, "machine.check()")
    run(page, "Built()", "from resnet_lesson.exercises import guard\nguard.SECONDS = 1  # Built()")
    for body, words in TRIES:
        run(page, "def accuracy", f"def accuracy(answers, labels):\n    {body}")
        says(run(page, CHECK), words)
    run(page, "load_fashion_mnist")
    run(page, "guess = Prediction")
    shown = run(page, "guess.compare")
    says(shown, "The measurement is done. Choose an answer to see it.")
    expect(shown).not_to_contain_text("a share of")
    shown.get_by_label("one in four").check()
    says(shown, "You predicted “one in four”. Measured: one in two. 1,968,191 of 3,920,000 are 0")

    restart(page)
    record = json.loads((folder / reader.RECORD).read_text(encoding="utf-8"))
    assert record["exercises"]["start_here.SHARE_RIGHT"]["checks"] == len(TRIES) - 1
    assert record["predictions"][QUESTION] == {"choice": "one in four", "outcome": "one in two"}
    run(page, "machine.check()")
    says(run(page, "Built()", "Built()"),
         r"Exercises solved: 1 of \d+\. Predictions: 1 made, 1 of them measured, 0 held")
    shown = run(page, "guess = Prediction")
    expect(shown.get_by_label("one in four")).to_be_checked(timeout=60_000)


def test_a_part_of_the_network_becomes_a_file(copy, page):
    folder, address = copy
    lab.open_notebook(page, address, "03_convolution_sizes.ipynb")
    answer = ("def output_size(input_size, kernel_size, stride=1, padding=0, dilation=1):\n"
              "    span = dilation * (kernel_size - 1) + 1\n"
              "    return (input_size + 2 * padding - span) // stride + 1")
    run(page, "from torch.nn import functional as F")
    run(page, "def output_size", answer)
    says(run(page, "exercises.SIZE.check(output_size)"), r"✓ Right.*kept.in my_resnet\.py")
    assert answer in (folder / "my_resnet.py").read_text(encoding="utf-8")
