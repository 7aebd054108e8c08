"""What tests of the explorer share; other subjects need none of it, so nothing is imported before it is asked for."""

import pytest


@pytest.fixture(scope="session")
def all_samples():
    from explorer_samples import samples

    return {name: make() for name, make in samples.SAMPLES.items()}


@pytest.fixture(scope="module")
def chromium():
    """A browser for each file, and not for all: while it is open, nothing else in the process may run an event loop."""
    from playwright.sync_api import sync_playwright

    import ensure_chromium

    path = ensure_chromium.find() or pytest.fail("no Chromium or Chrome; `make chromium` installs it", pytrace=False)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Addresses of the pages of samples: light, dark, asking."""
    from explorer_pages import write

    return write(tmp_path_factory.mktemp("explorers"))


@pytest.fixture
def visit(chromium, site):
    """Opens a page of samples, which is closed after the test."""
    from explorer_pages import Visit

    made = []

    def start(theme="light", hash="", **options):
        made.append(Visit(chromium, site[theme] + hash, **options))
        return made[-1]

    yield start
    for one in made:
        one.context.close()
