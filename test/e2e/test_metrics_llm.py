# SPDX-License-Identifier: Apache-2.0
"""What /metrics says of model servers, as the simulated one says that it answered."""

from client import equal, expect, expect_ok
from harness import case
from models import STREAMED, Models, ask, asked, budget, headers
from scrape import Scraper

TOKENS = "kmesh_ratelimit_llm_tokens_total"
USAGE = "gen_ai_client_token_usage_token"
OPERATIONS = {"completions": "text_completion", "embeddings": "embeddings"}
KINDS = {"input": "input", "output": "output", "total": "total", "cached_input": "cached", "reasoning": "reasoning"}
ROOM = 128 - 3     # of krl_llm_usages, but for the rows of all others


def ask_ok(env, api, fake=None, **more):
    expect_ok(ask(env, api, asked(api, **more), *headers(fake)))


@case
def metrics_of_tokens(env):
    """Each API, as JSON and as a stream."""
    scraper = Scraper(env)
    models = Models(env)
    env.limit(rules=[budget()])
    for number, api in enumerate((*STREAMED, "embeddings")):
        for stream in (False, True)[:1 + (api in STREAMED)]:
            fake = {"prompt-tokens": 40 + number, "completion-tokens": 5, "cached-tokens": 3 + number}
            if api in ("chat", "responses"):
                fake["reasoning-tokens"] = 1 + number
            ask_ok(env, api, fake=fake if api in STREAMED else None, model=api, stream=stream)
    told = models.stats()["models"]
    equal(sorted(told), sorted((*STREAMED, "embeddings")), "models that were asked")
    for model, row in told.items():
        counted = scraper.by("type", TOKENS, model=model, rule="all")
        equal(counted, {kind: row[name] for kind, name in KINDS.items()}, f"tokens of {model}")
        labels = {"gen_ai_request_model": model, "gen_ai_operation_name": OPERATIONS.get(model, "chat")}
        sums = scraper.by("gen_ai_token_type", f"{USAGE}_sum", **labels)
        for kind, name in KINDS.items():
            equal(sums.get(kind, 0), row[name], f"sum of {kind} of {model}")
        counts = scraper.by("gen_ai_token_type", f"{USAGE}_count", **labels)
        equal({counts[kind] for kind in ("input", "total")}, {row["requests"]}, f"requests of {model}")
    input_ = scraper.by("le", f"{USAGE}_bucket", gen_ai_request_model="chat", gen_ai_token_type="input")
    equal([input_[bound] for bound in ("16.0", "64.0", "67108864.0", "+Inf")], [0, 2, 2, 2], "requests of 40 tokens")
    output = scraper.by("le", f"{USAGE}_bucket", gen_ai_request_model="chat", gen_ai_token_type="output")
    equal([output[bound] for bound in ("4.0", "16.0")], [0, 2], "requests of 5 tokens")
    answers = scraper.by("usage", "kmesh_ratelimit_llm_answers_total", rule="all")
    equal(answers, {"told": 9, "estimated": 0, "unreadable": 0}, "answers by what is known")
    equal(scraper.value("kmesh_ratelimit_llm_debited_tokens_total", rule="all"),
          sum(row["total"] for row in told.values()), "tokens debited")


@case
def metrics_of_what_is_not_told(env):
    """An answer that tells nothing is in no histogram; one that is estimated is."""
    scraper = Scraper(env)
    Models(env)
    env.limit(rules=[budget()])
    ask_ok(env, "chat", model="silent", stream=True, include_usage=False, fake={"completion-tokens": 9, "events": 9})
    ask_ok(env, "chat", model="coded", fake={"encoding": "gzip"})
    equal(scraper.by("usage", "kmesh_ratelimit_llm_answers_total"), {"told": 0, "estimated": 1, "unreadable": 1}, "answers")
    equal(scraper.value(f"{USAGE}_sum", gen_ai_request_model="silent", gen_ai_token_type="output"), 9, "tokens that were estimated")
    equal(scraper.samples(f"{USAGE}_sum", gen_ai_request_model="coded"), [], "histograms of what is not known")
    equal(scraper.value("kmesh_ratelimit_reasons_total", reason="llm_unreadable"), 1, "answers that could not be read")


@case
def metrics_of_more_models_than_have_room(env):
    """Clients that make names up do not make up as many series; nothing that was used is left out."""
    scraper = Scraper(env)
    models = Models(env)
    env.limit(rules=[budget()])
    for number in range(ROOM + 20):
        ask_ok(env, "chat", model=f"m{number}\u00e9\"\\")
    labels = {"gen_ai_token_type": "total", "gen_ai_operation_name": "chat"}
    counts = scraper.by("gen_ai_request_model", f"{USAGE}_count", **labels)
    equal(len(counts), ROOM + 1, "models with histograms")
    equal(counts.pop("_OTHER"), 20, "requests to the others")
    equal(set(counts.values()), {1}, "requests to each of the first")
    expect("m0\u00e9\"\\" in counts, f"a name as it was sent: {sorted(counts)[:3]}")
    used = scraper.by("model", TOKENS, type="total")
    equal(len(used), ROOM + 1, "models with tokens")
    equal(sum(used.values()), sum(row["total"] for row in models.stats()["models"].values()), "all tokens")
