# SPDX-License-Identifier: Apache-2.0
"""Model servers that are no simulator's asyncio: one behind nginx, which writes in its own way, and one of Node's."""

import itertools
import shutil
import subprocess

from client import equal, expect, expect_ok
from harness import PORT, Skip, case, case_of_each, wait_for
from models import STREAMED, TARGETS, Models, ask, asked, budget, headers, reply, request, spent
from nginx import start_nginx

BACKEND = 8090
KINDS = [(api, stream) for api in TARGETS for stream in ((False, True) if api in STREAMED else (False,))]

BEHIND = """\
    server {{
        listen 127.0.0.1:{port};
        gzip {gzip};
        gzip_min_length 1;
        gzip_types application/json text/event-stream;
        gzip_http_version 1.0;
        location / {{
            proxy_pass http://127.0.0.1:{backend};
            proxy_http_version 1.1;
            proxy_buffering {buffering};
            proxy_request_buffering {buffering};
        }}
    }}
"""


def behind_nginx(env, buffering="on", gzip="off"):
    models = Models(env, BACKEND)
    start_nginx(env, BEHIND.format(port=PORT, backend=BACKEND, buffering=buffering, gzip=gzip), PORT)
    return models


@case_of_each({"that buffers": "on", "that passes on": "off"})
def nginx(env, buffering):
    """Each API, as JSON and as a stream, in each framing, small and large, on one connection."""
    models = behind_nginx(env, buffering)
    env.limit(rules=[budget()])
    paid, wrong = 0, []
    conn = env.connect()
    for number, ((api, stream), framing, size) in enumerate(itertools.product(KINDS, ("length", "chunked", "close"),
                                                                              (0, 100000))):
        model = f"m{number}"
        conn.send(request(api, asked(api, model=model, stream=stream),
                          *headers({"framing": framing, "pad-bytes": size, "prompt-tokens": 100 + number, "events": 20})))
        expect_ok(reply(conn))
        found = spent(env) - paid
        paid += found
        if found != models.of(model)["total"]:
            wrong.append(f"{found} for {models.of(model)['total']} by {api}, stream: {stream}, {framing}, {size} bytes")
    equal(wrong, [], "tokens paid, and answered")


@case
def nginx_that_codes_what_it_passes_on(env):
    """Unless Accept-Encoding is taken from the request."""
    models = behind_nginx(env, gzip="on")
    for drops, coding, unreadable in (("false", "gzip", 2), ("true", None, 2)):
        env.limit(rules=[budget()], spec=[f"dropAcceptEncoding: {drops}"])
        before = spent(env)
        for stream in (False, True):
            answer = ask(env, "chat", asked("chat", model=f"m{drops}", stream=stream), "Accept-Encoding: gzip")
            equal((answer.status, answer.field("Content-Encoding")), (200, coding), "status and coding")
        equal(spent(env) - before, models.of("mtrue")["total"] if drops == "true" else 0, "tokens paid")
        equal(env.reasons().get("llm_unreadable"), unreadable, "answers that were unreadable")
        env.agents[-1].kill()


@case_of_each({"that buffers": "on", "that passes on": "off"})
def nginx_whose_stream_is_cut(env, buffering):
    """It has the error with what it writes, and its client has the last event."""
    behind_nginx(env, buffering)
    env.limit(rules=[budget("100/hour", onExhausted="Cut")])
    answer = ask(env, "chat", asked("chat", stream=True), *headers({"events": 500, "completion-tokens": 500}))
    expect("error" in answer.events()[-1], f"the last event: {answer.events()[-1]}")
    equal(ask(env, "chat", asked("chat")).status, 429, "status of the next")


NODE = """
const usage = {prompt_tokens: 5, completion_tokens: 7, total_tokens: 12};
require("http").createServer((req, res) => {
  let text = "";
  req.on("data", (data) => { text += data; });
  req.on("end", async () => {
    const asked = JSON.parse(text);
    if (!asked.stream) {
      res.setHeader("Content-Type", "application/json");
      return res.end(JSON.stringify({choices: [{message: {content: "a"}}], usage}));
    }
    res.setHeader("Content-Type", "text/event-stream");
    for (let n = 0; n < asked.max_tokens; n++) {
      res.write(`data: ${JSON.stringify({choices: [{delta: {content: "a"}}], usage: null})}\\n\\n`);
      if (n % 7 === 0) await new Promise(setImmediate);
    }
    res.write(`data: ${JSON.stringify({choices: [], usage})}\\n\\n`);
    res.end("data: [DONE]\\n\\n");
  });
}).listen(PORT, "127.0.0.1", () => console.log("ready"));
"""


def start_node(env):
    node = shutil.which("node")
    if not node:
        raise Skip("node is not installed")
    process = subprocess.Popen([node, "-e", NODE.replace("PORT", str(PORT))], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    env.processes.append(process)
    equal(process.stdout.readline(), b"ready\n", "what it says first")


@case
def node(env):
    start_node(env)
    env.limit(rules=[budget()])
    conn = env.connect()
    for number in range(1, 41):
        conn.send_segment(request("chat", asked("chat", most=5 * number, stream=number % 4 != 0)))
        expect_ok(reply(conn))
        equal(spent(env), 12 * number, f"tokens paid for {number}")


@case
def node_whose_stream_is_cut(env):
    start_node(env)
    env.limit(rules=[budget("100/hour", onExhausted="Cut", reserve="MaxTokens", reserveFraction=0.1)])
    answer = ask(env, "chat", asked("chat", most=5000, stream=True))
    expect("error" in answer.events()[-1], f"the last event: {answer.events()[-1]}")
    expect(50 <= len(answer.events()) <= 400, f"{len(answer.events())} events with a budget of 100")
    wait_for("it is paid", lambda: env.tokens() < 0)
    equal(ask(env, "chat", asked("chat")).status, 429, "status of the next")
