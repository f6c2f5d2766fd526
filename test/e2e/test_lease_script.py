# SPDX-License-Identifier: Apache-2.0
"""What each argument of agent/redis/lease.lua does, and what is never exceeded."""

import contextlib
import random
import time

from client import equal, expect
from harness import case, wait_for
from nodes import REDIS, Redis
from script import BUCKET, MOST, S, SHARD, SPENT, START, TTL, bucket


@case
def a_new_bucket_is_full(env):
    with bucket(env) as b:
        b.check(want=0, tokens=10, out=0)
        b.check(want=4, granted=4, tokens=6, out=4)
        b.check("b", want=100, granted=6, tokens=0, out=10)
        b.check("c", want=1, tokens=0, out=10)


@case
def what_is_used_leaves_room_for_the_next_fill(env):
    with bucket(env) as b:
        b.check(want=4, granted=4, tokens=6, out=4)
        b.check(used=3, tokens=6, out=1)
        b.now += S
        b.check(tokens=7, out=1)
        b.now += 2 * S
        b.check(tokens=9, out=1)
        b.check(used=100, tokens=9, out=0)


@case
def what_goes_back_is_there_again(env):
    with bucket(env) as b:
        b.check(want=6, granted=6, tokens=4, out=6)
        b.check(back=2, tokens=6, out=4)
        b.check("b", back=5, tokens=6, out=4)
        b.check(used=1, back=100, tokens=9, out=0)
        b.check(back=100, tokens=9, out=0)


@case
def a_debt_is_taken_off(env):
    with bucket(env) as b:
        b.check(debt=3, tokens=7, out=0)
        b.check(debt=12, want=5, tokens=-5, out=0)
        b.now += 5 * S
        b.check(want=5, tokens=0, out=0)
        b.now += S
        b.check(want=5, granted=1, tokens=0, out=1)


@case
def a_debt_below_0_gives_no_more_than_there_is_room_for(env):
    with bucket(env) as b:
        b.check(debt=-3, tokens=10, out=0)
        b.check(want=8, granted=8, tokens=2, out=8)
        b.check(debt=-3, tokens=2, out=8)
        b.check(used=8, debt=-3, tokens=5, out=0)
        b.check(debt=-100, tokens=10, out=0)


@case
def fills_come_at_multiples_of_the_interval(env):
    with bucket(env, fill=3) as b:
        b.now += S * 7 // 10
        b.check(want=10, granted=10, tokens=0, out=10)
        b.check(used=10, tokens=0, out=0)
        b.now += S * 3 // 10 - 1
        b.check(tokens=0, out=0)
        b.now += 1
        b.check(tokens=3, out=0)
        b.check(tokens=3, out=0)
        b.now += S - 1
        b.check(tokens=3, out=0)
        b.now += S + 1
        b.check(tokens=9, out=0)
        b.now += S
        b.check(tokens=10, out=0)


def check_end(b):
    """A lease of 4 ends a TTL from now: it counts as spent, and its room is filled from the next fill on."""
    b.now += TTL - 1
    b.check("b", tokens=6, out=4)
    b.now += 1
    b.check("b", tokens=6, out=0)


@case
def a_lease_ends_when_its_holder_is_not_heard_of(env):
    with bucket(env) as b:
        b.check(want=4, granted=4, tokens=6, out=4)
        check_end(b)
        equal(b.holders(), {}, "holders")
        b.now += S
        b.check("b", tokens=7, out=0)
        b.check(used=4, back=4, tokens=7, out=0)


@case
def room_of_a_lease_that_ended_is_filled_from_its_end_on(env):
    with bucket(env) as b:
        b.check(want=10, granted=10, tokens=0, out=10)
        b.now += TTL + 2 * S
        b.check("b", tokens=2, out=0)


@case
def each_lease_has_its_own_end(env):
    with bucket(env) as b:
        b.check("a", want=4, granted=4, tokens=6, out=4)
        b.now += S
        b.check("b", want=6, granted=6, tokens=0, out=10)
        b.now += TTL - S
        b.check("c", tokens=0, out=6)
        b.now += S
        b.check("c", tokens=1, out=0)


@case
def who_is_heard_of_keeps_a_lease(env):
    with bucket(env) as b:
        b.check(want=4, granted=4, tokens=6, out=4)
        for _ in range(5):
            b.now += TTL - 1
            b.check(tokens=6, out=4)


@case
def what_all_spent_is_counted(env):
    with bucket(env) as b:
        equal(b.check("a", want=4, granted=4, tokens=6, out=4).spent, 0, "spent")
        equal(b.check("a", used=3, back=1, tokens=7, out=0).spent, 3, "spent")
        equal(b.check("b", debt=2, tokens=5, out=0).spent, 5, "spent, with what was not leased")
        equal(b.check("b", debt=-2, used=7, tokens=7, out=0).spent, 5, "spent, where nothing was leased to use")
        expect(590000 < b.client.ask("PTTL", SPENT) <= 600000, "it stays for 10 minutes")


