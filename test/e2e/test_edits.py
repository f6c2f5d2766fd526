# SPDX-License-Identifier: Apache-2.0
"""Edits while the agent runs: what changed is in force, what did not keeps its tokens, what is wrong is
said and changes nothing."""

import os
import re
import shutil

from client import equal, expect, expect_limited, expect_ok, get
from documents import bucket_rule, endpoint_slice, ratelimit, service_ratelimit
from harness import PORT, admitted, case, take, wait_for


@case
def an_unrelated_edit_resets_no_bucket(env):
    env.server()
    env.server(port=PORT + 1)
    env.limit()
    take(env, 4)
    env.write("other.yaml", ratelimit("other", PORT + 1, limit="2/day"))
    wait_for("the new document is enforced", lambda: env.lists("other"))
    equal(env.tokens(), 6, "tokens after another document came")
    env.write("other.yaml", ratelimit("other", PORT + 1, limit="5/day"))
    wait_for("its edit is enforced", lambda: "5" in env.item("other")["limit"])
    equal(env.tokens(), 6, "tokens after another document's edit")
    os.unlink(os.path.join(env.config, "other.yaml"))
    wait_for("its removal is enforced", lambda: not env.lists("other"))
    equal(env.tokens(), 6, "tokens after another document went")
    equal(admitted(env, 8), 6, "admitted after it all")


@case
def an_edit_of_the_same_document_keeps_the_other_rules_tokens(env):
    env.server()
    rules = ["{name: burst, limit: 5/hour}", "{name: sustained, limit: 10/day}"]
    env.limit(rules=rules)
    take(env, 4)
    env.write("limit.yaml", ratelimit("limit", PORT, rules=rules[1:]))
    wait_for("the rule is gone", lambda: len(env.stats()) == 1)
    equal(env.tokens(rule="sustained"), 6, "tokens of the rule that stayed")
    equal(admitted(env, 8), 6, "admitted by the rule that stayed")


@case
def changed_settings_keep_the_tokens_capped(env):
    env.server()
    env.limit(limit="10/day")
    take(env, 2)
    env.write("limit.yaml", ratelimit("limit", PORT, limit="5/day"))
    wait_for("the lower limit caps the tokens", lambda: env.tokens() == 5)
    take(env, 2)
    env.write("limit.yaml", ratelimit("limit", PORT, limit="20/day"))
    wait_for("the higher limit is in force", lambda: "20" in env.item()["limit"])
    equal(env.tokens(), 3, "tokens after the limit was raised")
    equal(admitted(env, 6), 3, "admitted after the limit was raised")
    expect_limited(env.connect().ask(get()), limit=20, text="20 per 1 day")


@case
def an_edit_reaches_open_connections(env):
    env.server()
    env.limit(limit="2/day")
    conn = env.connect()
    equal([conn.ask(get()).status for _ in range(3)], [200, 200, 429], "statuses before the edit")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[bucket_rule(3, 3, "1ms")]))
    wait_for("the bucket is refilled", lambda: env.tokens() == 3)
    expect_ok(conn.ask(get()))


@case
def rewrite_in_place(env):
    env.server()
    env.limit(limit="10/day")
    with open(os.path.join(env.config, "limit.yaml"), "w", encoding="utf-8") as file:
        file.write(ratelimit("limit", PORT, limit="4/day"))
    wait_for("the rewritten limit is in force", lambda: env.tokens() == 4)
    equal(admitted(env, 6), 4, "admitted")


@case
def delete(env):
    env.server()
    env.limit(limit="1/day")
    conn = env.connect()
    equal([conn.ask(get()).status for _ in range(2)], [200, 429], "statuses before")
    os.unlink(os.path.join(env.config, "limit.yaml"))
    wait_for("the rule is gone", lambda: not env.stats())
    equal(admitted(env, 5), 5, "admitted on new connections")
    equal([conn.ask(get()).status for _ in range(3)], [200] * 3, "statuses on the open connection")


@case
def the_directory_is_replaced(env):
    env.server()
    env.limit(limit="10/day")
    take(env, 1)
    fresh = env.config + ".new"
    os.mkdir(fresh)
    with open(os.path.join(fresh, "limit.yaml"), "w", encoding="utf-8") as file:
        file.write(ratelimit("limit", PORT, limit="4/day"))
    os.rename(env.config, env.config + ".old")
    os.rename(fresh, env.config)
    wait_for("the new directory's limit is in force", lambda: env.tokens() == 4)
    shutil.rmtree(env.config + ".old")
    env.write("limit.yaml", ratelimit("limit", PORT, limit="2/day"))
    wait_for("an edit in the new directory is in force", lambda: env.tokens() == 2)
    equal(admitted(env, 6), 2, "admitted")


