# SPDX-License-Identifier: Apache-2.0
"""Rules with a schedule come into force and leave, by a clock that the cases turn."""

import os
import shutil

from client import equal, expect, expect_limited, expect_ok, expect_refused, get
from documents import ratelimit
from harness import PORT, admitted, case, wait_for

DAY = "{name: day, limit: 2/day, schedule: {from: 08:00, to: 18:00, timeZone: Europe/Berlin}}"
NIGHT = "{name: night, limit: 4/day, schedule: {from: 18:00, to: 08:00, timeZone: Europe/Berlin}}"
ALWAYS = "{name: always, limit: 9/day}"

MORNING = "2026-11-23T07:59:59+01:00"
NOON = "2026-11-23T12:00:00+01:00"
EVENING = "2026-11-23T18:00:00+01:00"


def in_force(env):
    return sorted(item["rule"] for item in env.stats())


def turn(env, time, *rules):
    """Turn the clock, and wait until just @rules are in force."""
    env.set_clock(time)
    wait_for(f"{rules or 'no rule'} in force at {time}", lambda: in_force(env) == sorted(rules))


def start(env, time, *rules, waits=(), spec=()):
    """An agent at @time that has @waits in force, and a server."""
    env.set_clock(time)
    server = env.server()
    env.write("limit.yaml", ratelimit("limit", PORT, rules=rules, spec=spec))
    agent = env.start_agent()
    wait_for("the agent runs", lambda: "agent started" in agent.text())
    equal(in_force(env), sorted(waits), f"rules in force at {time}")
    return server


def statuses(conn, count):
    return [conn.ask(get()).status for _ in range(count)]


@case
def rules_come_and_go_on_open_connections(env):
    start(env, MORNING, DAY, NIGHT, ALWAYS, waits=["always", "night"])
    conn = env.connect()
    equal(statuses(conn, 3), [200] * 3, "statuses in the morning")
    turn(env, NOON, "day", "always")
    equal(env.item(rule="day")["totalRequests"], 0, "requests that the rule judged before it came")
    equal(statuses(conn, 3), [200, 200, 429], "statuses at noon")
    expect_limited(conn.ask(get()), limit=2, text="2 per 1 day")
    turn(env, EVENING, "night", "always")
    equal(env.tokens(rule="night"), 4, "tokens of the rule that is back")
    equal(env.tokens(rule="always"), 4, "tokens of the rule that stayed")
    equal(statuses(conn, 5), [200] * 4 + [429], "statuses in the evening")


@case
def a_connection_from_before_is_limited_when_the_only_rule_comes(env):
    server = start(env, MORNING, DAY)
    early = [env.connect() for _ in range(2)]
    expect_ok(early[0].ask(get()))
    wait_for("both are accepted", lambda: len(server.events("accept")) == 2)
    turn(env, NOON, "day")
    equal([conn.ask(get()).status for conn in (*early, *early)], [200, 200, 429, 429],
          "statuses of both, one of which has asked before")
    turn(env, EVENING)
    equal(statuses(early[0], 5) + statuses(env.connect(), 5), [200] * 10, "statuses without a rule")
    turn(env, "2026-11-24T08:00:00+01:00", "day")
    equal(statuses(early[1], 3), [200, 200, 429], "statuses when it is back, with a full bucket")


@case
def a_tier_is_without_a_rule_that_is_outside(env):
    start(env, MORNING, "{name: get, limit: 1/day, clientSelectors: [{methods: [GET]}], schedule: {from: 08:00}}",
          "{name: rest, limit: 3/day}", waits=["rest"])
    conn = env.connect()
    equal(statuses(conn, 2), [200] * 2, "statuses by the last tier")
    turn(env, NOON, "get", "rest")
    equal(statuses(conn, 2), [200, 429], "statuses by the first tier")
    equal(env.tokens(rule="rest"), 1, "tokens of the last tier")
    turn(env, "2026-11-24T00:00:00Z", "rest")
    equal(statuses(conn, 2), [200, 429], "statuses by the last tier again")


@case
def an_address_and_a_wildcard_that_covers_it(env):
    """The connection belongs to the address also when that has no rule in force."""
    env.write("any.yaml", ratelimit("any", PORT, ip="0.0.0.0", rules=["{name: any, limit: 9/day}"]))
    start(env, MORNING, DAY, waits=["any"])
    conn = env.connect()
    equal(statuses(conn, 3), [200] * 3, "statuses by the wildcard's rule")
    turn(env, NOON, "any", "day")
    equal(statuses(conn, 3), [200, 200, 429], "statuses by both")
    equal(env.tokens(name="any"), 4, "tokens of the wildcard's rule")


