# SPDX-License-Identifier: Apache-2.0
"""What rows of maps take, by the object that the agent loads and the sizes that the kernel adds."""

import ctypes
import re

from checks import check
from pages import spans

# include/uapi/linux/bpf.h, enum bpf_map_type, and what else of it is needed.
HASH, ARRAY, PERCPU_ARRAY, LRU_HASH, SOCKHASH, QUEUE = 1, 2, 6, 9, 18, 22
TYPES = (HASH, ARRAY, PERCPU_ARRAY, LRU_HASH, SOCKHASH, QUEUE)
NO_PREALLOC = 1

# Of Linux on a machine of 64 bits: struct htab_elem (kernel/bpf/hashtab.c) and struct bpf_shtab_elem (net/core/sock_map.c)
# have 48 bytes before the key, a bucket of either is 16, and what is allocated row by row has 8 in front
# (kernel/bpf/memalloc.c).
ELEMENT, BUCKET, IN_FRONT = 48, 16, 8
PAGE = 4096
SIZES = (8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)     # mm/slab_common.c
CPUS = 2                                                                    # of the machine that the page tells of


class Map:
    def __init__(self, kind, key, value, rows, flags):
        self.kind, self.key, self.value, self.rows, self.flags = kind, up(key), up(value), rows, flags

    def row(self):
        """Bytes for each row; of those that are there from the start, the share of one."""
        if self.kind in (ARRAY, QUEUE):
            return self.value
        if self.kind == PERCPU_ARRAY:
            return self.value * CPUS
        if self.kind == SOCKHASH:
            return allocated(ELEMENT + self.key)
        element = ELEMENT + self.key + self.value
        return element if self.kind == LRU_HASH else allocated(element + IN_FRONT)

    def at_start(self):
        if self.kind in (ARRAY, PERCPU_ARRAY, QUEUE):
            return self.row() * self.rows
        buckets = BUCKET << (self.rows - 1).bit_length()
        return buckets + (self.row() * self.rows if self.kind == LRU_HASH else 0)


def up(size):
    return (size + 7) // 8 * 8


def allocated(size):
    return next((one for one in SIZES if one >= size), PAGE << ((size - 1) // PAGE).bit_length())


def maps(path):
    """name -> Map, of a BPF object. libbpf opens it without any right."""
    bpf = ctypes.CDLL("libbpf.so.1")
    bpf.bpf_object__open_file.restype = bpf.bpf_object__next_map.restype = ctypes.c_void_p
    bpf.bpf_object__next_map.argtypes = [ctypes.c_void_p] * 2
    bpf.bpf_object__close.argtypes = [ctypes.c_void_p]
    asked = [getattr(bpf, f"bpf_map__{name}") for name in ("type", "key_size", "value_size", "max_entries", "map_flags")]
    bpf.bpf_map__name.restype = ctypes.c_char_p
    for function in [bpf.bpf_map__name, *asked]:
        function.argtypes = [ctypes.c_void_p]
    for function in asked:
        function.restype = ctypes.c_uint32
    bpf_object = bpf.bpf_object__open_file(path.encode(), None)
    if not bpf_object:
        raise OSError(f"{path} cannot be read")
    found, at = {}, bpf.bpf_object__next_map(bpf_object, None)
    while at:
        found[bpf.bpf_map__name(at).decode()] = Map(*(function(at) for function in asked))
        at = bpf.bpf_object__next_map(bpf_object, at)
    bpf.bpf_object__close(bpf_object)
    return {name: one for name, one in found.items() if name.startswith("krl_")}


def number(cell):
    return int(re.sub(r"[^0-9]", "", cell))


@check
def bytes_of_rows(tree):
    page, known = tree.pages["docs/operations.md"], maps(tree.program("bpf/kmesh_rl.o"))
    table = next(table for table in page.tables if table.header[0] == "map")
    told = {spans(row.cells[0])[0]: row for row in table.rows}
    for name, row in told.items():
        if name not in known:
            yield f"{page.at(row.line)}: there is no map {name}"
            continue
        wanted = (known[name].row(), known[name].rows)
        if wanted != tuple(number(cell) for cell in row.cells[2:4]):
            yield f"{page.at(row.line)}: {name} has {wanted[0]:,} bytes a row, and {wanted[1]:,} rows"
    for name, one in sorted(known.items()):
        large = one.kind in TYPES and one.row() * one.rows >= 1 << 20
        if large and name not in told:
            yield f"{page.name}: {name} may take {one.row() * one.rows >> 20} MiB, and is not told"


@check
def bytes_from_the_start(tree):
    page = tree.pages["docs/operations.md"]
    known = [one for one in maps(tree.program("bpf/kmesh_rl.o")).values() if one.kind in TYPES]
    wanted = sum(one.at_start() for one in known) >> 20
    told = re.search(r"(\d+) MiB from the start", "\n".join(page.lines))
    if not told or int(told[1]) != wanted:
        yield f"{page.name}: maps take {wanted} MiB from the start, with {CPUS} CPUs"


@check
def figures_are_of_the_benchmarks(tree):
    """Each number of what features cost stands in the page that it is from."""
    page = tree.pages["docs/operations.md"]
    table = next(table for table in page.tables if table.header[0] == "feature")
    for row in table.rows:
        source = re.search(r"\]\((\w+\.md)", row.cells[2])
        if not source:
            yield f"{page.at(row.line)}: where is it measured?"
            continue
        text = "\n".join(tree.pages[f"docs/{source[1]}"].lines).replace(",", "")
        measured = set(re.findall(r"\d+(?:\.\d+)?", text))
        shown = re.sub(r"\]\([^)]*\)|`[^`]*`", "", " ".join(row.cells[1:])).replace(",", "")
        for figure in re.findall(r"(?<!HTTP/)\d+(?:\.\d+)?", shown):
            if figure not in measured:
                yield f"{page.at(row.line)}: {figure} is not in docs/{source[1]}"
