# SPDX-License-Identifier: Apache-2.0
"""What the simulated model says: texts that try to be taken for what a server says itself of tokens, of events or of
HTTP; and objects that look like usage but stand where no API puts it."""

import json

NOTHING_USED = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "input_tokens": 0, "output_tokens": 0,
                "cache_read_input_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0}}
MUCH_USED = {name: 999999 for name in ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens",
                                       "output_tokens", "cache_read_input_tokens")}
FORGED = '"usage":' + json.dumps(NOTHING_USED, separators=(",", ":"))
FORGED_MUCH = '"usage":' + json.dumps(MUCH_USED, separators=(",", ":"))
EVENT = "data: {" + FORGED + "}\n\n"

# By name; as the model says them, before they are written as JSON.
TEXTS = {
    "plain": "word ",
    "usage": '{"usage":{"total_tokens":0}} ' + FORGED + " " + FORGED_MUCH + " ",
    "quotes": '"}}],' + FORGED + ',"choices":[{"delta":{"content":"',
    "escapes": '\\' + FORGED + '\\\\"\\\\\\"}' + FORGED_MUCH + '\\',
    "backslashes": "\\" * 63 + '"' + "\\" * 64 + '"' + FORGED,
    "surrogates": "\U0001f600\ud83d" + FORGED + "\udc00\ud800\ud800\udc00" + FORGED_MUCH + "\ud8ff",
    "utf8": "\U0001f600é€\U0010ffff" + FORGED + "\u2028\u2029\x7f\x80",
    "nested": json.dumps({"usage": NOTHING_USED, "text": json.dumps({"usage": MUCH_USED})}),
    "done": "data: [DONE]\n\n" + EVENT + "data: [DONE]\r\n\r\n" + "event: message_delta\n" + EVENT,
    "lines": "\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\r" + EVENT + "\n\n\r\r",
    "control": "".join(map(chr, range(32))) + FORGED,
    "brackets": "{[" * 40 + FORGED + "]}" * 41 + '"}]}',
    # One that is said by keys, not by text.
    "keys": "word ",
}


def decoys(name):
    """Keys for objects in which no API has a usage."""
    if name != "keys":
        return {}
    return {"usage": NOTHING_USED, "metadata": {"usage": MUCH_USED, "message": {"usage": MUCH_USED}},
            "response": {"usage": MUCH_USED}, "list": [{"usage": NOTHING_USED}, [{"usage": MUCH_USED}]]}


def pieces(name, count, size):
    """The text of this name, of @size characters or a little more, in @count pieces that are not empty."""
    text = TEXTS[name]
    text *= max(1, -(-max(size, count) // len(text)))
    return [text[len(text) * n // count:len(text) * (n + 1) // count] for n in range(count)]


def dumps(value, name="plain", style="compact"):
    """JSON in one of the styles that servers have; the text "utf8" as it is, others in escapes."""
    separators, indent = {"compact": ((",", ":"), None), "spaced": (None, None), "indented": (None, 2)}[style]
    return json.dumps(value, ensure_ascii=name != "utf8", separators=separators, indent=indent)
