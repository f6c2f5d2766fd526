# SPDX-License-Identifier: Apache-2.0
"""A real terminal for a program: a tmux of the case's own."""

import os
import shutil
import subprocess

from client import Failure
from harness import DEADLINE_S, Skip, wait_for


# The terminal stays when the program has ended, for what is still to be read of it, and its status is in a file:
# tmux 3.3a may miss that a pane's process has ended.
AROUND = 'trap : INT; "$@"; echo $? >"$0.new"; mv "$0.new" "$0"; exec cat'


class Terminal:
    """@args in a terminal of @width columns and @height lines, with @environment added."""

    def __init__(self, env, args, width, height=24, environment=()):
        if not shutil.which("tmux"):
            raise Skip("tmux is not installed")
        env.count += 1
        self.socket = os.path.join(env.root, f"tmux{env.count}")
        self.variables = dict(os.environ, TERM="xterm-256color", LC_ALL="C.UTF-8", HOME=env.root, **dict(environment))
        self.variables.pop("TMUX", None)
        # In the foreground, so that it ends with the case.
        self.server = subprocess.Popen(["tmux", "-S", self.socket, "-f", "/dev/null", "-D"], env=self.variables,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        env.processes.append(self.server)
        wait_for("tmux listens", lambda: os.path.exists(self.socket))
        self.last = []
        self.status = f"{self.socket}.status"
        self.call("new-session", "-d", "-x", str(width), "-y", str(height), "sh", "-c", AROUND, self.status, *args)

    def call(self, *args):
        result = subprocess.run(["tmux", "-S", self.socket, *args], env=self.variables, capture_output=True, text=True,
                                timeout=DEADLINE_S, check=True)
        return result.stdout

    def lines(self, colours=False):
        """What is on the screen, without blanks at the end of its lines."""
        return self.call("capture-pane", "-p", *(["-e"] if colours else [])).split("\n")

    def keys(self, *keys):
        self.call("send-keys", *keys)

    def resize(self, width, height):
        self.call("resize-window", "-x", str(width), "-y", str(height))

    def shows(self, what, probe, colours=False):
        """The screen, once @probe is true of its lines."""
        def look():
            self.last = self.lines(colours)
            return self.last if probe(self.last) else None
        try:
            return wait_for(what, look)
        except Failure as failure:
            raise Failure(f"{failure}, the screen shows: {' / '.join(line for line in self.last if line)}") from failure

    def ended(self):
        """The exit status of the program, once it has one."""
        wait_for("the program ends", lambda: os.path.exists(self.status))
        with open(self.status, encoding="ascii") as status:
            return int(status.read())

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, timeout=DEADLINE_S, check=False)
        self.server.wait(DEADLINE_S)