@case
def those_who_want_share(env):
    with bucket(env, fill=10) as b:
        b.check("a", want=20, granted=10, tokens=0, out=10)
        b.check("a", used=10, want=20, tokens=0, out=0)
        b.check("b", want=60, tokens=0, out=0)
        b.now += S
        # 20 of 80, then all that is left.
        b.check("a", want=20, granted=2, tokens=8, out=2)
        b.check("b", want=60, granted=6, tokens=2, out=8)
        equal({name: wanted for name, (_, _, wanted) in b.holders().items()}, {"a": 18, "b": 54}, "what is wanted")
        equal(b.fields()["wants"], "72", "the sum of it")
        b.check("a", want=0, tokens=2, out=8)
        b.check("b", want=60, granted=2, tokens=0, out=10)


@case
def those_who_want_are_lent_what_is_of_use(env):
    with bucket(env, max=20, fill=20) as b:
        equal(b.check("a", want=20, granted=20, tokens=0, out=20).others, 0, "what others want of the first")
        b.check("a", used=20, want=20, tokens=0, out=0)
        equal(b.check("b", want=20, tokens=0, out=0).others, 20, "what others want of the second")
        b.now += S
        # Half of it, or what it needs.
        equal(b.check("a", want=20, least=13, granted=13, tokens=7, out=13).others, 20, "what b still wants")
        equal(b.check("b", want=20, least=13, granted=7, tokens=0, out=20).others, 7, "what a still wants")


@case
def one_token_is_lent_however_many_want_it(env):
    with bucket(env, max=1) as b:
        b.check("a", want=1, granted=1, tokens=0, out=1)
        b.check("b", want=1000, tokens=0, out=1)
        b.check("a", used=1, tokens=0, out=0)
        b.now += S
        b.check("a", want=1, granted=1, tokens=0, out=1)


@case
def who_has_and_wants_nothing_is_forgotten(env):
    with bucket(env) as b:
        b.check(want=4, granted=4, tokens=6, out=4)
        equal(b.holders(), {"a": (4, b.now + TTL, 0)}, "holders")
        b.check("b", want=10, granted=6, tokens=0, out=10)
        equal(b.holders()["b"], (6, b.now + TTL, 4), "what b has")
        b.check(used=4, tokens=0, out=6)
        b.check("b", used=6, tokens=0, out=0)
        equal(b.holders(), {}, "holders")


@case
def a_smaller_limit_holds_at_once(env):
    with bucket(env) as b:
        b.check(want=3, granted=3, tokens=7, out=3)
        b.max = 5
        b.check(tokens=2, out=3)
        b.max = 2
        b.check(want=1, tokens=0, out=3)
        b.max = 10
        b.check(used=3, tokens=0, out=0)


@case
def a_fresh_epoch_counts_once(env):
    with bucket(env) as b:
        first = b.exchange(fresh="f1")
        equal((first.epoch, first.seq, first.wait), ("f1", 1, 0), "epoch, number and wait of the first exchange")
        for seq, fresh in enumerate(("f1", "f2", "f1"), 2):
            again = b.exchange(fresh=fresh, seen=("f1", seq - 1))
            equal((again.epoch, again.seq, again.wait), ("f1", seq, 0), "epoch, number and wait")
        # Whose answer was late knows less, and nothing was lost.
        equal(b.exchange(seen=("f1", 1)).wait, 0, "wait of one that knows an exchange before")
        equal(b.exchange(seen=("", 0)).wait, 0, "wait of one that knows none")


def check_lost(b, **told):
    """Nothing is granted for a TTL; then the bucket is empty, and fills."""
    lost = b.check(want=5, tokens=0, out=0, **told)
    equal(lost.wait, TTL, "wait")
    b.seen = lost.epoch, lost.seq
    b.now += TTL - 1
    equal(b.check(want=5, tokens=0, out=0).wait, 1, "wait just before the end")
    b.now += 1
    equal(b.check(want=5, tokens=0, out=0).wait, 0, "wait at the end")
    b.now += 2 * S
    b.check(want=5, granted=2, tokens=0, out=2)


@case
def all_data_are_lost(env):
    with bucket(env) as b:
        before = b.check(want=4, granted=4, tokens=6, out=4)
        b.client.ask("FLUSHALL")
        check_lost(b, seen=(before.epoch, before.seq), fresh="f1")
        equal(b.check("b", seen=(before.epoch, before.seq), tokens=0, out=2).wait, 0, "wait of another who knows the same")


