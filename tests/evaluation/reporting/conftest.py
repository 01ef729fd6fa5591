"""A browser, if this machine has one."""

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium; without one tests are skipped, but not where CI counts on it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        reason = "no chromium and chromedriver (Debian: chromium, chromium-driver)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    if not os.environ.get("CI"):
        pytest.importorskip("selenium")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    session = webdriver.Chrome(options=options, service=Service(driver))  # asks no network for one
    yield session
    session.quit()
