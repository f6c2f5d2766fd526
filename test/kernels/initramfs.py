# SPDX-License-Identifier: Apache-2.0
"""The guest's files: what the suites need, copied from this machine with the libraries it is linked to."""
import compileall
import glob
import lzma
import os
import py_compile
import re
import shutil
import subprocess
import sysconfig

APPLETS = ["sh", "cat", "grep", "insmod", "ln", "ls", "mkdir", "mount", "poweroff", "sleep", "stty", "sync",
           "uname"]
NOT_OF_PYTHON = ["config-*", "test", "lib2to3", "distutils", "idlelib", "tkinter", "turtledemo", "ensurepip",
                 "pydoc_data"]
MODULES = ["tcp_diag", "veth", "tun", "nft_chain_nat", "nft_nat", "tls", "gcm", "ctr", "ghash-generic"]


class Stage:
    """A directory that becomes the root of the guest."""

    def __init__(self, root):
        self.root = root
        shutil.rmtree(root, ignore_errors=True)
        for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "proc", "sys", "dev", "tmp", "run", "etc",
                     "var/log/nginx", "var/lib/nginx"):
            os.makedirs(os.path.join(root, name))
        for name in ("bin", "sbin", "lib", "lib64"):
            os.symlink(f"usr/{name}", os.path.join(root, name))

    def path(self, name):
        return os.path.join(self.root, name.lstrip("/"))

    def add(self, source, name=None):
        """Copy a file, as @name in the guest."""
        target = self.path(name or source)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(source, target)

    def add_linked(self, source, name=None):
        """Copy a program or library and the libraries that it needs."""
        self.add(source, name)
        linked = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", linked):
            if not os.path.exists(self.path(library)):
                self.add(library)

    def add_program(self, program, name=None):
        found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if not found:
            raise RuntimeError(f"{program} is not installed")
        self.add_linked(os.path.realpath(found), name or f"/usr/sbin/{program}")

    def add_python(self):
        library = sysconfig.get_path("stdlib")
        shutil.copytree(library, self.path(library), symlinks=True, ignore=shutil.ignore_patterns(*NOT_OF_PYTHON))
        self.add_program("python3", "/usr/bin/python3")
        for extension in glob.glob(f"{library}/lib-dynload/*.so"):
            self.add_linked(extension)

    def write(self, archive):
        """As an archive in the format of the kernel; several, one after another, are one."""
        names = subprocess.run(["find", ".", "-mindepth", "1", "-print0"], cwd=self.root, stdout=subprocess.PIPE,
                               check=True).stdout
        with open(archive, "ab") as out:
            subprocess.run(["cpio", "-o", "-0", "-H", "newc", "-R", "0:0", "--quiet"], cwd=self.root, input=names,
                           stdout=out, check=True)


def base(stage, build, here):
    """What is the same for every kernel: the system, the suites and what they test."""
    stage.add_program("busybox", "/usr/bin/busybox")
    for applet in APPLETS:
        os.symlink("busybox", stage.path(f"usr/bin/{applet}"))
    for program in ("ip", "nft", "nginx", "openssl", "redis-server"):
        stage.add_program(program)
    stage.add_python()
    for name in ("/etc/passwd", "/etc/group", "/usr/lib/ssl/openssl.cnf"):
        stage.add(name)
    stage.add(os.path.join(here, "init"), "/init")
    test = os.path.dirname(here)
    stage.add(os.path.join(test, "cmocka.py"), "/krl/test/cmocka.py")
    for name in ("e2e", "fake"):
        shutil.copytree(os.path.join(test, name), stage.path(f"krl/test/{name}"))
        compileall.compile_dir(stage.path(f"krl/test/{name}"), quiet=1,
                               invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    for name in ("deploy/base/daemonset.yaml", "crds/kmesh.net_ratelimits.yaml"):
        stage.add(os.path.join(os.path.dirname(test), name), f"/krl/{name}")
    for name in ("kmesh-rl-agent", "kmesh-rl"):
        stage.add_linked(os.path.join(build, name), f"/krl/build/{name}")
    stage.add_linked(os.path.join(build, "test/bench/blocking"), "/krl/build/test/bench/blocking")
    for file in glob.glob(os.path.join(build, "test/prog/*")):
        name = f"/krl/build/test/prog/{os.path.basename(file)}"
        if file.endswith(".bpf.o"):
            stage.add(file, name)
        elif os.access(file, os.X_OK):
            stage.add_linked(file, name)


def modules(stage, kernel):
    for number, file in enumerate(kernel.modules(MODULES)):
        target = stage.path(f"modules/{number:02}-{os.path.basename(file).split('.')[0]}.ko")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with (lzma.open if file.endswith(".xz") else open)(file, "rb") as packed, open(target, "wb") as out:
            shutil.copyfileobj(packed, out)


def build_archive(archive, stages):
    if os.path.exists(archive):
        os.unlink(archive)
    for stage in stages:
        stage.write(archive)