@case
def all_data_are_lost_and_somebody_new_comes_first(env):
    with bucket(env) as b:
        before = b.check(want=4, granted=4, tokens=6, out=4)
        b.client.ask("FLUSHALL")
        b.check("new", want=1, granted=1, tokens=9, out=1, fresh="f1")
        check_lost(b, seen=(before.epoch, before.seq), fresh="f2")


@case
def the_server_has_an_older_dump(env):
    with bucket(env) as b:
        b.check(want=1, granted=1, tokens=9, out=1)
        dumps = {key: b.client.ask("HGETALL", key) for key in (BUCKET, SHARD)}
        after = b.check(want=9, granted=9, tokens=0, out=10)
        for key, fields in dumps.items():
            b.client.ask("DEL", key)
            b.client.ask("HSET", key, *fields)
        check_lost(b, seen=(after.epoch, after.seq), fresh="f1")


@case
def another_server_has_the_data(env):
    with bucket(env) as b:
        before = b.check(want=4, granted=4, tokens=6, out=4)
        b.client.ask("HSET", SHARD, "run", "0123456789abcdef")
        lost = b.exchange(seen=(before.epoch, before.seq), fresh="f1", want=5)
        equal((lost.granted, lost.tokens, lost.out, lost.epoch, lost.wait), (0, 0, 0, "f1", TTL), "what is answered")
        # Who saw an exchange that is not there knows of the loss that the others found.
        b.now += S
        later = b.exchange("late", seen=(before.epoch, before.seq + 7), fresh="f2", want=5)
        equal((later.epoch, later.wait), ("f1", TTL - S), "epoch and wait of one who comes later")


def follow(replica, port):
    """@replica has all of the server at @port, and what comes; or of nobody any more."""
    replica.ask("REPLICAOF", *(("127.0.0.1", port) if port else ("NO", "ONE")))
    if port:
        wait_for("the replica has the data", lambda: "master_link_status:up" in replica.ask("INFO", "replication"))


