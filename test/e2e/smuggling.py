# SPDX-License-Identifier: Apache-2.0
"""Requests that two parties could frame differently. Each hides SMUGGLED where a lenient server would
take it for a request of its own; none may reach a server, not even in part.

HEADS are malformed in the head, BODIES in the framing of the body."""

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"


def head(*lines, start=b"POST / HTTP/1.1", host=b"Host: test"):
    return b"\r\n".join([start, host, *lines, b"", b""])


def length(value):
    return head(b"Content-Length:" + value) + b"hello" + SMUGGLED


def coding(value, start=b"POST / HTTP/1.1"):
    return head(b"Transfer-Encoding:" + value, start=start) + b"0\r\n\r\n" + SMUGGLED


def chunked(body):
    return head(b"Transfer-Encoding: chunked") + body + SMUGGLED


HEADS = {
    # more than one idea of the length
    "two equal lengths": head(b"Content-Length: 5", b"Content-Length: 5") + b"hello" + SMUGGLED,
    "two lengths, the first longer": (head(b"Content-Length: 44", b"Content-Length: 5")
        + b"hello" + SMUGGLED),
    "two lengths, the second longer": (head(b"Content-Length: 5", b"Content-Length: 44")
        + b"hello" + SMUGGLED),
    "two lengths in one field": length(b" 5, 44"),
    "two equal lengths in one field": length(b" 5, 5"),
    "length and chunked": (head(b"Content-Length: 5", b"Transfer-Encoding: chunked")
        + b"0\r\n\r\n" + SMUGGLED),
    "chunked and length": (head(b"Transfer-Encoding: chunked", b"Content-Length: 5")
        + b"0\r\n\r\n" + SMUGGLED),
    "chunked and length 0": (head(b"Transfer-Encoding: chunked", b"Content-Length: 0")
        + b"0\r\n\r\n" + SMUGGLED),
    # lengths that are not plain digits
    "length with plus": length(b" +5"),
    "length with minus": length(b" -5"),
    "length in hexadecimal": length(b" 0x5"),
    "length with letters behind": length(b" 5a"),
    "length with a space inside": length(b" 4 4"),
    "length with a tab inside": length(b" 4\t4"),
    "length with underscore": length(b" 4_4"),
    "length with a point": length(b" 5.0"),
    "length as exponent": length(b" 1e1"),
    "length in quotes": length(b' "5"'),
    "length with a comma behind": length(b" 5,"),
    "length with a comma before": length(b" ,5"),
    "length without digits": length(b""),
    "length of spaces": length(b"   "),
    "length 2^64": length(b" 18446744073709551616"),
    "length 2^64 + 5": length(b" 18446744073709551621"),
    "length 2^63": length(b" 9223372036854775808"),
    "length with 40 digits": length(b" " + b"0" * 39 + b"5"),
    "length with NUL behind": length(b" 5\0"),
    "length with vertical tab": length(b"\x0b5"),
    "length with form feed": length(b" 5\x0c"),
    "length with no-break space": length(b" 5\xa0"),
    "length in other digits": length(" ५".encode()),
    # codings that are not exactly chunked
    "coding xchunked": coding(b" xchunked"),
    "coding chunkedx": coding(b" chunkedx"),
    "coding chunked twice": coding(b" chunked, chunked"),
    "coding gzip, chunked": coding(b" gzip, chunked"),
    "coding chunked, gzip": coding(b" chunked, gzip"),
    "coding identity": coding(b" identity"),
    "coding chunked, identity": coding(b" chunked, identity"),
    "coding with vertical tab": coding(b" \x0bchunked"),
    "coding with form feed behind": coding(b" chunked\x0c"),
    "coding with NUL": coding(b" chunked\0"),
    "coding with parameter": coding(b" chunked;q=1"),
    "coding in quotes": coding(b' "chunked"'),
    "coding in single quotes": coding(b" 'chunked'"),
    "coding with comma before": coding(b" ,chunked"),
    "coding with comma behind": coding(b" chunked,"),
    "coding cut by a space": coding(b" chun ked"),
    "coding empty": coding(b""),
    "coding with high bit": coding(b" \xe3hunked"),
    "coding with Kelvin sign": coding(" chun\u212aed".encode()),
    "two codings, chunked first": (head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity")
        + b"0\r\n\r\n" + SMUGGLED),
    "two codings, chunked last": (head(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked")
        + b"0\r\n\r\n" + SMUGGLED),
    "two codings, both chunked": (head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")
        + b"0\r\n\r\n" + SMUGGLED),
    "coding in HTTP/1.0": coding(b" chunked", start=b"POST / HTTP/1.0"),
    "coding folded": head(b"Transfer-Encoding:", b" chunked") + b"0\r\n\r\n" + SMUGGLED,
    # line ends
    "bare LF behind the request line": b"GET / HTTP/1.1\nHost: test\r\n\r\n" + SMUGGLED,
    "bare LF behind a field": b"GET / HTTP/1.1\r\nHost: test\n\r\n" + SMUGGLED,
    "bare LF before a length": head(b"X: y\nContent-Length: 44") + SMUGGLED,
    "bare LF at the head's end": b"GET / HTTP/1.1\r\nHost: test\r\n\n" + SMUGGLED,
    "bare LF everywhere": b"GET / HTTP/1.1\nHost: test\n\n" + SMUGGLED,
    "bare CR in a value": head(b"X: y\rContent-Length: 44") + SMUGGLED,
    "bare CR before a name": head(b"\rContent-Length: 44") + SMUGGLED,
    "two CR before LF": b"GET / HTTP/1.1\r\nHost: test\r\r\n\r\n" + SMUGGLED,
    "bare CR as the head's end": b"GET / HTTP/1.1\r\nHost: test\r\r" + SMUGGLED,
    "bare CR in the request line": b"GET /\r HTTP/1.1\r\nHost: test\r\n\r\n" + SMUGGLED,
    "bare LF before the request": b"\n" + head(start=b"GET / HTTP/1.1") + SMUGGLED,
    "bare CR before the request": b"\r" + head(start=b"GET / HTTP/1.1") + SMUGGLED,
    # bytes that have no place in a head
    "NUL in a value": head(b"X: a\0b") + SMUGGLED,
    "NUL in a name": head(b"X\0: b") + SMUGGLED,
    "NUL in the target": head(start=b"GET /\0 HTTP/1.1") + SMUGGLED,
    "control character in a value": head(b"X: a\x01b") + SMUGGLED,
    "DEL in a value": head(b"X: a\x7fb") + SMUGGLED,
    "escape in the target": head(start=b"GET /\x1b[0m HTTP/1.1") + SMUGGLED,
    # field lines
    "space before the colon": head(b"Content-Length : 44") + SMUGGLED,
    "tab before the colon": head(b"Content-Length\t: 44") + SMUGGLED,
    "space before the coding's colon": (head(b"Transfer-Encoding : chunked")
        + b"0\r\n\r\n" + SMUGGLED),
    "folded field": head(b"X: a", b" b") + SMUGGLED,
    "folded field with a length": head(b"X: a", b" Content-Length: 44") + SMUGGLED,
    "folded field with tab": head(b"X: a", b"\tb") + SMUGGLED,
    "folded length": head(b"Content-Length:", b" 44") + SMUGGLED,
    "space before the first field": b"GET / HTTP/1.1\r\n Host: test\r\n\r\n" + SMUGGLED,
    "tab before the first field": b"GET / HTTP/1.1\r\n\tContent-Length: 44\r\n\r\n" + SMUGGLED,
    "empty name": head(b": a") + SMUGGLED,
    "no colon": head(b"Content-Length 44") + SMUGGLED,
    "name of one word, no colon": head(b"abc") + SMUGGLED,
    "name with a space": head(b"Content Length: 44") + SMUGGLED,
    "name with a slash": head(b"Content/Length: 44") + SMUGGLED,
    "name with high bit": head(b"Content-Length\xa0: 44") + SMUGGLED,
    "name in brackets": head(b"[Content-Length]: 44") + SMUGGLED,
    # request lines
    "HTTP/0.9": b"GET /\r\n" + SMUGGLED,
    "HTTP/0.9 with a space": b"GET / \r\n" + SMUGGLED,
    "HTTP/0.9 by number": head(start=b"GET / HTTP/0.9") + SMUGGLED,
    "HTTP/2.0 in a request": head(start=b"GET / HTTP/2.0") + SMUGGLED,
    "HTTP/1.2": head(start=b"GET / HTTP/1.2") + SMUGGLED,
    "HTTP/1.10": head(start=b"GET / HTTP/1.10") + SMUGGLED,
    "HTTP/01.1": head(start=b"GET / HTTP/01.1") + SMUGGLED,
    "HTTP/11": head(start=b"GET / HTTP/11") + SMUGGLED,
    "HTTP/1": head(start=b"GET / HTTP/1") + SMUGGLED,
    "http/1.1 in small letters": head(start=b"GET / http/1.1") + SMUGGLED,
    "HTTPS/1.1": head(start=b"GET / HTTPS/1.1") + SMUGGLED,
    "junk behind the version": head(start=b"GET / HTTP/1.1 junk") + SMUGGLED,
    "space behind the version": head(start=b"GET / HTTP/1.1 ") + SMUGGLED,
    "tab behind the version": head(start=b"GET / HTTP/1.1\t") + SMUGGLED,
    "two spaces before the target": head(start=b"GET  / HTTP/1.1") + SMUGGLED,
    "two spaces before the version": head(start=b"GET /  HTTP/1.1") + SMUGGLED,
    "tab before the target": head(start=b"GET\t/ HTTP/1.1") + SMUGGLED,
    "tab before the version": head(start=b"GET /\tHTTP/1.1") + SMUGGLED,
    "space in the target": head(start=b"GET /a b HTTP/1.1") + SMUGGLED,
    "space before the method": head(start=b" GET / HTTP/1.1") + SMUGGLED,
    "tab before the method": head(start=b"\tGET / HTTP/1.1") + SMUGGLED,
    "vertical tab before the method": head(start=b"\x0bGET / HTTP/1.1") + SMUGGLED,
    "separator before the method": head(start=b"\x1cGET / HTTP/1.1") + SMUGGLED,
    "no-break space before the method": head(start=b"\xa0GET / HTTP/1.1") + SMUGGLED,
    "NUL before the method": head(start=b"\0GET / HTTP/1.1") + SMUGGLED,
    "colon in the method": head(start=b"GET: / HTTP/1.1") + SMUGGLED,
    "byte order mark": head(start=b"\xef\xbb\xbfGET / HTTP/1.1") + SMUGGLED,
    "no method": head(start=b" / HTTP/1.1") + SMUGGLED,
    "target without a slash": head(start=b"GET smuggled HTTP/1.1") + SMUGGLED,
    "target of a scheme and a path": head(start=b"GET http:/smuggled HTTP/1.1") + SMUGGLED,
    "target that begins as a query": head(start=b"GET ?/smuggled HTTP/1.1") + SMUGGLED,
    "asterisk with a path": head(start=b"OPTIONS */smuggled HTTP/1.1") + SMUGGLED,
    "host and port as a target of GET": head(start=b"GET test:80 HTTP/1.1") + SMUGGLED,
    "no target": head(start=b"GET HTTP/1.1") + SMUGGLED,
    "only a method": head(start=b"GET") + SMUGGLED,
}

BODIES = {
    "chunk size with 0x": chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with plus": chunked(b"+5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with minus": chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with underscore": chunked(b"0_5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a space before": chunked(b" 5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a space behind": chunked(b"5 \r\nhello\r\n0\r\n\r\n"),
    "chunk size with a tab behind": chunked(b"5\t\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a space inside": chunked(b"0 5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a comma": chunked(b"0,5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a letter": chunked(b"5g\r\nhello\r\n0\r\n\r\n"),
    "chunk size in quotes": chunked(b'"5"\r\nhello\r\n0\r\n\r\n'),
    "chunk size without digits": chunked(b"\r\nhello\r\n0\r\n\r\n"),
    "chunk extension without size": chunked(b";a=b\r\nhello\r\n0\r\n\r\n"),
    "chunk size 2^64": chunked(b"10000000000000000\r\nhello\r\n0\r\n\r\n"),
    "chunk size 2^64 + 5": chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "chunk size of 17 zeros and 5": chunked(b"0" * 17 + b"5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with NUL": chunked(b"5\0\r\nhello\r\n0\r\n\r\n"),
    "chunk line ends with LF": chunked(b"5\nhello\r\n0\r\n\r\n"),
    "chunk line ends with CR": chunked(b"5\rhello\r\n0\r\n\r\n"),
    "chunk line ends with CR CR LF": chunked(b"5\r\r\nhello\r\n0\r\n\r\n"),
    "chunk extension with LF": chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "chunk extension with CR": chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "chunk extension with NUL": chunked(b"5;a\0\r\nhello\r\n0\r\n\r\n"),
    "chunk data without CRLF": chunked(b"5\r\nhello0\r\n\r\n"),
    "chunk data with LF behind": chunked(b"5\r\nhello\n0\r\n\r\n"),
    "chunk data with CR behind": chunked(b"5\r\nhello\r0\r\n\r\n"),
    "chunk data longer than its size": chunked(b"4\r\nhello\r\n0\r\n\r\n"),
    "last chunk line ends with LF": chunked(b"0\n\r\n"),
    "last chunk, then LF": chunked(b"0\r\n\n"),
    "last chunk, then CR CR": chunked(b"0\r\n\r\r"),
    "trailer with a space before": chunked(b"0\r\n X: y\r\n\r\n"),
    "trailer with a space before the colon": chunked(b"0\r\nX : y\r\n\r\n"),
    "trailer with bare LF": chunked(b"0\r\nX: y\n\r\n"),
    "trailer with bare CR": chunked(b"0\r\nX: y\rZ: a\r\n\r\n"),
    "trailer without colon": chunked(b"0\r\nabc\r\n\r\n"),
    "trailer with NUL": chunked(b"0\r\nX: \0\r\n\r\n"),
    "trailer folded": chunked(b"0\r\nX: y\r\n z\r\n\r\n"),
}

# Odd, yet framed by all in the same way: these must pass and count as one request each.
FINE = {
    "lower case names": b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\nhello",
    "upper case names": b"POST / HTTP/1.1\r\nHOST: test\r\nCONTENT-LENGTH: 5\r\n\r\nhello",
    "no space behind the colon": b"POST / HTTP/1.1\r\nHost:test\r\nContent-Length:5\r\n\r\nhello",
    "white space around a value": (b"POST / HTTP/1.1\r\nHost: test\r\n"
        b"Content-Length: \t 5 \t \r\n\r\nhello"),
    "zeros before a length": (b"POST / HTTP/1.1\r\nHost: test\r\n"
        b"Content-Length: 00005\r\n\r\nhello"),
    "length 0": b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n",
    "an empty value": b"GET / HTTP/1.1\r\nHost: test\r\nX-Empty:\r\n\r\n",
    "high bytes in a value": b"GET / HTTP/1.1\r\nHost: test\r\nX: \xc3\xa9\x80\xff\r\n\r\n",
    "a colon in a value": b"GET / HTTP/1.1\r\nHost: test:80\r\nX: a: b\r\n\r\n",
    "every mark in a name": b"GET / HTTP/1.1\r\nHost: test\r\n!#$%&'*+-.^_`|~0aZ: x\r\n\r\n",
    "Chunked in capitals": (b"POST / HTTP/1.1\r\nHost: test\r\n"
        b"Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with zeros": (b"POST / HTTP/1.1\r\nHost: test\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n000\r\n\r\n"),
    "chunk extension": (b"POST / HTTP/1.1\r\nHost: test\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n"),
    "trailers": (b"POST / HTTP/1.1\r\nHost: test\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n"),
    "absolute target": b"GET http://test/ HTTP/1.1\r\nHost: test\r\n\r\n",
    "asterisk target": b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n",
    "host and port": b"CONNECT test:80 HTTP/1.1\r\nHost: test\r\n\r\n",
    "names that begin like a length": (b"GET / HTTP/1.1\r\nHost: test\r\n"
        b"Content-Lengt: 5\r\nContent-Lengthy: 5\r\n\r\n"),
}
