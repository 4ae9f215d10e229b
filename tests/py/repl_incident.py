"""An incident at the prompt of bgx repl, typed into a pseudo-terminal: look, fork, switch back, undo, do again, save.

repl_incident.py BGX: in the folder of a project whose beta serves green with a wrong record of it.
"""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

LIMIT_SECONDS = 120
KEY = "version/beta"


class Terminal:
    """A program behind a pseudo-terminal, read until it says what it should."""

    def __init__(self, *command):
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", COLUMNS="200", LINES="50", NO_COLOR="")
            os.execv(command[0], command)
        self.text = ""
        self.seen = 0

    def expect(self, *parts):
        """Waits until all of these came, in this order, behind what was seen; gives what came."""
        end = time.monotonic() + LIMIT_SECONDS
        begin = self.seen
        for part in parts:
            while True:
                plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text)
                at = plain.find(part, self.seen)
                if part.endswith("> "):
                    # Each key draws the prompt anew: it waits where nothing stands behind it.
                    waits = plain.rstrip("\r").endswith(part)
                    at = plain.rfind(part) if waits else -1
                if at >= self.seen:
                    self.seen = at + len(part)
                    break
                ready, _, _ = select.select([self.file], [], [], max(0.0, end - time.monotonic()))
                if not ready:
                    sys.exit(f"`{part}` did not come within {LIMIT_SECONDS} s:\n{plain[begin:]}")
                try:
                    more = os.read(self.file, 65536)
                except OSError:
                    more = b""
                if not more:
                    sys.exit(f"it ended without `{part}`:\n{plain[begin:]}")
                self.text += more.decode(errors="replace")
        return plain[begin : self.seen]

    def type(self, text):
        os.write(self.file, text.encode())

    def line(self, text, *parts):
        self.type(text)
        self.expect(text)
        self.type("\r")
        return self.expect(*parts)

    def end(self):
        while True:
            try:
                if not os.read(self.file, 65536):
                    break
            except OSError:
                break
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def incident(bgx):
    at = Terminal(bgx, "repl", "--env", "beta", "--pace", "0")
    here = "beta green SANDBOX read-only> "
    at.expect("SANDBOX: nothing real is touched", here)

    # Look, and find what does not agree.
    at.line("let c = colors()", here)
    at.line("drift()", "the listener sends traffic to green", "says blue", here)
    at.line("scale(c.live, #{ desired: 3 })", "writes are off: nothing was sent", ":writes on", here)

    # Tab knows verbs, fields and names; Ctrl-C drops a line.
    at.type("set_act\t")
    at.expect("set_active_color(")
    at.type("c.li\t")
    at.expect("c.live")
    at.type("\x03")
    at.expect(here)

    # Try it where nothing is real.
    fork = "beta green FORK writes on> "
    at.line(":fork", "a copy of the account", fork)
    at.line("serving::make_ready(c.live, c.idle)", fork)
    at.line("serving::swap(c, c.idle)", "beta blue FORK writes on> ")
    at.line(":back", "for real, type:", "serving::swap(c, c.idle);", here)

    # For real, back once, and again.
    here = "beta green SANDBOX writes on> "
    at.line(":writes on", here)
    at.line("set_active_color(c.live)", here)
    at.line("serving::make_ready(c.live, c.idle)", here)
    there = "beta blue SANDBOX writes on> "
    at.line("serving::swap(c, c.idle)", there)
    at.line(":undo", "taken back: ", KEY, there)
    at.line("bg::settle_version(c, c.idle.version)", there)
    at.line("drift()", "[]", there)
    at.line(":steps", "beta routes: Beta-Blue 100, Beta-Green 0", "(lease)", there)
    at.line(":save incident.rhai", "saved; next: bgx check incident.rhai", there)

    # The machine dies; another process goes on at the prompt, with all that was known, and may not write yet.
    os.kill(at.pid, signal.SIGKILL)
    at.end()
    run = subprocess.run([bgx, "runs"], check=True, capture_output=True, text=True).stdout.splitlines()[-1].split()[0]
    at = Terminal(bgx, "resume", run)
    here = "beta blue SANDBOX read-only> "
    at.expect("> serving::swap(c, c.idle)", here)
    at.line("c.live.name", "green", here)
    at.line("set_active_color(c.live)", "writes are off", here)
    there = "beta blue SANDBOX writes on> "
    at.line(":writes on", there)

    # Leases are asked about: first stay, then give them back.
    at.type("\x04")
    at.expect("the run holds", "give back and leave", "back to the prompt", "> ")
    at.line("stay", there)
    at.type("\x04")
    at.expect("the run holds", "back to the prompt", "> ")
    at.line("give", "lease given back", "done in")
    code = at.end()
    if code != 0:
        sys.exit(f"it ended with {code}:\n{at.text}")
    print("the incident is over")


incident(sys.argv[1])
