# SPDX-License-Identifier: Apache-2.0
"""What a model server answers: by API one JSON object, or the events of a stream, with what was used told in one of the
ways that servers have."""

import base64
import struct

import model_texts

CREATED = 1700000000
API = {"/v1/chat/completions": "chat", "/v1/completions": "completions", "/v1/embeddings": "embeddings",
       "/v1/responses": "responses", "/v1/messages": "messages"}
# How usage is told, x-fake-usage.
USAGES = ["normal", "none", "null", "continuous", "floats", "first", "nulls", "omitted", "late"]


class Counts:
    """Tokens; cached and created (written to the cache) are part of the prompt, reasoning of the completion."""

    def __init__(self, prompt, completion, cached=0, created=0, reasoning=0):
        self.prompt = prompt
        self.completion = completion
        self.cached = cached
        self.created = created
        self.reasoning = reasoning


def words(value):
    """In all the text of a request's messages, prompt or input."""
    if isinstance(value, str):
        return len(value.split())
    if isinstance(value, list):
        return sum(words(item) for item in value)
    if isinstance(value, dict):
        return words(value.get("content") or value.get("text") or "")
    return 1 if value is not None else 0        # a token, as a number


def number(value, otherwise):
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


class Call:
    """One request of an API and how it is to be answered: @asked is its JSON, @option(name, default) tells the header
    x-fake-name, a number where the default is one."""

    def __init__(self, target, asked, option):
        self.api = API[target]
        self.model = str(asked.get("model"))
        self.stream = asked.get("stream") is True and self.api != "embeddings"
        self.base64 = asked.get("encoding_format") == "base64"
        named = [asked.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens")]
        most = next((value for value in named if number(value, None) is not None), 7)
        prompt = sum(words(asked.get(name)) for name in ("messages", "prompt", "input", "system", "instructions"))
        self.counts = Counts(option("prompt-tokens", prompt),
                             0 if self.api == "embeddings" else option("completion-tokens", min(most, 7)),
                             option("cached-tokens", 0), option("cache-creation-tokens", 0),
                             option("reasoning-tokens", 0))
        self.tools = option("tool-calls", 0)
        self.content = option("content", "plain")
        self.style = option("json", "compact")
        self.usage = option("usage", "normal")
        self.ends = option("ends", "")
        self.size = option("pad-bytes", 0)
        self.pieces = model_texts.pieces(self.content, option("events", max(1, self.counts.completion)), self.size)
        options = asked.get("stream_options") or {}
        self.include_usage = self.usage == "continuous" or bool(options.get("include_usage"))
        self.content_events = 0
        if self.usage not in USAGES or self.style not in ("compact", "spaced", "indented"):
            raise ValueError("x-fake-usage or x-fake-json")

    def text(self):
        return "".join(self.pieces)

    def decoys(self):
        return model_texts.decoys(self.content)

    def arguments(self, call):
        """Of a tool call: JSON in a string."""
        return model_texts.dumps({"call": call, "text": self.text()[:2000], "usage": model_texts.NOTHING_USED})

    # --- usage ------------------------------------------------------------------------------------

    def total(self, told, part=None):
        """The usage object, or None, or what else stands there. @part: of the completion, the running total."""
        completion = self.counts.completion if part is None else part
        usage = {"chat": self._openai, "completions": self._openai, "embeddings": self._openai,
                 "responses": self._responses, "messages": self._messages}[self.api](completion, told)
        if self.usage == "floats":
            usage = floats(usage)
        if self.usage == "first":
            usage = dict(reversed(usage.items()))
        return usage

    def _openai(self, completion, _):
        counts = self.counts
        usage = {"prompt_tokens": counts.prompt, "completion_tokens": completion,
                 "total_tokens": counts.prompt + completion,
                 "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
                 "completion_tokens_details": {"reasoning_tokens": counts.reasoning, "audio_tokens": 0,
                                               "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}
        if self.api == "embeddings":
            usage = {"prompt_tokens": counts.prompt, "total_tokens": counts.prompt}
        if self.usage == "nulls":
            usage |= {"completion_tokens": None, "prompt_tokens_details": None, "completion_tokens_details": None}
        return usage

    def _responses(self, completion, _):
        counts = self.counts
        usage = {"input_tokens": counts.prompt, "input_tokens_details": {"cached_tokens": counts.cached},
                 "output_tokens": completion, "output_tokens_details": {"reasoning_tokens": counts.reasoning},
                 "total_tokens": counts.prompt + completion}
        if self.usage == "nulls":
            usage |= {"input_tokens_details": None, "output_tokens_details": None}
        return usage

    def _messages(self, completion, told):
        """@told: in "start" or "delta" of a stream, or "json"."""
        counts = self.counts
        usage = {"input_tokens": counts.prompt - counts.cached - counts.created,
                 "cache_creation_input_tokens": counts.created, "cache_read_input_tokens": counts.cached,
                 "output_tokens": completion}
        if told != "delta":
            usage |= {"cache_creation": {"ephemeral_5m_input_tokens": counts.created, "ephemeral_1h_input_tokens": 0},
                      "service_tier": "standard"}
        if self.usage == "nulls" and told == "delta":
            usage |= {"input_tokens": None, "cache_creation_input_tokens": None, "cache_read_input_tokens": None,
                      "server_tool_use": None}
        if self.usage == "omitted" and told == "delta":
            usage = {"output_tokens": completion}
        if self.usage == "late" and told == "start":
            usage = {"input_tokens": 0, "output_tokens": 0}
        return usage

    def with_usage(self, body, told="json", part=None):
        """@body, whose usage is added or left out."""
        if self.usage == "none":
            return body
        usage = None if self.usage == "null" else self.total(told, part)
        if self.usage == "first":
            return {"usage": usage, **body}
        return {**body, "usage": usage}


def floats(usage):
    return {key: floats(value) if isinstance(value, dict) else float(value) if isinstance(value, int) else value
            for key, value in usage.items()}


# --- JSON -------------------------------------------------------------------------------------------


def chat(call):
    message = {"role": "assistant", "content": call.text(), "refusal": None, "annotations": [], **call.decoys()}
    if call.tools:
        message |= {"content": None, "tool_calls": [
            {"id": f"call_{n}", "type": "function", "function": {"name": "look", "arguments": call.arguments(n)}}
            for n in range(call.tools)]}
    return call.with_usage({
        "id": "chatcmpl-fake", "object": "chat.completion", "created": CREATED, "model": call.model, "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": finish(call), **call.decoys()}],
        "service_tier": "default", "system_fingerprint": "fp_fake"})


def completions(call):
    return call.with_usage({
        "id": "cmpl-fake", "object": "text_completion", "created": CREATED, "model": call.model, "choices": [
            {"index": 0, "text": call.text(), "logprobs": None, "finish_reason": "length", **call.decoys()}]})


def embeddings(call):
    values = [n / 8 for n in range(max(4, call.size // 4))]
    packed = base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
    item = {"object": "embedding", "index": 0, "embedding": packed if call.base64 else values, **call.decoys()}
    return call.with_usage({"object": "list", "data": [item], "model": call.model})


def output_items(call):
    if call.tools:
        return [{"type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}", "name": "look",
                 "arguments": call.arguments(n), "status": "completed"} for n in range(call.tools)]
    return [{"type": "message", "id": "msg_fake", "status": "completed", "role": "assistant", "content": [
        {"type": "output_text", "text": call.text(), "annotations": [], "logprobs": [], **call.decoys()}]}]


def response(call, status, output):
    """The object of the Responses API, without its usage."""
    return {"id": "resp_fake", "object": "response", "created_at": CREATED, "status": status, "error": None,
            "incomplete_details": None, "instructions": None, "metadata": call.decoys(), "model": call.model,
            "output": output, "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [],
            "top_p": 1.0, "reasoning": {"effort": None, "summary": None}, "truncation": "disabled"}


def responses(call):
    return call.with_usage(response(call, "completed", output_items(call)))


def messages(call):
    content = [{"type": "text", "text": call.text(), "citations": None, **call.decoys()}]
    content += [{"type": "tool_use", "id": f"toolu_{n}", "name": "look",
                 "input": {"text": call.text()[:2000], "usage": model_texts.NOTHING_USED}} for n in range(call.tools)]
    return call.with_usage({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": call.model, "content": content,
        "stop_reason": "tool_use" if call.tools else "end_turn", "stop_sequence": None})


def finish(call):
    return "tool_calls" if call.tools else "stop"


JSON = {"chat": chat, "completions": completions, "embeddings": embeddings, "responses": responses,
        "messages": messages}


def error(api, status, kind, message):
    """In the shape of the API."""
    if api == "messages":
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}
    return {"error": {"message": message, "type": kind, "param": None, "code": str(status)}}