@case
def an_endpoint_without_a_rule_stays_protected(env):
    env.write("closed.yaml", ratelimit("closed", PORT + 1, rules=[DAY], spec=["failurePolicy: Closed"]))
    env.server(port=PORT + 1)
    server = start(env, MORNING, DAY)
    for port, request in ((PORT, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"), (PORT + 1, b"\x16\x03\x01\x02\x00\x01")):
        conn = env.connect(port)
        conn.send(request)
        expect_refused(conn, f"{request!r} while no rule is in force")
    expect_ok(env.connect(PORT + 1).ask(get()))
    equal(env.settled(server).requests(), [], "requests that reached the first server")


@case
def header_fields_of_the_servers_answers_come_and_go(env):
    start(env, MORNING, DAY, NIGHT.replace("Europe/Berlin", "UTC"), waits=["night"], spec=["responseHeaders: Always"])
    conn = env.connect()
    equal(conn.ask(get()).field("X-RateLimit-Limit"), "4", "X-RateLimit-Limit by the night's rule")
    turn(env, NOON, "day")
    equal(conn.ask(get()).field("X-RateLimit-Limit"), "2", "X-RateLimit-Limit by the day's rule")
    turn(env, EVENING)
    equal(conn.ask(get()).field("X-RateLimit-Limit"), None, "X-RateLimit-Limit without a rule")
    turn(env, "2026-11-23T19:00:00+01:00", "night")
    equal(conn.ask(get()).field("X-RateLimit-Limit"), "4", "X-RateLimit-Limit by the night's rule that is back")


@case
def a_clock_may_be_set_back(env):
    start(env, NOON, DAY, ALWAYS, waits=["always", "day"])
    turn(env, MORNING, "always")
    turn(env, NOON, "always", "day")


@case
def an_edit_goes_by_the_clock(env):
    start(env, NOON, DAY, waits=["day"])
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[DAY.replace("18:00", "11:00"), ALWAYS]))
    wait_for("the rule that is outside now is gone", lambda: in_force(env) == ["always"])
    turn(env, "2026-11-23T10:00:00+01:00", "always", "day")


@case
def a_directory_that_is_gone_stops_no_schedule(env):
    start(env, NOON, DAY, NIGHT, waits=["day"])
    shutil.rmtree(env.config)
    wait_for("the directory is missed", lambda: "the limits in force stay" in env.agents[-1].text())
    equal(in_force(env), ["day"], "rules in force without the directory")
    turn(env, EVENING, "night")
    equal(admitted(env, 6), 4, "admitted by the night's rule")


@case
def without_an_agent_the_limits_stay(env):
    start(env, NOON, DAY, NIGHT, waits=["day"])
    equal(admitted(env, 1), 1, "admitted before")
    env.agents[-1].kill()
    env.set_clock(EVENING)
    # long enough for a compact answer
    conn = env.connect()
    equal([conn.ask(get("/" + "a" * 60)).status for _ in range(3)], [200, 429, 429],
          "statuses by the day's rule, whatever the time")
    env.agent("limit")
    equal(in_force(env), ["night"], "rules in force with the next agent")
    equal(admitted(env, 6), 4, "admitted by the night's rule")


@case
def what_is_outside_was_read_though_another_file_is_broken(env):
    """The agent before had it in force; the next one has read of it, so it does not stay as what is unread does."""
    start(env, NOON, DAY, waits=["day"])
    env.write("broken.yaml", "spec: [unclosed\n")
    env.agents[-1].kill()
    env.set_clock(EVENING)
    agent = env.start_agent()
    wait_for("the agent runs", lambda: "agent started" in agent.text())
    equal(in_force(env), [], "rules in force")
    equal(admitted(env, 5), 5, "admitted")


@case
def a_clock_without_a_time(env):
    env.set_clock("noon")
    refused = env.run(env.agent_args(os.path.join(env.root, "a.sock"), "info"))
    equal(refused.returncode, 1, "exit status")
    expect(f"clock {env.clock}: " in refused.stderr, f"said instead: {refused.stderr}")


@case
def check_and_validate_go_by_schedules(env):
    start(env, NOON, DAY, ALWAYS, waits=["always", "day"])
    conn = env.connect()
    expect_ok(conn.ask(get()))
    table = env.tool("check", "--live", "-f", env.config, "--at", NOON).stdout
    expect("for every request" in table and "outside" not in table, f"at noon:\n{table}")
    table = env.tool("check", "--live", "-f", env.config, "--at", EVENING).stdout
    expect("outside its schedule" in table, f"in the evening:\n{table}")
    wrong = os.path.join(env.root, "wrong.yaml")
    env.publish(wrong, ratelimit("wrong", PORT, rules=[DAY.replace("Berlin", "Belin")]))
    refused = env.tool("validate", "-f", wrong)
    equal(refused.returncode, 1, "exit status of validate")
    expect("spec.rules[0].schedule.timeZone: expected a time zone" in refused.stderr and
           f"{wrong}:8:" in refused.stderr, f"said instead: {refused.stderr}")


@case
def without_time_zones_there_is_utc(env):
    """A machine without tzdata."""
    script = 'mount -t tmpfs none /usr/share && exec "$0" validate -f "$1"'

    def validate(zone):
        env.write("limit.yaml", ratelimit("limit", PORT, rules=[DAY.replace("Europe/Berlin", zone)]))
        return env.run(["unshare", "--mount", "sh", "-c", script, os.path.join(env.build, "kmesh-rl"), env.config])

    equal(validate("UTC").returncode, 0, "exit status with UTC")
    refused = validate("Europe/Berlin")
    equal(refused.returncode, 1, "exit status with another zone")
    expect('no time zones on this machine to find "Europe/Berlin" in: install tzdata' in refused.stderr,
           f"said instead: {refused.stderr}")