@case
def a_server_that_is_a_master_again_may_lack_writes(env):
    with bucket(env) as b, contextlib.closing(Redis(env, port=REDIS + 1)) as other:
        for server in (b.redis, other):
            server.ask("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        before = b.check(want=4, granted=4, tokens=6, out=4)
        follow(other, b.redis.port)
        equal(b.exchange().wait, 0, "wait when there is a replica")
        follow(other, None)
        follow(b.redis, other.port)
        follow(b.redis, None)
        # Somebody who knows less than what was lost.
        lost = b.exchange("c", fresh="f1", seen=(before.epoch, 1), want=5)
        equal((lost.granted, lost.epoch, lost.wait), (0, "f1", TTL), "what is answered")
        equal(b.exchange("c", seen=("f1", lost.seq)).epoch, "f1", "the epoch after it")


@case
def nothing_is_lent_in_a_loss(env):
    with bucket(env) as b:
        b.seen = "other", 1
        b.check(debt=-3, want=5, tokens=3, out=0)
        equal(b.holders(), {}, "holders")
        b.now += TTL
        b.check(want=5, granted=3, tokens=0, out=3)


@case
def an_epoch_of_which_nobody_knows_is_a_loss(env):
    with bucket(env) as b:
        before = b.check(want=4, granted=4, tokens=6, out=4)
        lost = b.exchange(seen=("other", 3), fresh="f1")
        equal((lost.epoch, lost.wait), (before.epoch, TTL), "epoch and wait")
        equal(b.exchange(seen=("other", 3)).wait, TTL, "wait of the next one who comes from there")
        b.now += TTL
        equal(b.exchange(seen=("other", 3)).wait, 0, "wait after it")
        equal(b.exchange(seen=("another", 3)).wait, TTL, "wait of one from elsewhere")


@case
def a_debt_outlives_a_loss(env):
    with bucket(env) as b:
        before = b.check(debt=15, tokens=-5, out=0)
        lost = b.exchange(seen=(before.epoch, before.seq + 1), fresh="f1", debt=2)
        equal((lost.tokens, lost.wait), (-7, TTL), "tokens and wait")


@case
def the_largest_numbers_are_exact(env):
    with bucket(env, max=MOST, fill=MOST, interval=MOST) as b:
        b.check(want=MOST, granted=MOST, tokens=0, out=MOST)
        b.check(used=MOST - 1, tokens=0, out=1)
        b.check(debt=MOST, tokens=-MOST, out=1)
        b.check(debt=MOST, tokens=-MOST, out=1)
        b.check(debt=-MOST, tokens=0, out=1)
        b.check(debt=-MOST, tokens=MOST - 1, out=1)
        b.check(want=MOST, granted=MOST - 1, tokens=0, out=MOST)
        b.check(back=MOST, tokens=MOST, out=0)
        expect(b.client.ask("PTTL", BUCKET) > 0, "the key has an end")
        b.check(debt=MOST, tokens=0, out=0)
        b.interval = 1
        b.now += S
        b.check(tokens=MOST, out=0)


@case
def a_clock_that_is_set_back_fills_nothing_twice(env):
    with bucket(env) as b:
        b.check(want=10, granted=10, tokens=0, out=10)
        b.check(used=8, tokens=0, out=2)
        b.now -= 1000 * S
        b.check(tokens=0, out=2)
        b.now += S
        b.check("b", tokens=0, out=2)
        # The lease ends a TTL after the step at the latest.
        b.now += TTL
        b.check("b", tokens=3, out=0)
        b.now += S
        b.check("b", tokens=4, out=0)


@case
def a_clock_that_is_set_back_makes_no_lease_longer(env):
    with bucket(env) as b:
        b.check(want=4, granted=4, tokens=6, out=4)
        b.now -= 1000 * S
        b.check("b", tokens=6, out=4)
        check_end(b)


@case
def a_clock_that_is_set_back_in_a_loss_waits_no_longer(env):
    with bucket(env) as b:
        lost = b.exchange(seen=("other", 3))
        b.seen = lost.epoch, lost.seq
        b.now -= 1000 * S
        equal(b.exchange().wait, TTL, "wait after the step")
        b.now += TTL
        equal(b.exchange().wait, 0, "wait a TTL later")


@case
def a_clock_that_is_set_forward_ends_leases(env):
    with bucket(env) as b:
        b.check(want=10, granted=10, tokens=0, out=10)
        b.now += 1000 * S
        b.check(used=10, want=1, granted=1, tokens=9, out=1)


@case
def keys_stay_until_the_bucket_would_be_full(env):
    with bucket(env) as b:
        # The last one meets a loss.
        for told, ms in (({"want": 0}, 6000), ({"debt": 3}, 9000), ({"debt": 10}, 19000), ({"want": 4}, 19000),
                         ({"debt": 1, "seen": ("other", 1)}, 23000)):
            b.exchange(**told)
            left = b.client.ask("PTTL", BUCKET)
            expect(ms - 2000 < left <= ms + 2, f"{left} ms left after {told}, expected {ms}")
        equal(b.client.ask("PTTL", SHARD), -1, "what is left to the shard")


@case
def the_server_tells_the_time(env):
    with bucket(env) as b:
        b.text = b.real
        before = time.time_ns() // 1000
        now = b.exchange().now
        expect(before <= now <= time.time_ns() // 1000, f"it was {now} at {before}")
        run = [line for line in b.client.ask("INFO", "server").split("\r\n") if line.startswith("run_id:")]
        equal(["run_id:" + b.client.ask("HGET", SHARD, "run")], run, "the server's id")


class Holder:
    def __init__(self, name):
        self.name = name
        self.held = 0
        self.until = 0


def random_step(b, holders, draw):
    """One exchange; returns how many tokens it spent and was lent without having had them."""
    b.now += draw.choice((0, 1, S // 10, S // 2, S, 2 * S))
    who = draw.choice(holders)
    if b.now >= who.until:
        # The kernel stops using them, and nobody knows what was used.
        who.held, lost = 0, who.held
    else:
        lost = 0
    used = draw.randint(0, who.held)
    back = draw.randint(0, who.held - used)
    answer = b.exchange(who.name, used=used, back=back, want=draw.choice((0, 1, 5, 30)))
    who.held += answer.granted - used - back
    who.until = b.now + TTL
    expect(answer.tokens + answer.out <= b.max, f"{answer.tokens} and {answer.out} of {b.max}")
    known = b.holders()
    equal(answer.out, sum(held for held, _, _ in known.values()), "what is lent, by holder")
    equal(int(b.fields()["wants"]), sum(wanted for _, _, wanted in known.values()), "what is wanted, by holder")
    return used + lost


@case
def no_run_spends_more_than_the_bound(env):
    with bucket(env, max=20, fill=3) as b:
        for seed in range(10):
            draw = random.Random(seed)
            b.client.ask("FLUSHALL")
            b.now = START + seed * 1000 * S + draw.randint(0, S)
            began, spent = b.now, 0
            holders = [Holder(name) for name in "abc"]
            for _ in range(150):
                spent += random_step(b, holders, draw)
                bound = b.max + b.fill * ((b.now - began) // S + 1)
                total = spent + sum(one.held for one in holders)
                expect(total <= bound, f"seed {seed}: {total} spent and lent, of {bound}")
