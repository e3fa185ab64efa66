"""JupyterLab in a real browser: start it, open a notebook, run it, look at it.

Used by the tests here, and by people who want to see what a reader sees::

    python -m tests.browser.lab notebooks/01_residual_idea.ipynb /tmp/pictures

runs the notebook (a copy of it) and writes screenshots from top to bottom.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SETTINGS = ["--no-browser", "--allow-root"]


def browser_path():
    """Return the path of a Chromium or Chrome on this machine, or ``None``."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


@contextmanager
def serve(folder):
    """Start JupyterLab on a folder; yield the address of its root, with the token."""
    with started([sys.executable, "-m", "jupyterlab", *SETTINGS,
                  "--ServerApp.port_retries=100", f"--ServerApp.root_dir={folder}"]) as address:
        yield address


@contextmanager
def started(command, **options):
    """Run a command that starts JupyterLab; yield the address that it prints."""
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "JUPYTER_CONFIG_DIR": f"{home}/config",
                       "JUPYTERLAB_WORKSPACES_DIR": f"{home}/workspaces",
                       "JUPYTERLAB_SETTINGS_DIR": f"{home}/settings"}
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            environment.pop(name, None)
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment,
                                  start_new_session=True, **options)
        try:
            yield _address(server, log)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def _address(server, log, patience=120):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and server.poll() is None:
        log.seek(0)
        found = re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/lab\S*\?token=\w+", log.read())
        if found:
            return found.group(0)
        time.sleep(0.2)
    log.seek(0)
    raise RuntimeError(f"JupyterLab did not start: {log.read()[-2000:]}")


@contextmanager
def chromium(width=1280, height=1000):
    """Yield a Playwright page in headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(120_000)
        yield page
        browser.close()


def open_notebook(page, address, name):
    """Open a notebook and wait until it is shown and its kernel is idle."""
    base, token = address.split("/lab")[0], address.split("?")[1]
    page.goto(f"{base}/lab/tree/{name}?{token}&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_selector(".jp-StatusBar-Widget :text('| Idle')")


def run_all(page, timeout=600):
    """Run every cell and wait until the kernel is idle again."""
    page.click('text="Run"')
    page.click('li[data-command="runmenu:run-all"]')
    deadline = time.monotonic() + timeout
    quiet = 0
    while quiet < 4:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the notebook still runs after {timeout} seconds")
        time.sleep(0.5)
        idle = page.locator(".jp-StatusBar-Widget :text('| Idle')").count() > 0
        started = page.locator(".jp-InputPrompt").filter(has_text=re.compile(r"\[\d+\]")).count()
        waiting = page.locator(".jp-InputPrompt").filter(has_text="[*]").count()
        quiet = quiet + 1 if idle and started and not waiting else 0


def scroll_to(page, text):
    """Scroll down until a text is on the screen; fail if the notebook does not show it."""
    scroller = page.locator(".jp-WindowedPanel-outer").first
    height = scroller.evaluate("element => element.scrollHeight")
    for top in range(0, height + 1, 600):
        scroller.evaluate("(element, top) => { element.scrollTop = top }", top)
        page.wait_for_timeout(300)
        found = page.locator(".jp-Notebook").get_by_text(text).locator("visible=true").first
        if found.count():
            found.scroll_into_view_if_needed()
            return found
    raise AssertionError(f"the notebook does not show {text!r}")


def photograph(page, folder, name):
    """Scroll through the notebook and write one screenshot per screen; return their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    scroller = page.locator(".jp-WindowedPanel-outer").first
    paths, top = [], 0
    while True:
        scroller.evaluate("(element, top) => { element.scrollTop = top }", top)
        time.sleep(0.7)
        paths.append(folder / f"{name}-{len(paths) + 1:02d}.png")
        page.screenshot(path=paths[-1])
        height, seen = scroller.evaluate(
            "element => [element.scrollHeight, element.clientHeight]")
        top += seen - 60
        if top >= height - 60:
            return paths


def main(notebook, pictures):
    """Run a copy of a notebook in JupyterLab and write screenshots of it."""
    notebook = Path(notebook)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(notebook, folder)
        with serve(folder) as address, chromium() as page:
            open_notebook(page, address, notebook.name)
            run_all(page)
            for path in photograph(page, pictures, notebook.stem):
                print(path)


if __name__ == "__main__":
    main(*sys.argv[1:3])
