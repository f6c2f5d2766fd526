# SPDX-License-Identifier: Apache-2.0
"""Debian's cloud kernels, from the distribution that apt is configured for; unpacked, never installed."""
import glob
import os
import re
import shutil
import subprocess


class Missing(Exception):
    """The distribution does not offer the kernel."""


def _number(name):
    return [int(part) for part in re.findall(r"\d+", name)]


def _offered(series):
    """The newest image package of @series, such as 6.1; None without one."""
    pattern = rf"^linux-image-{re.escape(series)}\.[0-9][^ ]*-cloud-amd64$"
    found = subprocess.run(["apt-cache", "pkgnames", f"linux-image-{series}."], capture_output=True, text=True,
                           check=False).stdout.split()
    return max((name for name in found if re.match(pattern, name)), key=_number, default=None)


def _update():
    """Package lists that are missing or old: only root can renew them."""
    if os.geteuid() == 0:
        subprocess.run(["apt-get", "-q", "update"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       check=False)


def _download(package, directory):
    done = subprocess.run(["apt-get", "-q", "download", package], cwd=directory, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"apt-get download {package}: {done.stderr.strip()}")


class Kernel:
    def __init__(self, tree):
        self.tree = tree
        self.image, = glob.glob(os.path.join(tree, "boot/vmlinuz-*"))
        self.release = os.path.basename(self.image)[len("vmlinuz-"):]

    def modules(self, names):
        """Files of the modules @names and of what they need, in the order of loading."""
        root = os.path.join(self.tree, "usr") if os.path.isdir(f"{self.tree}/usr/lib/modules") else self.tree
        env = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
        subprocess.run(["depmod", "-b", root, self.release], env=env, check=True)
        files = []
        for name in names:
            shown = subprocess.run(["modprobe", "-d", root, "-S", self.release, "--show-depends", name], env=env,
                                   stdout=subprocess.PIPE, text=True, check=True).stdout
            files += [line.split()[1] for line in shown.splitlines() if line.startswith("insmod ")]
        return list(dict.fromkeys(files))


def kernel(series, cache):
    """The Kernel of @series, unpacked below directory @cache or already there."""
    if not shutil.which("apt-get"):
        raise Missing("no apt-get")
    package = _offered(series)
    if not package:
        _update()
        package = _offered(series)
    if not package:
        raise Missing(f"the distribution offers no linux-image-{series}.*-cloud-amd64")
    tree = os.path.join(cache, package)
    if os.path.isdir(tree):
        return Kernel(tree)
    fresh = tree + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(fresh)
    try:
        _download(package, fresh)
    except RuntimeError:
        _update()
        _download(package, fresh)
    archive, = glob.glob(os.path.join(fresh, "*.deb"))
    subprocess.run(["dpkg-deb", "-x", archive, fresh], check=True)
    os.unlink(archive)
    os.rename(fresh, tree)
    return Kernel(tree)
