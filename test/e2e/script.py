# SPDX-License-Identifier: Apache-2.0
"""agent/redis/lease.lua on a real server, with the time as an argument."""

import contextlib
import os

from client import equal
from harness import HERE
from nodes import Redis
from resp import Client

SCRIPT = os.path.join(HERE, "..", "..", "agent", "redis", "lease.lua")
S = 1000000
TTL = 3 * S
MOST = 2 ** 53 - 1
START = 1_000_000 * S
BUCKET, SHARD, SPENT = "krl:{krl00}:b:x", "krl:{krl00}:s", "krl:{krl00}:u"


class Answer:
    def __init__(self, fields):
        self.granted, self.tokens, self.out, self.now, self.epoch, self.seq, self.wait, self.spent, self.others = fields


class Bucket:
    """One of @max, @fill tokens each @interval; an exchange is at self.now, which is an interval's start at first."""

    def __init__(self, client, max=10, fill=1, interval=S):
        with open(SCRIPT, encoding="ascii") as file:
            text = file.read()
        equal(text.count("redis.call('TIME')"), 1, "calls of TIME in the script")
        self.real = text
        self.text = text.replace("redis.call('TIME')", "{ARGV[13], ARGV[14]}")
        self.client = client
        self.max, self.fill, self.interval = max, fill, interval
        self.now = START
        self.seen = "", 0

    def exchange(self, holder="a", used=0, debt=0, back=0, want=0, least=1, fresh="f0", seen=None):
        epoch, seq = seen or self.seen
        return Answer(self.client.ask("EVAL", self.text, 3, BUCKET, SHARD, SPENT, holder, used, debt, back, want, least,
                                      self.max, self.fill, self.interval, epoch, seq, fresh, self.now // S, self.now % S))

    def check(self, holder="a", *, tokens, out, granted=0, **told):
        """An exchange, and what it comes to."""
        answer = self.exchange(holder, **told)
        equal((answer.granted, answer.tokens, answer.out), (granted, tokens, out), f"granted, tokens, out of {holder} after {told}")
        return answer

    def fields(self):
        found = self.client.ask("HGETALL", BUCKET)
        return dict(zip(found[::2], found[1::2]))

    def holders(self):
        """(held, until, wanted) by holder."""
        return {name[2:]: tuple(map(int, value.split(":"))) for name, value in self.fields().items() if name[:2] == "h:"}


@contextlib.contextmanager
def bucket(env, **settings):
    redis = Redis(env)
    try:
        with Client(redis.port) as client:
            one = Bucket(client, **settings)
            one.redis = redis
            yield one
    finally:
        redis.stop()
