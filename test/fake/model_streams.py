# SPDX-License-Identifier: Apache-2.0
"""The events of streamed answers, by API: (name of the event or None, its data), of which data is JSON's or a text.
What brings a piece of the answer is counted in call.content_events, as docs/llm.md says."""

from model_answers import CREATED, error, finish, output_items, response
from model_texts import dumps


def _halves(text):
    return [text[:len(text) // 2], text[len(text) // 2:]]


def _counted(call, deltas):
    """Each delta of the answer with its part of the completion."""
    total = call.counts.completion
    for number, delta in enumerate(deltas, 1):
        call.content_events += 1
        yield total * number // len(deltas), delta


def _tool_deltas(call):
    """Parallel calls, their arguments in turns."""
    begin = [{"tool_calls": [{"index": n, "id": f"call_{n}", "type": "function",
                              "function": {"name": "look", "arguments": ""}}]} for n in range(call.tools)]
    return begin + [{"tool_calls": [{"index": n, "function": {"arguments": _halves(call.arguments(n))[half]}}]}
                    for half in range(2) for n in range(call.tools)]


def _openai(call, base, choices):
    """Chunks of chat and completions: @choices are pairs of a choice and of its part of the completion, None where
    it brings nothing."""
    part = 0
    for choice, brought in choices:
        part = part if brought is None else brought
        chunk = {**base, "choices": [choice]}
        if call.usage == "continuous":
            chunk = call.with_usage(chunk, part=part)
        elif call.include_usage and call.usage != "none":
            chunk["usage"] = None
        yield None, chunk
    if call.include_usage:
        yield None, call.with_usage({**base, "choices": []})
    yield None, "[DONE]"


def chat(call):
    def choice(delta, reason=None):
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason, **call.decoys()}

    def choices():
        yield choice({"role": "assistant", "content": "", "refusal": None}), None
        deltas = _tool_deltas(call) if call.tools else [{"content": piece, **call.decoys()} for piece in call.pieces]
        for part, delta in _counted(call, deltas):
            yield choice(delta), part
        yield choice({}, finish(call)), None

    return _openai(call, {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": CREATED,
                          "model": call.model, "service_tier": "default", "system_fingerprint": "fp_fake"}, choices())


def completions(call):
    def choice(text, reason=None):
        return {"index": 0, "text": text, "logprobs": None, "finish_reason": reason, **call.decoys()}

    def choices():
        for part, piece in _counted(call, call.pieces):
            yield choice(piece), part
        yield choice("", "length"), None

    return _openai(call, {"id": "cmpl-fake", "object": "text_completion", "created": CREATED, "model": call.model},
                   choices())


def responses(call):
    for number, event in enumerate(_responses(call)):
        yield event["type"], {**event, "sequence_number": number}


def _responses(call):
    begun = {**response(call, "in_progress", []), "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    items = output_items(call)
    for index, item in enumerate(items):
        at = {"output_index": index, "item_id": item["id"]}
        yield from _item(call, item, at)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": call.with_usage(response(call, "completed", items))}


def _item(call, item, at):
    begun = {"type": "response.output_item.added", "output_index": at["output_index"]}
    if item["type"] == "function_call":
        yield {**begun, "item": {**item, "arguments": "", "status": "in_progress"}}
        for _, piece in _counted(call, _halves(item["arguments"])):
            yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
        yield {"type": "response.function_call_arguments.done", **at, "name": "look", "arguments": item["arguments"]}
        return
    yield {**begun, "item": {**item, "content": [], "status": "in_progress"}}
    at |= {"content_index": 0}
    part = item["content"][0]
    yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
    for _, piece in _counted(call, call.pieces):
        yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **at, "text": call.text(), "logprobs": []}
    yield {"type": "response.content_part.done", **at, "part": part}


def messages(call):
    for event in _messages(call):
        yield event["type"], event


def _messages(call):
    message = {"id": "msg_fake", "type": "message", "role": "assistant", "model": call.model, "content": [],
               "stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": call.with_usage(message, "start", min(1, call.counts.completion))}
    yield from _block(0, {"type": "text", "text": ""}, [
        {"type": "text_delta", "text": piece, **call.decoys()} for piece in call.pieces], call, ping=True)
    for n in range(call.tools):
        yield from _block(n + 1, {"type": "tool_use", "id": f"toolu_{n}", "name": "look", "input": {}}, [
            {"type": "input_json_delta", "partial_json": piece} for piece in _halves(call.arguments(n))], call)
    if call.ends:
        yield from ENDS[call.ends]
        return
    stopped = {"type": "message_delta", "delta": {"stop_reason": "tool_use" if call.tools else "end_turn",
                                                  "stop_sequence": None}}
    if call.usage == "continuous":
        # Server tools stop a message for a while: more than one message_delta, each with the total so far.
        yield call.with_usage({"type": "message_delta", "delta": {"stop_reason": None, "stop_sequence": None}}, "delta",
                              call.counts.completion // 2)
    yield call.with_usage(stopped, "delta")
    yield {"type": "message_stop"}


# What comes in place of message_delta, x-fake-ends.
ENDS = {"error": [error("messages", 529, "overloaded_error", "Overloaded")], "short": []}


def _block(index, block, deltas, call, ping=False):
    yield {"type": "content_block_start", "index": index, "content_block": block}
    if ping:
        yield {"type": "ping"}
    for _, delta in _counted(call, deltas):
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


EVENTS = {"chat": chat, "completions": completions, "responses": responses, "messages": messages}


# --- server-sent events -----------------------------------------------------------------------------

# How they are written, x-fake-sse: the end of a line, what follows "data:", and whether data has several lines and
# comments stand between the events.
FORMS = {"lf": ("\n", " ", False), "crlf": ("\r\n", " ", False), "cr": ("\r", " ", False),
         "no-blank": ("\n", "", False), "lines": ("\n", " ", True), "comments": ("\n", " ", False)}


def events(call, form):
    """The answer's events, as bytes each."""
    end, blank, lines = FORMS[form]
    for name, data in EVENTS[call.api](call):
        text = data if isinstance(data, str) else dumps(data, call.content, "indented" if lines else call.style)
        fields = [f"event:{blank}{name}"] if name else []
        fields += [f"data:{blank}{line}" for line in text.split("\n")]
        if form == "comments":
            fields = [": usage", ":", "id: 1", "retry: 1000", "database: {}", *fields]
        yield (end.join(fields) + 2 * end).encode()
