# SPDX-License-Identifier: Apache-2.0
"""A model server as most are, but without a model: Starlette on uvicorn, an event of 40 tokens from a generator each time.

    model_app.py PORT
"""

import json
import sys
import time

from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route
import uvicorn

EVENTS = 500
TEXT = (" A token bucket holds at most a given number of tokens, and each request takes some of them. When it is empty, "
        "requests wait or are refused, until an interval passes and the bucket is filled again.\n\n")


def event(model, choices, usage):
    chunk = {"id": "chatcmpl-9f8e7d6c5b4a39281706f5e4d3c2b1a0", "object": "chat.completion.chunk",
             "created": int(time.time()), "model": model, "choices": choices, "usage": usage}
    return f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n"


async def events(model):
    for number in range(EVENTS):
        reason = "stop" if number == EVENTS - 1 else None
        yield event(model, [{"index": 0, "delta": {"content": TEXT}, "logprobs": None, "finish_reason": reason}], None)
    yield event(model, [], {"prompt_tokens": 57, "total_tokens": 57 + 40 * EVENTS, "completion_tokens": 40 * EVENTS})
    yield "data: [DONE]\n\n"


async def chat(request):
    body = await request.json()
    return StreamingResponse(events(body["model"]), media_type="text/event-stream")


class Server(uvicorn.Server):
    def install_signal_handlers(self):
        """None: SIGTERM ends it at once, where uvicorn would wait for its connections to end."""


if __name__ == "__main__":
    routes = [Route("/v1/chat/completions", chat, methods=["POST"])]
    Server(uvicorn.Config(Starlette(routes=routes), port=int(sys.argv[1]), log_level="warning")).run()