@case
def the_directory_goes_and_comes_back(env):
    env.server()
    env.limit(limit="10/day")
    take(env, 3)
    shutil.rmtree(env.config)
    os.mkdir(env.config)
    env.write("limit.yaml", ratelimit("limit", PORT, limit="2/day"))
    wait_for("the new directory's limit is in force", lambda: env.lists("limit") and env.tokens() == 2)
    equal(admitted(env, 4), 2, "admitted")


@case
def a_configmap_swap(env):
    """As the kubelet does it: files are links through ..data, which is renamed to a new directory."""
    env.server()

    def publish(version, limit):
        directory = f"..{version}"
        os.mkdir(os.path.join(env.config, directory))
        with open(os.path.join(env.config, directory, "limit.yaml"), "w", encoding="utf-8") as file:
            file.write(ratelimit("limit", PORT, limit=limit))
        os.symlink(directory, os.path.join(env.config, "..data_tmp"))
        os.rename(os.path.join(env.config, "..data_tmp"), os.path.join(env.config, "..data"))

    publish("2024_01", "10/day")
    os.symlink("..data/limit.yaml", os.path.join(env.config, "limit.yaml"))
    env.agent("limit")
    equal(len(env.stats()), 1, "rules: the versions' own directories are not read")
    take(env, 3)
    publish("2024_02", "5/day")
    shutil.rmtree(os.path.join(env.config, "..2024_01"))
    wait_for("the second version is in force", lambda: env.tokens() == 5)
    publish("2024_03", "2/day")
    shutil.rmtree(os.path.join(env.config, "..2024_02"))
    wait_for("the third version is in force", lambda: env.tokens() == 2)
    equal(admitted(env, 4), 2, "admitted")


@case
def a_broken_file_keeps_the_limits_in_force(env):
    env.server()
    env.server(port=PORT + 1)
    agent = env.limit(limit="5/day")
    take(env, 2)
    env.write("limit.yaml", "apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nspec: [unclosed\n")
    wait_for("the syntax error is logged", lambda: re.search(r"limit\.yaml:\d+:\d+: ", agent.text()))
    env.write("other.yaml", ratelimit("other", PORT + 1, limit="2/day"))
    wait_for("another document still applies", lambda: env.lists("other"))
    equal(admitted(env, 5), 3, "admitted by the limit that stays in force")
    env.write("limit.yaml", ratelimit("limit", PORT, limit="1/day"))
    wait_for("the repaired document is in force", lambda: "1" == env.item()["limit"].split()[0])


@case
def a_file_that_is_being_written_stays_in_force(env):
    """Another document changes while one is empty, opened to be written anew."""
    env.server()
    agent = env.limit(limit="3/day")
    take(env, 3)
    with open(os.path.join(env.config, "limit.yaml"), "w", encoding="utf-8") as file:
        env.write("other.yaml", ratelimit("other", PORT + 1))
        wait_for("the other document is in force", lambda: env.lists("other"))
        expect("limit.yaml: open for writing" in agent.text(), "nothing is said of the file being written")
        equal(admitted(env, 3), 0, "admitted while the file is empty")
        file.write(ratelimit("limit", PORT, limit="4/day"))
    wait_for("what was written is in force", lambda: env.item()["maxTokens"] == 4)
    equal(admitted(env, 3), 0, "admitted when the same tokens are used up")


@case
def an_invalid_value_is_located(env):
    env.server()
    agent = env.limit(limit="5/day")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[bucket_rule("ten", 1, 10**9)]))
    text = wait_for("the error is logged",
                    lambda: re.search(r".*limit\.yaml:(\d+):(\d+): (.*)", agent.text()))
    equal((text[1], text[2]), ("8", "30"), "line and column of the error")
    expect("spec.rules[0].maxTokens: expected an integer from 1 to 9223372036854775807, found"
           in text[3] and "ten" in text[3], f"the error says: {text[0]}")
    equal(admitted(env, 7), 5, "admitted by the limit that stays in force")


