# SPDX-License-Identifier: MIT
"""A browser that looks at a page: Chromium without a window, told what to do over a pipe."""

import base64
import json
import os
import select
import shutil
import struct
import subprocess
import tempfile
import time
import zlib

from harness import paths

PATIENCE = 60
# The pipe's ends come as 3 and 4 (a shell knows no number of two digits).
AT_ITS_NUMBERS = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3]]
for number, end in zip((3, 4), ends):
    os.dup2(end, number)
    os.close(end)
os.execv(sys.argv[3], sys.argv[3:])
"""


def available():
    """Why there is none; None where there is."""
    if not paths.find("chromium"):
        return "no chromium"
    return None


def no_way_out():
    """The words that give what they start a network of its own, with nothing in it."""
    for words in (["unshare", "-n"], ["unshare", "-rn"]):
        if subprocess.run(words + ["true"], stderr=subprocess.DEVNULL).returncode == 0:
            return words
    return None


class Browser:
    """One page at a time; what it asked for and complained of is kept."""

    def __init__(self, wrapper=()):
        self.folder = tempfile.mkdtemp(prefix="libreuse-browser-")
        told, self._out = os.pipe()
        self._in, said = os.pipe()
        self._process = subprocess.Popen(
            list(wrapper) + [paths.PYTHON, "-c", AT_ITS_NUMBERS, str(told), str(said),
                             paths.find("chromium"), "--headless", "--no-sandbox",
                             "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                             "--disable-background-networking", "--remote-debugging-pipe",
                             "--user-data-dir=" + self.folder],
            pass_fds=(told, said), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=dict(os.environ, HOME=self.folder))
        os.close(told)
        os.close(said)
        self._number, self._rest, self._session = 0, b"", None
        self._loaded = False
        self.requests, self.complaints = [], []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target,
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(domain + ".enable")

    def close(self):
        """The browser's own processes end with it."""
        for fd in (self._out, self._in):
            os.close(fd)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _message(self):
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            if not select.select([self._in], [], [], deadline - time.monotonic())[0]:
                raise TimeoutError("the browser says nothing")
            got = os.read(self._in, 1 << 20)
            if not got:
                raise EOFError("the browser has gone")
            self._rest += got
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def _note(self, message):
        method, about = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(about["entry"]["text"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.complaints.append(method)
        elif method == "Page.loadEventFired":
            self._loaded = True

    def ask(self, method, **about):
        """One command, and its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": about}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._number:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self._note(message)

    def show(self, path, width, dark=False, media="screen"):
        """A file, in a window of that width."""
        self.requests, self.complaints, self._loaded = [], [], False
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900,
                 deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", media=media, features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.ask("Page.navigate", url="file://" + path)
        while not self._loaded:
            self._note(self._message())

    def value(self, expression):
        """Of JavaScript, which is ours, not the page's."""
        return self.ask("Runtime.evaluate", expression=expression,
                        returnByValue=True)["result"].get("value")

    def picture(self, path=None, most=16000):
        """The page as a PNG, from its top."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = dict(x=0, y=0, width=size["width"], height=min(size["height"], most), scale=1)
        data = base64.b64decode(self.ask("Page.captureScreenshot", format="png", clip=clip,
                                         captureBeyondViewport=True)["data"])
        if path:
            with open(path, "wb") as file:
                file.write(data)
        return data


def colors(png):
    """Of a PNG without an alpha channel: {(r, g, b): how many}, of each eighth pixel."""
    at, width, pixels, depth = 8, 0, b"", 0
    while at < len(png):
        size, = struct.unpack(">I", png[at:at + 4])
        kind, data = png[at + 4:at + 8], png[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, depth = struct.unpack(">I", data[:4])[0], {2: 3, 6: 4}[data[9]]
        elif kind == b"IDAT":
            pixels += data
        at += size + 12
    raw, stride, counts = zlib.decompress(pixels), width * depth, {}
    before = bytearray(stride)
    for row in range(len(raw) // (stride + 1)):
        line = bytearray(raw[row * (stride + 1) + 1:(row + 1) * (stride + 1)])
        unfilter(raw[row * (stride + 1)], line, before, depth)
        for i in range(0, stride, 8 * depth):
            color = tuple(line[i:i + 3])
            counts[color] = counts.get(color, 0) + 1
        before = line
    return counts


def unfilter(kind, line, before, depth):
    """A line of a PNG as it is, out of what it differs from those beside it (RFC 2083, 6)."""
    for i in range(len(line)):
        left = line[i - depth] if i >= depth else 0
        up, corner = before[i], before[i - depth] if i >= depth else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        elif kind == 4:
            near = left + up - corner
            guess = min((left, up, corner), key=lambda at: abs(near - at))
        else:
            return
        line[i] = (line[i] + guess) & 255
