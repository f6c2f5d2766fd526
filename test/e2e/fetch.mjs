// SPDX-License-Identifier: Apache-2.0
// Sends the requests that standard input lists with Node's fetch(), over connections that are kept, and prints
// their answers.
import { readFileSync } from "node:fs";

const { url, requests, together } = JSON.parse(readFileSync(0, "utf8"));

async function ask({ method, path, headers, size, chunked }) {
  const bytes = size && Buffer.alloc(size, "x");
  const body = chunked ? new Blob([bytes]).stream() : bytes || undefined;
  const response = await fetch(url + path, { method, headers, body, duplex: "half" });

  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
  };
}

const answers = [];
if (together) {
  answers.push(...await Promise.all(requests.map(ask)));
} else {
  for (const request of requests) {
    answers.push(await ask(request));
  }
}
console.log(JSON.stringify(answers));
