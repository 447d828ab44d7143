"""A headless Chromium that tests control with the DevTools protocol over pipes. It needs no port, driver or package."""

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
SECONDS = 60


class Browser:
    """One tab. ``requests`` holds the addresses that it requested, ``complaints`` the messages on its console."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing, self._buffer, self._number = reading, writing, b"", 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._loaded = 0
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = ""
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "DOM", "Runtime"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> Any:
        return self._send(method, session=self._session, **parameters)

    def open(self, address: str) -> None:
        before = self._loaded
        self.send("Page.navigate", url=address)
        self.wait_for_load(before)

    def wait_for_load(self, before: int) -> None:
        """Waits until more than ``before`` pages have been loaded."""
        end = time.monotonic() + SECONDS
        while self._loaded == before:
            assert time.monotonic() < end, "the page does not load"
            self._read()

    def evaluate(self, expression: str) -> Any:
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + SECONDS
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < end, expression
            time.sleep(0.05)

    def download_to(self, folder: Path) -> None:
        """Saves what is downloaded from now on."""
        self._send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def choose(self, selector: str, *paths: Path) -> None:
        """Puts files into an input, as a user does in the file dialogue."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=list(map(str, paths)))

    def press(self, key: str, code: int, text: str = "") -> None:
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=text)

    def submit(self, selector: str) -> None:
        """Focuses a button, presses Enter and waits for the next page."""
        before = self._loaded
        self.enter(selector)
        self.wait_for_load(before)

    def enter(self, selector: str) -> None:
        """Focuses a button and presses Enter."""
        self.evaluate(f"document.querySelector({selector!r}).focus()")
        self.press("Enter", 13, "\r")

    def width(self, pixels: int) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=pixels, height=800, deviceScaleFactor=1, mobile=False)

    def scrolling(self) -> list[str]:
        """The labels of the boxes whose content is wider than they are."""
        wider = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1)"
        found: list[str] = self.evaluate(f"{wider}.map(e => e.ariaLabel)")
        return found

    def on_first_page(self, selector: str) -> bool:
        """Whether an element would be printed on the first page, of A4 and of Letter, with margins of 11 and 14 mm."""
        self.send("Emulation.setEmulatedMedia", media="print")
        self.width(round((210 - 2 * 14) / 25.4 * 96))
        bottom = self.evaluate(f"document.querySelector({selector!r}).getBoundingClientRect().bottom")
        self.send("Emulation.setEmulatedMedia", media="")
        return bool(bottom < (279 - 2 * 11) / 25.4 * 96)

    def too_wide(self, but: str) -> list[str]:
        """The elements that reach beyond the window, without those that a selector names."""
        found: list[str] = self.evaluate(
            f"[...document.body.querySelectorAll('*')].filter(e => !e.closest({but!r})"
            " && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)"
            ".map(e => e.outerHTML.slice(0, 80))"
        )
        return found

    def pictures(self) -> list[bool]:
        """Whether each picture of the page is shown."""
        found: list[bool] = self.evaluate("[...document.images].map(e => e.complete && e.naturalWidth > 0)")
        return found

    def _send(self, method: str, session: str = "", **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        os.write(self._writing, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self) -> Any:
        while b"\0" not in self._buffer:
            part = os.read(self._reading, 2**16)
            assert part, "the browser has ended"
            self._buffer += part
        line, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(line)
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded += 1
            case "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(message["params"]["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]["exceptionDetails"]))
        return message


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """A browser with a new profile in ``folder``. It is closed when the block ends."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    # moved to 20 and above, because the browser needs the numbers 3 and 4
    high_in, high_out = (fcntl.fcntl(number, fcntl.F_DUPFD, 20) for number in (theirs_in, theirs_out))
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-sync", *QUIET]
    command += ["--hide-scrollbars", "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"]
    shell = ["bash", "-c", f'exec "$@" 3<&{high_in} 4>&{high_out}', "bash", *command]
    process = subprocess.Popen(
        shell, pass_fds=(high_in, high_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for number in (theirs_in, theirs_out, high_in, high_out):
        os.close(number)
    try:
        browser = Browser(ours_in, ours_out)
        yield browser
        browser._send("Browser.close")
        process.wait(SECONDS)
    finally:
        process.kill()
        process.wait()
        os.close(ours_in)
        os.close(ours_out)