@case
def an_unknown_field_suggests_the_nearest(env):
    agent = env.limit(limit="5/day")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=["{name: all, limits: 10/day}"]))
    text = wait_for("the error is logged",
                    lambda: re.search(r".*limit\.yaml:\d+:\d+: (.*)", agent.text()))
    expect("limits" in text[1] and re.search(r"\blimit\b", text[1].replace("spec.rules[0].limits", "")),
           f"the error says: {text[0]}")
    equal(env.tokens(), 5, "tokens of the limit that stays in force")


@case
def a_broken_file_at_the_start_does_not_stop_the_others(env):
    env.server()
    env.write("bad.yaml", ratelimit("bad", PORT + 1, limit="ten/day"))
    agent = env.limit(limit="3/day")
    expect(re.search(r"bad\.yaml:\d+:\d+: ", agent.text()), "the error is not in the log")
    expect(not env.lists("bad"), "the invalid document is listed")
    equal(admitted(env, 5), 3, "admitted")


@case
def what_was_read_goes_while_a_file_is_broken_since_the_start(env):
    """Only limits of before the agent that no document has told of may be in the broken file."""
    for port in range(PORT, PORT + 4):
        env.server(port=port)
    once = "1/day"
    env.write("removed.yaml", ratelimit("removed", PORT, limit=once))
    env.write("edited.yaml", ratelimit("edited", PORT + 1, rules=[
        "{name: early, limit: 1/day}", "{name: late, limit: 2/day}", "{name: kept, limit: 3/day}"]))
    env.write("web.yaml", service_ratelimit("served", "web", limit=once))
    env.write("slice.yaml", endpoint_slice("web", PORT + 2))
    env.write("broken.yaml", ratelimit("unread", PORT + 3, limit=once))
    env.agent("removed", "edited", "served", "unread").kill()
    env.write("broken.yaml", "spec: [unclosed\n")
    env.write("edited.yaml", ratelimit("edited", PORT + 1, rules=[
        "{name: late, limit: 2/day}", "{name: kept, limit: 3/day}"]))
    agent = env.start_agent()
    wait_for("the limits are applied", lambda: "limits applied" in agent.text())
    equal(sorted((item["name"], item["rule"]) for item in env.stats()),
          [("edited", "kept"), ("edited", "late"), ("removed", "all"), ("served", "all"), ("unread", "all")],
          "rules after the start: one is missing in a document that was read")
    os.unlink(os.path.join(env.config, "removed.yaml"))
    wait_for("a removed RateLimit is gone", lambda: not env.lists("removed"))
    env.write("edited.yaml", ratelimit("edited", PORT + 1, rules=["{name: kept, limit: 3/day}"]))
    wait_for("a removed rule is gone", lambda: len([i for i in env.stats() if i["name"] == "edited"]) == 1)
    env.write("slice.yaml", endpoint_slice("web", PORT))
    wait_for("a service has moved", lambda: env.connect().ask(get()).status == 429)
    equal([admitted(env, 5, port) for port in range(PORT, PORT + 4)], [0, 3, 5, 1], "admitted by port")
    env.write("broken.yaml", "")
    wait_for("what is in no document is gone", lambda: not env.lists("unread"))
    equal(admitted(env, 5, PORT + 3), 5, "admitted after it")


@case
def an_edit_that_goes_past_a_bound_leaves_the_limit(env):
    env.server()
    agent = env.limit(limit="2/day")
    take(env, 1)
    header = "{{name: r{0}, limit: 9/day, clientSelectors: [{{headers: [{{name: x-{0}, type: Present}}]}}]}}"
    for rules in ([f"{{name: r{n}, limit: 9/day}}" for n in range(65)], [header.format(n) for n in range(17)]):
        before = agent.text().count("level=error")
        env.write("limit.yaml", ratelimit("limit", PORT, rules=rules))
        wait_for("the edit is refused", lambda: agent.text().count("level=error") > before)
        equal(env.tokens(rule="all"), 1, "tokens of the rule that is in force")
    agent.kill()
    agent = env.agent("limit")
    expect("level=error" in agent.text(), "the next agent refuses nothing")
    env.write("limit.yaml", ratelimit("limit", PORT, limit="3/day"))
    wait_for("the last edit is in force", lambda: env.item()["limit"].startswith("3"))
    equal(admitted(env, 4), 1, "admitted after an edit that is good, with the tokens of before")
