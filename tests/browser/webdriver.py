# SPDX-License-Identifier: LGPL-2.1-or-later
"""A headless Chromium, driven over WebDriver (w3.org/TR/webdriver2) by what Python comes with."""
import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's reference, section 12
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015"}


def skip(reason):
    print("SKIP:", reason)
    sys.exit(77)


class Browser:
    """with Browser() as browser: …"""

    def __init__(self, size=(1280, 800)):
        for program in ["chromium", "chromedriver"]:
            if not shutil.which(program):
                skip(f"{program} is not installed")
        self.size = size

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory(prefix="vpmu-browser-")
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            for line in self.driver.stdout:
                if port := re.search(r"successfully on port (\d+)", line):
                    break
            else:
                skip("chromedriver does not start")
            self.url = f"http://127.0.0.1:{port.group(1)}/session"
            # As root Chromium has no sandbox. Nothing here needs a network or a GPU.
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                         "--disable-background-networking", "--force-device-scale-factor=1", "--force-prefers-reduced-motion",
                         "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={self.home.name}/profile",
                         "--window-size={},{}".format(*self.size)]
            made = self.call("POST", "", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": {"args": arguments}}}})
            self.url += "/" + made["sessionId"]
            self.prefer("light")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        try:
            if self.url.count("/") > 3:
                self.call("DELETE", "")
        except (OSError, RuntimeError, AttributeError):
            pass
        self.driver.terminate()
        self.driver.wait()
        self.driver.stdout.close()
        self.home.cleanup()

    def call(self, method, path, body=None):
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.read().decode()[:600]}") from None

    def cdp(self, command, parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def prefer(self, mode):
        """light or dark"""
        self.cdp("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": mode}]})
        # What was drawn anew is to be seen after the next frame.
        self.call("POST", "/execute/async", {"script": "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))", "args": []})

    def resize(self, height):
        """What follows from it was drawn when this returns."""
        self.call("POST", "/window/rect", {"width": self.size[0], "height": height})
        for _ in range(2):  # the page hears of its size before a frame, and draws in the next
            self.call("POST", "/execute/async", {"script": "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))", "args": []})

    def open(self, path):
        self.call("POST", "/url", {"url": f"file://{path}"})

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector):
        """As it is to be seen: "" for what is hidden."""
        return self.run("const e = document.querySelector(arguments[0]); return e.getClientRects().length ? e.innerText : ''", selector)

    def element(self, selector):
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        return f"/element/{found[ELEMENT]}"

    def click(self, selector):
        self.call("POST", self.element(selector) + "/click")

    def type(self, selector, text):
        self.call("POST", self.element(selector) + "/value", {"text": text})

    def press(self, *keys):
        actions = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ["keyDown", "keyUp"]]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def point(self, x, y, click=False):
        """Moves the mouse to a place of the window."""
        actions = [{"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0}]
        if click:
            actions += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})

    def screenshot(self, path):
        image = base64.b64decode(self.call("GET", "/screenshot"))
        with open(path, "wb") as file:
            file.write(image)
        return image

    def errors(self):
        """What the page's scripts did wrong, and what its policy refused. (Not advice: these tests read pixels, which is slow.)"""
        log = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in log if entry["level"] in ("SEVERE", "WARNING") and entry["source"] != "rendering"]
